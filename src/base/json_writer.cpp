#include "base/json_writer.h"

#include <charconv>
#include <cmath>
#include <cstdio>
#include <cstdlib>

#include "base/utf8.h"

namespace agave {

void JsonWriter::separate() {
    if (!first_ && !after_key_) text_ += compact_ ? "," : ", ";
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
    text_ += compact_ ? ":" : ": ";
    after_key_ = true;
}

void JsonWriter::value(std::string_view text) {
    separate();
    text_ += '"';
    while (!text.empty()) {
        const auto byte = static_cast<unsigned char>(text[0]);
        const size_t length = utf8_length(text);
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

void JsonWriter::value_of_float(float number) {
    if (!std::isfinite(number)) return null();
    char digits[32];
    std::snprintf(digits, sizeof digits, "%.9g", static_cast<double>(number));
    raw(digits);
}

void JsonWriter::value(JsonValue copied) {
    switch (copied.kind()) {
        case JsonKind::absent:
        case JsonKind::null:
            return null();
        case JsonKind::boolean:
            return value(copied.as_boolean());
        case JsonKind::integer:
            return value(copied.as_integer());
        case JsonKind::number:
            return value(copied.as_number());
        case JsonKind::text:
            return value(copied.as_text());
        case JsonKind::array:
        case JsonKind::object:
            break;
    }
    const bool object = copied.is(JsonKind::object);
    open(object ? '{' : '[');
    for (auto entry = copied.begin(); entry != copied.end(); ++entry) {
        if (object) key(entry.name());
        value(*entry);
    }
    close(object ? '}' : ']');
}

void JsonWriter::array(std::span<const int32_t> numbers) {
    begin_array();
    for (int32_t number : numbers) value(number);
    end_array();
}

}  // namespace agave
