#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace agave {

/// BF16: bfloat16: the upper half of a float32. See FormatInfo::decode.
void decode_bf16(const std::byte* blocks, float* out, int64_t n);
/// See EncodeRow.
void encode_bf16(std::span<const float> row, std::span<const float> importance, std::byte* out);

}  // namespace agave
