#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace agave {

/// TQ2_0: 256 weights of 2 bits, w = d * (q - 1).
struct BlockTQ2_0 {
    static constexpr int kElements = 256;

    uint8_t
        qs[64];  ///< weight 128 h + 32 s + i in bits 2 s and 2 s + 1 of byte 32 h + i (h < 2, s < 4, i < 32)
    uint16_t d;  ///< scale, binary16 bits
};
static_assert(sizeof(BlockTQ2_0) == 66);

/// See FormatInfo::decode.
void decode_tq2_0(const std::byte* blocks, float* out, int64_t n);
/// See EncodeRow.
void encode_tq2_0(std::span<const float> row, std::span<const float> importance, std::byte* out);

}  // namespace agave
