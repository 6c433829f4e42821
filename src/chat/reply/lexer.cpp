#include "chat/reply/lexer.h"

#include <algorithm>

namespace agave::chat {

MarkerLexer::MarkerLexer(ReplySyntax syntax, const std::vector<std::string>& control_tokens, SymbolSink& sink)
    : sink_(sink) {
    for (const MarkerText& marker : markers_of(syntax)) {
        size_t token_bytes = 0;
        for (const std::string& token : control_tokens)
            if (marker.text.starts_with(token)) token_bytes = std::max(token_bytes, token.size());
        entries_.push_back({marker, token_bytes});
    }
}

void MarkerLexer::push(std::string_view text) {
    for (const char byte : text) push_byte(byte);
}

void MarkerLexer::push_control(std::string_view token_text) {
    const auto begins_with_it = [&](const Entry& entry) { return entry.marker.text.starts_with(token_text); };
    if (token_text.empty() || std::none_of(entries_.begin(), entries_.end(), begins_with_it)) return;
    finish();
    held_ = token_text;
    held_control_ = token_text.size();
    settle();
}

void MarkerLexer::finish() {
    while (!held_.empty()) release_first();
}

void MarkerLexer::push_byte(char byte) {
    held_ += byte;
    while (!held_.empty() && !settle()) release_first();
}

/// Gives out the marker that is held. Returns false when what is held cannot become one.
bool MarkerLexer::settle() {
    for (const Entry& entry : entries_) {
        if (!entry.marker.text.starts_with(held_)) continue;
        if (entry.token_bytes != 0 && held_control_ == 0) continue;
        if (entry.marker.text.size() == held_.size()) {
            held_.clear();
            held_control_ = 0;
            sink_.take({entry.marker.marker, entry.marker.text});
        }
        return true;
    }
    return false;
}

/// Gives out the first byte that is held as text: the whole of a control token.
void MarkerLexer::release_first() {
    const size_t n = std::max<size_t>(held_control_, 1);
    const std::string released = held_.substr(0, n);
    held_.erase(0, n);
    held_control_ = 0;
    for (const char& byte : released) sink_.take({Marker::none, {&byte, 1}});
}

}  // namespace agave::chat
