#pragma once

#include <immintrin.h>

namespace agave::cpu {
namespace {

// Lanes 0..7 are in `lo`, 8..15 in `hi`.
struct F32x16 {
    __m256 lo, hi;
};
struct I32x16 {
    __m256i lo, hi;
};
struct Bytes64 {
    __m256i lo, hi;
};
struct Mask16 {
    __m256 lo, hi;
};

/// Vectors that an inner loop keeps sums in: 12 of 16 registers.
constexpr int kAccumulatorVectors = 6;

inline F32x16 splat(float x) {
    return {_mm256_set1_ps(x), _mm256_set1_ps(x)};
}
inline F32x16 zero() {
    return {_mm256_setzero_ps(), _mm256_setzero_ps()};
}
inline F32x16 operator+(F32x16 a, F32x16 b) {
    return {_mm256_add_ps(a.lo, b.lo), _mm256_add_ps(a.hi, b.hi)};
}
inline F32x16 operator-(F32x16 a, F32x16 b) {
    return {_mm256_sub_ps(a.lo, b.lo), _mm256_sub_ps(a.hi, b.hi)};
}
inline F32x16 operator*(F32x16 a, F32x16 b) {
    return {_mm256_mul_ps(a.lo, b.lo), _mm256_mul_ps(a.hi, b.hi)};
}
inline F32x16 operator/(F32x16 a, F32x16 b) {
    return {_mm256_div_ps(a.lo, b.lo), _mm256_div_ps(a.hi, b.hi)};
}
inline F32x16 fma(F32x16 a, F32x16 b, F32x16 c) {
    return {_mm256_fmadd_ps(a.lo, b.lo, c.lo), _mm256_fmadd_ps(a.hi, b.hi, c.hi)};
}
inline F32x16 min(F32x16 a, F32x16 b) {
    return {_mm256_min_ps(a.lo, b.lo), _mm256_min_ps(a.hi, b.hi)};
}
inline F32x16 max(F32x16 a, F32x16 b) {
    return {_mm256_max_ps(a.lo, b.lo), _mm256_max_ps(a.hi, b.hi)};
}
inline F32x16 abs(F32x16 a) {
    const __m256 sign = _mm256_set1_ps(-0.0f);
    return {_mm256_andnot_ps(sign, a.lo), _mm256_andnot_ps(sign, a.hi)};
}
inline F32x16 sqrt(F32x16 a) {
    return {_mm256_sqrt_ps(a.lo), _mm256_sqrt_ps(a.hi)};
}
inline Mask16 less(F32x16 a, F32x16 b) {
    return {_mm256_cmp_ps(a.lo, b.lo, _CMP_LT_OQ), _mm256_cmp_ps(a.hi, b.hi, _CMP_LT_OQ)};
}
inline Mask16 lanes_below(int n) {
    const __m256i lane = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    return {_mm256_castsi256_ps(_mm256_cmpgt_epi32(_mm256_set1_epi32(n), lane)),
            _mm256_castsi256_ps(_mm256_cmpgt_epi32(_mm256_set1_epi32(n - 8), lane))};
}
inline F32x16 select(Mask16 m, F32x16 a, F32x16 b) {
    return {_mm256_blendv_ps(b.lo, a.lo, m.lo), _mm256_blendv_ps(b.hi, a.hi, m.hi)};
}

inline float reduce_add(F32x16 a) {
    const __m256 half = _mm256_add_ps(a.lo, a.hi);
    const __m128 quarter = _mm_add_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1));
    const __m128 pair = _mm_add_ps(quarter, _mm_movehl_ps(quarter, quarter));
    return _mm_cvtss_f32(_mm_add_ss(pair, _mm_movehdup_ps(pair)));
}
inline float reduce_max(F32x16 a) {
    const __m256 half = _mm256_max_ps(a.lo, a.hi);
    const __m128 quarter = _mm_max_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1));
    const __m128 pair = _mm_max_ps(quarter, _mm_movehl_ps(quarter, quarter));
    return _mm_cvtss_f32(_mm_max_ss(pair, _mm_movehdup_ps(pair)));
}

