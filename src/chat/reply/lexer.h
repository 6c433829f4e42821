#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "chat/reply/syntax.h"

namespace agave::chat {

/// A piece of a reply: a marker, or one byte of text (marker none).
struct Symbol {
    Marker marker;
    std::string_view text;
};

/// Who takes the symbols of a reply.
class SymbolSink {
  public:
    virtual void take(const Symbol& symbol) = 0;

  protected:
    ~SymbolSink() = default;
};

/// Finds the markers of a syntax in streamed text, however it is cut: a text that may become a marker is held
/// back until it is one or cannot be one.
class MarkerLexer {
  public:
    /// A marker whose beginning is among `control_tokens` (the texts of the vocabulary's control tokens) is
    /// only taken where the model made that token, not where it wrote the same letters.
    MarkerLexer(ReplySyntax syntax, const std::vector<std::string>& control_tokens, SymbolSink& sink);

    void push(std::string_view text);
    /// A control token; one that no marker begins with is left out.
    void push_control(std::string_view token_text);
    void finish();

  private:
    struct Entry {
        MarkerText marker;
        size_t token_bytes;  ///< of the control token at its beginning, 0: there is none
    };
    void push_byte(char byte);
    bool settle();
    void release_first();

    std::vector<Entry> entries_;
    SymbolSink& sink_;
    std::string held_;
    size_t held_control_ = 0;  ///< bytes of the control token at the front of held_
};

}  // namespace agave::chat
