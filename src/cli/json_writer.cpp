#include "cli/json_writer.h"

#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstdlib>

namespace agave::cli {

void JsonWriter::separate() {
    if (!first_ && !after_key_) text_ += ", ";
    first_ = false;
    after_key_ = false;
}

void JsonWriter::open(char bracket) {
    separate();
    text_ += bracket;
    first_ = true;
}

void JsonWriter::close(char bracket) {
    text_ += bracket;
    first_ = false;
}

void JsonWriter::raw(std::string_view token) {
    separate();
    text_ += token;
}

void JsonWriter::key(std::string_view name) {
    value(name);
    text_ += ": ";
    after_key_ = true;
}

/// Bytes of the valid UTF-8 character at the front of `text` (RFC 3629), or 0.
static size_t utf8_character(std::string_view text) {
    const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
    const unsigned lead = byte(0);
    const size_t length = lead < 0x80   ? 1
                          : lead < 0xC2 ? 0
                          : lead < 0xE0 ? 2
                          : lead < 0xF0 ? 3
                          : lead < 0xF5 ? 4
                                        : 0;
    if (length == 0 || length > text.size()) return 0;
    for (size_t i = 1; i < length; i++)
        if ((byte(i) & 0xC0) != 0x80) return 0;
    const bool overlong = (lead == 0xE0 && byte(1) < 0xA0) || (lead == 0xF0 && byte(1) < 0x90);
    const bool beyond = (lead == 0xED && byte(1) >= 0xA0) || (lead == 0xF4 && byte(1) >= 0x90);
    return overlong || beyond ? 0 : length;
}

void JsonWriter::value(std::string_view text) {
    separate();
    text_ += '"';
    while (!text.empty()) {
        const auto byte = static_cast<unsigned char>(text[0]);
        const size_t length = utf8_character(text);
        char escape[8];
        if (byte == '"' || byte == '\\') {
            text_ += '\\';
            text_ += text[0];
        } else if (byte == '\n') {
            text_ += "\\n";
        } else if (byte < 0x20 || byte == 0x7F) {
            std::snprintf(escape, sizeof escape, "\\u%04x", byte);
            text_ += escape;
        } else if (length == 0) {
            text_ += "\xEF\xBF\xBD";
        } else {
            text_ += text.substr(0, length);
        }
        text.remove_prefix(length ? length : 1);
    }
    text_ += '"';
}

void JsonWriter::value(int64_t number) {
    char digits[24];
    const auto result = std::to_chars(digits, digits + sizeof digits, number);
    raw({digits, static_cast<size_t>(result.ptr - digits)});
}

void JsonWriter::value(uint64_t number) {
    char digits[24];
    const auto result = std::to_chars(digits, digits + sizeof digits, number);
    raw({digits, static_cast<size_t>(result.ptr - digits)});
}

void JsonWriter::value(double number) {
    if (!std::isfinite(number)) return null();
    char digits[32];
    // snprintf, because std::to_chars of double brings 40 KB of tables.
    for (int precision : {6, 9, 15, 17}) {
        std::snprintf(digits, sizeof digits, "%.*g", precision, number);
        if (std::strtod(digits, nullptr) == number) break;
    }
    raw(digits);
}

void JsonWriter::array(std::span<const int32_t> numbers) {
    begin_array();
    for (int32_t number : numbers) value(number);
    end_array();
}

}  // namespace agave::cli
