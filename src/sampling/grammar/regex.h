#pragma once

#include <string_view>

#include "sampling/grammar/rules.h"

namespace agave::grammar {

/// The insides of JSON strings whose texts a regular expression of ECMA-262 (with the flag "u", as JSON
/// Schema has it) finds anywhere in them, unless ^ and $ bind it. Characters are escaped only where they must
/// be. Throws Error(usage) for what is malformed or is no regular language here: back references,
/// look-around,
/// \b, \p, and anchors elsewhere than at the ends of an alternative.
Expr read_regex(Rules& rules, std::string_view pattern);

}  // namespace agave::grammar
