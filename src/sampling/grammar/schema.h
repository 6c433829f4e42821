#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "sampling/grammar/decimal.h"
#include "sampling/grammar/formats.h"
#include "sampling/grammar/json_text.h"
#include "sampling/grammar/rules.h"

namespace agave::grammar {

/// A schema inside a schema document, and the JSON pointer (RFC 6901) to it.
struct SchemaRef {
    JsonValue schema;
    std::string pointer;
};

/// What kinds of JSON values are allowed, as bits.
enum TypeBits : unsigned {
    kNull = 1,
    kBoolean = 2,
    kInteger = 4,   ///< whole numbers
    kFraction = 8,  ///< other numbers
    kString = 16,
    kArray = 32,
    kObject = 64,
    kAllTypes = 127
};

/// All that some schemas together demand of one value, keyword by keyword.
struct Demand {
    unsigned types = kAllTypes;
    bool has_choices = false;        ///< enum or const:
    std::vector<JsonValue> choices;  ///< what is in each of them

    std::vector<NumberBound> bounds;
    std::vector<Decimal> factors;

    uint32_t min_length = 0, max_length = kUnbounded;
    std::vector<StringPattern> patterns;  ///< and those of formats

    /// What one schema says of the items of arrays or of the members of objects.
    struct ArrayPart {
        std::vector<SchemaRef> first;  ///< of the first items, in order
        SchemaRef rest;                ///< absent: any
    };
    std::vector<ArrayPart> arrays;
    uint32_t min_items = 0, max_items = kUnbounded;

    struct NamedSchema {
        std::string name;  ///< or the pattern of names
        SchemaRef schema;
    };
    struct ObjectPart {
        std::vector<NamedSchema> members, patterns;
        SchemaRef rest;  ///< absent: any
    };
    std::vector<ObjectPart> objects;
    std::vector<std::string> required;
    uint32_t min_members = 0, max_members = kUnbounded;

    /// One of each list must hold too (anyOf, and oneOf where no two can hold).
    std::vector<std::vector<SchemaRef>> any_of;

    std::vector<std::string> open, done;  ///< pointers of the schemas that are being read, and were

    /// Nothing but `types`, `choices` and `any_of` is limited.
    bool is_plain() const;
};

/// A document of schemas. Everything here throws Error(usage) that names the place for what cannot be
/// honoured.
class SchemaDocument {
  public:
    explicit SchemaDocument(std::string_view text);

    SchemaRef root() const { return {json_.root(), "#"}; }
    /// Adds what a schema demands.
    void add(Demand& demand, const SchemaRef& ref) const;
    /// Whether no value can satisfy both; false also where that is not clear.
    bool are_disjoint(const SchemaRef& a, const SchemaRef& b, int depth = 0) const;
    SchemaRef resolve(std::string_view reference, const std::string& from) const;

    /// Throws when a schema takes too much work altogether.
    void count_work(size_t n) const;
    /// Counts an automaton in, and passes it on.
    Dfa counted(Dfa dfa) const {
        count_work(1000 + dfa.work / 64);
        return dfa;
    }

  private:
    void add_keyword(Demand& demand, const SchemaRef& ref, std::string_view keyword, JsonValue value) const;
    bool add_number_keyword(Demand&, const SchemaRef&, std::string_view keyword, JsonValue) const;
    bool add_string_keyword(Demand&, const SchemaRef&, std::string_view keyword, JsonValue) const;
    bool add_group_keyword(Demand&, const SchemaRef&, std::string_view keyword, JsonValue) const;
    void add_choices(Demand&, std::vector<JsonValue> values) const;
    void add_array(Demand& demand, const SchemaRef& ref) const;
    void add_object(Demand& demand, const SchemaRef& ref) const;
    bool choices_are_disjoint(const Demand& a, const Demand& b) const;

    Json json_;
    mutable size_t work_ = 0;
};

[[noreturn]] void refuse_schema(const std::string& pointer, const std::string& what);

/// The bit of a value's own type.
unsigned type_of(JsonValue value);
/// The value without white space, its members in their order, numbers in their shortest form.
std::string canonical_json(JsonValue value);

/// The schemas that a member of this name must satisfy, from all parts.
std::vector<SchemaRef> schemas_of_member(const SchemaDocument& document, const Demand& demand,
                                         std::string_view name);

/// The texts of the schemas of a document.
class SchemaWriter {
  public:
    SchemaWriter(const SchemaDocument& document, Rules& rules, JsonText& json)
        : document_(document), rules_(rules), json_(json) {}

    /// Values that satisfy all of `refs`.
    Expr values_of(std::vector<SchemaRef> refs);
    /// The same for what a demand says already.
    Expr values_of(const Demand& demand);

  private:
    struct Known {
        std::string key;
        Rule rule;
        Expr expr;  ///< where it is finished and needs no rule; Rules::kUndefined while it is being made
        bool used;  ///< the rule is
    };

    Expr write(const Demand& demand);
    Expr write_choices(const Demand& demand);
    Expr write_any_of(const Demand& demand);
    Expr write_number(const Demand& demand);
    Expr write_string(const Demand& demand);
    Expr write_array(const Demand& demand);
    Expr write_object(const Demand& demand);
    Expr write_constant(JsonValue value);
    std::vector<Rules::Item> write_other_members(const Demand& demand, const std::vector<std::string>& names);

    const SchemaDocument& document_;
    Rules& rules_;
    JsonText& json_;
    std::vector<Known> known_;  ///< sorted by key
    int depth_ = 0;
    size_t n_alternatives_ = 0;
};

}  // namespace agave::grammar
