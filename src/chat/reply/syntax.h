#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace agave::chat {

/// How a model marks what it thinks before it answers.
enum class ReasoningSyntax : uint8_t {
    none,
    think,    ///< <think> ... </think>
    mistral,  ///< [THINK] ... [/THINK]
    gemma,    ///< <|channel>thought ... <channel|>
    harmony   ///< messages on the channels analysis, commentary and final
};

/// How a model writes tool calls.
enum class ToolSyntax : uint8_t {
    none,
    json,      ///< <tool_call>{"name": ..., "arguments": ...}</tool_call>: Hermes, Qwen 2.5 and 3, Granite 4
    toolcall,  ///< <TOOLCALL>[{"name": ..., "arguments": ...}, ...]</TOOLCALL>: Nemotron Nano v2
    xml,       ///< <tool_call><function=NAME><parameter=KEY>VALUE</parameter></function></tool_call>:
               ///< Qwen 3 Coder, Qwen 3.5, Nemotron Nano v3
    glm,       ///< <tool_call>NAME<arg_key>KEY</arg_key><arg_value>VALUE</arg_value></tool_call>
    gemma,     ///< <|tool_call>call:NAME{KEY:VALUE,...}<tool_call|>, strings between <|"|>
    llama,     ///< {"name": ..., "parameters": ...} as the whole reply, maybe after <|python_tag|>
    mistral,   ///< [TOOL_CALLS]NAME[ARGS]{...}, or [TOOL_CALLS][{"name": ..., "arguments": ...}]
    harmony    ///< a message "to=functions.NAME" with JSON in it
};

struct ReplySyntax {
    ReasoningSyntax reasoning = ReasoningSyntax::none;
    ToolSyntax tools = ToolSyntax::none;
    bool operator==(const ReplySyntax&) const = default;
};

/// Reads from a model's chat template how it replies: by the markers that the template itself writes, tried
/// in the order of the table in syntax.cpp.
ReplySyntax find_reply_syntax(std::string_view template_source);

/// The name of a syntax as `agave inspect` shows it.
const char* name_of(ReasoningSyntax syntax);
const char* name_of(ToolSyntax syntax);

/// The markers that structure a reply.
enum class Marker : uint8_t {
    none,
    reasoning_open,
    reasoning_close,
    call_open,
    call_close,
    function_open,
    function_close,
    value_open,  ///< <parameter= of xml, <arg_value> of glm
    value_close,
    key_open,
    key_close,
    quote,
    call_id,
    arguments,
    start,  ///< from here on those of Harmony
    channel,
    constrain,
    message,
    end,
    stop  ///< <|return|> and <|call|>
};

struct MarkerText {
    Marker marker;
    std::string_view text;
};

/// All markers of a syntax.
std::vector<MarkerText> markers_of(ReplySyntax syntax);

}  // namespace agave::chat
