#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace agave {

/// Q8_0: 32 weights of 8 bits, w = d * q.
struct BlockQ8_0 {
    static constexpr int kElements = 32;

    uint16_t d;     ///< scale, binary16 bits
    int8_t qs[32];  ///< weight i
};
static_assert(sizeof(BlockQ8_0) == 34);

/// See FormatInfo::decode.
void decode_q8_0(const std::byte* blocks, float* out, int64_t n);
/// See EncodeRow.
void encode_q8_0(std::span<const float> row, std::span<const float> importance, std::byte* out);

}  // namespace agave
