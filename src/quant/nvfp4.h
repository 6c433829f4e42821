#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace agave {

/// NVFP4: 64 weights of E2M1 in 4 groups of 16, w = scale * E2M1.
struct BlockNVFP4 {
    static constexpr int kElements = 64;

    uint8_t scales[4];  ///< of group g: E4M3 whose bit 7 is ignored; 0x7F is 0
    uint8_t qs[32];     ///< weight 16 g + i in the low nibble of byte 8 g + i, 16 g + 8 + i in the high one
};
static_assert(sizeof(BlockNVFP4) == 36);

/// See FormatInfo::decode.
void decode_nvfp4(const std::byte* blocks, float* out, int64_t n);
/// See EncodeRow.
void encode_nvfp4(std::span<const float> row, std::span<const float> importance, std::byte* out);

}  // namespace agave
