#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace agave {

/// IQ4_XS: 256 weights of 4 bits in 8 groups of 32, w = (d * (scale - 32)) * kIQ4Values[q].
struct BlockIQ4_XS {
    static constexpr int kElements = 256;

    uint16_t d;           ///< scale of the scales, binary16 bits
    uint16_t scales_h;    ///< bits 4-5 of the scale of group g: bits 2 g and 2 g + 1
    uint8_t scales_l[4];  ///< bits 0-3 of the scale of group g: nibble g % 2 of byte g / 2
    uint8_t qs[128];  ///< weight 32 g + i in the low nibble of byte 16 g + i, 32 g + 16 + i in the high one
};
static_assert(sizeof(BlockIQ4_XS) == 136);

/// See FormatInfo::decode.
void decode_iq4_xs(const std::byte* blocks, float* out, int64_t n);
/// See EncodeRow.
void encode_iq4_xs(std::span<const float> row, std::span<const float> importance, std::byte* out);

}  // namespace agave
