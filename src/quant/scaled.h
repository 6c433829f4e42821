#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace agave {

/// The types that scales, zero points and biases come in.
enum class NumberType : uint8_t { f32, f16, bf16, e4m3, e8m0, i8, u8, i32 };

/// The number of this index in an array that may be unaligned, exact.
float number_at(const std::byte* numbers, NumberType type, int64_t index);

/// The int32 of this index.
inline int32_t integer_at(const std::byte* numbers, int64_t index) {
    int32_t value;
    std::memcpy(&value, numbers + static_cast<size_t>(index) * sizeof value, sizeof value);
    return value;
}

/// A number for each rectangle of a matrix: its scales, zero points or biases.
struct NumberGrid {
    const std::byte* data = nullptr;
    NumberType type = NumberType::f32;
    int64_t rows_each = 1;     ///< rows of the matrix that share a number
    int64_t columns_each = 1;  ///< columns of the matrix that share a number
    int64_t stride = 0;        ///< numbers from one row of the grid to the next

    float at(int64_t row, int64_t column) const {
        return number_at(data, type, row / rows_each * stride + column / columns_each);
    }
};

struct ScaledMatrix;

/// A way to store a matrix whose scales lie apart from its weights, as SafeTensors files do.
struct ScaledFormat {
    const char* name;  ///< as `agave inspect` prints it
    /// Decodes one row to float32: matrix.n_columns numbers.
    void (*decode_row)(const ScaledMatrix& matrix, int64_t row, float* out);
};

/// Such a matrix [n_rows, n_columns]; its parts stay where the file put them, aligned or not. Columns form
/// groups, which share a scale in each row: `scales` by row and column, and `zeros` alike.
struct ScaledMatrix {
    const ScaledFormat* format = nullptr;
    int64_t n_rows = 0;
    int64_t n_columns = 0;
    const std::byte* weights = nullptr;
    int bits = 8;  ///< of one weight, where the format has several widths: 1 to 8
    NumberGrid scales = {};
    double scale = 1.0;     ///< multiplies the scales, before they are rounded to float32
    NumberGrid zeros = {};  ///< zero points, or the biases of MLX; data is nullptr where there are none
    const std::byte* packed_zeros = nullptr;     ///< zero points packed like the weights, or nullptr
    uint32_t zero_offset = 0;                    ///< added to each word of packed_zeros
    const std::byte* group_of_column = nullptr;  ///< int32, in range; nullptr: neighbours form the groups
};

/// The group of a column: the place of its number in a row of `scales`.
inline int64_t group_of(const ScaledMatrix& matrix, int64_t column) {
    if (!matrix.group_of_column) return column / matrix.scales.columns_each;
    return integer_at(matrix.group_of_column, column);
}

/// Multiplies a decoded row by its scales.
void multiply_scales(const ScaledMatrix& matrix, int64_t row, float* out);

/// The code of `bits` at bit `first_bit` of a little-endian stream of 32-bit words, of which each is `stride`
/// words behind the one before it; `added` is added to each word. A word that the code does not reach into is
/// not read.
inline uint32_t code_at(const std::byte* words, int64_t first_bit, int bits, int64_t stride = 1,
                        uint32_t added = 0) {
    const auto load = [&](int64_t word) {
        uint32_t value;
        std::memcpy(&value, words + static_cast<size_t>(word) * sizeof value, sizeof value);
        return value + added;
    };
    const int64_t word = first_bit / 32 * stride;
    const int shift = static_cast<int>(first_bit % 32);
    uint32_t code = load(word) >> shift;
    if (shift + bits > 32) code |= load(word + stride) << (32 - shift);
    return code & ((1u << bits) - 1);
}

/// FP4 E2M1, two in a byte, the even one low (OCP Microscaling Formats 1.0, section 5.3.3). MXFP4: scales
/// E8M0 for 32 columns; NVFP4: scales E4M3 for 16 and a float32 for the whole.
extern const ScaledFormat kScaledE2M1;
/// FP8 with a scale for the whole, a row, or a block; E8M0 for 32 columns (MXFP8).
extern const ScaledFormat kScaledE4M3, kScaledE5M2;
/// One byte, signed: (q - zero) * scale. compressed-tensors' int-quantized.
extern const ScaledFormat kScaledInt8;
/// compressed-tensors' pack-quantized: each row a stream of codes, 2^(bits - 1) more than the signed weight,
/// in whole words; zero points in streams along the rows: (q - zero) * scale.
extern const ScaledFormat kScaledPacked;
/// MLX's affine: each row a stream of codes; q * scale + bias.
extern const ScaledFormat kScaledAffine;
/// GPTQ: stored transposed, each row a stream of codes through the words of the column; zero points in
/// streams along the rows: (q - zero) * scale.
extern const ScaledFormat kScaledGptq;
/// AWQ: stored transposed, words of eight rows, whose nibbles hold rows 0, 2, 4, 6, 1, 3, 5, 7, for weights
/// and zero points alike: (q - zero) * scale.
extern const ScaledFormat kScaledAwq;

}  // namespace agave
