// Input: a byte for the syntax, a byte for what the prompt ends with, and a reply. The fields must not depend
// on how it is cut, and the arguments of complete calls must be JSON.
#include <cstdint>
#include <cstdlib>
#include <string>

#include "base/error.h"
#include "chat/jinja/json.h"
#include "chat/reply/parser.h"

using namespace agave;
using namespace agave::chat;

namespace {

constexpr const char* tools =
    R"([{"type": "function", "function": {"name": "f", "parameters": {"type": "object", "properties": {"s":)"
    R"( {"type": "string"}, "n": {"type": "integer"}, "m": {"type": ["number", "null"]}}}}}])";

Reply parse(ReplySyntax syntax, const ReplyOptions& options, std::string_view text, size_t step) {
    ReplyParser parser(syntax, options);
    Reply reply;
    for (size_t at = 0; at < text.size(); at += step) {
        parser.push(text.substr(at, step));
        for (const ReplyEvent& event : parser.take()) reply.add(event);
    }
    parser.finish();
    for (const ReplyEvent& event : parser.take()) reply.add(event);
    return reply;
}

bool same(const Reply& a, const Reply& b) {
    if (a.content != b.content || a.reasoning != b.reasoning || a.tool_calls.size() != b.tool_calls.size())
        return false;
    for (size_t i = 0; i < a.tool_calls.size(); i++) {
        const ToolCall &x = a.tool_calls[i], &y = b.tool_calls[i];
        if (x.id != y.id || x.name != y.name || x.arguments_json != y.arguments_json ||
            x.complete != y.complete)
            return false;
    }
    return true;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    if (size < 2) return 0;
    const ReplySyntax syntaxes[] = {
        {ReasoningSyntax::think, ToolSyntax::json},     {ReasoningSyntax::think, ToolSyntax::xml},
        {ReasoningSyntax::think, ToolSyntax::glm},      {ReasoningSyntax::gemma, ToolSyntax::gemma},
        {ReasoningSyntax::none, ToolSyntax::llama},     {ReasoningSyntax::mistral, ToolSyntax::mistral},
        {ReasoningSyntax::think, ToolSyntax::toolcall}, {ReasoningSyntax::harmony, ToolSyntax::harmony}};
    const char* const prompts[] = {"", "<think>\n", "<|start|>assistant",
                                   "<|start|>assistant<|channel|>final<|message|>"};
    const ReplySyntax syntax = syntaxes[data[0] % 8];
    const ReplyOptions options{tools, prompts[data[1] % 4], {}, 1};
    const std::string_view text(reinterpret_cast<const char*>(data + 2), size - 2);
    const Reply whole = parse(syntax, options, text, size);
    for (const size_t step : {size_t{1}, size_t{2}, size_t{7}})
        if (!same(whole, parse(syntax, options, text, step))) std::abort();
    bool ascii = true;
    for (const char byte : text) ascii = ascii && static_cast<unsigned char>(byte) < 0x80;
    for (const ToolCall& call : whole.tool_calls) {
        if (!call.complete || !ascii || call.arguments_json.size() > 1000) continue;
        jinja::Heap heap;
        const jinja::HeapUse use(heap);
        try {
            if (!jinja::parse_json(call.arguments_json, "arguments").is(jinja::Type::dict)) std::abort();
        } catch (const Error& error) {
            // A number may be too large for us.
            if (std::string_view(error.what()).find("number") == std::string_view::npos &&
                std::string_view(error.what()).find("integer") == std::string_view::npos)
                std::abort();
        }
    }
    return 0;
}
