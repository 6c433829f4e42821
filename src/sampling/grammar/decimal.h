#pragma once

#include <string>
#include <vector>

#include "base/json.h"
#include "sampling/grammar/rules.h"

namespace agave::grammar {

/// A decimal number: whole without zeros before, fraction without zeros behind it.
struct Decimal {
    bool negative;
    std::string whole, fraction;  ///< digits; whole is at least "0"

    bool is_zero() const { return whole == "0" && fraction.empty(); }
};

/// The number as it was written, as far as a double tells: at most 15 digits. Throws Error(usage) for more,
/// and for numbers too large or too small to spell out.
Decimal read_decimal(JsonValue value);
/// The number in JSON, a whole one without a fraction.
std::string decimal_text(const Decimal& decimal);

struct NumberBound {
    Decimal value;
    bool lower;   ///< at least `value`, else at most
    bool strict;  ///< not `value` itself
};

/// The numbers within all bounds that are multiples of each of `factors`, without exponents; whole numbers
/// without a fraction where `integer`.
Expr bounded_number(Rules& rules, const std::vector<NumberBound>& bounds, const std::vector<Decimal>& factors,
                    bool integer);

}  // namespace agave::grammar
