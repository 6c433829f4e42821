#pragma once

#include "chat/reply/output.h"
#include "chat/reply/tool_types.h"

namespace agave::chat {

/// Writes the arguments of a call whose parameters come one by one as plain text. The text of a parameter
/// that can only be a string is streamed; another one is kept until it is whole and its type is seen.
class ParameterWriter {
  public:
    /// `line_breaks`: one at the beginning and one at the end of a value belong to the syntax.
    ParameterWriter(const ToolTypes& types, ReplyOutput& output, bool line_breaks)
        : types_(types), output_(output), line_breaks_(line_breaks) {}

    void begin_call(std::string_view name);
    void begin_value(std::string_view key);
    void add(char byte);
    void end_value();
    void end_call();
    /// The reply has ended: gives out what is kept of a value.
    void finish();

  private:
    void write(char byte);

    const ToolTypes& types_;
    ReplyOutput& output_;
    std::string tool_, kept_;
    uint8_t type_ = 0;
    bool line_breaks_, first_value_ = true, in_value_ = false;
    bool at_start_ = false, held_break_ = false;  ///< of the value
};

}  // namespace agave::chat
