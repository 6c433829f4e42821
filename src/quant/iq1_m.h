#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace agave {

/// IQ1_M: 256 weights in 16 groups of 16, w = (d * (2 * scale + 1)) * (entry of kIQ1Grid +- 1/8).
struct BlockIQ1_M {
    static constexpr int kElements = 256;

    uint8_t qs[32];      ///< bits 0-7 of the entry of weights 8 i .. 8 i + 7
    uint8_t qh[16];      ///< nibble i % 2 of byte i / 2: bits 8-10 of entry i, bit 3: minus 1/8
    uint16_t scales[4];  ///< 4 times 3 bits, the scales of groups 4 i .. 4 i + 3; bits 12-15: nibble i of the
                         ///< scale of the scales, d, binary16 bits
};
static_assert(sizeof(BlockIQ1_M) == 56);

/// See FormatInfo::decode.
void decode_iq1_m(const std::byte* blocks, float* out, int64_t n);
/// See EncodeRow.
void encode_iq1_m(std::span<const float> row, std::span<const float> importance, std::byte* out);

}  // namespace agave
