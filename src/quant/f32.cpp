#include "quant/f32.h"

#include <cstring>

namespace agave {

void decode_f32(const std::byte* blocks, float* out, int64_t n) {
    std::memcpy(out, blocks, static_cast<size_t>(n) * sizeof(float));
}

}  // namespace agave
