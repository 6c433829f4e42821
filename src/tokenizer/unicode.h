#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace agave {

/// What the pre-tokenizers ask about a code point: its general category (Unicode 16.0), letters told apart,
/// or the White_Space property. `other` holds controls, formats, unassigned ones and invalid bytes.
enum class CharClass : uint8_t {
    other,
    uppercase,     ///< Lu
    lowercase,     ///< Ll
    titlecase,     ///< Lt
    modifier,      ///< Lm
    other_letter,  ///< Lo
    mark,          ///< M
    number,        ///< N
    punctuation,   ///< P
    symbol,        ///< S
    space          ///< White_Space
};

/// A set of CharClass, one bit each.
using CharSet = uint32_t;
constexpr CharSet set_of(CharClass c) {
    return 1u << static_cast<unsigned>(c);
}

inline constexpr CharSet set_letter = set_of(CharClass::uppercase) | set_of(CharClass::lowercase) |
                                      set_of(CharClass::titlecase) | set_of(CharClass::modifier) |
                                      set_of(CharClass::other_letter);
inline constexpr CharSet set_mark = set_of(CharClass::mark);
inline constexpr CharSet set_number = set_of(CharClass::number);
inline constexpr CharSet set_punctuation = set_of(CharClass::punctuation);
inline constexpr CharSet set_symbol = set_of(CharClass::symbol);
inline constexpr CharSet set_space = set_of(CharClass::space);

/// One character of UTF-8 text. A byte that begins no valid sequence (overlong forms, surrogates and values
/// above U+10FFFF included) counts as a character of its own with this value.
inline constexpr uint32_t invalid_code_point = 0xFFFFFFFFu;
struct Utf8Char {
    uint32_t code_point;
    uint32_t n_bytes;
};

/// Decodes the character at p (p < end).
Utf8Char decode_utf8_slow(const char* p, const char* end);
inline Utf8Char decode_utf8(const char* p, const char* end) {
    const auto byte = static_cast<uint8_t>(*p);
    if (byte < 0x80) return {byte, 1};
    return decode_utf8_slow(p, end);
}

/// Appends the UTF-8 form of a code point below U+110000.
void append_utf8(std::string& out, uint32_t code_point);

/// The category tables, expanded once on first use (some 20 microseconds).
class CharClasses {
  public:
    static const CharClasses& get();

    CharClass at(uint32_t code_point) const {
        return static_cast<CharClass>(code_point < 0x10000 ? bmp_[code_point] : beyond_bmp(code_point));
    }

  private:
    CharClasses();
    uint8_t beyond_bmp(uint32_t code_point) const;

    uint8_t bmp_[0x10000];
    std::vector<uint32_t> starts_;  ///< where each run of one class beyond the BMP begins, ascending
    std::vector<uint8_t> classes_;
};

/// The classes of ASCII, which need no table to be expanded.
struct AsciiClasses {
    CharClass classes[128];
    constexpr AsciiClasses() : classes{} {
        for (unsigned c = 0; c < 128; c++) classes[c] = class_of(static_cast<char>(c));
    }
    static constexpr CharClass class_of(char c) {
        if (c >= 'A' && c <= 'Z') return CharClass::uppercase;
        if (c >= 'a' && c <= 'z') return CharClass::lowercase;
        if (c >= '0' && c <= '9') return CharClass::number;
        if (c == ' ' || (c >= '\t' && c <= '\r')) return CharClass::space;
        if (c < ' ' || c == '\x7F') return CharClass::other;
        for (const char symbol : {'$', '+', '<', '=', '>', '^', '`', '|', '~'})
            if (c == symbol) return CharClass::symbol;
        return CharClass::punctuation;
    }
};
inline constexpr AsciiClasses ascii_classes;

inline CharSet set_of_code_point(uint32_t code_point) {
    return set_of(code_point < 128 ? ascii_classes.classes[code_point] : CharClasses::get().at(code_point));
}

/// True when every character of `text` is inert in normalization form C, so that normalize_nfc() would
/// return it unchanged; may be false for text that is normalized.
bool is_nfc_inert(std::string_view text);

/// Normalization form C (UAX #15) by Unicode 9.0, which Hugging Face's `tokenizers` normalizes by: later
/// characters stay as they are, and so do invalid bytes.
std::string normalize_nfc(std::string_view text);

}  // namespace agave
