#pragma once

#include <cstddef>
#include <cstdint>

namespace agave {

/// The types that scales come in.
enum class NumberType : uint8_t { f32, f16, bf16, e4m3, e8m0, i8, u8, i32 };

/// The number of this index in an array that may be unaligned, exact.
float number_at(const std::byte* numbers, NumberType type, int64_t index);

/// A number for each rectangle of a matrix: its scales.
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

/// Such a matrix [n_rows, n_columns]; its parts stay where the file put them, aligned or not.
struct ScaledMatrix {
    const ScaledFormat* format = nullptr;
    int64_t n_rows = 0;
    int64_t n_columns = 0;
    const std::byte* weights = nullptr;
    NumberGrid scales = {};
    float scale = 1.0f;  ///< multiplies everything
};

/// FP4 E2M1, two in a byte, the even one low: MXFP4 as GPT-OSS stores it (scales E8M0 for 32 columns; OCP
/// Microscaling Formats 1.0, section 5.2).
extern const ScaledFormat kScaledE2M1;

}  // namespace agave
