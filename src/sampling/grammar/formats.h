#pragma once

#include <cstdint>
#include <string_view>

namespace agave::grammar {

/// A regular expression for texts of a format of JSON Schema, each of which is valid; empty for a format that
/// is not known. docs/grammars.md tells where it does not have all valid texts.
std::string_view pattern_of_format(std::string_view format);

/// The most characters that the format allows beside its pattern; 0: any number.
uint32_t longest_of_format(std::string_view format);

}  // namespace agave::grammar
