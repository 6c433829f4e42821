#pragma once

// GCC 12 takes the header's own undefined operands for mistakes of ours (its bug 105593).
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#endif
#include <immintrin.h>
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic pop
#endif

namespace agave::cpu {
namespace {

struct F32x16 {
    __m512 v;
};
struct I32x16 {
    __m512i v;
};
struct Bytes64 {
    __m512i v;
};
struct Mask16 {
    __mmask16 v;
};

inline __mmask16 first_lanes(int n) {
    return static_cast<__mmask16>((1u << n) - 1u);
}

/// Vectors that an inner loop keeps sums in: 24 of 32 registers.
constexpr int kAccumulatorVectors = 24;

inline F32x16 splat(float x) {
    return {_mm512_set1_ps(x)};
}
inline F32x16 zero() {
    return {_mm512_setzero_ps()};
}
inline F32x16 operator+(F32x16 a, F32x16 b) {
    return {_mm512_add_ps(a.v, b.v)};
}
inline F32x16 operator-(F32x16 a, F32x16 b) {
    return {_mm512_sub_ps(a.v, b.v)};
}
inline F32x16 operator*(F32x16 a, F32x16 b) {
    return {_mm512_mul_ps(a.v, b.v)};
}
inline F32x16 operator/(F32x16 a, F32x16 b) {
    return {_mm512_div_ps(a.v, b.v)};
}
inline F32x16 fma(F32x16 a, F32x16 b, F32x16 c) {
    return {_mm512_fmadd_ps(a.v, b.v, c.v)};
}
inline F32x16 min(F32x16 a, F32x16 b) {
    return {_mm512_min_ps(a.v, b.v)};
}
inline F32x16 max(F32x16 a, F32x16 b) {
    return {_mm512_max_ps(a.v, b.v)};
}
inline F32x16 abs(F32x16 a) {
    return {_mm512_abs_ps(a.v)};
}
inline F32x16 sqrt(F32x16 a) {
    return {_mm512_sqrt_ps(a.v)};
}
inline Mask16 less(F32x16 a, F32x16 b) {
    return {_mm512_cmp_ps_mask(a.v, b.v, _CMP_LT_OQ)};
}
inline Mask16 lanes_below(int n) {
    return {first_lanes(n)};
}
inline F32x16 select(Mask16 m, F32x16 a, F32x16 b) {
    return {_mm512_mask_blend_ps(m.v, b.v, a.v)};
}

inline float reduce_add(F32x16 a) {
    const __m256 half = _mm256_add_ps(_mm512_castps512_ps256(a.v), _mm512_extractf32x8_ps(a.v, 1));
    const __m128 quarter = _mm_add_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1));
    const __m128 pair = _mm_add_ps(quarter, _mm_movehl_ps(quarter, quarter));
    return _mm_cvtss_f32(_mm_add_ss(pair, _mm_movehdup_ps(pair)));
}
inline float reduce_max(F32x16 a) {
    return _mm512_reduce_max_ps(a.v);
}

inline F32x16 load(const float* p) {
    return {_mm512_loadu_ps(p)};
}
inline F32x16 load_partial(const float* p, int n) {
    return {_mm512_maskz_loadu_ps(first_lanes(n), p)};
}
inline void store(float* p, F32x16 a) {
    _mm512_storeu_ps(p, a.v);
}
inline void store_partial(float* p, F32x16 a, int n) {
    _mm512_mask_storeu_ps(p, first_lanes(n), a.v);
}

