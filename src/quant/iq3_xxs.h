#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace agave {

/// IQ3_XXS: 256 weights in 8 groups of 32, w = (d * (0.5 + scale) / 2) * entry of a codebook, with signs.
struct BlockIQ3_XXS {
    static constexpr int kElements = 256;

    uint16_t d;      ///< scale of the scales, binary16 bits
    uint8_t qs[64];  ///< the entry of weights 4 i .. 4 i + 3
    uint8_t
        bits[32];  ///< for each group 32 bits: 4 times 7 bits of signs (see even_signs()), 4 bits of scale
};
static_assert(sizeof(BlockIQ3_XXS) == 98);

/// The codebook: 4 weights an entry, the magnitude of weight i is kIQ3_XXSLevels[bits 4 i to 4 i + 2].
extern const uint16_t kIQ3_XXSGrid[256];
inline constexpr uint8_t kIQ3_XXSLevels[8] = {4, 12, 20, 28, 36, 44, 52, 62};

/// See FormatInfo::decode.
void decode_iq3_xxs(const std::byte* blocks, float* out, int64_t n);
/// See EncodeRow.
void encode_iq3_xxs(std::span<const float> row, std::span<const float> importance, std::byte* out);

}  // namespace agave
