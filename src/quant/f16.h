#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace agave {

/// F16: IEEE 754 binary16. See FormatInfo::decode.
void decode_f16(const std::byte* blocks, float* out, int64_t n);
/// See EncodeRow.
void encode_f16(std::span<const float> row, std::span<const float> importance, std::byte* out);

}  // namespace agave
