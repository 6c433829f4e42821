#pragma once

#include <cstddef>
#include <cstdint>

namespace agave {

/// F32: IEEE 754 binary32: the bytes of the file are the weights. See FormatInfo::decode.
void decode_f32(const std::byte* blocks, float* out, int64_t n);

}  // namespace agave
