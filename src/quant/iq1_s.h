#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace agave {

/// IQ1_S: 256 weights in 8 groups of 32, w = (d * (2 * scale + 1)) * (entry of a codebook of -1, 0, 1 +-
/// 1/8).
struct BlockIQ1_S {
    static constexpr int kElements = 256;

    uint16_t d;      ///< scale of the scales, binary16 bits
    uint8_t qs[32];  ///< bits 0-7 of the entry of weights 8 i .. 8 i + 7
    uint16_t
        qh[8];  ///< of group g: 4 times 3 bits, bits 8-10 of its entries; 3 bits of scale; bit 15: minus 1/8
};
static_assert(sizeof(BlockIQ1_S) == 50);

/// The codebook of IQ1_S and IQ1_M: 8 weights an entry, weight i is (bits 2 i and 2 i + 1) - 1.
extern const uint16_t kIQ1Grid[2048];

/// See FormatInfo::decode.
void decode_iq1_s(const std::byte* blocks, float* out, int64_t n);
/// See EncodeRow.
void encode_iq1_s(std::span<const float> row, std::span<const float> importance, std::byte* out);

}  // namespace agave
