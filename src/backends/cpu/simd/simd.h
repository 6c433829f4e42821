#pragma once

// The vector layer: one kernel text, N instruction sets. Every vector has 16 lanes of 32 bits (or 64 bytes),
// whatever the machine's registers hold, so that a kernel is written once and is bit-invariant within a
// level.
//
// This header, and every header that includes it, is for the level_*.cpp files alone. Each of those is
// compiled with its own target flags, so everything here has internal linkage (an unnamed namespace): no
// inline function compiled for AVX-512 may be the one that the linker keeps for everybody. For the same
// reason kernels use nothing with external linkage that is inline: no std::min, no half_to_float, no
// <vector>.
//
// Types
//   F32x16   16 float32 lanes              I32x16   16 int32 lanes
//   Bytes64  64 bytes: 16 lanes of 4       Mask16   a truth value for each lane
//
// Float operations
//   splat(float)  zero()  a + b  a - b  a * b  a / b
//   fma(a, b, c)              a * b + c, rounded once where the level has FMA (twice at `portable`)
//   min(a, b)  max(a, b)      of a NaN and a number: unspecified which
//   abs(a)  sqrt(a)
//   less(a, b) -> Mask16      select(mask, a, b): mask ? a : b      lanes_below(n): lane < n
//   reduce_add(a)             the fixed tree: lanes i and i + 8, then + 4, + 2, + 1
//   reduce_max(a)
//   kAccumulatorVectors       how many sums an inner loop can keep in registers
//   load(const float*)  load_partial(p, n): lanes >= n are 0 and not read (0 <= n <= 16)
//   store(float*, a)  store_partial(p, a, n)
//   load_half / load_bfloat16(const uint16_t*), ..._partial(p, n): converted exactly
//   store_half / store_bfloat16(uint16_t*, a), ..._partial(p, a, n): round to nearest even
//   even_lanes(a, b), odd_lanes(a, b)     of the 32 numbers a, b: pairs apart
//   zip_low(e, o), zip_high(e, o)         e0 o0 e1 o1 ...: the way back
//
// Integer operations
//   splat_i32(int32_t)  zero_i32()  a + b  a - b  a * b  a & b  a | b
//   shift_left<N>(a)  shift_right<N>(a) (zeros come in)  shift_right_signed<N>(a)
//   load_i32(const int32_t*)  store_i32(int32_t*, a)
//   to_f32(I32x16)  to_i32(F32x16): nearest even, the value must fit    bits_of(F32x16), f32_of_bits(I32x16)
//   half_bits_to_f32(I32x16): the low 16 bits of each lane as binary16
//
// Byte operations
//   load_bytes / store_bytes(p)  splat_byte(uint8_t)  splat_dword(const void*): 4 bytes to all lanes
//   a & b  a | b  a ^ b  add_bytes(a, b)  low_nibbles(a)  high_nibbles(a)  shift_right_bytes<N>(a): 0 < N < 8
//   as_i32(Bytes64), as_bytes(I32x16)
//   lookup16(const uint8_t table[16], indices): indices < 16
//   transpose_rows(const std::byte* p, size_t stride, Bytes64 out[4]): of 16 rows of 16 bytes, `stride`
//   apart;
//       lane r of out[i] is dword i of row r
//   gather_u16(const std::byte* p, size_t stride) -> I32x16: a 16-bit number of each of 16 rows
//   gather_u32(const std::byte* p, size_t stride) -> I32x16: 32 bits of each of 16 rows
//   bits_to_bytes<I, kTo>(I32x16): bit kTo of byte j of each lane becomes bit 4 I + j of the lane, the rest 0
//   fields_to_bytes<kBits, I, kTo>(I32x16): the same for fields of 2 or 4 bits: field 4 I + j of the lane
//   reduce_add_i32(a)  store_i8(int8_t*, I32x16): values within -128..127
//   dot_i16(acc, a, b)     acc + the sum over each lane's two 16-bit signed numbers of a * b
//   dot_u7(acc, a, b)      acc + the sum over each lane's 4 bytes of a (unsigned, <= 127) * b (signed)
//   dot_s8(acc, a, b)      the same for signed a >= -128; a must have been passed through signed_operand(),
//   and
//       the result is then dot + kSignedOffset * (sum of b)
//   prefetch(p): into L1    prefetch_far(p): into L2, for what is needed some microseconds later

#include <cstddef>
#include <cstdint>
#include <cstring>

#if defined(__AVX512VNNI__)
#include "backends/cpu/simd/avx512.h"
#elif defined(__AVX2__) && defined(__FMA__)
#include "backends/cpu/simd/avx2.h"
#elif defined(__aarch64__)
#include "backends/cpu/simd/neon.h"
#else
#include "backends/cpu/simd/portable.h"
#endif

namespace agave::cpu {
namespace {

#if !defined(__AVX512VNNI__)
template <int kBits, int I, int kTo>
inline Bytes64 fields_to_bytes(I32x16 fields) {
    // The four fields of interest alone, then spread with shifts and ors; the bytes between hold what the
    // mask takes off.
    I32x16 x = shift_right<4 * I * kBits>(fields) & splat_i32((1 << 4 * kBits) - 1);
    if constexpr (kBits == 2) {
        x = x | shift_left<6>(x);
        x = x | shift_left<12>(x);
    } else {
        x = (x | shift_left<8>(x)) & splat_i32(0x00FF00FF);
        x = x | shift_left<4>(x);
    }
    const Bytes64 bytes = as_bytes(x) & splat_byte((1 << kBits) - 1);
    return kTo == 0 ? bytes : as_bytes(shift_left<kTo>(as_i32(bytes)));
}
#endif

inline void prefetch(const void* address) {
    __builtin_prefetch(address, 0, 3);
}
inline void prefetch_far(const void* address) {
    __builtin_prefetch(address, 0, 2);
}

}  // namespace
}  // namespace agave::cpu
