#pragma once

#include "chat/reply/call_reader.h"

namespace agave::chat {

/// Gives a reply's symbols to its fields.
class ReplyMachine : public SymbolSink {
  public:
    virtual ~ReplyMachine() = default;
    /// The end of the prompt, from where the model goes on: where in the structure does the reply begin?
    virtual void begin(std::string_view prompt) = 0;
    virtual void finish() = 0;
};

/// Replies whose reasoning and calls stand between marks in the text. `with_tools`: calls are looked for.
std::unique_ptr<ReplyMachine> make_marked_machine(ReplySyntax syntax, bool with_tools, const ToolTypes& types,
                                                  ReplyOutput& output);
/// Replies in OpenAI's Harmony format.
std::unique_ptr<ReplyMachine> make_harmony_machine(bool with_tools, ReplyOutput& output);

}  // namespace agave::chat
