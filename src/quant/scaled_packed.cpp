#include "quant/scaled.h"

namespace agave {

namespace {

void decode_packed(const ScaledMatrix& m, int64_t row, float* out) {
    const int64_t words_each = (m.n_columns * m.bits + 31) / 32;
    const std::byte* words = m.weights + static_cast<size_t>(row * words_each) * 4;
    const int64_t first_scale = row / m.scales.rows_each * m.scales.stride;
    const int64_t first_zero = row / m.zeros.rows_each * m.zeros.stride;
    int64_t last = -1;
    float scale = 0, zero = 0;
    for (int64_t i = 0; i < m.n_columns; i++) {
        if (const int64_t group = group_of(m, i); group != last) {
            last = group;
            scale = number_at(m.scales.data, m.scales.type, first_scale + group);
            // Packed zero points have 2^(bits - 1) added, as the weights have.
            zero = static_cast<float>(1 << (m.bits - 1));
            if (m.packed_zeros)
                zero = static_cast<float>(
                    code_at(m.packed_zeros + group * 4, row * m.bits, m.bits, m.scales.stride));
            if (m.zeros.data) zero += number_at(m.zeros.data, m.zeros.type, first_zero + group);
        }
        out[i] = (static_cast<float>(code_at(words, i * m.bits, m.bits)) - zero) * scale;
    }
}

}  // namespace

const ScaledFormat kScaledPacked{"INT4", decode_packed};

}  // namespace agave
