#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace agave {

/// Q1_0: 128 weights of 1 bit, w = d or -d.
struct BlockQ1_0 {
    static constexpr int kElements = 128;

    uint16_t d;      ///< scale, binary16 bits
    uint8_t qs[16];  ///< weight i is d where bit i % 8 of byte i / 8 is set
};
static_assert(sizeof(BlockQ1_0) == 18);

/// See FormatInfo::decode.
void decode_q1_0(const std::byte* blocks, float* out, int64_t n);
/// See EncodeRow.
void encode_q1_0(std::span<const float> row, std::span<const float> importance, std::byte* out);

}  // namespace agave
