#pragma once

#include <string_view>

namespace agave {

/// Reads a decimal number, "inf" or "nan" (a '-' may stand before it) that is the whole of `text`; false for
/// anything else. A number too large for a double becomes infinite. Correctly rounded by the C library, in no
/// locale: std::from_chars would bring 25 KB of tables and code along.
bool parse_float(std::string_view text, double& number);

}  // namespace agave