inline F32x16 load(const float* p) {
    return {_mm256_loadu_ps(p), _mm256_loadu_ps(p + 8)};
}
inline void store(float* p, F32x16 a) {
    _mm256_storeu_ps(p, a.lo);
    _mm256_storeu_ps(p + 8, a.hi);
}
inline F32x16 load_partial(const float* p, int n) {
    const Mask16 m = lanes_below(n);
    return {_mm256_maskload_ps(p, _mm256_castps_si256(m.lo)),
            _mm256_maskload_ps(n > 8 ? p + 8 : p, _mm256_castps_si256(m.hi))};
}
inline void store_partial(float* p, F32x16 a, int n) {
    const Mask16 m = lanes_below(n);
    _mm256_maskstore_ps(p, _mm256_castps_si256(m.lo), a.lo);
    if (n > 8) _mm256_maskstore_ps(p + 8, _mm256_castps_si256(m.hi), a.hi);
}

inline __m128i load_16_bytes(const void* p) {
    return _mm_loadu_si128(static_cast<const __m128i*>(p));
}
inline void store_16_bytes(void* p, __m128i x) {
    _mm_storeu_si128(static_cast<__m128i*>(p), x);
}

inline F32x16 load_half(const uint16_t* p) {
    return {_mm256_cvtph_ps(load_16_bytes(p)), _mm256_cvtph_ps(load_16_bytes(p + 8))};
}
inline __m256 widen_bfloat16(__m128i bits) {
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(bits), 16));
}
inline F32x16 load_bfloat16(const uint16_t* p) {
    return {widen_bfloat16(load_16_bytes(p)), widen_bfloat16(load_16_bytes(p + 8))};
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
    constexpr int kNearest = _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC;
    store_16_bytes(p, _mm256_cvtps_ph(a.lo, kNearest));
    store_16_bytes(p + 8, _mm256_cvtps_ph(a.hi, kNearest));
}
inline __m128i narrow_bfloat16(__m256 a) {
    const __m256i bits = _mm256_castps_si256(a);
    const __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
    const __m256i rounded = _mm256_add_epi32(_mm256_add_epi32(bits, _mm256_set1_epi32(0x7FFF)), odd);
    const __m256i quiet = _mm256_or_si256(bits, _mm256_set1_epi32(0x400000));
    const __m256 nan = _mm256_cmp_ps(a, a, _CMP_UNORD_Q);
    const __m256 chosen = _mm256_blendv_ps(_mm256_castsi256_ps(rounded), _mm256_castsi256_ps(quiet), nan);
    const __m256i high = _mm256_srli_epi32(_mm256_castps_si256(chosen), 16);
    return _mm_packus_epi32(_mm256_castsi256_si128(high), _mm256_extracti128_si256(high, 1));
}
inline void store_bfloat16(uint16_t* p, F32x16 a) {
    store_16_bytes(p, narrow_bfloat16(a.lo));
    store_16_bytes(p + 8, narrow_bfloat16(a.hi));
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

/// The 64-bit quarters of a vector in the order 0, 2, 1, 3.
inline __m256 swap_middle(__m256 a) {
    return _mm256_castpd_ps(_mm256_permute4x64_pd(_mm256_castps_pd(a), 0xD8));
}
inline F32x16 even_lanes(F32x16 a, F32x16 b) {
    return {swap_middle(_mm256_shuffle_ps(a.lo, a.hi, 0x88)),
            swap_middle(_mm256_shuffle_ps(b.lo, b.hi, 0x88))};
}
inline F32x16 odd_lanes(F32x16 a, F32x16 b) {
    return {swap_middle(_mm256_shuffle_ps(a.lo, a.hi, 0xDD)),
            swap_middle(_mm256_shuffle_ps(b.lo, b.hi, 0xDD))};
}
inline F32x16 zip(__m256 even, __m256 odd) {
    const __m256 low = _mm256_unpacklo_ps(even, odd), high = _mm256_unpackhi_ps(even, odd);
    return {_mm256_permute2f128_ps(low, high, 0x20), _mm256_permute2f128_ps(low, high, 0x31)};
}
inline F32x16 zip_low(F32x16 even, F32x16 odd) {
    return zip(even.lo, odd.lo);
}
inline F32x16 zip_high(F32x16 even, F32x16 odd) {
    return zip(even.hi, odd.hi);
}

inline I32x16 splat_i32(int32_t x) {
    return {_mm256_set1_epi32(x), _mm256_set1_epi32(x)};
}
inline I32x16 zero_i32() {
    return {_mm256_setzero_si256(), _mm256_setzero_si256()};
}
inline I32x16 operator+(I32x16 a, I32x16 b) {
    return {_mm256_add_epi32(a.lo, b.lo), _mm256_add_epi32(a.hi, b.hi)};
}
inline I32x16 operator-(I32x16 a, I32x16 b) {
    return {_mm256_sub_epi32(a.lo, b.lo), _mm256_sub_epi32(a.hi, b.hi)};
}
inline I32x16 operator*(I32x16 a, I32x16 b) {
    return {_mm256_mullo_epi32(a.lo, b.lo), _mm256_mullo_epi32(a.hi, b.hi)};
}
inline I32x16 operator&(I32x16 a, I32x16 b) {
    return {_mm256_and_si256(a.lo, b.lo), _mm256_and_si256(a.hi, b.hi)};
}
inline I32x16 operator|(I32x16 a, I32x16 b) {
    return {_mm256_or_si256(a.lo, b.lo), _mm256_or_si256(a.hi, b.hi)};
}
template <int N>
inline I32x16 shift_left(I32x16 a) {
    return {_mm256_slli_epi32(a.lo, N), _mm256_slli_epi32(a.hi, N)};
}
template <int N>
inline I32x16 shift_right(I32x16 a) {
    return {_mm256_srli_epi32(a.lo, N), _mm256_srli_epi32(a.hi, N)};
}
template <int N>
inline I32x16 shift_right_signed(I32x16 a) {
    return {_mm256_srai_epi32(a.lo, N), _mm256_srai_epi32(a.hi, N)};
}
inline __m256i load_32_bytes(const void* p) {
    return _mm256_loadu_si256(static_cast<const __m256i*>(p));
}
inline void store_32_bytes(void* p, __m256i x) {
    _mm256_storeu_si256(static_cast<__m256i*>(p), x);
}
inline I32x16 load_i32(const int32_t* p) {
    return {load_32_bytes(p), load_32_bytes(p + 8)};
}
inline void store_i32(int32_t* p, I32x16 a) {
    store_32_bytes(p, a.lo);
    store_32_bytes(p + 8, a.hi);
}
inline F32x16 to_f32(I32x16 a) {
    return {_mm256_cvtepi32_ps(a.lo), _mm256_cvtepi32_ps(a.hi)};
}
inline I32x16 to_i32(F32x16 a) {
    return {_mm256_cvtps_epi32(a.lo), _mm256_cvtps_epi32(a.hi)};
}
inline I32x16 bits_of(F32x16 a) {
    return {_mm256_castps_si256(a.lo), _mm256_castps_si256(a.hi)};
}
inline F32x16 f32_of_bits(I32x16 a) {
    return {_mm256_castsi256_ps(a.lo), _mm256_castsi256_ps(a.hi)};
}
inline __m256 half_bits_to_f32(__m256i bits) {
    const __m256i low = _mm256_and_si256(bits, _mm256_set1_epi32(0xFFFF));
    return _mm256_cvtph_ps(_mm_packus_epi32(_mm256_castsi256_si128(low), _mm256_extracti128_si256(low, 1)));
}
inline F32x16 half_bits_to_f32(I32x16 a) {
    return {half_bits_to_f32(a.lo), half_bits_to_f32(a.hi)};
}

inline Bytes64 load_bytes(const void* p) {
    return {load_32_bytes(p), load_32_bytes(static_cast<const std::byte*>(p) + 32)};
}
inline void store_bytes(void* p, Bytes64 a) {
    store_32_bytes(p, a.lo);
    store_32_bytes(static_cast<std::byte*>(p) + 32, a.hi);
}
inline Bytes64 splat_byte(uint8_t x) {
    return {_mm256_set1_epi8(static_cast<char>(x)), _mm256_set1_epi8(static_cast<char>(x))};
}
inline Bytes64 splat_dword(const void* p) {
    int32_t x;
    std::memcpy(&x, p, sizeof x);
    return {_mm256_set1_epi32(x), _mm256_set1_epi32(x)};
}
inline Bytes64 operator&(Bytes64 a, Bytes64 b) {
    return {_mm256_and_si256(a.lo, b.lo), _mm256_and_si256(a.hi, b.hi)};
}
inline Bytes64 operator|(Bytes64 a, Bytes64 b) {
    return {_mm256_or_si256(a.lo, b.lo), _mm256_or_si256(a.hi, b.hi)};
}
inline Bytes64 operator^(Bytes64 a, Bytes64 b) {
    return {_mm256_xor_si256(a.lo, b.lo), _mm256_xor_si256(a.hi, b.hi)};
}
inline Bytes64 add_bytes(Bytes64 a, Bytes64 b) {
    return {_mm256_add_epi8(a.lo, b.lo), _mm256_add_epi8(a.hi, b.hi)};
}
template <int N>
inline Bytes64 shift_right_bytes(Bytes64 a) {
    return Bytes64{_mm256_srli_epi16(a.lo, N), _mm256_srli_epi16(a.hi, N)} & splat_byte(0xFF >> N);
}
inline Bytes64 low_nibbles(Bytes64 a) {
    return a & splat_byte(15);
}
inline Bytes64 high_nibbles(Bytes64 a) {
    return shift_right_bytes<4>(a);
}
inline I32x16 as_i32(Bytes64 a) {
    return {a.lo, a.hi};
}
inline Bytes64 as_bytes(I32x16 a) {
    return {a.lo, a.hi};
}
inline Bytes64 lookup16(const uint8_t table[16], Bytes64 indices) {
    const __m256i t = _mm256_broadcastsi128_si256(load_16_bytes(table));
    return {_mm256_shuffle_epi8(t, indices.lo), _mm256_shuffle_epi8(t, indices.hi)};
}

inline __m256i load_two_rows(const std::byte* p, size_t stride) {
    return _mm256_inserti128_si256(_mm256_castsi128_si256(load_16_bytes(p)), load_16_bytes(p + 4 * stride),
                                   1);
}
inline void transpose_8_rows(const std::byte* p, size_t stride, __m256i out[4]) {
    const __m256i a = load_two_rows(p, stride), b = load_two_rows(p + stride, stride);
    const __m256i c = load_two_rows(p + 2 * stride, stride), d = load_two_rows(p + 3 * stride, stride);
    const __m256i ab_low = _mm256_unpacklo_epi32(a, b), ab_high = _mm256_unpackhi_epi32(a, b);
    const __m256i cd_low = _mm256_unpacklo_epi32(c, d), cd_high = _mm256_unpackhi_epi32(c, d);
    out[0] = _mm256_unpacklo_epi64(ab_low, cd_low);
    out[1] = _mm256_unpackhi_epi64(ab_low, cd_low);
    out[2] = _mm256_unpacklo_epi64(ab_high, cd_high);
    out[3] = _mm256_unpackhi_epi64(ab_high, cd_high);
}
inline void transpose_rows(const std::byte* p, size_t stride, Bytes64 out[4]) {
    __m256i lo[4], hi[4];
    transpose_8_rows(p, stride, lo);
    transpose_8_rows(p + 8 * stride, stride, hi);
    for (int i = 0; i < 4; ++i) out[i] = {lo[i], hi[i]};
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
    // Each byte of a lane takes a copy of the byte that holds its bit, and is compared with that bit.
    constexpr int kByte = I / 2;
    const __m256i copies =
        _mm256_setr_epi8(kByte, kByte, kByte, kByte, 4 + kByte, 4 + kByte, 4 + kByte, 4 + kByte, 8 + kByte,
                         8 + kByte, 8 + kByte, 8 + kByte, 12 + kByte, 12 + kByte, 12 + kByte, 12 + kByte,
                         kByte, kByte, kByte, kByte, 4 + kByte, 4 + kByte, 4 + kByte, 4 + kByte, 8 + kByte,
                         8 + kByte, 8 + kByte, 8 + kByte, 12 + kByte, 12 + kByte, 12 + kByte, 12 + kByte);
    const __m256i bit = _mm256_set1_epi32(I % 2 ? static_cast<int>(0x80402010u) : 0x08040201);
    const auto half = [&](__m256i x) {
        const __m256i chosen = _mm256_and_si256(_mm256_shuffle_epi8(x, copies), bit);
        return _mm256_and_si256(_mm256_cmpeq_epi8(chosen, bit), _mm256_set1_epi8(1 << kTo));
    };
    return {half(bits.lo), half(bits.hi)};
}
inline int32_t reduce_add_i32(I32x16 a) {
    const __m256i half = _mm256_add_epi32(a.lo, a.hi);
    __m128i x = _mm_add_epi32(_mm256_castsi256_si128(half), _mm256_extracti128_si256(half, 1));
    x = _mm_add_epi32(x, _mm_shuffle_epi32(x, 0x4E));
    return _mm_cvtsi128_si32(_mm_add_epi32(x, _mm_shuffle_epi32(x, 0xB1)));
}
inline void store_i8(int8_t* p, I32x16 a) {
    const __m128i low = _mm_packs_epi32(_mm256_castsi256_si128(a.lo), _mm256_extracti128_si256(a.lo, 1));
    const __m128i high = _mm_packs_epi32(_mm256_castsi256_si128(a.hi), _mm256_extracti128_si256(a.hi, 1));
    store_16_bytes(p, _mm_packs_epi16(low, high));
}
inline I32x16 dot_i16(I32x16 acc, Bytes64 a, Bytes64 b) {
    return {_mm256_add_epi32(acc.lo, _mm256_madd_epi16(a.lo, b.lo)),
            _mm256_add_epi32(acc.hi, _mm256_madd_epi16(a.hi, b.hi))};
}

/// Rows of activations that a register block of matmul holds.
constexpr int kTileRows = 4;
/// The largest block of weights that one row of activations takes straight from the unpacker, which is more
/// code. Beyond, it goes through memory: with 16 registers the fused loop of blocks of 256 spills, and
/// measured 1.0 to 1.5 times slower.
constexpr int kFusedGemvBlock = 32;

inline __m256i dot_u7(__m256i acc, __m256i a, __m256i b) {
    const __m256i pairs = _mm256_maddubs_epi16(a, b);
    return _mm256_add_epi32(acc, _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
}
inline I32x16 dot_u7(I32x16 acc, Bytes64 a, Bytes64 b) {
    return {dot_u7(acc.lo, a.lo, b.lo), dot_u7(acc.hi, a.hi, b.hi)};
}

constexpr int kSignedOffset = 0;
inline Bytes64 signed_operand(Bytes64 a) {
    return a;
}
// |a| <= 128 and |b| <= 127 keep the sum of two products within 16 bits.
inline __m256i dot_s8(__m256i acc, __m256i a, __m256i b) {
    return dot_u7(acc, _mm256_abs_epi8(a), _mm256_sign_epi8(b, a));
}
inline I32x16 dot_s8(I32x16 acc, Bytes64 a, Bytes64 b) {
    return {dot_s8(acc.lo, a.lo, b.lo), dot_s8(acc.hi, a.hi, b.hi)};
}

}  // namespace
}  // namespace agave::cpu
