#pragma once

#include <arm_neon.h>

namespace agave::cpu {
namespace {

// Lanes 4 i .. 4 i + 3 are in v[i].
struct F32x16 {
    float32x4_t v[4];
};
struct I32x16 {
    int32x4_t v[4];
};
struct Bytes64 {
    uint8x16_t v[4];
};
struct Mask16 {
    uint32x4_t v[4];
};

template <typename Function>
inline F32x16 each_f32(Function function) {
    return {{function(0), function(1), function(2), function(3)}};
}
template <typename Function>
inline I32x16 each_i32(Function function) {
    return {{function(0), function(1), function(2), function(3)}};
}
template <typename Function>
inline Bytes64 each_bytes(Function function) {
    return {{function(0), function(1), function(2), function(3)}};
}

/// Vectors that an inner loop keeps sums in: 24 of 32 registers.
constexpr int kAccumulatorVectors = 6;

inline F32x16 splat(float x) {
    return each_f32([&](int) { return vdupq_n_f32(x); });
}
inline F32x16 zero() {
    return splat(0.0f);
}
inline F32x16 operator+(F32x16 a, F32x16 b) {
    return each_f32([&](int i) { return vaddq_f32(a.v[i], b.v[i]); });
}
inline F32x16 operator-(F32x16 a, F32x16 b) {
    return each_f32([&](int i) { return vsubq_f32(a.v[i], b.v[i]); });
}
inline F32x16 operator*(F32x16 a, F32x16 b) {
    return each_f32([&](int i) { return vmulq_f32(a.v[i], b.v[i]); });
}
inline F32x16 operator/(F32x16 a, F32x16 b) {
    return each_f32([&](int i) { return vdivq_f32(a.v[i], b.v[i]); });
}
inline F32x16 fma(F32x16 a, F32x16 b, F32x16 c) {
    return each_f32([&](int i) { return vfmaq_f32(c.v[i], a.v[i], b.v[i]); });
}
inline F32x16 min(F32x16 a, F32x16 b) {
    return each_f32([&](int i) { return vminq_f32(a.v[i], b.v[i]); });
}
inline F32x16 max(F32x16 a, F32x16 b) {
    return each_f32([&](int i) { return vmaxq_f32(a.v[i], b.v[i]); });
}
inline F32x16 abs(F32x16 a) {
    return each_f32([&](int i) { return vabsq_f32(a.v[i]); });
}
inline F32x16 sqrt(F32x16 a) {
    return each_f32([&](int i) { return vsqrtq_f32(a.v[i]); });
}
inline Mask16 less(F32x16 a, F32x16 b) {
    return {{vcltq_f32(a.v[0], b.v[0]), vcltq_f32(a.v[1], b.v[1]), vcltq_f32(a.v[2], b.v[2]),
             vcltq_f32(a.v[3], b.v[3])}};
}
inline Mask16 lanes_below(int n) {
    const int32x4_t lane = {0, 1, 2, 3};
    return {{vcltq_s32(lane, vdupq_n_s32(n)), vcltq_s32(lane, vdupq_n_s32(n - 4)),
             vcltq_s32(lane, vdupq_n_s32(n - 8)), vcltq_s32(lane, vdupq_n_s32(n - 12))}};
}
inline F32x16 select(Mask16 m, F32x16 a, F32x16 b) {
    return each_f32([&](int i) { return vbslq_f32(m.v[i], a.v[i], b.v[i]); });
}
inline float reduce_add(F32x16 a) {
    const float32x4_t quarter = vaddq_f32(vaddq_f32(a.v[0], a.v[2]), vaddq_f32(a.v[1], a.v[3]));
    const float32x2_t pair = vadd_f32(vget_low_f32(quarter), vget_high_f32(quarter));
    return vget_lane_f32(pair, 0) + vget_lane_f32(pair, 1);
}
inline float reduce_max(F32x16 a) {
    return vmaxvq_f32(vmaxq_f32(vmaxq_f32(a.v[0], a.v[1]), vmaxq_f32(a.v[2], a.v[3])));
}

inline F32x16 load(const float* p) {
    return each_f32([&](int i) { return vld1q_f32(p + 4 * i); });
}
inline void store(float* p, F32x16 a) {
    for (int i = 0; i < 4; ++i) vst1q_f32(p + 4 * i, a.v[i]);
}
inline F32x16 load_partial(const float* p, int n) {
    float x[16] = {};
    std::memcpy(x, p, static_cast<size_t>(n) * 4);
    return load(x);
}
inline void store_partial(float* p, F32x16 a, int n) {
    float x[16];
    store(x, a);
    std::memcpy(p, x, static_cast<size_t>(n) * 4);
}

inline F32x16 load_half(const uint16_t* p) {
    return each_f32([&](int i) { return vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(p + 4 * i))); });
}
inline F32x16 load_bfloat16(const uint16_t* p) {
    return each_f32([&](int i) { return vreinterpretq_f32_u32(vshll_n_u16(vld1_u16(p + 4 * i), 16)); });
}
inline F32x16 load_half_partial(const uint16_t* p, int n) {
    uint16_t x[16] = {};
    std::memcpy(x, p, static_cast<size_t>(n) * 2);
    return load_half(x);
}
inline F32x16 load_bfloat16_partial(const uint16_t* p, int n) {
    uint16_t x[16] = {};
    std::memcpy(x, p, static_cast<size_t>(n) * 2);
    return load_bfloat16(x);
}
inline void store_half(uint16_t* p, F32x16 a) {
    for (int i = 0; i < 4; ++i) vst1_u16(p + 4 * i, vreinterpret_u16_f16(vcvt_f16_f32(a.v[i])));
}
inline void store_bfloat16(uint16_t* p, F32x16 a) {
    for (int i = 0; i < 4; ++i) {
        const uint32x4_t bits = vreinterpretq_u32_f32(a.v[i]);
        const uint32x4_t odd = vandq_u32(vshrq_n_u32(bits, 16), vdupq_n_u32(1));
        const uint32x4_t rounded = vaddq_u32(vaddq_u32(bits, vdupq_n_u32(0x7FFF)), odd);
        const uint32x4_t quiet = vorrq_u32(bits, vdupq_n_u32(0x400000));
        const uint32x4_t number = vceqq_f32(a.v[i], a.v[i]);
        vst1_u16(p + 4 * i, vshrn_n_u32(vbslq_u32(number, rounded, quiet), 16));
    }
}
inline void store_half_partial(uint16_t* p, F32x16 a, int n) {
    uint16_t x[16];
    store_half(x, a);
    std::memcpy(p, x, static_cast<size_t>(n) * 2);
}
inline void store_bfloat16_partial(uint16_t* p, F32x16 a, int n) {
    uint16_t x[16];
    store_bfloat16(x, a);
    std::memcpy(p, x, static_cast<size_t>(n) * 2);
}

