#include "chat/reply/syntax.h"

namespace agave::chat {

namespace {

struct ReasoningRow {
    ReasoningSyntax syntax;
    const char* name;
    const char* sign;  ///< what a template of this syntax holds
};
// The first row whose sign is in the template decides.
constexpr ReasoningRow reasoning_rows[] = {
    {ReasoningSyntax::harmony, "harmony", "<|channel|>analysis<|message|>"},
    {ReasoningSyntax::gemma, "gemma", "<|channel>thought"},
    {ReasoningSyntax::mistral, "mistral", "[THINK]"},
    {ReasoningSyntax::think, "think", "</think>"},
};

struct ToolRow {
    ToolSyntax syntax;
    const char* name;
    const char* sign;
    const char* second_sign;  ///< must be there too, unless null
};
constexpr ToolRow tool_rows[] = {
    {ToolSyntax::harmony, "harmony", "<|channel|>commentary", "<|message|>"},
    {ToolSyntax::gemma, "gemma", "<|tool_call>call:", nullptr},
    {ToolSyntax::xml, "xml", "<parameter=", "</tool_call>"},
    {ToolSyntax::glm, "glm", "<arg_key>", "<tool_call>"},
    {ToolSyntax::json, "json", "<tool_call>", "\"arguments\""},
    {ToolSyntax::json, "json", "<tool_call>", "\\\"arguments\\\""},
    {ToolSyntax::toolcall, "toolcall", "<TOOLCALL>", nullptr},
    {ToolSyntax::mistral, "mistral", "[TOOL_CALLS]", nullptr},
    {ToolSyntax::llama, "llama", "<|start_header_id|>", "\"parameters\": dictionary of argument name"},
};

struct SyntaxMarker {
    uint8_t syntax;
    MarkerText marker;
};
constexpr SyntaxMarker of(ReasoningSyntax syntax, Marker marker, std::string_view text) {
    return {static_cast<uint8_t>(syntax), {marker, text}};
}
constexpr SyntaxMarker of(ToolSyntax syntax, Marker marker, std::string_view text) {
    return {static_cast<uint8_t>(syntax), {marker, text}};
}

// No marker of a model is the beginning of another one of it (a test checks that).
constexpr SyntaxMarker reasoning_markers[] = {
    of(ReasoningSyntax::think, Marker::reasoning_open, "<think>"),
    of(ReasoningSyntax::think, Marker::reasoning_close, "</think>"),
    of(ReasoningSyntax::mistral, Marker::reasoning_open, "[THINK]"),
    of(ReasoningSyntax::mistral, Marker::reasoning_close, "[/THINK]"),
    of(ReasoningSyntax::gemma, Marker::reasoning_open, "<|channel>thought"),
    of(ReasoningSyntax::gemma, Marker::reasoning_close, "<channel|>"),
    of(ReasoningSyntax::harmony, Marker::start, "<|start|>"),
    of(ReasoningSyntax::harmony, Marker::channel, "<|channel|>"),
    of(ReasoningSyntax::harmony, Marker::constrain, "<|constrain|>"),
    of(ReasoningSyntax::harmony, Marker::message, "<|message|>"),
    of(ReasoningSyntax::harmony, Marker::end, "<|end|>"),
    of(ReasoningSyntax::harmony, Marker::stop, "<|return|>"),
    of(ReasoningSyntax::harmony, Marker::stop, "<|call|>"),
};
constexpr SyntaxMarker tool_markers[] = {
    of(ToolSyntax::json, Marker::call_open, "<tool_call>"),
    of(ToolSyntax::json, Marker::call_close, "</tool_call>"),
    of(ToolSyntax::toolcall, Marker::call_open, "<TOOLCALL>"),
    of(ToolSyntax::toolcall, Marker::call_close, "</TOOLCALL>"),
    of(ToolSyntax::xml, Marker::call_open, "<tool_call>"),
    of(ToolSyntax::xml, Marker::call_close, "</tool_call>"),
    of(ToolSyntax::xml, Marker::function_open, "<function="),
    of(ToolSyntax::xml, Marker::function_close, "</function>"),
    of(ToolSyntax::xml, Marker::value_open, "<parameter="),
    of(ToolSyntax::xml, Marker::value_close, "</parameter>"),
    of(ToolSyntax::glm, Marker::call_open, "<tool_call>"),
    of(ToolSyntax::glm, Marker::call_close, "</tool_call>"),
    of(ToolSyntax::glm, Marker::key_open, "<arg_key>"),
    of(ToolSyntax::glm, Marker::key_close, "</arg_key>"),
    of(ToolSyntax::glm, Marker::value_open, "<arg_value>"),
    of(ToolSyntax::glm, Marker::value_close, "</arg_value>"),
    of(ToolSyntax::gemma, Marker::call_open, "<|tool_call>"),
    of(ToolSyntax::gemma, Marker::call_close, "<tool_call|>"),
    of(ToolSyntax::gemma, Marker::quote, "<|\"|>"),
    of(ToolSyntax::llama, Marker::call_open, "<|python_tag|>"),
    of(ToolSyntax::mistral, Marker::call_open, "[TOOL_CALLS]"),
    of(ToolSyntax::mistral, Marker::call_id, "[CALL_ID]"),
    of(ToolSyntax::mistral, Marker::arguments, "[ARGS]"),
};

bool holds(std::string_view text, const char* part) {
    return part == nullptr || text.find(part) != std::string_view::npos;
}

}  // namespace

ReplySyntax find_reply_syntax(std::string_view template_source) {
    ReplySyntax syntax;
    for (const ReasoningRow& row : reasoning_rows)
        if (holds(template_source, row.sign)) {
            syntax.reasoning = row.syntax;
            break;
        }
    for (const ToolRow& row : tool_rows)
        if (holds(template_source, row.sign) && holds(template_source, row.second_sign)) {
            syntax.tools = row.syntax;
            break;
        }
    return syntax;
}

const char* name_of(ReasoningSyntax syntax) {
    for (const ReasoningRow& row : reasoning_rows)
        if (row.syntax == syntax) return row.name;
    return "none";
}

const char* name_of(ToolSyntax syntax) {
    for (const ToolRow& row : tool_rows)
        if (row.syntax == syntax) return row.name;
    return "none";
}

std::vector<MarkerText> markers_of(ReplySyntax syntax) {
    std::vector<MarkerText> markers;
    for (const SyntaxMarker& row : reasoning_markers)
        if (row.syntax == static_cast<uint8_t>(syntax.reasoning)) markers.push_back(row.marker);
    for (const SyntaxMarker& row : tool_markers)
        if (row.syntax == static_cast<uint8_t>(syntax.tools)) markers.push_back(row.marker);
    return markers;
}

}  // namespace agave::chat
