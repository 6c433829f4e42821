#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace agave {

/// TQ1_0: 256 ternary weights, w = d * (q - 1), five of them in a byte. Multiplied by 3^t (modulo 256), a
/// byte b gives digit t as 3 b / 256, rounded down.
struct BlockTQ1_0 {
    static constexpr int kElements = 256;

    uint8_t qs[48];  ///< weight 32 t + i: digit t of byte i (i < 32); 160 + 16 t + i: of byte 32 + i (i < 16)
    uint8_t qh[4];   ///< weight 240 + 4 t + i: digit t (t < 4) of byte i
    uint16_t d;      ///< scale, binary16 bits
};
static_assert(sizeof(BlockTQ1_0) == 54);

/// See FormatInfo::decode.
void decode_tq1_0(const std::byte* blocks, float* out, int64_t n);
/// See EncodeRow.
void encode_tq1_0(std::span<const float> row, std::span<const float> importance, std::byte* out);

}  // namespace agave
