#include "chat/reply/stream.h"

#include <utility>

namespace agave::chat {

namespace {

/// The control tokens of the vocabulary that markers begin with.
ReplyOptions with_control_tokens(const Tokenizer& tokenizer, ReplySyntax syntax, ReplyOptions options) {
    for (const MarkerText& marker : markers_of(syntax))
        for (size_t n = 3; n <= marker.text.size(); n++) {
            const std::string_view text = marker.text.substr(0, n);
            const std::optional<int32_t> id = tokenizer.find(text);
            if (id && tokenizer.is_control(*id)) options.control_tokens.emplace_back(text);
        }
    return options;
}

}  // namespace

ReplyStream::ReplyStream(const Tokenizer& tokenizer, ReplySyntax syntax, ReplyOptions options)
    : tokenizer_(tokenizer),
      decoder_(tokenizer),
      parser_(syntax, with_control_tokens(tokenizer, syntax, std::move(options))) {}

std::vector<ReplyEvent> ReplyStream::push(int32_t token) {
    if (tokenizer_.is_control(token)) {
        parser_.push(decoder_.finish());
        parser_.push_control(tokenizer_.token_text(token));
    } else {
        parser_.push(decoder_.push(token));
    }
    return parser_.take();
}

std::vector<ReplyEvent> ReplyStream::finish() {
    parser_.push(decoder_.finish());
    parser_.finish();
    return parser_.take();
}

}  // namespace agave::chat
