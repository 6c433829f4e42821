#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

namespace agave {

/// F32: IEEE 754 binary32: the bytes of the file are the weights. See FormatInfo::decode.
void decode_f32(const std::byte* blocks, float* out, int64_t n);
/// See EncodeRow.
void encode_f32(std::span<const float> row, std::span<const float> importance, std::byte* out);

}  // namespace agave
