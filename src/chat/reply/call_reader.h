#pragma once

#include <memory>

#include "chat/reply/lexer.h"
#include "chat/reply/output.h"
#include "chat/reply/tool_types.h"

namespace agave::chat {

/// What a reader says of a symbol.
enum class Step : uint8_t {
    more,  ///< it belongs to the calls
    done,  ///< and ends them
    no     ///< it does not belong to them: they have ended, or are malformed
};

/// Reads tool calls in one syntax, from behind the marker that opens them (or the first symbol that may).
/// Streams what is certain to the output; leaves a call open there when it is malformed or unfinished.
class CallReader {
  public:
    virtual ~CallReader() = default;
    /// Begins anew, behind the opening marker if there is one.
    virtual void begin() = 0;
    virtual Step take(const Symbol& symbol) = 0;
    /// The reply has ended: gives out what is held of the arguments of an open call.
    virtual void finish() {}
};

std::unique_ptr<CallReader> make_json_reader(ToolSyntax syntax, const ToolTypes& types, ReplyOutput& output);
std::unique_ptr<CallReader> make_mistral_reader(const ToolTypes& types, ReplyOutput& output);
std::unique_ptr<CallReader> make_xml_reader(const ToolTypes& types, ReplyOutput& output);
std::unique_ptr<CallReader> make_glm_reader(const ToolTypes& types, ReplyOutput& output);
std::unique_ptr<CallReader> make_gemma_reader(const ToolTypes& types, ReplyOutput& output);

}  // namespace agave::chat
