#pragma once

#include <cstdint>

#include "backends/cpu/simd/simd.h"

namespace agave::cpu {
namespace {

/// Rotary position embedding (Su et al. 2021, arXiv:2104.09864): turns each pair (a, b) by its angle,
/// (a cos - b sin, b cos + a sin).
inline void rotate_pair(float& a, float& b, float cosine, float sine) {
    const float first = a * cosine - b * sine;
    b = b * cosine + a * sine;
    a = first;
}

void rope_halves(float* x, int n_pairs, const float* cosines, const float* sines) {
    int i = 0;
    for (; i + 16 <= n_pairs; i += 16) {
        const F32x16 a = load(x + i), b = load(x + n_pairs + i);
        const F32x16 cosine = load(cosines + i), sine = load(sines + i);
        store(x + i, a * cosine - b * sine);
        store(x + n_pairs + i, b * cosine + a * sine);
    }
    for (; i < n_pairs; ++i) rotate_pair(x[i], x[n_pairs + i], cosines[i], sines[i]);
}

void rope_adjacent(float* x, int n_pairs, const float* cosines, const float* sines) {
    for (int i = 0; i < n_pairs; ++i) rotate_pair(x[2 * i], x[2 * i + 1], cosines[i], sines[i]);
}

void rope(float* x, int n_heads, int head_dim, int n_pairs, bool halves, const float* cosines,
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
