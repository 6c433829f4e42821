#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace agave {

/// IQ2_S: 256 weights in 16 groups of 16, w = (d * (0.5 + scale) / 4) * entry of a codebook, with signs.
struct BlockIQ2_S {
    static constexpr int kElements = 256;

    uint16_t d;         ///< scale of the scales, binary16 bits
    uint8_t qs[32];     ///< bits 0-7 of the entry of weights 8 i .. 8 i + 7
    uint8_t signs[32];  ///< bit j of byte i: weight 8 i + j is negative
    uint8_t qh[8];      ///< bits 8-9 of entry i: bits 2 (i % 4) and 2 (i % 4) + 1 of byte i / 4
    uint8_t scales[8];  ///< of group g: nibble g % 2 of byte g / 2
};
static_assert(sizeof(BlockIQ2_S) == 82);

/// The codebook: 8 weights an entry, the magnitude of weight i is kIQ2Levels[bits 2 i and 2 i + 1].
extern const uint16_t kIQ2_SGrid[1024];

/// See FormatInfo::decode.
void decode_iq2_s(const std::byte* blocks, float* out, int64_t n);
/// See EncodeRow.
void encode_iq2_s(std::span<const float> row, std::span<const float> importance, std::byte* out);

}  // namespace agave
