#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace agave {

/// Q5_1: 32 weights of 5 bits, w = d * q + m.
struct BlockQ5_1 {
    static constexpr int kElements = 32;

    uint16_t d;      ///< scale, binary16 bits
    uint16_t m;      ///< minimum, binary16 bits
    uint8_t qh[4];   ///< bit 4 of weight i is bit i % 8 of byte i / 8
    uint8_t qs[16];  ///< bits 0-3: weight i in the low nibble of byte i, weight i + 16 in the high one
};
static_assert(sizeof(BlockQ5_1) == 24);

/// See FormatInfo::decode.
void decode_q5_1(const std::byte* blocks, float* out, int64_t n);
/// See EncodeRow.
void encode_q5_1(std::span<const float> row, std::span<const float> importance, std::byte* out);

}  // namespace agave
