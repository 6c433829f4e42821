#include "chat/reply/parser.h"

#include "chat/reply/machine.h"

namespace agave::chat {

namespace {

std::unique_ptr<ReplyMachine> make_machine(ReplySyntax syntax, bool with_tools, const ToolTypes& types,
                                           ReplyOutput& output) {
    if (syntax.reasoning == ReasoningSyntax::harmony) return make_harmony_machine(with_tools, output);
    return make_marked_machine(syntax, with_tools, types, output);
}

}  // namespace

struct ReplyParser::State {
    State(ReplySyntax syntax, const ReplyOptions& options)
        : types(options.tools_json),
          output(options.id_seed, syntax.tools == ToolSyntax::mistral),
          machine(make_machine(syntax, types.has_tools(), types, output)),
          lexer(syntax, options.control_tokens, *machine) {
        machine->begin(options.prompt);
    }
    ToolTypes types;
    ReplyOutput output;
    std::unique_ptr<ReplyMachine> machine;
    MarkerLexer lexer;
};

ReplyParser::ReplyParser(ReplySyntax syntax, const ReplyOptions& options)
    : state_(std::make_unique<State>(syntax, options)) {}
ReplyParser::~ReplyParser() = default;
ReplyParser::ReplyParser(ReplyParser&&) noexcept = default;
ReplyParser& ReplyParser::operator=(ReplyParser&&) noexcept = default;

void ReplyParser::push(std::string_view text) {
    state_->lexer.push(text);
}

void ReplyParser::push_control(std::string_view token_text) {
    state_->lexer.push_control(token_text);
}

void ReplyParser::finish() {
    state_->lexer.finish();
    state_->machine->finish();
}

std::vector<ReplyEvent> ReplyParser::take() {
    return state_->output.take();
}

}  // namespace agave::chat
