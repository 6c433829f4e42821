#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace agave::chat {

/// A call that the model made.
struct ToolCall {
    std::string id, name;
    std::string arguments_json;  ///< a JSON object; empty means {}
    /// False: the reply ended, or went wrong, within the arguments, which then are no JSON.
    bool complete = true;
};

/// A step of a reply, as it becomes known. The texts of one kind (and call) add up.
struct ReplyEvent {
    enum Kind : uint8_t {
        content,
        reasoning,
        call_begin,      ///< text: the name
        call_arguments,  ///< text: more of the JSON object
        call_end         ///< only of a complete call
    };
    Kind kind;
    uint32_t call = 0;  ///< index of the tool call
    std::string text;
    std::string id;  ///< of call_begin
};

/// A reply taken apart.
struct Reply {
    std::string content;
    std::string reasoning;
    std::vector<ToolCall> tool_calls;

    void add(const ReplyEvent& event);
};

}  // namespace agave::chat
