#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace agave {

/// MXFP4: 32 weights of E2M1 with one power of two, w = 2^(e - 127) * E2M1 (OCP Microscaling Formats 1.0).
struct BlockMXFP4 {
    static constexpr int kElements = 32;

    uint8_t e;       ///< E8M0 scale: 2^(e - 127), also for 255
    uint8_t qs[16];  ///< weight i in the low nibble of byte i, weight i + 16 in the high one
};
static_assert(sizeof(BlockMXFP4) == 17);

/// See FormatInfo::decode.
void decode_mxfp4(const std::byte* blocks, float* out, int64_t n);
/// See EncodeRow.
void encode_mxfp4(std::span<const float> row, std::span<const float> importance, std::byte* out);

}  // namespace agave
