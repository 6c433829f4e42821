#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace agave {

/// Q4_1: 32 weights of 4 bits, w = d * q + m.
struct BlockQ4_1 {
    static constexpr int kElements = 32;

    uint16_t d;      ///< scale, binary16 bits
    uint16_t m;      ///< minimum, binary16 bits
    uint8_t qs[16];  ///< weight i in the low nibble of byte i, weight i + 16 in the high one
};
static_assert(sizeof(BlockQ4_1) == 20);

/// See FormatInfo::decode.
void decode_q4_1(const std::byte* blocks, float* out, int64_t n);
/// See EncodeRow.
void encode_q4_1(std::span<const float> row, std::span<const float> importance, std::byte* out);

}  // namespace agave
