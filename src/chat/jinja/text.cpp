#include "chat/jinja/text.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdio>

#include "base/error.h"
#include "base/parse_float.h"

namespace agave::chat::text {

namespace {

/// `count` letters from `start` on, every `stride`-th, map to themselves plus `delta`.
struct CaseRun {
    uint32_t start : 20;
    uint32_t count : 10;
    uint32_t stride : 2;
    int32_t delta;
};
/// A letter whose upper case is two or three letters.
struct LongUpper {
    uint16_t letter;
    uint16_t upper[3];
};

#include "chat/jinja/unicode_tables.inc"

constexpr uint32_t raw_byte_base = 0xDC00;
constexpr uint32_t capital_sigma = 0x3A3;

template <size_t n>
bool in_class(const uint8_t (&flips)[n], uint32_t code_point) {
    uint32_t boundary = 0;
    bool inside = false;
    for (size_t i = 0; i < n;) {
        uint32_t delta = 0;
        for (int shift = 0;; shift += 7) {
            delta |= static_cast<uint32_t>(flips[i] & 127) << shift;
            if (!(flips[i++] & 128)) break;
        }
        boundary += delta;
        if (code_point < boundary) return inside;
        inside = !inside;
    }
    return inside;
}

template <size_t n>
uint32_t map_case(const CaseRun (&runs)[n], uint32_t code_point) {
    size_t begin = 0, end = n;
    while (end - begin > 1) {
        const size_t middle = (begin + end) / 2;
        (runs[middle].start <= code_point ? begin : end) = middle;
    }
    const CaseRun& run = runs[begin];
    if (code_point < run.start) return code_point;
    const uint32_t offset = code_point - run.start;
    const bool mapped = offset % run.stride == 0 && offset / run.stride < run.count;
    return mapped ? code_point + static_cast<uint32_t>(run.delta) : code_point;
}

uint32_t simple_upper(uint32_t c) {
    if (c < 0x80) return c >= 'a' && c <= 'z' ? c - 32 : c;
    return map_case(upper_runs, c);
}

uint32_t simple_lower(uint32_t c) {
    if (c < 0x80) return c >= 'A' && c <= 'Z' ? c + 32 : c;
    return map_case(lower_runs, c);
}

const LongUpper* find_long_upper(uint32_t code_point) {
    if (code_point < 0xDF || (code_point > 0x1FFC && code_point < 0xFB00)) return nullptr;
    for (const LongUpper& entry : long_upper)
        if (entry.letter == code_point) return &entry;
    return nullptr;
}

void append_upper(std::string& out, uint32_t c) {
    const LongUpper* entry = find_long_upper(c);
    if (!entry) return append_code_point(out, simple_upper(c));
    for (uint32_t letter : entry->upper)
        if (letter) append_code_point(out, letter);
}

/// Title case differs from upper case for digraphs, ligatures, Georgian and Greek with iota subscript.
void append_title(std::string& out, uint32_t c) {
    if ((c >= 0x1C4 && c <= 0x1CC) || (c >= 0x1F1 && c <= 0x1F3)) {
        const uint32_t first = c >= 0x1F1 ? 0x1F1 : c - (c - 0x1C4) % 3;
        return append_code_point(out, first + 1);
    }
    if (c >= 0x10D0 && c <= 0x10FF) return append_code_point(out, c);
    if (c >= 0x1F80 && c <= 0x1FAF) return append_code_point(out, c | 8);
    if (c == 0x1FB3 || c == 0x1FC3 || c == 0x1FF3) return append_code_point(out, c + 9);
    if (c == 0x1FBC || c == 0x1FCC || c == 0x1FFC) return append_code_point(out, c);
    const LongUpper* entry = find_long_upper(c);
    const bool ligature = c == 0xDF || c == 0x587 || c >= 0xFB00;
    if (!entry) return append_upper(out, c);
    for (int i = 0; i < 3 && entry->upper[i]; i++) {
        uint32_t letter = entry->upper[i];
        if (i > 0 && ligature) letter = simple_lower(letter);
        if (i > 0 && c >= 0x1F00 && c < 0x2000 && letter == 0x399) letter = 0x345;
        append_code_point(out, letter);
    }
}

bool is_cased(uint32_t c) {
    return simple_upper(c) != c || simple_lower(c) != c;
}

/// `after_letter`: the character before is a cased letter; `rest`: what follows in the text.
void append_lower(std::string& out, uint32_t c, bool after_letter, std::string_view rest) {
    if (c == capital_sigma) {
        size_t position = 0;
        const bool before_letter = !rest.empty() && is_cased(next_code_point(rest, position));
        return append_code_point(out, after_letter && !before_letter ? 0x3C2 : 0x3C3);
    }
    append_code_point(out, c == 0x130 ? 'i' : simple_lower(c));
    if (c == 0x130) append_code_point(out, 0x307);
}

enum class Casing { upper, lower, title, capitalize, swap };

std::string change_case(std::string_view text, Casing casing) {
    std::string out;
    out.reserve(text.size());
    bool after_letter = false;
    for (size_t position = 0; position < text.size();) {
        const bool first = position == 0;
        const uint32_t c = next_code_point(text, position);
        const bool raise = casing == Casing::upper || (casing == Casing::swap && is_lower(c));
        const bool title_here =
            (casing == Casing::capitalize && first) || (casing == Casing::title && !after_letter);
        if (raise)
            append_upper(out, c);
        else if (title_here)
            append_title(out, c);
        else if (casing == Casing::swap && !is_upper(c))
            append_code_point(out, c);
        else
            append_lower(out, c, after_letter, text.substr(position));
        after_letter = is_cased(c) || find_long_upper(c);
    }
    return out;
}

}  // namespace

uint32_t next_code_point(std::string_view text, size_t& position) {
    const auto byte = [&](size_t i) -> uint32_t { return static_cast<unsigned char>(text[i]); };
    const uint32_t lead = byte(position);
    if (lead < 0x80) {
        position++;
        return lead;
    }
    const size_t length = lead >= 0xC2 && lead < 0xE0   ? 2
                          : lead >= 0xE0 && lead < 0xF0 ? 3
                          : lead >= 0xF0 && lead < 0xF5 ? 4
                                                        : 1;
    uint32_t code_point = length == 2 ? lead & 0x1F : length == 3 ? lead & 0x0F : lead & 0x07;
    bool valid = length > 1 && length <= text.size() - position;
    for (size_t i = 1; valid && i < length; i++) {
        const uint32_t next = byte(position + i);
        valid = (next & 0xC0) == 0x80;
        code_point = code_point << 6 | (next & 0x3F);
    }
    constexpr uint32_t smallest[5] = {0, 0, 0x80, 0x800, 0x10000};
    if (!valid || code_point < smallest[length] || code_point > 0x10FFFF ||
        (code_point >= 0xD800 && code_point < 0xE000)) {
        position++;
        return raw_byte_base + lead;
    }
    position += length;
    return code_point;
}

void append_code_point(std::string& out, uint32_t c) {
    const auto put = [&](uint32_t byte) { out += static_cast<char>(byte); };
    if (c < 0x80 || (c >= raw_byte_base + 0x80 && c <= raw_byte_base + 0xFF)) {
        put(c & 0xFF);
    } else if (c < 0x800) {
        put(0xC0 | c >> 6);
        put(0x80 | (c & 0x3F));
    } else if (c < 0x10000) {
        put(0xE0 | c >> 12);
        put(0x80 | (c >> 6 & 0x3F));
        put(0x80 | (c & 0x3F));
    } else {
        put(0xF0 | c >> 18);
        put(0x80 | (c >> 12 & 0x3F));
        put(0x80 | (c >> 6 & 0x3F));
        put(0x80 | (c & 0x3F));
    }
}

size_t count_code_points(std::string_view text) {
    size_t count = 0;
    for (size_t position = 0; position < text.size(); count++) next_code_point(text, position);
    return count;
}

size_t byte_offset(std::string_view text, size_t index) {
    size_t position = 0;
    for (; index > 0 && position < text.size(); index--) next_code_point(text, position);
    return position;
}

bool is_space(uint32_t c) {
    if (c < 0x80) return (c >= 9 && c <= 13) || (c >= 28 && c <= 32);
    return c == 0x85 || c == 0xA0 || c == 0x1680 || (c >= 0x2000 && c <= 0x200A) || c == 0x2028 ||
           c == 0x2029 || c == 0x202F || c == 0x205F || c == 0x3000;
}

/// The great blocks of Chinese and Korean, for which the tables need not be searched.
static bool is_common_ideograph(uint32_t c) {
    return (c >= 0x4E00 && c < 0xA000) || (c >= 0xAC00 && c <= 0xD7A3);
}

bool is_alpha(uint32_t c) {
    if (is_common_ideograph(c)) return true;
    if (c < 0x80) return (c | 32) >= 'a' && (c | 32) <= 'z';
    return in_class(alpha_flips, c);
}

bool is_digit(uint32_t c) {
    if (c < 0x80) return c >= '0' && c <= '9';
    return in_class(digit_flips, c);
}

bool is_printable(uint32_t c) {
    if (c < 0x7F) return c >= 32;
    if (is_common_ideograph(c)) return true;
    return in_class(printable_flips, c);
}

bool is_upper(uint32_t c) {
    return simple_lower(c) != c;
}
bool is_lower(uint32_t c) {
    return simple_upper(c) != c || find_long_upper(c);
}

std::string upper(std::string_view text) {
    return change_case(text, Casing::upper);
}
std::string lower(std::string_view text) {
    return change_case(text, Casing::lower);
}
std::string title(std::string_view text) {
    return change_case(text, Casing::title);
}
std::string capitalize(std::string_view text) {
    return change_case(text, Casing::capitalize);
}
std::string swapcase(std::string_view text) {
    return change_case(text, Casing::swap);
}

void append_repr(std::string& out, std::string_view text) {
    const bool double_quotes =
        text.find('\'') != std::string_view::npos && text.find('"') == std::string_view::npos;
    const uint32_t quote = double_quotes ? '"' : '\'';
    out += static_cast<char>(quote);
    for (size_t position = 0; position < text.size();) {
        const size_t begin = position;
        const uint32_t c = next_code_point(text, position);
        if (c == quote || c == '\\') {
            out += '\\';
            out += static_cast<char>(c);
        } else if (c == '\n') {
            out += "\\n";
        } else if (c == '\r') {
            out += "\\r";
        } else if (c == '\t') {
            out += "\\t";
        } else if (is_printable(c)) {
            out.append(text, begin, position - begin);
        } else {
            out += strprintf(c < 0x100 ? "\\x%02x" : c < 0x10000 ? "\\u%04x" : "\\U%08x", c);
        }
    }
    out += static_cast<char>(quote);
}

Parsed parse_integer(std::string_view digits, int base, int64_t& number, bool sign) {
    const bool negative = sign && digits.starts_with('-');
    if (negative) digits.remove_prefix(1);
    if (digits.empty()) return Parsed::not_whole;
    bool overflow = false;
    number = 0;
    for (char c : digits) {
        const int digit = c >= '0' && c <= '9'                 ? c - '0'
                          : (c | 32) >= 'a' && (c | 32) <= 'z' ? (c | 32) - 'a' + 10
                                                               : 99;
        if (digit >= base) return Parsed::not_whole;
        overflow |= __builtin_mul_overflow(number, base, &number);
        overflow |= __builtin_add_overflow(number, negative ? -digit : digit, &number);
    }
    return overflow ? Parsed::overflow : Parsed::whole;
}

Parsed parse_float(std::string_view digits, double& number) {
    if (!agave::parse_float(digits, number)) return Parsed::not_whole;
    const bool infinite = std::isinf(number) && digits.find_first_of("0123456789") != std::string_view::npos;
    return infinite ? Parsed::overflow : Parsed::whole;
}

void append_integer(std::string& out, int64_t number) {
    char digits[24];
    const auto result = std::to_chars(digits, digits + sizeof digits, number);
    out.append(digits, result.ptr);
}

void append_float(std::string& out, double number) {
    if (std::isnan(number)) {
        out += "nan";
        return;
    }
    if (std::isinf(number)) {
        out += number < 0 ? "-inf" : "inf";
        return;
    }
    const double magnitude = std::fabs(number);
    const bool scientific = magnitude != 0 && (magnitude < 1e-4 || magnitude >= 1e16);
    // The fewest digits that read back as the same number, which snprintf rounds as repr() does; the shortest
    // form of std::to_chars would bring 127 KB of tables.
    char digits[64];
    int length = 0;
    double again = 0;
    int decimals = 0;
    do {
        length = snprintf(digits, sizeof digits, "%.*e", decimals++, number);
    } while (decimals < 17 &&
             (parse_float({digits, static_cast<size_t>(length)}, again) != Parsed::whole || again != number));
    std::string_view written(digits, static_cast<size_t>(length));
    if (!scientific) {
        int64_t exponent = 0;
        parse_integer(written.substr(written.find('e') + 2), 10, exponent, false);
        if (written[written.find('e') + 1] == '-') exponent = -exponent;
        const int places = std::max(0, decimals - 1 - static_cast<int>(exponent));
        length = snprintf(digits, sizeof digits, "%.*f", places, number);
        written = {digits, static_cast<size_t>(length)};
    }
    out += written;
    if (!scientific && written.find('.') == std::string_view::npos) out += ".0";
}

void append_json_string(std::string& out, std::string_view text, bool ensure_ascii) {
    out += '"';
    for (size_t position = 0; position < text.size();) {
        const size_t begin = position;
        const uint32_t c = next_code_point(text, position);
        constexpr std::string_view plain = "\"\\\n\r\t\b\f", letters = "\"\\nrtbf";
        const size_t special = c < 0x80 ? plain.find(static_cast<char>(c)) : std::string_view::npos;
        if (special != std::string_view::npos) {
            out += '\\';
            out += letters[special];
        } else if (c < 0x20) {
            out += strprintf("\\u%04x", c);
        } else if (!ensure_ascii || c < 0x80) {
            out.append(text, begin, position - begin);
        } else if (c < 0x10000) {
            out += strprintf("\\u%04x", c);
        } else {
            out +=
                strprintf("\\u%04x\\u%04x", 0xD800 + ((c - 0x10000) >> 10), 0xDC00 + ((c - 0x10000) & 0x3FF));
        }
    }
    out += '"';
}

std::string_view strip(std::string_view text, const std::string_view* characters, bool left, bool right) {
    const auto strips = [&](uint32_t c) {
        if (!characters) return is_space(c);
        for (size_t position = 0; position < characters->size();)
            if (next_code_point(*characters, position) == c) return true;
        return false;
    };
    while (left && !text.empty()) {
        size_t position = 0;
        if (!strips(next_code_point(text, position))) break;
        text.remove_prefix(position);
    }
    while (right && !text.empty()) {
        size_t begin = text.size() - 1;
        for (size_t back = 2; back <= 4 && back <= text.size(); back++) {
            size_t position = text.size() - back;
            next_code_point(text, position);
            if (position == text.size()) begin = text.size() - back;
        }
        size_t position = begin;
        if (!strips(next_code_point(text, position))) break;
        text.remove_suffix(text.size() - begin);
    }
    return text;
}

bool skip_line_break(std::string_view text, size_t& position) {
    size_t after = position;
    const uint32_t c = next_code_point(text, after);
    if (c == '\r' && after < text.size() && text[after] == '\n') after++;
    const bool breaks =
        (c >= 10 && c <= 13) || (c >= 28 && c <= 30) || c == 0x85 || c == 0x2028 || c == 0x2029;
    if (breaks) position = after;
    return breaks;
}

std::string html_escape(std::string_view text) {
    std::string out;
    out.reserve(text.size());
    for (char c : text) {
        if (c == '&')
            out += "&amp;";
        else if (c == '<')
            out += "&lt;";
        else if (c == '>')
            out += "&gt;";
        else if (c == '\'')
            out += "&#39;";
        else if (c == '"')
            out += "&#34;";
        else
            out += c;
    }
    return out;
}

}  // namespace agave::chat::text
