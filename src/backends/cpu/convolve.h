#pragma once

#include <cstdint>

#include "backends/cpu/activation.h"
#include "backends/cpu/activation_row.h"
#include "backends/cpu/kernels.h"
#include "backends/cpu/simd/simd.h"

/// Causal depthwise convolution, a lane for each column. Compiled once for each level.
namespace agave::cpu {
namespace {

/// The weights of up to 16 columns, transposed: out[j] holds input j's.
template <int Kernel>
void load_convolution(const ConvolveTask& task, int64_t column, int width, F32x16* out) {
    const float* weight = task.weight + column * task.kernel;
    if constexpr (Kernel == 4) {
        if (width == 16) {
            Bytes64 rows[4];
            transpose_rows(as_bytes_pointer(weight), 4 * sizeof(float), rows);
            for (int j = 0; j < 4; ++j) out[j] = f32_of_bits(as_i32(rows[j]));
            return;
        }
    }
    float lanes[16] = {};
    for (int j = 0; j < task.kernel; ++j) {
        for (int lane = 0; lane < width; ++lane) lanes[lane] = weight[lane * task.kernel + j];
        out[j] = load(lanes);
    }
}

/// The columns [column, column + width) of all rows. Kernel 0: any length.
template <int Kernel>
void convolve_columns(const ConvolveTask& task, int64_t column, int width) {
    constexpr int kMost = Kernel != 0 ? Kernel : kMaxConvolution;
    const int kernel = Kernel != 0 ? Kernel : task.kernel;
    // inputs[kernel - 1] is the row's own, the others those before it.
    F32x16 weights[kMost], inputs[kMost];
    load_convolution<Kernel>(task, column, width, weights);
    float* const state = task.state + column;
    for (int j = 0; j + 1 < kernel; ++j) inputs[j] = load_partial(state + j * task.n_columns, width);
    const F32x16 bias = task.bias ? load_partial(task.bias + column, width) : zero();
    for (int64_t r = 0; r < task.n_rows; ++r) {
        inputs[kernel - 1] = load_partial(task.x + r * task.x_stride + column, width);
        F32x16 sum = bias;
        for (int j = 0; j < kernel; ++j) sum = fma(weights[j], inputs[j], sum);
        store_partial(task.out + r * task.out_stride + column, task.silu ? silu(sum) : sum, width);
        for (int j = 0; j + 1 < kernel; ++j) inputs[j] = inputs[j + 1];
    }
    for (int j = 0; j + 1 < kernel; ++j) store_partial(state + j * task.n_columns, inputs[j], width);
}

inline void convolve(const ConvolveTask& task) {
    const auto columns = task.kernel == 4 ? convolve_columns<4> : convolve_columns<0>;
    for (int64_t column = task.begin; column < task.end; column += 16)
        columns(task, column, task.end - column < 16 ? static_cast<int>(task.end - column) : 16);
}

}  // namespace
}  // namespace agave::cpu
