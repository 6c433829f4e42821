#include "cli/grammar_options.h"

#include "base/error.h"
#include "cli/output.h"

namespace agave::cli {

namespace {

struct Reasoning {
    chat::ReasoningSyntax syntax;
    std::string_view open, close;
};
constexpr Reasoning kReasoning[] = {
    {chat::ReasoningSyntax::think, "<think>", "</think>"},
    {chat::ReasoningSyntax::mistral, "[THINK]", "[/THINK]"},
    {chat::ReasoningSyntax::gemma, "<|channel>thought", "<channel|>"},
};

/// What ends the reasoning that the prompt has opened, if it has.
std::string_view begins_after(chat::ReplySyntax syntax, std::string_view prompt) {
    if (syntax.reasoning == chat::ReasoningSyntax::harmony) return "<|channel|>final<|message|>";
    for (const Reasoning& row : kReasoning) {
        if (row.syntax != syntax.reasoning) continue;
        const size_t open = prompt.rfind(row.open);
        if (open != prompt.npos && prompt.find(row.close, open) == prompt.npos) return row.close;
    }
    return {};
}

}  // namespace

std::unique_ptr<TokenConstraint> AnswerGrammar::constrain_answer(chat::ReplySyntax syntax,
                                                                 std::string_view prompt) const {
    if (!grammar) return nullptr;
    return constrain(grammar, *trie, begins_after(syntax, prompt));
}

AnswerGrammar read_grammar(const Options& options) {
    AnswerGrammar result;
    const std::string& schema = options.json_schema;
    if (!options.grammar.empty() && !schema.empty())
        fail(ErrorKind::usage, "--grammar and --json-schema cannot be given together");
    if (!options.grammar.empty()) result.grammar = Grammar::from_gbnf(read_file(options.grammar));
    if (schema.empty()) return result;
    // No file that one would name begins so.
    const bool is_text = schema.find_first_not_of(" \t\r\n") != schema.npos &&
                         schema[schema.find_first_not_of(" \t\r\n")] == '{';
    result.grammar = Grammar::from_json_schema(is_text ? schema : read_file(schema));
    return result;
}

}  // namespace agave::cli
