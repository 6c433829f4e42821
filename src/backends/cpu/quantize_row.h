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

inline void quantize_block32(const float* x, int64_t k, std::byte* out) {
    const Block32Row<std::byte> row{out, k};
    for (int64_t b = 0; b < k / 32; ++b) {
        const Int8Scale s = int8_scale(highest_magnitude(x + b * 32, 32));
        int32_t sum = 0;
        for (int64_t i = b * 32; i < b * 32 + 32; i += 16)
            sum += quantize_16(x + i, s.factor, row.quants() + i);
        row.scales()[b] = s.scale;
        row.sums()[b] = sum;
        row.scaled_sums()[b] = s.scale * static_cast<float>(sum);
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
