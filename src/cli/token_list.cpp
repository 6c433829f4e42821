#include "cli/token_list.h"

#include <charconv>

#include "base/error.h"
#include "cli/output.h"

namespace agave::cli {

static void skip_space(std::string_view& text) {
    while (!text.empty() && (text[0] == ' ' || (text[0] >= '\t' && text[0] <= '\r'))) text.remove_prefix(1);
}

std::vector<int32_t> parse_token_list(std::string_view text, const std::string& what) {
    const char* begin = text.data();
    const auto fail_here = [&] {
        fail(ErrorKind::usage, "%s is not a list of token ids: '%s' at byte %zu", what.c_str(),
             printable(text, 20).c_str(), static_cast<size_t>(text.data() - begin));
    };
    std::vector<int32_t> ids;
    skip_space(text);
    const bool bracket = text.starts_with('[');
    if (bracket) text.remove_prefix(1);
    skip_space(text);
    bool after_comma = false;
    while (!text.empty() && !text.starts_with(']')) {
        int32_t id = 0;
        const auto [stop, code] = std::from_chars(text.data(), text.data() + text.size(), id);
        if (code != std::errc{}) fail_here();
        const auto length = static_cast<size_t>(stop - text.data());
        if (length < text.size() &&
            std::string_view(" \t\n\v\f\r,]").find(text[length]) == std::string_view::npos)
            fail_here();
        text.remove_prefix(length);
        ids.push_back(id);
        skip_space(text);
        after_comma = text.starts_with(',');
        if (after_comma) text.remove_prefix(1);
        if (bracket && !after_comma && !text.starts_with(']')) fail_here();
        skip_space(text);
    }
    if (bracket) {
        if (after_comma || text.empty()) fail_here();
        text.remove_prefix(1);
        skip_space(text);
    }
    if (!text.empty() || after_comma) fail_here();
    return ids;
}

std::vector<int32_t> read_token_option(const std::string& value) {
    const bool from_file = value.starts_with('@');
    const std::string path = from_file ? value.substr(1) : "";
    std::vector<int32_t> ids =
        from_file ? parse_token_list(read_file(path), strprintf("--tokens: '%s'", path.c_str()))
                  : parse_token_list(value, "--tokens");
    if (ids.empty()) fail(ErrorKind::usage, "--tokens: no token ids are given");
    return ids;
}

}  // namespace agave::cli
