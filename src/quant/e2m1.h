#pragma once

#include <cstdint>

namespace agave {

/// Twice the 16 values of E2M1 (sign, 2 bits of exponent, 1 of mantissa). Like gguf-py, code 8 is +0: with an
/// integer the sign of zero is lost.
inline constexpr int8_t kDoubledE2M1[16] = {0, 1, 2, 3, 4, 6, 8, 12, 0, -1, -2, -3, -4, -6, -8, -12};

}  // namespace agave
