#pragma once

#include <cstdint>

namespace agave {

/// The 6-bit scale and min of one group of 32 weights.
struct ScaleMin {
    uint8_t scale;
    uint8_t min;
};

/// Unpacks group g (0 to 7) of the 12 bytes that Q4_K and Q5_K share: bytes 0-3 hold the scales and bytes 4-7
/// the mins of groups 0-3 in bits 0-5; bytes 8-11 hold bits 0-3 of groups 4-7 (scale low, min high), whose
/// bits 4-5 are bits 6-7 of bytes 0-3 (scale) and 4-7 (min).
constexpr ScaleMin k_scale_min(const uint8_t (&scales)[12], int g) {
    if (g < 4) return {static_cast<uint8_t>(scales[g] & 0x3F), static_cast<uint8_t>(scales[g + 4] & 0x3F)};
    return {static_cast<uint8_t>((scales[g + 4] & 0x0F) | ((scales[g - 4] >> 2) & 0x30)),
            static_cast<uint8_t>((scales[g + 4] >> 4) | ((scales[g] >> 2) & 0x30))};
}

/// Packs the scale and min of group g into zeroed bytes.
constexpr void set_k_scale_min(uint8_t (&scales)[12], int g, int scale, int min) {
    if (g < 4) {
        scales[g] = static_cast<uint8_t>(scales[g] | scale);
        scales[g + 4] = static_cast<uint8_t>(scales[g + 4] | min);
        return;
    }
    scales[g + 4] = static_cast<uint8_t>((scale & 0x0F) | (min & 0x0F) << 4);
    scales[g - 4] = static_cast<uint8_t>(scales[g - 4] | scale >> 4 << 6);
    scales[g] = static_cast<uint8_t>(scales[g] | min >> 4 << 6);
}

}  // namespace agave
