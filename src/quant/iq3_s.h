#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace agave {

/// IQ3_S: 256 weights in 8 groups of 32, w = (d * (1 + 2 * scale)) * entry of a codebook, with signs.
struct BlockIQ3_S {
    static constexpr int kElements = 256;

    uint16_t d;         ///< scale of the scales, binary16 bits
    uint8_t qs[64];     ///< bits 0-7 of the entry of weights 4 i .. 4 i + 3
    uint8_t qh[8];      ///< bit 8 of entry i: bit i % 8 of byte i / 8
    uint8_t signs[32];  ///< bit j of byte i: weight 8 i + j is negative
    uint8_t scales[4];  ///< of group g: nibble g % 2 of byte g / 2
};
static_assert(sizeof(BlockIQ3_S) == 110);

/// The codebook: 4 weights an entry, the magnitude of weight i is kIQ3_SLevels[bits 4 i to 4 i + 2].
extern const uint16_t kIQ3_SGrid[512];
inline constexpr uint8_t kIQ3_SLevels[8] = {1, 3, 5, 7, 9, 11, 13, 15};

/// See FormatInfo::decode.
void decode_iq3_s(const std::byte* blocks, float* out, int64_t n);
/// See EncodeRow.
void encode_iq3_s(std::span<const float> row, std::span<const float> importance, std::byte* out);

}  // namespace agave
