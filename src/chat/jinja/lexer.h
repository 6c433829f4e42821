#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

/// Splits a template into tokens as Jinja does with trim_blocks and lstrip_blocks on (the settings of Hugging
/// Face transformers): a line break right after a block or comment goes, and so does white space between the
/// start of a line and a block or comment; `-` strips all white space, `+` keeps it.
namespace agave::chat::jinja {

enum class TokenKind : uint8_t {
    data,
    block_begin,
    block_end,
    variable_begin,
    variable_end,
    name,
    string,
    integer,
    floating,
    op,  ///< an operator or bracket: see Token::text
    end
};

struct Token {
    TokenKind kind;
    uint32_t position;      ///< byte offset in the source
    std::string_view text;  ///< in the source; strings still have their quotes and escapes
};

/// Line breaks become \n and one at the very end goes, as Jinja has it.
std::string normalize_source(std::string_view source);

/// The tokens of a normalized source, which must outlive them; the last one is `end`. Throws Failure after
/// storing where in `position`.
std::vector<Token> tokenize(std::string_view source, uint32_t& position);

}  // namespace agave::chat::jinja
