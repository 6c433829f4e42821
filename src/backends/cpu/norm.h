#pragma once

#include <cstdint>

#include "backends/cpu/simd/simd.h"

namespace agave::cpu {
namespace {

/// Root mean square norm (Zhang & Sennrich 2019, arXiv:1910.07467). The squares are summed in 64 lanes, the
/// lanes in a fixed tree, so that the order depends on n alone.
inline void rms_norm(const float* x, const float* weight, float eps, int64_t n, float* out) {
    F32x16 sums[4] = {zero(), zero(), zero(), zero()};
    int64_t i = 0;
    for (; i + 64 <= n; i += 64) {
        for (int v = 0; v < 4; ++v) {
            const F32x16 value = load(x + i + 16 * v);
            sums[v] = fma(value, value, sums[v]);
        }
    }
    for (; i < n; i += 16) {
        const F32x16 value = n - i >= 16 ? load(x + i) : load_partial(x + i, static_cast<int>(n - i));
        sums[0] = fma(value, value, sums[0]);
    }
    const float total = reduce_add((sums[0] + sums[1]) + (sums[2] + sums[3]));
    const F32x16 scale = splat(1.0f / __builtin_sqrtf(total / static_cast<float>(n) + eps));
    for (i = 0; i + 16 <= n; i += 16) {
        const F32x16 value = load(x + i) * scale;
        store(out + i, weight ? value * load(weight + i) : value);
    }
    if (i < n) {
        const int left = static_cast<int>(n - i);
        const F32x16 value = load_partial(x + i, left) * scale;
        store_partial(out + i, weight ? value * load_partial(weight + i, left) : value, left);
    }
}

}  // namespace
}  // namespace agave::cpu
