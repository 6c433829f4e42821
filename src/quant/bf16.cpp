#include "quant/bf16.h"

#include <cstring>

#include "base/numeric.h"

namespace agave {

void decode_bf16(const std::byte* blocks, float* out, int64_t n) {
    for (int64_t i = 0; i < n; ++i) {
        uint16_t bits;
        std::memcpy(&bits, blocks + 2 * i, sizeof bits);
        out[i] = bfloat16_to_float(bits);
    }
}

void encode_bf16(std::span<const float> row, std::span<const float>, std::byte* out) {
    for (size_t i = 0; i < row.size(); ++i) {
        const uint16_t bits = float_to_bfloat16(row[i]);
        std::memcpy(out + 2 * i, &bits, sizeof bits);
    }
}

}  // namespace agave
