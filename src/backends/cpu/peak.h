#pragma once

#include "backends/cpu/simd/simd.h"

namespace agave::cpu {
namespace {

// Loops that do nothing but what a limit counts, for limits.cpp. Each returns a number that depends on the
// whole loop, so that no compiler drops it.

/// Independent sums, enough to hide the latency of a multiply-add.
constexpr int kPeakSums = kSignedOffset != 0 ? 16 : 6;

/// steps * kPeakSums * 64 multiply-adds of bytes.
inline float spin_int8(int64_t steps) {
    const Bytes64 a = splat_byte(static_cast<uint8_t>(steps & 63)), b = splat_byte(1);
    I32x16 sums[kPeakSums];
    for (int i = 0; i < kPeakSums; ++i) sums[i] = splat_i32(i);
    for (int64_t s = 0; s < steps; ++s)
        for (int i = 0; i < kPeakSums; ++i) sums[i] = dot_u7(sums[i], a, b);
    for (int i = 1; i < kPeakSums; ++i) sums[0] = sums[0] + sums[i];
    return static_cast<float>(reduce_add_i32(sums[0]));
}

/// steps * kPeakSums * 16 multiply-adds of float32.
inline float spin_f32(int64_t steps) {
    const F32x16 a = splat(1.0f + static_cast<float>(steps & 63) * 1e-6f), b = splat(0.5f);
    F32x16 sums[kPeakSums];
    for (int i = 0; i < kPeakSums; ++i) sums[i] = splat(static_cast<float>(i));
    for (int64_t s = 0; s < steps; ++s)
        for (int i = 0; i < kPeakSums; ++i) sums[i] = fma(a, b, sums[i]);
    for (int i = 1; i < kPeakSums; ++i) sums[0] = sums[0] + sums[i];
    return reduce_add(sums[0]);
}

#if defined(__AVX512BF16__)
/// steps * kPeakSums * 32 multiply-adds of bfloat16.
inline float spin_bf16(int64_t steps) {
    const Bytes64 a = splat_byte(static_cast<uint8_t>(steps & 63)), b = splat_byte(0x3F);
    F32x16 sums[kPeakSums];
    for (int i = 0; i < kPeakSums; ++i) sums[i] = splat(static_cast<float>(i));
    for (int64_t s = 0; s < steps; ++s)
        for (int i = 0; i < kPeakSums; ++i) sums[i] = dot_bfloat16(sums[i], a, b);
    for (int i = 1; i < kPeakSums; ++i) sums[0] = sums[0] + sums[i];
    return reduce_add(sums[0]);
}
#endif

/// Reads n bytes (a multiple of 512) once, asking for them ahead as the matrix kernels do: that is faster
/// than loads alone.
inline float spin_read(const std::byte* p, size_t n) {
    constexpr size_t kAhead = 8192;
    Bytes64 sums[8];
    for (Bytes64& sum : sums) sum = splat_byte(0);
    for (size_t i = 0; i < n; i += 512)
        for (size_t j = 0; j < 8; ++j) {
            prefetch_far(p + i + j * 64 + kAhead);
            sums[j] = sums[j] ^ load_bytes(p + i + j * 64);
        }
    for (int j = 1; j < 8; ++j) sums[0] = sums[0] ^ sums[j];
    return static_cast<float>(reduce_add_i32(as_i32(sums[0])));
}

constexpr PeakLoops peak_loops() {
    PeakLoops loops{kPeakSums, spin_int8, nullptr, spin_f32, spin_read};
#if defined(__AVX512BF16__)
    loops.bf16 = spin_bf16;
#endif
    return loops;
}

}  // namespace
}  // namespace agave::cpu
