#pragma once

#include <bit>
#include <cmath>
#include <cstdint>

#include "base/numeric.h"

namespace agave {

/// FP8 E4M3 (OCP 8-bit Floating Point 1.0; the "fn" form: no infinity, 0x7F and 0xFF are NaN), exact.
inline float e4m3_to_float(uint8_t bits) {
    const int exponent = (bits >> 3) & 0xF, fraction = bits & 7;
    float value = exponent == 0 ? static_cast<float>(fraction) * 0x1p-9f
                                : std::ldexp(static_cast<float>(8 + fraction), exponent - 10);
    if (exponent == 0xF && fraction == 7) value = std::bit_cast<float>(0x7FC00000u);
    return bits & 0x80 ? -value : value;
}

/// FP8 E5M2: the upper half of an IEEE binary16, exact.
constexpr float e5m2_to_float(uint8_t bits) {
    return half_to_float(static_cast<uint16_t>(bits << 8));
}

/// E8M0 (OCP Microscaling Formats 1.0): 2^(bits - 127); for 255, which the specification calls NaN, 2^128 as
/// transformers computes it: infinity.
inline float e8m0_to_float(uint8_t bits) {
    return std::ldexp(1.0f, bits - 127);
}

}  // namespace agave
