#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace agave {

/// Q2_K: 256 weights of 2 bits in 16 groups of 16, w = (d * scale) * q - dmin * min.
struct BlockQ2_K {
    static constexpr int kElements = 256;

    uint8_t scales[16];  ///< group g: scale in the low nibble of byte g, min in the high one
    uint8_t qs[64];      ///< weight 128 h + 32 s + i is bits 2s, 2s+1 of byte 32 h + i (h < 2, s < 4, i < 32)
    uint16_t d;          ///< scale of the scales, binary16 bits
    uint16_t dmin;       ///< scale of the mins, binary16 bits
};
static_assert(sizeof(BlockQ2_K) == 84);

/// See FormatInfo::decode.
void decode_q2_k(const std::byte* blocks, float* out, int64_t n);
/// See EncodeRow.
void encode_q2_k(std::span<const float> row, std::span<const float> importance, std::byte* out);

}  // namespace agave
