#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace agave {

/// Q5_K: 256 weights of 5 bits in 8 groups of 32, w = (d * scale) * q - dmin * min.
struct BlockQ5_K {
    static constexpr int kElements = 256;

    uint16_t d;          ///< scale of the scales, binary16 bits
    uint16_t dmin;       ///< scale of the mins, binary16 bits
    uint8_t scales[12];  ///< 6-bit scales and mins, packed as in Q4_K: see k_scale_min()
    uint8_t qh[32];      ///< bit 4 of weight 32 g + i is bit g of byte i
    uint8_t qs[128];     ///< bits 0-3: weight 64 p + 32 s + i in nibble s of byte 32 p + i
};
static_assert(sizeof(BlockQ5_K) == 176);

/// See FormatInfo::decode.
void decode_q5_k(const std::byte* blocks, float* out, int64_t n);
/// See EncodeRow.
void encode_q5_k(std::span<const float> row, std::span<const float> importance, std::byte* out);

}  // namespace agave
