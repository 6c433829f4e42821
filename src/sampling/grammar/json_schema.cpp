#include <algorithm>

#include "base/error.h"
#include "sampling/grammar/finish.h"
#include "sampling/grammar/schema.h"

namespace agave {

using grammar::Expr;
using grammar::JsonText;
using grammar::Rules;
using grammar::SchemaDocument;
using grammar::SchemaWriter;

std::shared_ptr<const Grammar> Grammar::from_json_schema(std::string_view schema,
                                                         const JsonSchemaOptions& options) {
    const SchemaDocument document(schema);
    Rules rules;
    rules.source = "the schema";
    JsonText json(rules, options.compact);
    SchemaWriter writer(document, rules, json);
    const Expr values = writer.values_of(std::vector{document.root()});
    return grammar::finish(rules, rules.define(std::string(), values));
}

std::shared_ptr<const Grammar> Grammar::json_object(const JsonSchemaOptions& options) {
    Rules rules;
    JsonText json(rules, options.compact);
    return grammar::finish(rules, rules.define(std::string(), json.object()));
}

}  // namespace agave
