#include "quant/e2m1.h"
#include "quant/scaled.h"

namespace agave {

namespace {

void decode_e2m1(const ScaledMatrix& m, int64_t row, float* out) {
    const std::byte* codes = m.weights + static_cast<size_t>(row * (m.n_columns / 2));
    for (int64_t i = 0; i < m.n_columns; i += 2) {
        const uint8_t pair = static_cast<uint8_t>(codes[i / 2]);
        out[i] = 0.5f * static_cast<float>(kDoubledE2M1[pair & 0x0F]);
        out[i + 1] = 0.5f * static_cast<float>(kDoubledE2M1[pair >> 4]);
    }
    multiply_scales(m, row, out);
}

}  // namespace

const ScaledFormat kScaledE2M1{"FP4", decode_e2m1};

}  // namespace agave
