#pragma once

#include <cstdint>

#include "backends/cpu/simd/simd.h"

/// Products of small matrices of floats, tile by tile, for the recurrent layers. Compiled once for each
/// level.
namespace agave::cpu {
namespace {

/// Up to 16 of the `left` numbers at p; the lanes beyond are 0.
inline F32x16 load_lanes(const float* p, int64_t left) {
    return left >= 16 ? load(p) : load_partial(p, static_cast<int>(left));
}
inline void store_lanes(float* p, F32x16 a, int64_t left) {
    if (left >= 16)
        store(p, a);
    else
        store_partial(p, a, static_cast<int>(left));
}

/// sum[r][v] += sum over i < k, in order, of a[r * a_row + i * a_step] * b[i * b_stride + 16 v].
template <int Rows, int Vectors>
[[gnu::always_inline]] inline void multiply_tile(const float* a, int64_t a_row, int64_t a_step,
                                                 const float* b, int64_t b_stride, int64_t k,
                                                 F32x16 (&sum)[Rows][Vectors]) {
    for (int64_t i = 0; i < k; ++i, a += a_step, b += b_stride) {
        F32x16 right[Vectors];
        for (int v = 0; v < Vectors; ++v) right[v] = load(b + 16 * v);
        for (int r = 0; r < Rows; ++r) {
            const F32x16 left = splat(a[r * a_row]);
            for (int v = 0; v < Vectors; ++v) sum[r][v] = fma(left, right[v], sum[r][v]);
        }
    }
}

template <int Rows, int Vectors>
void clear(F32x16 (&sum)[Rows][Vectors]) {
    for (auto& row : sum)
        for (F32x16& value : row) value = zero();
}

}  // namespace
}  // namespace agave::cpu
