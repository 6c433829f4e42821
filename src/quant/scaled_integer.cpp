#include <cstring>

#include "quant/scaled.h"

namespace agave {

namespace {

/// The code of `bits` (at most 8) at this place of a little-endian stream of them. Streams end with whole
/// codes, so the second byte is read only where the code reaches into it.
uint32_t code_at(const std::byte* stream, int64_t index, int bits) {
    const int64_t first_bit = index * bits;
    const int shift = static_cast<int>(first_bit % 8);
    uint32_t two = static_cast<uint32_t>(stream[first_bit / 8]);
    if (shift + bits > 8) two |= static_cast<uint32_t>(stream[first_bit / 8 + 1]) << 8;
    return two >> shift & ((1u << bits) - 1);
}

int32_t word_at(const std::byte* words, int64_t index) {
    int32_t word;
    std::memcpy(&word, words + static_cast<size_t>(index) * sizeof word, sizeof word);
    return word;
}

int64_t group_of(const ScaledMatrix& m, int64_t column) {
    return m.group_of_column ? word_at(m.group_of_column, column) : column / m.group;
}

/// Field `place` of the word at `index`, unsigned.
float field(const std::byte* words, int64_t index, int64_t place, int bits) {
    const uint32_t word = static_cast<uint32_t>(word_at(words, index));
    return static_cast<float>(word >> (place * bits) & ((1u << bits) - 1));
}

/// The words of a row hold whole codes; signed codes are stored with 2^(bits - 1) added.
void decode_integer(const ScaledMatrix& m, int64_t row, float* out) {
    const int64_t per_word = 32 / m.bits, words_each = (m.n_columns + per_word - 1) / per_word;
    const std::byte* words = m.weights + static_cast<size_t>(row * words_each) * 4;
    const float middle = static_cast<float>(1 << (m.bits - 1));
    for (int64_t i = 0; i < m.n_columns; i++) {
        const int64_t group = group_of(m, i);
        float q = field(words, i / per_word, i % per_word, m.bits) - middle;
        // Packed zero points lie in words of 32 / bits rows.
        if (m.packed_zeros)
            q -= field(m.packed_zeros, row / per_word * m.scales.stride + group, row % per_word, m.bits) -
                 middle;
        if (m.zeros.data) q -= m.zeros.at(row, group);
        out[i] = q * m.scales.at(row, group);
    }
}

void decode_int8(const ScaledMatrix& m, int64_t row, float* out) {
    for (int64_t i = 0; i < m.n_columns; i++) {
        const int64_t group = group_of(m, i);
        float q = number_at(m.weights, NumberType::i8, row * m.n_columns + i);
        if (m.zeros.data) q -= m.zeros.at(row, group);
        out[i] = q * m.scales.at(row, group);
    }
}

void decode_affine(const ScaledMatrix& m, int64_t row, float* out) {
    const std::byte* stream = m.weights + static_cast<size_t>(row * (m.n_columns * m.bits / 8));
    for (int64_t begin = 0; begin < m.n_columns; begin += m.group) {
        const float scale = m.scales.at(row, begin), bias = m.zeros.at(row, begin);
        for (int64_t i = begin; i < begin + m.group; i++)
            out[i] = static_cast<float>(code_at(stream, i, m.bits)) * scale + bias;
    }
}

/// A matrix that is stored transposed: words of 32 / bits consecutive columns of one row, and zero points in
/// words of 32 / bits consecutive rows.
void decode_gptq(const ScaledMatrix& m, int64_t row, float* out) {
    const int64_t per_word = 32 / m.bits, zero_words = m.n_rows / per_word;
    for (int64_t i = 0; i < m.n_columns; i++) {
        const int64_t group = group_of(m, i);
        const float zero =
            field(m.packed_zeros, group * zero_words + row / per_word, row % per_word, m.bits) +
            static_cast<float>(m.zero_offset);
        const float q = field(m.weights, i / per_word * m.n_rows + row, i % per_word, m.bits);
        out[i] = number_at(m.scales.data, m.scales.type, group * m.n_rows + row) * (q - zero);
    }
}

/// Stored transposed: words of eight consecutive rows of one column, whose nibbles hold rows 0, 2, 4, 6, 1,
/// 3, 5, 7, for weights and zero points alike.
void decode_awq(const ScaledMatrix& m, int64_t row, float* out) {
    constexpr int8_t nibble_of_row[8] = {0, 4, 1, 5, 2, 6, 3, 7};
    const int64_t words_each = m.n_rows / 8, place = nibble_of_row[row % 8];
    for (int64_t i = 0; i < m.n_columns; i++) {
        const int64_t group = i / m.group;
        const float zero = field(m.packed_zeros, group * words_each + row / 8, place, 4);
        const float q = field(m.weights, i * words_each + row / 8, place, 4);
        out[i] = number_at(m.scales.data, m.scales.type, group * m.n_rows + row) * (q - zero);
    }
}

}  // namespace

const ScaledFormat kScaledInteger{"INT4", decode_integer};
const ScaledFormat kScaledInt8{"INT8", decode_int8};
const ScaledFormat kScaledAffine{"MLX", decode_affine};
const ScaledFormat kScaledGptq{"GPTQ", decode_gptq};
const ScaledFormat kScaledAwq{"AWQ", decode_awq};

}  // namespace agave
