#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "sampling/grammar/rules.h"

namespace agave::grammar {

/// A regular expression for strings, and what is known of their lengths in characters.
struct StringPattern {
    std::string text;
    uint32_t shortest = 0, longest = kUnbounded;
};

/// Texts of a format of JSON Schema, each of which is valid; none for a format that is not known.
/// docs/grammars.md tells where it does not have all valid texts.
std::optional<StringPattern> pattern_of_format(std::string_view format);

}  // namespace agave::grammar
