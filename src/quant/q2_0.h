#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace agave {

/// Q2_0: 64 weights of 2 bits, w = d * (q - 1).
struct BlockQ2_0 {
    static constexpr int kElements = 64;

    uint16_t d;      ///< scale, binary16 bits
    uint8_t qs[16];  ///< weight i in bits 2 (i % 4) and 2 (i % 4) + 1 of byte i / 4
};
static_assert(sizeof(BlockQ2_0) == 18);

/// See FormatInfo::decode.
void decode_q2_0(const std::byte* blocks, float* out, int64_t n);
/// See EncodeRow.
void encode_q2_0(std::span<const float> row, std::span<const float> importance, std::byte* out);

}  // namespace agave
