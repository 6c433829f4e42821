#include "base/error.h"

#include <cstdio>
#include <string_view>

namespace agave {

static std::string vstrprintf(const char* format, va_list args) {
    va_list again;
    va_copy(again, args);
    const int length = std::vsnprintf(nullptr, 0, format, args);
    std::string text(length > 0 ? static_cast<size_t>(length) : 0, '\0');
    std::vsnprintf(text.data(), text.size() + 1, format, again);
    va_end(again);
    return text;
}

std::string strprintf(const char* format, ...) {
    va_list args;
    va_start(args, format);
    std::string text = vstrprintf(format, args);
    va_end(args);
    return text;
}

void fail(ErrorKind kind, const char* format, ...) {
    va_list args;
    va_start(args, format);
    std::string text = vstrprintf(format, args);
    va_end(args);
    throw Error(kind, std::move(text));
}

/// Length in bytes of the valid UTF-8 character at the front of `text`, or 0.
static size_t utf8_length(std::string_view text) {
    const auto byte = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
    const unsigned lead = byte(0);
    const size_t length = lead < 0x80                   ? 1
                          : lead >= 0xC2 && lead < 0xE0 ? 2
                          : (lead & 0xF0) == 0xE0       ? 3
                          : lead >= 0xF0 && lead < 0xF5 ? 4
                                                        : 0;
    if (length == 0 || length > text.size()) return 0;
    for (size_t i = 1; i < length; i++)
        if ((byte(i) & 0xC0) != 0x80) return 0;
    if (lead == 0xE0 && byte(1) < 0xA0) return 0;
    if (lead == 0xED && byte(1) >= 0xA0) return 0;
    if (lead == 0xF0 && byte(1) < 0x90) return 0;
    if (lead == 0xF4 && byte(1) >= 0x90) return 0;
    return length;
}

std::string printable(std::string_view text, size_t max_bytes) {
    std::string out;
    for (size_t i = 0; i < text.size();) {
        const size_t length = utf8_length(text.substr(i));
        if (out.size() + (length ? length : 1) > max_bytes) return out + "...";
        const unsigned char first = static_cast<unsigned char>(text[i]);
        if (length == 0 || first < 0x20 || first == 0x7F)
            out += '?';
        else
            out.append(text, i, length);
        i += length ? length : 1;
    }
    return out;
}

}  // namespace agave
