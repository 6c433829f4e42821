#pragma once

#include <cstdint>

#include "backends/cpu/simd/simd.h"

/// Exponentials and the activations made of them. Compiled once for each level.
namespace agave::cpu {
namespace {

/// x * 2^power, where neither is subnormal.
inline F32x16 times_power_of_two(F32x16 x, I32x16 power) {
    return f32_of_bits(bits_of(x) + shift_left<23>(power));
}

/// 2^x within 1 ulp for x in [-125, 127]; clamped outside, so that -infinity gives about 2e-38.
/// The polynomials here are minimax fits (Lawson's iteration) for the relative error, made for this file.
inline F32x16 exp2(F32x16 x) {
    x = min(max(x, splat(-125.0f)), splat(127.0f));
    const I32x16 whole = to_i32(x);
    const F32x16 f = x - to_f32(whole);
    F32x16 p = splat(0x1.41fbbcp-13f);
    p = fma(p, f, splat(0x1.5f3e52p-10f));
    p = fma(p, f, splat(0x1.3b2d4cp-7f));
    p = fma(p, f, splat(0x1.c6aee8p-5f));
    p = fma(p, f, splat(0x1.ebfbdcp-3f));
    p = fma(p, f, splat(0x1.62e430p-1f));
    p = fma(p, f, splat(1.0f));
    return times_power_of_two(p, whole);
}

/// e^x within 2 ulp for x in [-87, 88]; clamped outside.
inline F32x16 exp(F32x16 x) {
    x = min(max(x, splat(-87.0f)), splat(88.0f));
    const I32x16 power = to_i32(x * splat(1.44269504088896341f));
    const F32x16 whole = to_f32(power);
    // ln(2) in two parts; the first has so few bits that its product with `whole` is exact.
    F32x16 f = fma(whole, splat(-0x1.62e4p-1f), x);
    f = fma(whole, splat(-0x1.7f7d1cp-20f), f);
    F32x16 p = splat(0x1.6a2448p-10f);
    p = fma(p, f, splat(0x1.1239d6p-7f));
    p = fma(p, f, splat(0x1.5558f2p-5f));
    p = fma(p, f, splat(0x1.555492p-3f));
    p = fma(p, f, splat(0x1.fffffcp-2f));
    p = fma(p, f * f, f) + splat(1.0f);
    return times_power_of_two(p, power);
}

/// tanh(x) within 3 ulp: a polynomial near 0, where 1 - 2 / (e^2x + 1) cancels.
inline F32x16 tanh(F32x16 x) {
    const F32x16 square = x * x;
    F32x16 p = splat(-0x1.75e1cep-8f);
    p = fma(p, square, splat(0x1.52269cp-6f));
    p = fma(p, square, splat(-0x1.b83c5ap-5f));
    p = fma(p, square, splat(0x1.110726p-3f));
    p = fma(p, square, splat(-0x1.555532p-2f));
    const F32x16 near_zero = fma(p * square, x, x);
    const F32x16 one = splat(1.0f);
    const F32x16 far = one - splat(2.0f) / (exp(x + x) + one);
    return select(less(abs(x), splat(0.625f)), near_zero, far);
}

/// x / (1 + e^-x).
inline F32x16 silu(F32x16 x) {
    return x / (splat(1.0f) + exp(zero() - x));
}

/// 0.5 x (1 + tanh(y)) = x / (1 + e^-2y) with y = sqrt(2 / pi) (x + 0.044715 x^3) (Hendrycks & Gimpel 2016,
/// arXiv:1606.08415).
inline F32x16 gelu(F32x16 x) {
    const float minus_two_c = -1.59576912160573071f;
    const F32x16 y = fma(x * x * x, splat(minus_two_c * 0.044715f), x * splat(minus_two_c));
    return x / (splat(1.0f) + exp(y));
}

/// Calls f(vector of x[i], vector of y[i]) -> vector for out[i], the last vector padded with zeros.
template <typename F>
void for_each_vector(const float* x, const float* y, int64_t n, float* out, F f) {
    int64_t i = 0;
    for (; i + 16 <= n; i += 16) store(out + i, f(load(x + i), load(y + i)));
    if (i < n) {
        const int left = static_cast<int>(n - i);
        store_partial(out + i, f(load_partial(x + i, left), load_partial(y + i, left)), left);
    }
}

inline void silu_gate(const float* gate, const float* up, int64_t n, float* out) {
    for_each_vector(gate, up, n, out, [](F32x16 g, F32x16 u) { return silu(g) * u; });
}

inline void gelu_gate(const float* gate, const float* up, int64_t n, float* out) {
    for_each_vector(gate, up, n, out, [](F32x16 g, F32x16 u) { return gelu(g) * u; });
}

inline void clamped_gate(const float* gate, const float* up, int64_t n, float* out) {
    const F32x16 one = splat(1.0f), limit = splat(7.0f);
    for_each_vector(gate, up, n, out, [&](F32x16 g, F32x16 u) {
        g = min(g, limit);
        u = max(min(u, limit), zero() - limit);
        return g / (one + exp(g * splat(-1.702f))) * (u + one);
    });
}

inline void squared_relu(float* x, int64_t n) {
    for_each_vector(x, x, n, x, [](F32x16 value, F32x16) {
        value = max(value, zero());
        return value * value;
    });
}

inline void sigmoid_gate(const float* gate, const float* up, int64_t n, float* out) {
    for_each_vector(gate, up, n, out, [](F32x16 g, F32x16 u) { return u / (splat(1.0f) + exp(zero() - g)); });
}

inline void softcap(float* x, int64_t n, float cap) {
    const F32x16 factor = splat(cap);
    for_each_vector(x, x, n, x, [&](F32x16 value, F32x16) { return factor * tanh(value / factor); });
}

inline void scale(float* x, int64_t n, float factor) {
    for_each_vector(x, x, n, x, [&](F32x16 value, F32x16) { return value * splat(factor); });
}

inline void add(const float* x, int64_t n, float* out) {
    for_each_vector(out, x, n, out, [](F32x16 a, F32x16 b) { return a + b; });
}

inline void add_scaled(const float* x, float scale, int64_t n, float* out) {
    for_each_vector(out, x, n, out, [&](F32x16 a, F32x16 b) { return fma(b, splat(scale), a); });
}

}  // namespace
}  // namespace agave::cpu
