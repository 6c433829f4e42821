#pragma once

#include <bit>
#include <cstdint>

namespace agave {

/// The three magnitudes of the weights of IQ2_XXS, IQ2_XS and IQ2_S; a fourth code does not occur.
inline constexpr uint8_t kIQ2Levels[4] = {8, 25, 43, 0};

/// The sign bits of 8 weights from the 7 that IQ2_XXS, IQ2_XS and IQ3_XXS store: the number of negative
/// weights is even.
constexpr uint32_t even_signs(uint32_t bits) {
    return bits | static_cast<uint32_t>(std::popcount(bits) & 1) << 7;
}

/// Writes the weights of one entry of a codebook of 16-bit entries: the magnitude of weight i is level number
/// (entry >> (kBits * i)), it is negative where bit i of `signs` is set.
template <int kBits, int kLevels>
inline void decode_entry(const uint8_t (&levels)[kLevels], uint32_t entry, uint32_t signs, float scale,
                         float* w) {
    for (int i = 0; i < 16 / kBits; ++i) {
        const float magnitude = scale * static_cast<float>(levels[entry >> kBits * i & (kLevels - 1)]);
        // Not a condition: signs are random, and half of the branches on them would be foretold wrong.
        w[i] = std::bit_cast<float>(std::bit_cast<uint32_t>(magnitude) ^ (signs >> i & 1) << 31);
    }
}

}  // namespace agave