inline F32x16 widen_half(__m256i bits) {
    return {_mm512_cvtph_ps(bits)};
}
inline F32x16 widen_bfloat16(__m256i bits) {
    return {_mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(bits), 16))};
}
inline __m256i load_u16(const uint16_t* p) {
    return _mm256_loadu_si256(static_cast<const __m256i*>(static_cast<const void*>(p)));
}
inline F32x16 load_half(const uint16_t* p) {
    return widen_half(load_u16(p));
}
inline F32x16 load_half_partial(const uint16_t* p, int n) {
    return widen_half(_mm256_maskz_loadu_epi16(first_lanes(n), p));
}
inline F32x16 load_bfloat16(const uint16_t* p) {
    return widen_bfloat16(load_u16(p));
}
inline F32x16 load_bfloat16_partial(const uint16_t* p, int n) {
    return widen_bfloat16(_mm256_maskz_loadu_epi16(first_lanes(n), p));
}
inline __m256i narrow_half(F32x16 a) {
    return _mm512_cvtps_ph(a.v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
}
inline __m256i narrow_bfloat16(F32x16 a) {
    const __m512i bits = _mm512_castps_si512(a.v);
    const __m512i odd = _mm512_and_si512(_mm512_srli_epi32(bits, 16), _mm512_set1_epi32(1));
    const __m512i rounded = _mm512_add_epi32(_mm512_add_epi32(bits, _mm512_set1_epi32(0x7FFF)), odd);
    const __mmask16 nan = _mm512_cmp_ps_mask(a.v, a.v, _CMP_UNORD_Q);
    const __m512i quiet = _mm512_or_si512(bits, _mm512_set1_epi32(0x400000));
    return _mm512_cvtepi32_epi16(_mm512_srli_epi32(_mm512_mask_blend_epi32(nan, rounded, quiet), 16));
}
inline void store_u16(uint16_t* p, __m256i bits) {
    _mm256_storeu_si256(static_cast<__m256i*>(static_cast<void*>(p)), bits);
}
inline void store_half(uint16_t* p, F32x16 a) {
    store_u16(p, narrow_half(a));
}
inline void store_half_partial(uint16_t* p, F32x16 a, int n) {
    _mm256_mask_storeu_epi16(p, first_lanes(n), narrow_half(a));
}
inline void store_bfloat16(uint16_t* p, F32x16 a) {
    store_u16(p, narrow_bfloat16(a));
}
inline void store_bfloat16_partial(uint16_t* p, F32x16 a, int n) {
    _mm256_mask_storeu_epi16(p, first_lanes(n), narrow_bfloat16(a));
}

inline F32x16 even_lanes(F32x16 a, F32x16 b) {
    const __m512i index = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
    return {_mm512_permutex2var_ps(a.v, index, b.v)};
}
inline F32x16 odd_lanes(F32x16 a, F32x16 b) {
    const __m512i index = _mm512_setr_epi32(1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31);
    return {_mm512_permutex2var_ps(a.v, index, b.v)};
}
inline F32x16 zip_low(F32x16 even, F32x16 odd) {
    const __m512i index = _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
    return {_mm512_permutex2var_ps(even.v, index, odd.v)};
}
inline F32x16 zip_high(F32x16 even, F32x16 odd) {
    const __m512i index = _mm512_setr_epi32(8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
    return {_mm512_permutex2var_ps(even.v, index, odd.v)};
}

inline I32x16 splat_i32(int32_t x) {
    return {_mm512_set1_epi32(x)};
}
inline I32x16 zero_i32() {
    return {_mm512_setzero_si512()};
}
inline I32x16 operator+(I32x16 a, I32x16 b) {
    return {_mm512_add_epi32(a.v, b.v)};
}
inline I32x16 operator-(I32x16 a, I32x16 b) {
    return {_mm512_sub_epi32(a.v, b.v)};
}
inline I32x16 operator*(I32x16 a, I32x16 b) {
    return {_mm512_mullo_epi32(a.v, b.v)};
}
inline I32x16 operator&(I32x16 a, I32x16 b) {
    return {_mm512_and_si512(a.v, b.v)};
}
inline I32x16 operator|(I32x16 a, I32x16 b) {
    return {_mm512_or_si512(a.v, b.v)};
}
template <int N>
inline I32x16 shift_left(I32x16 a) {
    return {_mm512_slli_epi32(a.v, N)};
}
template <int N>
inline I32x16 shift_right(I32x16 a) {
    return {_mm512_srli_epi32(a.v, N)};
}
template <int N>
inline I32x16 shift_right_signed(I32x16 a) {
    return {_mm512_srai_epi32(a.v, N)};
}
inline I32x16 load_i32(const int32_t* p) {
    return {_mm512_loadu_si512(p)};
}
inline void store_i32(int32_t* p, I32x16 a) {
    _mm512_storeu_si512(p, a.v);
}
inline F32x16 to_f32(I32x16 a) {
    return {_mm512_cvtepi32_ps(a.v)};
}
inline I32x16 to_i32(F32x16 a) {
    return {_mm512_cvtps_epi32(a.v)};
}
inline I32x16 bits_of(F32x16 a) {
    return {_mm512_castps_si512(a.v)};
}
inline F32x16 f32_of_bits(I32x16 a) {
    return {_mm512_castsi512_ps(a.v)};
}
inline F32x16 half_bits_to_f32(I32x16 a) {
    return {_mm512_cvtph_ps(_mm512_cvtepi32_epi16(a.v))};
}

inline Bytes64 load_bytes(const void* p) {
    return {_mm512_loadu_si512(p)};
}
inline void store_bytes(void* p, Bytes64 a) {
    _mm512_storeu_si512(p, a.v);
}
inline Bytes64 splat_byte(uint8_t x) {
    return {_mm512_set1_epi8(static_cast<char>(x))};
}
inline Bytes64 splat_dword(const void* p) {
    int32_t x;
    std::memcpy(&x, p, sizeof x);
    return {_mm512_set1_epi32(x)};
}
inline Bytes64 operator&(Bytes64 a, Bytes64 b) {
    return {_mm512_and_si512(a.v, b.v)};
}
inline Bytes64 operator|(Bytes64 a, Bytes64 b) {
    return {_mm512_or_si512(a.v, b.v)};
}
inline Bytes64 operator^(Bytes64 a, Bytes64 b) {
    return {_mm512_xor_si512(a.v, b.v)};
}
inline Bytes64 add_bytes(Bytes64 a, Bytes64 b) {
    return {_mm512_add_epi8(a.v, b.v)};
}
template <int N>
inline Bytes64 shift_right_bytes(Bytes64 a) {
    return {_mm512_and_si512(_mm512_srli_epi16(a.v, N), _mm512_set1_epi8(static_cast<char>(0xFF >> N)))};
}
inline Bytes64 low_nibbles(Bytes64 a) {
    return a & splat_byte(15);
}
inline Bytes64 high_nibbles(Bytes64 a) {
    return shift_right_bytes<4>(a);
}
inline I32x16 as_i32(Bytes64 a) {
    return {a.v};
}
inline Bytes64 as_bytes(I32x16 a) {
    return {a.v};
}
inline Bytes64 lookup16(const uint8_t table[16], Bytes64 indices) {
    const __m128i t = _mm_loadu_si128(static_cast<const __m128i*>(static_cast<const void*>(table)));
    return {_mm512_shuffle_epi8(_mm512_broadcast_i32x4(t), indices.v)};
}

inline __m128i load_16_bytes(const std::byte* p) {
    return _mm_loadu_si128(static_cast<const __m128i*>(static_cast<const void*>(p)));
}
/// 16 bytes of rows 0, 4, 8 and 12 from p on.
inline __m512i load_every_fourth_row(const std::byte* p, size_t stride) {
    __m512i x = _mm512_castsi128_si512(load_16_bytes(p));
    x = _mm512_inserti32x4(x, load_16_bytes(p + 4 * stride), 1);
    x = _mm512_inserti32x4(x, load_16_bytes(p + 8 * stride), 2);
    return _mm512_inserti32x4(x, load_16_bytes(p + 12 * stride), 3);
}
inline void transpose_rows(const std::byte* p, size_t stride, Bytes64 out[4]) {
    const __m512i a = load_every_fourth_row(p, stride);
    const __m512i b = load_every_fourth_row(p + stride, stride);
    const __m512i c = load_every_fourth_row(p + 2 * stride, stride);
    const __m512i d = load_every_fourth_row(p + 3 * stride, stride);
    const __m512i ab_low = _mm512_unpacklo_epi32(a, b), ab_high = _mm512_unpackhi_epi32(a, b);
    const __m512i cd_low = _mm512_unpacklo_epi32(c, d), cd_high = _mm512_unpackhi_epi32(c, d);
    out[0] = {_mm512_unpacklo_epi64(ab_low, cd_low)};
    out[1] = {_mm512_unpackhi_epi64(ab_low, cd_low)};
    out[2] = {_mm512_unpacklo_epi64(ab_high, cd_high)};
    out[3] = {_mm512_unpackhi_epi64(ab_high, cd_high)};
}
inline I32x16 gather_u16(const std::byte* p, size_t stride) {
    uint16_t x[16];
    for (size_t r = 0; r < 16; ++r) std::memcpy(&x[r], p + r * stride, 2);
    const __m256i bits =
        _mm256_setr_epi16(static_cast<short>(x[0]), static_cast<short>(x[1]), static_cast<short>(x[2]),
                          static_cast<short>(x[3]), static_cast<short>(x[4]), static_cast<short>(x[5]),
                          static_cast<short>(x[6]), static_cast<short>(x[7]), static_cast<short>(x[8]),
                          static_cast<short>(x[9]), static_cast<short>(x[10]), static_cast<short>(x[11]),
                          static_cast<short>(x[12]), static_cast<short>(x[13]), static_cast<short>(x[14]),
                          static_cast<short>(x[15]));
    return {_mm512_cvtepu16_epi32(bits)};
}

inline I32x16 gather_u32(const std::byte* p, size_t stride) {
    int32_t x[16];
    for (size_t r = 0; r < 16; ++r) std::memcpy(&x[r], p + r * stride, 4);
    return {_mm512_setr_epi32(x[0], x[1], x[2], x[3], x[4], x[5], x[6], x[7], x[8], x[9], x[10], x[11], x[12],
                              x[13], x[14], x[15])};
}
template <int kBits, int I, int kTo>
inline Bytes64 fields_to_bytes(I32x16 fields) {
    // Byte j of a lane takes the 8 bits that begin kTo below its own field; the upper lane of a qword 32
    // later.
    constexpr int kBegin = 4 * I * kBits + 64 - kTo;
    constexpr auto lane = [](int shift) {
        uint32_t x = 0;
        for (int j = 0; j < 4; ++j) x |= static_cast<uint32_t>((kBegin + shift + kBits * j) % 64) << (8 * j);
        return static_cast<int64_t>(x);
    };
    constexpr int64_t kSelect = lane(0) | lane(32) << 32;
    return Bytes64{_mm512_multishift_epi64_epi8(_mm512_set1_epi64(kSelect), fields.v)} &
           splat_byte(((1 << kBits) - 1) << kTo);
}
template <int I, int kTo>
inline Bytes64 bits_to_bytes(I32x16 bits) {
    return fields_to_bytes<1, I, kTo>(bits);
}
inline int32_t reduce_add_i32(I32x16 a) {
    return _mm512_reduce_add_epi32(a.v);
}
inline void store_i8(int8_t* p, I32x16 a) {
    _mm_storeu_si128(static_cast<__m128i*>(static_cast<void*>(p)), _mm512_cvtepi32_epi8(a.v));
}
inline I32x16 dot_i16(I32x16 acc, Bytes64 a, Bytes64 b) {
    return {_mm512_dpwssd_epi32(acc.v, a.v, b.v)};
}

inline I32x16 dot_u7(I32x16 acc, Bytes64 a, Bytes64 b) {
    return {_mm512_dpbusd_epi32(acc.v, a.v, b.v)};
}

#if defined(__AVX512BF16__)
/// Up to 32 numbers of 16 bits, the rest 0.
inline Bytes64 load_u16_partial(const uint16_t* p, int n) {
    return {_mm512_maskz_loadu_epi16(static_cast<__mmask32>((uint64_t{1} << n) - 1), p)};
}
/// acc + the two products of each lane's pairs of bfloat16.
inline F32x16 dot_bfloat16(F32x16 acc, Bytes64 a, Bytes64 b) {
    __m512bh x, y;
    std::memcpy(&x, &a.v, sizeof x);
    std::memcpy(&y, &b.v, sizeof y);
    return {_mm512_dpbf16_ps(acc.v, x, y)};
}
#endif

/// Rows of activations that a register block of matmul holds: 12 sums of integers and 12 of floats fill 24 of
/// the 32 registers.
constexpr int kTileRows = 12;
/// The largest block of weights that one row of activations takes straight from the unpacker: faster, and
/// more code.
constexpr int kFusedGemvBlock = 256;

// VNNI multiplies unsigned by signed bytes, so signed operands are moved up by 128.
constexpr int kSignedOffset = 128;
inline Bytes64 signed_operand(Bytes64 a) {
    return a ^ splat_byte(0x80);
}
inline I32x16 dot_s8(I32x16 acc, Bytes64 a, Bytes64 b) {
    return {_mm512_dpbusd_epi32(acc.v, a.v, b.v)};
}

}  // namespace
}  // namespace agave::cpu
