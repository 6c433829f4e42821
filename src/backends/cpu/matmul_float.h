#pragma once

#include "backends/cpu/activation_row.h"
#include "backends/cpu/matmul_scratch.h"
#include "backends/cpu/simd/simd.h"
#include "quant/format.h"

namespace agave::cpu {
namespace {

// Matrix multiplication with float weights, and the exact path of every quantised format (decoded row by
// row). The 16 lanes run along k: lane i sums the products i, i + 16, ... of its output in order, then
// reduce_add's tree; so an output never depends on the block of rows that it was computed in.

struct F32Weights {
    using Element = float;
    static F32x16 load_16(const float* p) { return load(p); }
    static F32x16 load_rest(const float* p, int n) { return load_partial(p, n); }
};
struct HalfWeights {
    using Element = uint16_t;
    static F32x16 load_16(const uint16_t* p) { return load_half(p); }
    static F32x16 load_rest(const uint16_t* p, int n) { return load_half_partial(p, n); }
};
struct Bfloat16Weights {
    using Element = uint16_t;
    static F32x16 load_16(const uint16_t* p) { return load_bfloat16(p); }
    static F32x16 load_rest(const uint16_t* p, int n) { return load_bfloat16_partial(p, n); }
};

/// Adds `steps` steps of the products of W weight rows and A rows of activations; `weight(w)` and
/// `activation(a)` load the operands of the current step.
template <int W, int A, typename Weight, typename Row>
[[gnu::always_inline]] inline void add_products(Weight weight, Row activation, F32x16 (&sums)[W][A]) {
    F32x16 x[A];
    for (int a = 0; a < A; ++a) x[a] = activation(a);
    for (int w = 0; w < W; ++w) {
        const F32x16 y = weight(w);
        for (int a = 0; a < A; ++a) sums[w][a] = fma(y, x[a], sums[w][a]);
    }
}

/// Strided rows of a float matrix.
template <typename T>
struct FloatRows {
    const std::byte* base;
    size_t stride;
    const T* operator[](int row) const { return typed<T>(base + static_cast<size_t>(row) * stride); }
};

/// out[a * out_stride + w] (+)= dot(weights[w], activations[a]) for w < W, a < A.
template <typename Format, int W, int A>
inline void multiply_floats(FloatRows<typename Format::Element> weights, FloatRows<float> activations,
                            int64_t k, bool accumulate, float* out, int64_t out_stride) {
    F32x16 sums[W][A];
    for (auto& row : sums)
        for (F32x16& sum : row) sum = zero();
    int64_t i = 0;
    for (; i + 16 <= k; i += 16)
        add_products<W, A>([&](int w) { return Format::load_16(weights[w] + i); },
                           [&](int a) { return load(activations[a] + i); }, sums);
    if (const int rest = static_cast<int>(k - i); rest > 0)
        add_products<W, A>([&](int w) { return Format::load_rest(weights[w] + i, rest); },
                           [&](int a) { return load_partial(activations[a] + i, rest); }, sums);
    for (int a = 0; a < A; ++a)
        for (int w = 0; w < W; ++w) {
            float& to = out[a * out_stride + w];
            to = accumulate ? to + reduce_add(sums[w][a]) : reduce_add(sums[w][a]);
        }
}

constexpr int kFloatWeightRows = 4, kFloatTileRows = 4;

/// The weight rows [row, row + n_weights) for all rows of activations.
template <typename Format, typename Activations>
inline void multiply_float_rows(FloatRows<typename Format::Element> weights, int n_weights,
                                Activations activations, int n_rows, const MatmulTask& task, float* out) {
    const int64_t k = task.weights.k, stride = task.out_stride;
    const auto at = [](auto rows, int first) {
        return decltype(rows){rows.base + static_cast<size_t>(first) * rows.stride, rows.stride};
    };
    int r = 0;
    if (n_weights == kFloatGemvRows) {
        for (; r < n_rows; ++r)
            multiply_floats<Format, kFloatGemvRows, 1>(weights, at(activations, r), k, task.accumulate,
                                                       out + r * stride, stride);
        return;
    }
    if (n_weights == kFloatWeightRows) {
        for (; r + kFloatTileRows <= n_rows; r += kFloatTileRows)
            multiply_floats<Format, kFloatWeightRows, kFloatTileRows>(
                weights, at(activations, r), k, task.accumulate, out + r * stride, stride);
        for (; r < n_rows; ++r)
            multiply_floats<Format, kFloatWeightRows, 1>(weights, at(activations, r), k, task.accumulate,
                                                         out + r * stride, stride);
        return;
    }
    for (int w = 0; w < n_weights; ++w)
        for (r = 0; r < n_rows; ++r)
            multiply_floats<Format, 1, 1>(at(weights, w), at(activations, r), k, task.accumulate,
                                          out + r * stride + w, stride);
}

/// Bytes of activations that a pass over the weights keeps in the L2 cache.
constexpr size_t kFloatCacheBytes = 384 * 1024;

/// `rows_at(row, n)` gives the weight rows [row, row + n), converted where that is needed.
template <typename Format, typename Activations, typename RowsAt>
inline void matmul_floats(const MatmulTask& task, Activations activations, RowsAt rows_at) {
    const int fitting =
        static_cast<int>(kFloatCacheBytes / activations.stride) / kFloatTileRows * kFloatTileRows;
    const int block_rows = fitting < kFloatTileRows ? kFloatTileRows : fitting;
    for (int first = 0; first < task.n_rows; first += block_rows) {
        const int n_rows = task.n_rows - first < block_rows ? task.n_rows - first : block_rows;
        const int step = n_rows == 1 ? kFloatGemvRows : kFloatWeightRows;
        const Activations rows{activations.base + static_cast<size_t>(first) * activations.stride,
                               activations.stride};
        for (int64_t row = task.row_begin; row < task.row_end; row += step) {
            const int n = task.row_end - row < step ? static_cast<int>(task.row_end - row) : step;
            multiply_float_rows<Format>(rows_at(row, n), n, rows, n_rows, task,
                                        task.out + first * task.out_stride + row);
        }
    }
}

template <typename Format, typename Activations>
inline void matmul_float_format(const MatmulTask& task, Activations activations) {
    matmul_floats<Format>(task, activations, [&](int64_t row, int) {
        return FloatRows<typename Format::Element>{
            task.weights.data + static_cast<size_t>(row) * task.weights.row_bytes, task.weights.row_bytes};
    });
}

/// Any format, decoded exactly.
inline void matmul_decoded(const MatmulTask& task, FloatRows<float> activations) {
    const FormatInfo& info = format_info(task.weights.format);
    const size_t stride = static_cast<size_t>(task.weights.k) * sizeof(float);
    matmul_floats<F32Weights>(task, activations, [&](int64_t row, int n) {
        for (int w = 0; w < n; ++w)
            info.decode(task.weights.data + static_cast<size_t>(row + w) * task.weights.row_bytes,
                        typed<float>(task.scratch + static_cast<size_t>(w) * stride), task.weights.k);
        return FloatRows<float>{task.scratch, stride};
    });
}

inline void matmul_float(const MatmulTask& task) {
    const size_t row_bytes = row_bytes_of(task.activation, task.weights.k);
    const FloatRows<float> activations{task.activations, row_bytes};
    switch (task.weights.format) {
        case Format::f32:
            return matmul_float_format<F32Weights>(task, activations);
        case Format::f16:
            return matmul_float_format<HalfWeights>(task, activations);
        case Format::bf16:
            return matmul_float_format<Bfloat16Weights>(task, activations);
        default:
            return matmul_decoded(task, activations);
    }
}

}  // namespace
}  // namespace agave::cpu
