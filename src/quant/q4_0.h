#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace agave {

/// Q4_0: 32 weights of 4 bits, w = d * (q - 8).
struct BlockQ4_0 {
    static constexpr int kElements = 32;

    uint16_t d;      ///< scale, binary16 bits
    uint8_t qs[16];  ///< weight i in the low nibble of byte i, weight i + 16 in the high one
};
static_assert(sizeof(BlockQ4_0) == 18);

/// See FormatInfo::decode.
void decode_q4_0(const std::byte* blocks, float* out, int64_t n);
/// See EncodeRow.
void encode_q4_0(std::span<const float> row, std::span<const float> importance, std::byte* out);

}  // namespace agave
