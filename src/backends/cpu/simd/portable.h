#pragma once

namespace agave::cpu {
namespace {

// Plain arrays and loops of a constant length, which compilers turn into whatever vectors the target has. The
// operations are calls, or this level, which hardly any machine needs, would be the largest.
struct F32x16 {
    alignas(16) float v[16];
};
struct I32x16 {
    alignas(16) int32_t v[16];
};
struct Bytes64 {
    alignas(16) uint8_t v[64];
};
struct Mask16 {
    alignas(16) int32_t v[16];  ///< 0 or -1
};

template <typename Function>
inline F32x16 each_f32(Function function) {
    F32x16 out;
    for (int i = 0; i < 16; ++i) out.v[i] = function(i);
    return out;
}
template <typename Function>
inline I32x16 each_i32(Function function) {
    I32x16 out;
    for (int i = 0; i < 16; ++i) out.v[i] = function(i);
    return out;
}
template <typename Function>
inline Bytes64 each_byte(Function function) {
    Bytes64 out;
    for (int i = 0; i < 64; ++i) out.v[i] = static_cast<uint8_t>(function(i));
    return out;
}
template <typename To, typename From>
inline To copy_bits(const From& from) {
    static_assert(sizeof(To) == sizeof(From));
    To to;
    std::memcpy(&to, &from, sizeof to);
    return to;
}

/// Vectors that an inner loop keeps sums in: 8 of 16 registers on x86-64.
constexpr int kAccumulatorVectors = 2;

[[gnu::noinline]] inline F32x16 splat(float x) {
    return each_f32([&](int) { return x; });
}
inline F32x16 zero() {
    return splat(0.0f);
}
[[gnu::noinline]] inline F32x16 operator+(const F32x16& a, const F32x16& b) {
    return each_f32([&](int i) { return a.v[i] + b.v[i]; });
}
[[gnu::noinline]] inline F32x16 operator-(const F32x16& a, const F32x16& b) {
    return each_f32([&](int i) { return a.v[i] - b.v[i]; });
}
[[gnu::noinline]] inline F32x16 operator*(const F32x16& a, const F32x16& b) {
    return each_f32([&](int i) { return a.v[i] * b.v[i]; });
}
[[gnu::noinline]] inline F32x16 operator/(const F32x16& a, const F32x16& b) {
    return each_f32([&](int i) { return a.v[i] / b.v[i]; });
}
[[gnu::noinline]] inline F32x16 fma(const F32x16& a, const F32x16& b, const F32x16& c) {
    return each_f32([&](int i) { return a.v[i] * b.v[i] + c.v[i]; });
}
[[gnu::noinline]] inline F32x16 min(const F32x16& a, const F32x16& b) {
    return each_f32([&](int i) { return a.v[i] < b.v[i] ? a.v[i] : b.v[i]; });
}
[[gnu::noinline]] inline F32x16 max(const F32x16& a, const F32x16& b) {
    return each_f32([&](int i) { return a.v[i] > b.v[i] ? a.v[i] : b.v[i]; });
}
[[gnu::noinline]] inline F32x16 abs(const F32x16& a) {
    return each_f32([&](int i) { return __builtin_fabsf(a.v[i]); });
}
[[gnu::noinline]] inline F32x16 sqrt(const F32x16& a) {
    return each_f32([&](int i) { return __builtin_sqrtf(a.v[i]); });
}
[[gnu::noinline]] inline Mask16 less(const F32x16& a, const F32x16& b) {
    Mask16 m;
    for (int i = 0; i < 16; ++i) m.v[i] = a.v[i] < b.v[i] ? -1 : 0;
    return m;
}
[[gnu::noinline]] inline Mask16 lanes_below(int n) {
    Mask16 m;
    for (int i = 0; i < 16; ++i) m.v[i] = i < n ? -1 : 0;
    return m;
}
[[gnu::noinline]] inline F32x16 select(const Mask16& m, const F32x16& a, const F32x16& b) {
    return each_f32([&](int i) { return m.v[i] ? a.v[i] : b.v[i]; });
}
[[gnu::noinline]] inline float reduce_add(F32x16 a) {
    for (int width = 8; width > 0; width /= 2)
        for (int i = 0; i < width; ++i) a.v[i] += a.v[i + width];
    return a.v[0];
}
[[gnu::noinline]] inline float reduce_max(F32x16 a) {
    for (int width = 8; width > 0; width /= 2)
        for (int i = 0; i < width; ++i) a.v[i] = a.v[i] > a.v[i + width] ? a.v[i] : a.v[i + width];
    return a.v[0];
}
inline F32x16 load(const float* p) {
    F32x16 out;
    std::memcpy(out.v, p, sizeof out.v);
    return out;
}
inline void store(float* p, F32x16 a) {
    std::memcpy(p, a.v, sizeof a.v);
}
[[gnu::noinline]] inline F32x16 load_partial(const float* p, int n) {
    F32x16 out = zero();
    std::memcpy(out.v, p, static_cast<size_t>(n) * 4);
    return out;
}
[[gnu::noinline]] inline void store_partial(float* p, F32x16 a, int n) {
    std::memcpy(p, a.v, static_cast<size_t>(n) * 4);
}

/// binary16 to float32 without branches: the exponent is moved by a multiplication, which also normalises.
inline float half_to_f32(uint32_t half) {
    const float shifted = copy_bits<float>((half & 0x7FFFu) << 13) * 0x1p112f;
    const uint32_t infinite = (half & 0x7C00u) == 0x7C00u ? 0x7F800000u : 0u;
    return copy_bits<float>(copy_bits<uint32_t>(shifted) | infinite | (half & 0x8000u) << 16);
}
/// float32 to binary16, to nearest even.
inline uint16_t f32_to_half(float x) {
    const uint32_t bits = copy_bits<uint32_t>(x), magnitude = bits & 0x7FFFFFFFu, sign = bits >> 16 & 0x8000u;
    // Below 2^-14 the sum with 0.5 rounds at a subnormal half's unit.
    const uint32_t tiny = copy_bits<uint32_t>(copy_bits<float>(magnitude) + 0.5f) - 0x3F000000u;
    const uint32_t normal = (magnitude + 0xFFFu + (magnitude >> 13 & 1u) - 0x38000000u) >> 13;
    uint32_t result = magnitude < 0x38800000u ? tiny : normal;
    if (magnitude >= 0x477FF000u) result = 0x7C00u;
    if (magnitude > 0x7F800000u) result = 0x7E00u | (magnitude >> 13 & 0x3FFu);
    return static_cast<uint16_t>(sign | result);
}
inline uint16_t f32_to_bfloat16(float x) {
    const uint32_t bits = copy_bits<uint32_t>(x);
    const uint32_t rounded = (bits + 0x7FFFu + (bits >> 16 & 1u)) >> 16;
    return static_cast<uint16_t>((bits & 0x7FFFFFFFu) > 0x7F800000u ? bits >> 16 | 0x40u : rounded);
}
[[gnu::noinline]] inline F32x16 load_half(const uint16_t* p) {
    return each_f32([&](int i) { return half_to_f32(p[i]); });
}
[[gnu::noinline]] inline F32x16 load_half_partial(const uint16_t* p, int n) {
    return each_f32([&](int i) { return i < n ? half_to_f32(p[i]) : 0.0f; });
}
[[gnu::noinline]] inline F32x16 load_bfloat16(const uint16_t* p) {
    return each_f32([&](int i) { return copy_bits<float>(static_cast<uint32_t>(p[i]) << 16); });
}
[[gnu::noinline]] inline F32x16 load_bfloat16_partial(const uint16_t* p, int n) {
    return each_f32(
        [&](int i) { return i < n ? copy_bits<float>(static_cast<uint32_t>(p[i]) << 16) : 0.0f; });
}
[[gnu::noinline]] inline void store_half_partial(uint16_t* p, F32x16 a, int n) {
    for (int i = 0; i < n; ++i) p[i] = f32_to_half(a.v[i]);
}
[[gnu::noinline]] inline void store_half(uint16_t* p, F32x16 a) {
    store_half_partial(p, a, 16);
}
[[gnu::noinline]] inline void store_bfloat16_partial(uint16_t* p, F32x16 a, int n) {
    for (int i = 0; i < n; ++i) p[i] = f32_to_bfloat16(a.v[i]);
}
[[gnu::noinline]] inline void store_bfloat16(uint16_t* p, F32x16 a) {
    store_bfloat16_partial(p, a, 16);
}

[[gnu::noinline]] inline F32x16 even_lanes(const F32x16& a, const F32x16& b) {
    return each_f32([&](int i) { return i < 8 ? a.v[2 * i] : b.v[2 * i - 16]; });
}
[[gnu::noinline]] inline F32x16 odd_lanes(const F32x16& a, const F32x16& b) {
    return each_f32([&](int i) { return i < 8 ? a.v[2 * i + 1] : b.v[2 * i - 15]; });
}
[[gnu::noinline]] inline F32x16 zip_low(const F32x16& even, const F32x16& odd) {
    return each_f32([&](int i) { return i % 2 ? odd.v[i / 2] : even.v[i / 2]; });
}
[[gnu::noinline]] inline F32x16 zip_high(const F32x16& even, const F32x16& odd) {
    return each_f32([&](int i) { return i % 2 ? odd.v[8 + i / 2] : even.v[8 + i / 2]; });
}

[[gnu::noinline]] inline I32x16 splat_i32(int32_t x) {
    return each_i32([&](int) { return x; });
}
inline I32x16 zero_i32() {
    return splat_i32(0);
}
inline int32_t wrap(uint32_t x) {
    return static_cast<int32_t>(x);
}
inline uint32_t bits32(int32_t x) {
    return static_cast<uint32_t>(x);
}
[[gnu::noinline]] inline I32x16 operator+(const I32x16& a, const I32x16& b) {
    return each_i32([&](int i) { return wrap(bits32(a.v[i]) + bits32(b.v[i])); });
}
[[gnu::noinline]] inline I32x16 operator-(const I32x16& a, const I32x16& b) {
    return each_i32([&](int i) { return wrap(bits32(a.v[i]) - bits32(b.v[i])); });
}
[[gnu::noinline]] inline I32x16 operator*(const I32x16& a, const I32x16& b) {
    return each_i32([&](int i) { return wrap(bits32(a.v[i]) * bits32(b.v[i])); });
}
[[gnu::noinline]] inline I32x16 operator&(const I32x16& a, const I32x16& b) {
    return each_i32([&](int i) { return a.v[i] & b.v[i]; });
}
[[gnu::noinline]] inline I32x16 operator|(const I32x16& a, const I32x16& b) {
    return each_i32([&](int i) { return a.v[i] | b.v[i]; });
}
template <int N>
[[gnu::noinline]] inline I32x16 shift_left(const I32x16& a) {
    return each_i32([&](int i) { return wrap(bits32(a.v[i]) << N); });
}
template <int N>
[[gnu::noinline]] inline I32x16 shift_right(const I32x16& a) {
    return each_i32([&](int i) { return wrap(bits32(a.v[i]) >> N); });
}
template <int N>
[[gnu::noinline]] inline I32x16 shift_right_signed(const I32x16& a) {
    return each_i32([&](int i) { return a.v[i] >> N; });
}
inline I32x16 load_i32(const int32_t* p) {
    I32x16 out;
    std::memcpy(out.v, p, sizeof out.v);
    return out;
}
inline void store_i32(int32_t* p, I32x16 a) {
    std::memcpy(p, a.v, sizeof a.v);
}
[[gnu::noinline]] inline F32x16 to_f32(const I32x16& a) {
    return each_f32([&](int i) { return static_cast<float>(a.v[i]); });
}
[[gnu::noinline]] inline I32x16 to_i32(const F32x16& a) {
    return each_i32([&](int i) { return static_cast<int32_t>(__builtin_rintf(a.v[i])); });
}
inline I32x16 bits_of(const F32x16& a) {
    return copy_bits<I32x16>(a);
}
inline F32x16 f32_of_bits(const I32x16& a) {
    return copy_bits<F32x16>(a);
}
[[gnu::noinline]] inline F32x16 half_bits_to_f32(const I32x16& a) {
    return each_f32([&](int i) { return half_to_f32(bits32(a.v[i]) & 0xFFFFu); });
}

inline Bytes64 load_bytes(const void* p) {
    Bytes64 out;
    std::memcpy(out.v, p, 64);
    return out;
}
inline void store_bytes(void* p, Bytes64 a) {
    std::memcpy(p, a.v, 64);
}
[[gnu::noinline]] inline Bytes64 splat_byte(uint8_t x) {
    return each_byte([&](int) { return x; });
}
[[gnu::noinline]] inline Bytes64 splat_dword(const void* p) {
    uint8_t x[4];
    std::memcpy(x, p, 4);
    return each_byte([&](int i) { return x[i % 4]; });
}
[[gnu::noinline]] inline Bytes64 operator&(const Bytes64& a, const Bytes64& b) {
    return each_byte([&](int i) { return a.v[i] & b.v[i]; });
}
[[gnu::noinline]] inline Bytes64 operator|(const Bytes64& a, const Bytes64& b) {
    return each_byte([&](int i) { return a.v[i] | b.v[i]; });
}
[[gnu::noinline]] inline Bytes64 operator^(const Bytes64& a, const Bytes64& b) {
    return each_byte([&](int i) { return a.v[i] ^ b.v[i]; });
}
[[gnu::noinline]] inline Bytes64 add_bytes(const Bytes64& a, const Bytes64& b) {
    return each_byte([&](int i) { return a.v[i] + b.v[i]; });
}
template <int N>
[[gnu::noinline]] inline Bytes64 shift_right_bytes(const Bytes64& a) {
    return each_byte([&](int i) { return a.v[i] >> N; });
}
[[gnu::noinline]] inline Bytes64 low_nibbles(const Bytes64& a) {
    return a & splat_byte(15);
}
[[gnu::noinline]] inline Bytes64 high_nibbles(const Bytes64& a) {
    return shift_right_bytes<4>(a);
}
inline I32x16 as_i32(const Bytes64& a) {
    return copy_bits<I32x16>(a);
}
inline Bytes64 as_bytes(const I32x16& a) {
    return copy_bits<Bytes64>(a);
}
[[gnu::noinline]] inline Bytes64 lookup16(const uint8_t table[16], Bytes64 indices) {
    return each_byte([&](int i) { return table[indices.v[i]]; });
}
[[gnu::noinline]] inline void transpose_rows(const std::byte* p, size_t stride, Bytes64 out[4]) {
    for (size_t r = 0; r < 16; ++r)
        for (size_t i = 0; i < 4; ++i) std::memcpy(out[i].v + r * 4, p + r * stride + i * 4, 4);
}
[[gnu::noinline]] inline I32x16 gather_u16(const std::byte* p, size_t stride) {
    I32x16 out;
    for (size_t r = 0; r < 16; ++r) {
        uint16_t x;
        std::memcpy(&x, p + r * stride, 2);
        out.v[r] = x;
    }
    return out;
}

[[gnu::noinline]] inline I32x16 gather_u32(const std::byte* p, size_t stride) {
    I32x16 out;
    for (size_t r = 0; r < 16; ++r) std::memcpy(&out.v[r], p + r * stride, 4);
    return out;
}
template <int I, int kTo>
[[gnu::noinline]] inline Bytes64 bits_to_bytes(const I32x16& bits) {
    return each_byte([&](int i) { return (bits.v[i / 4] >> (4 * I + i % 4) & 1) << kTo; });
}
[[gnu::noinline]] inline int32_t reduce_add_i32(const I32x16& a) {
    int32_t sum = 0;
    for (int i = 0; i < 16; ++i) sum += a.v[i];
    return sum;
}
[[gnu::noinline]] inline void store_i8(int8_t* p, I32x16 a) {
    for (int i = 0; i < 16; ++i) p[i] = static_cast<int8_t>(a.v[i]);
}
[[gnu::noinline]] inline I32x16 dot_i16(const I32x16& acc, const Bytes64& a, const Bytes64& b) {
    int16_t x[32], y[32];
    std::memcpy(x, a.v, 64);
    std::memcpy(y, b.v, 64);
    return each_i32([&](int i) { return acc.v[i] + x[2 * i] * y[2 * i] + x[2 * i + 1] * y[2 * i + 1]; });
}

/// Rows of activations that a register block of matmul holds.
constexpr int kTileRows = 4;
/// The largest block of weights that one row of activations takes straight from the unpacker: faster, and
/// more code.
constexpr int kFusedGemvBlock = 0;

template <typename Signedness>
[[gnu::noinline]] inline I32x16 dot_bytes(const I32x16& acc, const Bytes64& a, const Bytes64& b) {
    return each_i32([&](int i) {
        int32_t sum = acc.v[i];
        for (int j = 0; j < 4; ++j)
            sum += static_cast<Signedness>(a.v[i * 4 + j]) * static_cast<int8_t>(b.v[i * 4 + j]);
        return sum;
    });
}
[[gnu::noinline]] inline I32x16 dot_u7(const I32x16& acc, const Bytes64& a, const Bytes64& b) {
    return dot_bytes<uint8_t>(acc, a, b);
}

constexpr int kSignedOffset = 0;
[[gnu::noinline]] inline Bytes64 signed_operand(const Bytes64& a) {
    return a;
}
[[gnu::noinline]] inline I32x16 dot_s8(const I32x16& acc, const Bytes64& a, const Bytes64& b) {
    return dot_bytes<int8_t>(acc, a, b);
}

}  // namespace
}  // namespace agave::cpu
