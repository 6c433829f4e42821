#include "quant/scaled.h"

namespace agave {

namespace {

void decode_gptq(const ScaledMatrix& m, int64_t row, float* out) {
    const int64_t zero_words = m.n_rows * m.bits / 32;
    const std::byte* words = m.weights + static_cast<size_t>(row) * 4;
    int64_t last = -1;
    float scale = 0, zero = 0;
    for (int64_t i = 0; i < m.n_columns; i++) {
        if (const int64_t group = group_of(m, i); group != last) {
            last = group;
            scale = number_at(m.scales.data, m.scales.type, group * m.n_rows + row);
            zero = static_cast<float>(code_at(m.packed_zeros + static_cast<size_t>(group * zero_words) * 4,
                                              row * m.bits, m.bits, 1, m.zero_offset));
        }
        out[i] = (static_cast<float>(code_at(words, i * m.bits, m.bits, m.n_rows)) - zero) * scale;
    }
}

}  // namespace

const ScaledFormat kScaledGptq{"GPTQ", decode_gptq};

}  // namespace agave
