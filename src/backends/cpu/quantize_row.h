#pragma once

#include "backends/cpu/activation_row.h"
#include "backends/cpu/simd/simd.h"

namespace agave::cpu {
namespace {

/// Factor and scale for numbers up to `highest`: x * factor lies in -127..127 and x is about int8 * scale.
struct Int8Scale {
    float factor;
    float scale;
};
inline Int8Scale int8_scale(float highest) {
    // Below the first bound 127 / highest would overflow; such a block is zero.
    if (!(highest > 1e-35f)) return {0.0f, 0.0f};
    return {127.0f / highest, highest / 127.0f};
}

inline float highest_magnitude(const float* x, int64_t n) {
    F32x16 high = zero();
    for (int64_t i = 0; i < n; i += 16) high = max(high, abs(load(x + i)));
    return reduce_max(high);
}

/// Quantises 16 numbers; returns the sum of the int8.
inline int32_t quantize_16(const float* x, float factor, int8_t* out) {
    const I32x16 q = to_i32(max(min(load(x) * splat(factor), splat(127.0f)), splat(-127.0f)));
    store_i8(out, q);
    return reduce_add_i32(q);
}

/// The scales of up to 16 blocks of 32, one block a lane. Of the grids whose end is 127, 126 and 125 steps
/// away, each block takes the one that leaves the least square error with the best scale for it (the
/// projection of x on q): the root of the mean square error is 0.925 of that of highest / 127 on normally
/// distributed numbers.
struct Block32Scales {
    float inverse[16];  ///< q is x * inverse * steps, rounded
    float steps[16];
    float scale[16];
    float sum[16];  ///< of the q
};
[[gnu::noinline]] inline void fit_block32_scales(const float* x, Block32Scales& out) {
    F32x16 columns[32];  // number i of each block
    F32x16 high = zero();
    for (int i = 0; i < 32; i += 4) {
        Bytes64 t[4];
        transpose_rows(as_bytes_pointer(x + i), 32 * sizeof(float), t);
        for (int c = 0; c < 4; ++c) {
            columns[i + c] = f32_of_bits(as_i32(t[c]));
            high = max(high, abs(columns[i + c]));
        }
    }
    // Below the bound 127 / high would overflow; such a block is zero.
    const Mask16 usable = less(splat(1e-35f), high);
    const F32x16 safe = select(usable, high, splat(1.0f));
    const F32x16 inverse = splat(1.0f) / safe;
    for (F32x16& column : columns) column = column * inverse;  // within -1..1, so that no square overflows
    F32x16 best = zero(), best_steps = zero(), scale = zero(), sum = zero();
    for (int end = 127; end >= 125; --end) {
        const F32x16 steps = splat(static_cast<float>(end));
        F32x16 xq = zero(), qq = splat(1e-30f), total = zero();
        for (const F32x16& column : columns) {
            const F32x16 q = to_f32(to_i32(column * steps));
            xq = fma(column, q, xq);
            qq = fma(q, q, qq);
            total = total + q;
        }
        const F32x16 gain = xq * xq / qq;
        const Mask16 better = less(best, gain);
        best = select(better, gain, best);
        best_steps = select(better, steps, best_steps);
        sum = select(better, total, sum);
        scale = select(better, safe * (xq / qq), scale);
    }
    store(out.inverse, select(usable, inverse, zero()));
    store(out.steps, best_steps);
    store(out.scale, select(usable, scale, zero()));
    store(out.sum, select(usable, sum, zero()));
}

inline void quantize_block32(const float* x, int64_t k, std::byte* out) {
    const Block32Row<std::byte> row{out, k};
    const int64_t n_blocks = k / 32;
    for (int64_t first = 0; first < n_blocks; first += 16) {
        const int64_t n = n_blocks - first < 16 ? n_blocks - first : 16;
        Block32Scales scales;
        if (n == 16) {
            fit_block32_scales(x + first * 32, scales);
        } else {
            float padded[16 * 32] = {};
            std::memcpy(padded, x + first * 32, static_cast<size_t>(n) * 32 * sizeof(float));
            fit_block32_scales(padded, scales);
        }
        for (int64_t b = first; b < first + n; ++b) {
            const F32x16 inverse = splat(scales.inverse[b - first]), steps = splat(scales.steps[b - first]);
            for (int64_t i = b * 32; i < b * 32 + 32; i += 16)
                store_i8(row.quants() + i, to_i32(load(x + i) * inverse * steps));
            const float scale = scales.scale[b - first], sum = scales.sum[b - first];
            row.scales()[b] = scale;
            row.sums()[b] = static_cast<int32_t>(sum);
            row.scaled_sums()[b] = scale * sum;
        }
    }
}

inline void quantize_block256(const float* x, int64_t k, std::byte* out) {
    const Block256Row<std::byte> row{out, k};
    for (int64_t b = 0; b < k / 256; ++b) {
        const Int8Scale s = int8_scale(highest_magnitude(x + b * 256, 256));
        row.scales()[b] = s.scale;
        for (int64_t i = b * 16; i < b * 16 + 16; i += 2) {
            const int32_t first = quantize_16(x + i * 16, s.factor, row.quants() + i * 16);
            const int32_t second = quantize_16(x + i * 16 + 16, s.factor, row.quants() + i * 16 + 16);
            row.sums16()[i] = static_cast<int16_t>(first);
            row.sums16()[i + 1] = static_cast<int16_t>(second);
            row.sums32()[i / 2] = static_cast<int16_t>(first + second);
        }
    }
}

inline void quantize_bfloat16(const float* x, int64_t k, std::byte* out) {
    uint16_t* bits = typed<uint16_t>(out);
    int64_t i = 0;
    for (; i + 16 <= k; i += 16) store_bfloat16(bits + i, load(x + i));
    const int rest = static_cast<int>(k - i);
    if (rest > 0) store_bfloat16_partial(bits + i, load_partial(x + i, rest), rest);
}

inline void quantize_row(Activation activation, const float* x, int64_t k, std::byte* out) {
    switch (activation) {
        case Activation::float32:
            std::memcpy(out, x, static_cast<size_t>(k) * sizeof(float));
            return;
        case Activation::bfloat16:
            return quantize_bfloat16(x, k, out);
        case Activation::int8_block32:
            return quantize_block32(x, k, out);
        case Activation::int8_block256:
            return quantize_block256(x, k, out);
    }
}

}  // namespace
}  // namespace agave::cpu
