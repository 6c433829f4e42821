#pragma once

#include <cstdint>

#include "backends/cpu/simd/simd.h"

namespace agave::cpu {
namespace {

struct RotatedPair {
    F32x16 a;
    F32x16 b;
};

/// Rotary position embedding (Su et al. 2021, arXiv:2104.09864): turns pairs (a, b) by their angles.
inline RotatedPair rotate(F32x16 a, F32x16 b, F32x16 cosine, F32x16 sine) {
    return {a * cosine - b * sine, b * cosine + a * sine};
}

void rope_halves(float* x, int n_pairs, const float* cosines, const float* sines) {
    float* const second = x + n_pairs;
    int i = 0;
    for (; i + 16 <= n_pairs; i += 16) {
        const RotatedPair out = rotate(load(x + i), load(second + i), load(cosines + i), load(sines + i));
        store(x + i, out.a);
        store(second + i, out.b);
    }
    if (i == n_pairs) return;
    const int left = n_pairs - i;
    const RotatedPair out = rotate(load_partial(x + i, left), load_partial(second + i, left),
                                   load_partial(cosines + i, left), load_partial(sines + i, left));
    store_partial(x + i, out.a, left);
    store_partial(second + i, out.b, left);
}

void rope_adjacent(float* x, int n_pairs, const float* cosines, const float* sines) {
    for (int i = 0; i < n_pairs; i += 16) {
        const int pairs = n_pairs - i < 16 ? n_pairs - i : 16;
        const int low = pairs < 8 ? 2 * pairs : 16, high = 2 * pairs - low;
        float* const p = x + 2 * i;
        const F32x16 first = load_partial(p, low), second = load_partial(p + low, high);
        const RotatedPair out = rotate(even_lanes(first, second), odd_lanes(first, second),
                                       load_partial(cosines + i, pairs), load_partial(sines + i, pairs));
        store_partial(p, zip_low(out.a, out.b), low);
        store_partial(p + low, zip_high(out.a, out.b), high);
    }
}

inline void rope(float* x, int n_heads, int head_dim, int n_pairs, bool halves, const float* cosines,
                 const float* sines) {
    for (int head = 0; head < n_heads; ++head, x += head_dim) {
        if (halves) {
            rope_halves(x, n_pairs, cosines, sines);
        } else {
            rope_adjacent(x, n_pairs, cosines, sines);
        }
    }
}

}  // namespace
}  // namespace agave::cpu
