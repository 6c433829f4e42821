#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace agave::cli {

/// Token ids in text: a JSON array of integers, or integers separated by commas or white space. `what` names
/// the text in messages. Throws Error(usage) for anything else, and for numbers beyond 32 bits.
std::vector<int32_t> parse_token_list(std::string_view text, const std::string& what);

/// The value of --tokens: a list, or "@FILE" that holds one.
std::vector<int32_t> read_token_option(const std::string& value);

}  // namespace agave::cli
