#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace agave {

/// Q6_K: 256 weights of 6 bits in 16 groups of 16, w = (d * scale) * (q - 32).
struct BlockQ6_K {
    static constexpr int kElements = 256;

    uint8_t ql[128];  ///< bits 0-3: weight 128 h + 64 s + i in nibble s of byte 64 h + i (h, s < 2, i < 64)
    uint8_t qh[64];   ///< bits 4-5: weight 128 h + 32 s + i in bits 2s, 2s+1 of byte 32 h + i (s < 4, i < 32)
    int8_t scales[16];  ///< of group g
    uint16_t d;         ///< scale of the scales, binary16 bits
};
static_assert(sizeof(BlockQ6_K) == 210);

/// See FormatInfo::decode.
void decode_q6_k(const std::byte* blocks, float* out, int64_t n);
/// See EncodeRow.
void encode_q6_k(std::span<const float> row, std::span<const float> importance, std::byte* out);

}  // namespace agave
