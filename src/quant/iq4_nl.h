#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace agave {

/// IQ4_NL: 32 weights of 4 bits, w = d * kIQ4Values[q].
struct BlockIQ4_NL {
    static constexpr int kElements = 32;

    uint16_t d;      ///< scale, binary16 bits
    uint8_t qs[16];  ///< weight i in the low nibble of byte i, weight i + 16 in the high one
};
static_assert(sizeof(BlockIQ4_NL) == 18);

/// See FormatInfo::decode.
void decode_iq4_nl(const std::byte* blocks, float* out, int64_t n);
/// See EncodeRow.
void encode_iq4_nl(std::span<const float> row, std::span<const float> importance, std::byte* out);

}  // namespace agave
