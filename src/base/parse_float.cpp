#include "base/parse_float.h"

#include <locale.h>
#include <stdlib.h>

#include <string>

#if defined(__APPLE__)
#include <xlocale.h>
#endif

namespace agave {

namespace {

/// Whether there is nothing in the text that strtod takes and this reader does not: white space or '+' in
/// front, hexadecimal digits, nan(...), or a NUL, which would end it early.
bool is_plain(std::string_view text) {
    const size_t sign = text.starts_with('-') ? 1 : 0;
    if (text.size() == sign) return false;
    const char first = text[sign];
    return ((first >= '0' && first <= '9') || first == '.' || (first | 32) == 'i' || (first | 32) == 'n') &&
           text.find_first_of(std::string_view("xX(\0", 4)) == std::string_view::npos;
}

}  // namespace

bool parse_float(std::string_view text, double& number) {
    if (!is_plain(text)) return false;
    static const locale_t c_locale = ::newlocale(LC_ALL_MASK, "C", nullptr);
    const std::string terminated(text);
    char* end = nullptr;
    number = ::strtod_l(terminated.c_str(), &end, c_locale);
    return end == terminated.c_str() + terminated.size();
}

}  // namespace agave