inline F32x16 even_lanes(F32x16 a, F32x16 b) {
    return {{vuzp1q_f32(a.v[0], a.v[1]), vuzp1q_f32(a.v[2], a.v[3]), vuzp1q_f32(b.v[0], b.v[1]),
             vuzp1q_f32(b.v[2], b.v[3])}};
}
inline F32x16 odd_lanes(F32x16 a, F32x16 b) {
    return {{vuzp2q_f32(a.v[0], a.v[1]), vuzp2q_f32(a.v[2], a.v[3]), vuzp2q_f32(b.v[0], b.v[1]),
             vuzp2q_f32(b.v[2], b.v[3])}};
}
inline F32x16 zip_low(F32x16 e, F32x16 o) {
    return {{vzip1q_f32(e.v[0], o.v[0]), vzip2q_f32(e.v[0], o.v[0]), vzip1q_f32(e.v[1], o.v[1]),
             vzip2q_f32(e.v[1], o.v[1])}};
}
inline F32x16 zip_high(F32x16 e, F32x16 o) {
    return {{vzip1q_f32(e.v[2], o.v[2]), vzip2q_f32(e.v[2], o.v[2]), vzip1q_f32(e.v[3], o.v[3]),
             vzip2q_f32(e.v[3], o.v[3])}};
}

