#include "quant/f32.h"

#include <cstring>

namespace agave {

void decode_f32(const std::byte* blocks, float* out, int64_t n) {
    std::memcpy(out, blocks, static_cast<size_t>(n) * sizeof(float));
}

void encode_f32(std::span<const float> row, std::span<const float>, std::byte* out) {
    std::memcpy(out, row.data(), row.size_bytes());
}

}  // namespace agave
