#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace agave {

/// Q3_K: 256 weights of 3 bits in 16 groups of 16, w = (d * (scale - 32)) * (q - 4).
struct BlockQ3_K {
    static constexpr int kElements = 256;

    uint8_t hmask[32];   ///< bit 2 of weight 32 b + i is bit b of byte i
    uint8_t qs[64];      ///< bits 0-1: weight 128 h + 32 s + i in bits 2s, 2s+1 of byte 32 h + i
    uint8_t scales[12];  ///< 6-bit scales: bits 0-3 of scale g in nibble g / 8 of byte g % 8,
                         ///< bits 4-5 in bit pair g / 4 of byte 8 + g % 4
    uint16_t d;          ///< scale of the scales, binary16 bits
};
static_assert(sizeof(BlockQ3_K) == 110);

/// See FormatInfo::decode.
void decode_q3_k(const std::byte* blocks, float* out, int64_t n);
/// See EncodeRow.
void encode_q3_k(std::span<const float> row, std::span<const float> importance, std::byte* out);

}  // namespace agave
