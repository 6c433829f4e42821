#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace agave {

/// Q4_K: 256 weights of 4 bits in 8 groups of 32, w = (d * scale) * q - dmin * min.
struct BlockQ4_K {
    static constexpr int kElements = 256;

    uint16_t d;          ///< scale of the scales, binary16 bits
    uint16_t dmin;       ///< scale of the mins, binary16 bits
    uint8_t scales[12];  ///< 6-bit scales and mins, packed: see k_scale_min()
    uint8_t qs[128];     ///< weight 64 p + 32 s + i is nibble s of byte 32 p + i (p < 4, s < 2, i < 32)
};
static_assert(sizeof(BlockQ4_K) == 144);

/// See FormatInfo::decode.
void decode_q4_k(const std::byte* blocks, float* out, int64_t n);
/// See EncodeRow.
void encode_q4_k(std::span<const float> row, std::span<const float> importance, std::byte* out);

}  // namespace agave
