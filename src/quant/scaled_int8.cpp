#include "quant/scaled.h"

namespace agave {

namespace {

void decode_int8(const ScaledMatrix& m, int64_t row, float* out) {
    for (int64_t i = 0; i < m.n_columns; i++) {
        out[i] = number_at(m.weights, NumberType::i8, row * m.n_columns + i);
        if (m.zeros.data) out[i] -= m.zeros.at(row, i);
    }
    multiply_scales(m, row, out);
}

}  // namespace

const ScaledFormat kScaledInt8{"INT8", decode_int8};

}  // namespace agave
