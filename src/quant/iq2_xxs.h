#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace agave {

/// IQ2_XXS: 256 weights in 8 groups of 32, w = (d * (0.5 + scale) / 4) * entry of a codebook, with signs.
struct BlockIQ2_XXS {
    static constexpr int kElements = 256;

    uint16_t d;      ///< scale of the scales, binary16 bits
    uint8_t qs[64];  ///< for each group: 4 bytes, the entries of 8 weights each; then 32 bits: 4 times 7 bits
                     ///< of signs (see even_signs()), 4 bits of scale
};
static_assert(sizeof(BlockIQ2_XXS) == 66);

/// The codebook: 8 weights an entry, the magnitude of weight i is kIQ2Levels[bits 2 i and 2 i + 1].
extern const uint16_t kIQ2_XXSGrid[256];

/// See FormatInfo::decode.
void decode_iq2_xxs(const std::byte* blocks, float* out, int64_t n);
/// See EncodeRow.
void encode_iq2_xxs(std::span<const float> row, std::span<const float> importance, std::byte* out);

}  // namespace agave
