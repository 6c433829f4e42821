#include "base/error.h"

#include <cstdio>
#include <string_view>

#include "base/utf8.h"

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
