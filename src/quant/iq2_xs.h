#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace agave {

/// IQ2_XS: 256 weights in 16 groups of 16, w = (d * (0.5 + scale) / 4) * entry of a codebook, with signs.
struct BlockIQ2_XS {
    static constexpr int kElements = 256;

    uint16_t d;         ///< scale of the scales, binary16 bits
    uint16_t qs[32];    ///< for 8 weights each: the entry in bits 0-8, signs (see even_signs()) in bits 9-15
    uint8_t scales[8];  ///< of group g: nibble g % 2 of byte g / 2
};
static_assert(sizeof(BlockIQ2_XS) == 74);

/// The codebook: 8 weights an entry, the magnitude of weight i is kIQ2Levels[bits 2 i and 2 i + 1].
extern const uint16_t kIQ2_XSGrid[512];

/// See FormatInfo::decode.
void decode_iq2_xs(const std::byte* blocks, float* out, int64_t n);
/// See EncodeRow.
void encode_iq2_xs(std::span<const float> row, std::span<const float> importance, std::byte* out);

}  // namespace agave
