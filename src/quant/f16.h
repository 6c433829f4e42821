#pragma once

#include <cstddef>
#include <cstdint>

namespace agave {

/// F16: IEEE 754 binary16. See FormatInfo::decode.
void decode_f16(const std::byte* blocks, float* out, int64_t n);

}  // namespace agave
