#pragma once

#include "backends/cpu/matmul_float.h"

namespace agave::cpu {
namespace {

/// Weights and activations in bfloat16: each lane adds the products of a pair at a time.
struct Bfloat16Pairs {
    using Element = uint16_t;
};
template <typename Format, int W, int A>
inline void multiply_floats(FloatRows<uint16_t> weights, FloatRows<uint16_t> activations, int64_t k,
                            bool accumulate, float* out, int64_t out_stride) {
    F32x16 sums[W][A];
    for (auto& row : sums)
        for (F32x16& sum : row) sum = zero();
    const auto add = [&](auto load_32) __attribute__((always_inline)) {
        Bytes64 x[A];
        for (int a = 0; a < A; ++a) x[a] = load_32(activations[a]);
        for (int w = 0; w < W; ++w) {
            const Bytes64 y = load_32(weights[w]);
            for (int a = 0; a < A; ++a) sums[w][a] = dot_bfloat16(sums[w][a], y, x[a]);
        }
    };
    int64_t i = 0;
    for (; i + 32 <= k; i += 32) add([&](const uint16_t* p) { return load_bytes(p + i); });
    if (const int rest = static_cast<int>(k - i); rest > 0)
        add([&](const uint16_t* p) { return load_u16_partial(p + i, rest); });
    for (int a = 0; a < A; ++a)
        for (int w = 0; w < W; ++w) {
            float& to = out[a * out_stride + w];
            to = accumulate ? to + reduce_add(sums[w][a]) : reduce_add(sums[w][a]);
        }
}

inline void matmul_bfloat16(const MatmulTask& task) {
    const size_t row_bytes = row_bytes_of(task.activation, task.weights.k);
    matmul_float_format<Bfloat16Pairs>(task, FloatRows<uint16_t>{task.activations, row_bytes});
}

}  // namespace
}  // namespace agave::cpu
