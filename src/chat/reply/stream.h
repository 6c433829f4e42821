#pragma once

#include "chat/reply/parser.h"
#include "tokenizer/tokenizer.h"

namespace agave::chat {

/// From the tokens of a reply to its fields.
class ReplyStream {
  public:
    /// `tokenizer` must live as long as this; options.control_tokens is filled from it.
    ReplyStream(const Tokenizer& tokenizer, ReplySyntax syntax, ReplyOptions options);

    /// The events that a token completes: texts of whole UTF-8 characters.
    std::vector<ReplyEvent> push(int32_t token);
    /// What is left at the end. Tokens that end the generation need not be pushed.
    std::vector<ReplyEvent> finish();

  private:
    const Tokenizer& tokenizer_;
    StreamDecoder decoder_;
    ReplyParser parser_;
};

}  // namespace agave::chat
