#pragma once

#include <cstddef>
#include <cstdint>

namespace agave {

/// BF16: bfloat16: the upper half of a float32. See FormatInfo::decode.
void decode_bf16(const std::byte* blocks, float* out, int64_t n);

}  // namespace agave