inline I32x16 splat_i32(int32_t x) {
    return each_i32([&](int) { return vdupq_n_s32(x); });
}
inline I32x16 zero_i32() {
    return splat_i32(0);
}
inline I32x16 operator+(I32x16 a, I32x16 b) {
    return each_i32([&](int i) { return vaddq_s32(a.v[i], b.v[i]); });
}
inline I32x16 operator-(I32x16 a, I32x16 b) {
    return each_i32([&](int i) { return vsubq_s32(a.v[i], b.v[i]); });
}
inline I32x16 operator*(I32x16 a, I32x16 b) {
    return each_i32([&](int i) { return vmulq_s32(a.v[i], b.v[i]); });
}
inline I32x16 operator&(I32x16 a, I32x16 b) {
    return each_i32([&](int i) { return vandq_s32(a.v[i], b.v[i]); });
}
inline I32x16 operator|(I32x16 a, I32x16 b) {
    return each_i32([&](int i) { return vorrq_s32(a.v[i], b.v[i]); });
}
template <int N>
inline I32x16 shift_left(I32x16 a) {
    return each_i32([&](int i) { return vshlq_n_s32(a.v[i], N); });
}
template <int N>
inline I32x16 shift_right(I32x16 a) {
    // The instruction has no shift by 0.
    if constexpr (N == 0)
        return a;
    else
        return each_i32(
            [&](int i) { return vreinterpretq_s32_u32(vshrq_n_u32(vreinterpretq_u32_s32(a.v[i]), N)); });
}
template <int N>
inline I32x16 shift_right_signed(I32x16 a) {
    return each_i32([&](int i) { return vshrq_n_s32(a.v[i], N); });
}
inline I32x16 load_i32(const int32_t* p) {
    return each_i32([&](int i) { return vld1q_s32(p + 4 * i); });
}
inline void store_i32(int32_t* p, I32x16 a) {
    for (int i = 0; i < 4; ++i) vst1q_s32(p + 4 * i, a.v[i]);
}
inline F32x16 to_f32(I32x16 a) {
    return each_f32([&](int i) { return vcvtq_f32_s32(a.v[i]); });
}
inline I32x16 to_i32(F32x16 a) {
    return each_i32([&](int i) { return vcvtnq_s32_f32(a.v[i]); });
}
inline I32x16 bits_of(F32x16 a) {
    return each_i32([&](int i) { return vreinterpretq_s32_f32(a.v[i]); });
}
inline F32x16 f32_of_bits(I32x16 a) {
    return each_f32([&](int i) { return vreinterpretq_f32_s32(a.v[i]); });
}
inline F32x16 half_bits_to_f32(I32x16 a) {
    return each_f32(
        [&](int i) { return vcvt_f32_f16(vreinterpret_f16_u16(vmovn_u32(vreinterpretq_u32_s32(a.v[i])))); });
}

inline const uint8_t* byte_pointer(const void* p) {
    return static_cast<const uint8_t*>(p);
}
inline Bytes64 load_bytes(const void* p) {
    return each_bytes([&](int i) { return vld1q_u8(byte_pointer(p) + 16 * i); });
}
inline void store_bytes(void* p, Bytes64 a) {
    for (int i = 0; i < 4; ++i) vst1q_u8(static_cast<uint8_t*>(p) + 16 * i, a.v[i]);
}
inline Bytes64 splat_byte(uint8_t x) {
    return each_bytes([&](int) { return vdupq_n_u8(x); });
}
inline Bytes64 splat_dword(const void* p) {
    uint32_t x;
    std::memcpy(&x, p, sizeof x);
    return each_bytes([&](int) { return vreinterpretq_u8_u32(vdupq_n_u32(x)); });
}
inline Bytes64 operator&(Bytes64 a, Bytes64 b) {
    return each_bytes([&](int i) { return vandq_u8(a.v[i], b.v[i]); });
}
inline Bytes64 operator|(Bytes64 a, Bytes64 b) {
    return each_bytes([&](int i) { return vorrq_u8(a.v[i], b.v[i]); });
}
inline Bytes64 operator^(Bytes64 a, Bytes64 b) {
    return each_bytes([&](int i) { return veorq_u8(a.v[i], b.v[i]); });
}
inline Bytes64 add_bytes(Bytes64 a, Bytes64 b) {
    return each_bytes([&](int i) { return vaddq_u8(a.v[i], b.v[i]); });
}
template <int N>
inline Bytes64 shift_right_bytes(Bytes64 a) {
    return each_bytes([&](int i) { return vshrq_n_u8(a.v[i], N); });
}
inline Bytes64 low_nibbles(Bytes64 a) {
    return a & splat_byte(15);
}
inline Bytes64 high_nibbles(Bytes64 a) {
    return shift_right_bytes<4>(a);
}
inline I32x16 as_i32(Bytes64 a) {
    return each_i32([&](int i) { return vreinterpretq_s32_u8(a.v[i]); });
}
inline Bytes64 as_bytes(I32x16 a) {
    return each_bytes([&](int i) { return vreinterpretq_u8_s32(a.v[i]); });
}
inline Bytes64 lookup16(const uint8_t table[16], Bytes64 indices) {
    const uint8x16_t t = vld1q_u8(table);
    return each_bytes([&](int i) { return vqtbl1q_u8(t, indices.v[i]); });
}
inline void transpose_rows(const std::byte* p, size_t stride, Bytes64 out[4]) {
    for (size_t group = 0; group < 4; ++group) {
        uint32x4_t row[4];
        for (size_t r = 0; r < 4; ++r)
            row[r] = vreinterpretq_u32_u8(vld1q_u8(byte_pointer(p + (4 * group + r) * stride)));
        const uint32x4_t ab_even = vtrn1q_u32(row[0], row[1]), ab_odd = vtrn2q_u32(row[0], row[1]);
        const uint32x4_t cd_even = vtrn1q_u32(row[2], row[3]), cd_odd = vtrn2q_u32(row[2], row[3]);
        const auto low = [](uint32x4_t a, uint32x4_t b) {
            return vreinterpretq_u8_u64(vtrn1q_u64(vreinterpretq_u64_u32(a), vreinterpretq_u64_u32(b)));
        };
        const auto high = [](uint32x4_t a, uint32x4_t b) {
            return vreinterpretq_u8_u64(vtrn2q_u64(vreinterpretq_u64_u32(a), vreinterpretq_u64_u32(b)));
        };
        out[0].v[group] = low(ab_even, cd_even);
        out[1].v[group] = low(ab_odd, cd_odd);
        out[2].v[group] = high(ab_even, cd_even);
        out[3].v[group] = high(ab_odd, cd_odd);
    }
}
inline I32x16 gather_u16(const std::byte* p, size_t stride) {
    int32_t x[16] = {};
    for (size_t r = 0; r < 16; ++r) std::memcpy(&x[r], p + r * stride, 2);
    return load_i32(x);
}

