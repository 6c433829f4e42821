#include <algorithm>

#include "base/error.h"
#include "sampling/grammar/finish.h"
#include "sampling/grammar/schema.h"

namespace agave {

using chat::ToolSyntax;
using grammar::Expr;
using grammar::JsonText;
using grammar::kUnbounded;
using grammar::Rules;
using grammar::SchemaDocument;
using grammar::SchemaRef;
using grammar::SchemaWriter;

namespace {

/// How a syntax whose arguments are JSON writes calls. Markers may be control tokens or plain text.
struct CallSyntax {
    ToolSyntax syntax;
    std::string_view open, close;  ///< markers around each call, or around all where `in_array`
    std::string_view before_name, before_arguments, end;  ///< the call itself
    bool in_array, several;
};
constexpr std::string_view name_member = "{\"name\": \"", arguments_member = "\", \"arguments\": ";
constexpr CallSyntax syntaxes[] = {
    {ToolSyntax::json, "<tool_call>", "</tool_call>", name_member, arguments_member, "}", false, true},
    {ToolSyntax::toolcall, "<TOOLCALL>", "</TOOLCALL>", name_member, arguments_member, "}", true, true},
    {ToolSyntax::llama, "", "", name_member, "\", \"parameters\": ", "}", false, false},
};

const CallSyntax* find_syntax(ToolSyntax syntax) {
    const auto row = std::find_if(std::begin(syntaxes), std::end(syntaxes),
                                  [syntax](const CallSyntax& s) { return s.syntax == syntax; });
    return row == std::end(syntaxes) ? nullptr : row;
}

Expr marker(Rules& rules, std::string_view text) {
    if (text.empty()) return rules.empty();
    return rules.choice({rules.literal(text), rules.literal(TokenTrie::kControl + std::string(text))});
}

}  // namespace

bool Grammar::can_force_tools(ToolSyntax syntax) {
    return find_syntax(syntax) != nullptr;
}

std::shared_ptr<const Grammar> Grammar::tool_calls(ToolSyntax syntax, std::span<const ToolFunction> tools,
                                                   bool parallel) {
    const CallSyntax* how = find_syntax(syntax);
    if (!how) fail(ErrorKind::usage, "the calls of this model, as it writes them, cannot be forced");
    if (tools.empty()) fail(ErrorKind::usage, "there are no tools of which one could be called");
    Rules rules;
    rules.source = "the schema of a tool";
    std::vector<Expr> calls;
    for (const ToolFunction& tool : tools) {
        JsonText json(rules, false);
        Expr arguments = json.object();
        if (!tool.parameters.empty()) {
            const SchemaDocument document(tool.parameters);
            SchemaWriter writer(document, rules, json);
            grammar::Demand demand;
            document.add(demand, document.root());
            demand.types &= grammar::kObject;
            arguments = writer.values_of(demand);
        }
        calls.push_back(rules.sequence(
            {rules.literal(how->before_name), rules.literal(grammar::json_string_inside(tool.name)),
             rules.literal(how->before_arguments), arguments, rules.literal(how->end)}));
    }
    const Expr call = rules.choice(calls);
    const Expr gap = rules.optional(rules.literal("\n"));
    const bool several = parallel && how->several;
    Expr all;
    if (how->in_array) {
        Expr list = call;
        if (several)
            list = rules.sequence(
                {call, rules.repeat(rules.sequence({rules.literal(", "), call}), 0, kUnbounded)});
        all = rules.sequence({marker(rules, how->open), rules.literal("["), list, rules.literal("]"),
                              marker(rules, how->close)});
    } else {
        all = rules.sequence({marker(rules, how->open), gap, call, gap, marker(rules, how->close)});
        if (several) all = rules.sequence({all, rules.repeat(rules.sequence({gap, all}), 0, kUnbounded)});
    }
    return grammar::finish(rules, rules.define(std::string(), all));
}

}  // namespace agave
