#include "quant/scaled.h"

namespace agave {

namespace {

void decode_awq(const ScaledMatrix& m, int64_t row, float* out) {
    constexpr int8_t nibble_of_row[8] = {0, 4, 1, 5, 2, 6, 3, 7};
    const int64_t words_each = m.n_rows / 8, nibble = nibble_of_row[row % 8];
    const auto code = [&](const std::byte* words, int64_t column) {
        return static_cast<float>(code_at(words, (column * words_each + row / 8) * 32 + nibble * 4, 4));
    };
    int64_t last = -1;
    float scale = 0, zero = 0;
    for (int64_t i = 0; i < m.n_columns; i++) {
        if (const int64_t group = group_of(m, i); group != last) {
            last = group;
            scale = number_at(m.scales.data, m.scales.type, group * m.n_rows + row);
            zero = code(m.packed_zeros, group);
        }
        out[i] = (code(m.weights, i) - zero) * scale;
    }
}

}  // namespace

const ScaledFormat kScaledAwq{"AWQ", decode_awq};

}  // namespace agave