inline I32x16 gather_u32(const std::byte* p, size_t stride) {
    int32_t x[16];
    for (size_t r = 0; r < 16; ++r) std::memcpy(&x[r], p + r * stride, 4);
    return load_i32(x);
}
template <int I, int kTo>
inline Bytes64 bits_to_bytes(I32x16 bits) {
    // Each byte of a lane takes a copy of the byte that holds its bit, and is tested for that bit.
    constexpr uint8_t b = I / 2;
    const uint8x16_t copies = {b,     b,     b,     b,     b + 4,  b + 4,  b + 4,  b + 4,
                               b + 8, b + 8, b + 8, b + 8, b + 12, b + 12, b + 12, b + 12};
    const uint8x16_t bit = vreinterpretq_u8_u32(vdupq_n_u32(I % 2 ? 0x80402010u : 0x08040201u));
    return each_bytes([&](int i) {
        const uint8x16_t copied = vqtbl1q_u8(vreinterpretq_u8_s32(bits.v[i]), copies);
        return vandq_u8(vtstq_u8(copied, bit), vdupq_n_u8(1 << kTo));
    });
}
inline int32_t reduce_add_i32(I32x16 a) {
    return vaddvq_s32(vaddq_s32(vaddq_s32(a.v[0], a.v[1]), vaddq_s32(a.v[2], a.v[3])));
}
inline void store_i8(int8_t* p, I32x16 a) {
    const int16x8_t low = vcombine_s16(vmovn_s32(a.v[0]), vmovn_s32(a.v[1]));
    const int16x8_t high = vcombine_s16(vmovn_s32(a.v[2]), vmovn_s32(a.v[3]));
    vst1q_s8(p, vcombine_s8(vmovn_s16(low), vmovn_s16(high)));
}
inline I32x16 dot_i16(I32x16 acc, Bytes64 a, Bytes64 b) {
    return each_i32([&](int i) {
        const int16x8_t x = vreinterpretq_s16_u8(a.v[i]), y = vreinterpretq_s16_u8(b.v[i]);
        const int32x4_t low = vmull_s16(vget_low_s16(x), vget_low_s16(y));
        return vaddq_s32(acc.v[i], vpaddq_s32(low, vmull_high_s16(x, y)));
    });
}

/// Rows of activations that a register block of matmul holds.
constexpr int kTileRows = 4;
/// The largest block of weights that one row of activations takes straight from the unpacker: faster, and
/// more code.
constexpr int kFusedGemvBlock = 256;

inline int32x4_t dot_s8(int32x4_t acc, int8x16_t a, int8x16_t b) {
#if defined(__ARM_FEATURE_DOTPROD)
    return vdotq_s32(acc, a, b);
#else
    // Two products of at most 128 * 127 fit 16 bits; pairwise additions keep each lane's four bytes together.
    const int16x8_t low = vmull_s8(vget_low_s8(a), vget_low_s8(b));
    const int16x8_t high = vmull_high_s8(a, b);
    return vaddq_s32(acc, vpaddq_s32(vpaddlq_s16(low), vpaddlq_s16(high)));
#endif
}
constexpr int kSignedOffset = 0;
inline Bytes64 signed_operand(Bytes64 a) {
    return a;
}
inline I32x16 dot_s8(I32x16 acc, Bytes64 a, Bytes64 b) {
    return each_i32(
        [&](int i) { return dot_s8(acc.v[i], vreinterpretq_s8_u8(a.v[i]), vreinterpretq_s8_u8(b.v[i])); });
}
inline I32x16 dot_u7(I32x16 acc, Bytes64 a, Bytes64 b) {
    return dot_s8(acc, a, b);
}

}  // namespace
}  // namespace agave::cpu
