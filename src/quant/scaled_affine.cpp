#include "quant/scaled.h"

namespace agave {

namespace {

void decode_affine(const ScaledMatrix& m, int64_t row, float* out) {
    const std::byte* words = m.weights + static_cast<size_t>(row * (m.n_columns * m.bits / 8));
    const int64_t group = m.scales.columns_each;
    for (int64_t begin = 0; begin < m.n_columns; begin += group) {
        const float scale = m.scales.at(row, begin), bias = m.zeros.at(row, begin);
        for (int64_t i = begin; i < begin + group; i++)
            out[i] = static_cast<float>(code_at(words, i * m.bits, m.bits)) * scale + bias;
    }
}

}  // namespace

const ScaledFormat kScaledAffine{"MLX", decode_affine};

}  // namespace agave
