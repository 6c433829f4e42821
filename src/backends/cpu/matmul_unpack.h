#pragma once

#include "backends/cpu/simd/simd.h"
#include "quant/e2m1.h"
#include "quant/format.h"
#include "quant/iq4_values.h"

namespace agave::cpu {
namespace {

// One unpacker for each quantised format. It turns the same block of 16 weight rows (a panel) into tiles of
// 32 weights x 16 rows: Bytes64 w[8], where byte j of lane r of w[i] is weight 4 i + j of row r, as an
// unsigned number from which kOffset is still to be taken (which the sums of the activations do, in
// integers). Block layouts: src/quant/<format>.h.

template <int I>
struct Index {
    static constexpr int value = I;
};
template <int I, int N, typename Function>
[[gnu::always_inline]] inline void unroll_from(Function& function) {
    if constexpr (I < N) {
        function(Index<I>{});
        unroll_from<I + 1, N>(function);
    }
}
/// function(Index<0>) ... function(Index<N - 1>), for work that needs its index as a constant.
template <int N, typename Function>
[[gnu::always_inline]] inline void unroll(Function function) {
    unroll_from<0, N>(function);
}

inline F32x16 gather_half(const std::byte* p, size_t stride) {
    return half_bits_to_f32(gather_u16(p, stride));
}
inline void gather_two_halves(const std::byte* p, size_t stride, F32x16& first, F32x16& second) {
    const I32x16 both = gather_u32(p, stride);
    first = half_bits_to_f32(both);
    second = half_bits_to_f32(shift_right<16>(both));
}

/// 16 bytes of nibbles: the low ones are weights 0..15, the high ones 16..31.
inline void unpack_nibbles(const std::byte* p, size_t stride, Bytes64 w[8]) {
    Bytes64 t[4];
    transpose_rows(p, stride, t);
    for (int i = 0; i < 4; ++i) {
        w[i] = low_nibbles(t[i]);
        w[i + 4] = high_nibbles(t[i]);
    }
}
inline void add_fifth_bits(I32x16 bits, Bytes64 w[8]) {
    unroll<8>([&](auto i) __attribute__((always_inline)) {
        constexpr int I = decltype(i)::value;
        w[I] = w[I] | bits_to_bytes<I, 4>(bits);
    });
}

// Blocks of 32. unpack(): the tile, weight = (w - kOffset) * scale + min.

struct UnpackQ4_0 {
    static constexpr int kBlockBytes = 18, kOffset = 8;
    static constexpr bool kMins = false, kSigned = false;
    static void unpack(const std::byte* p, size_t stride, Bytes64 w[8], F32x16& scale, F32x16&) {
        unpack_nibbles(p + 2, stride, w);
        scale = gather_half(p, stride);
    }
};
struct UnpackQ4_1 {
    static constexpr int kBlockBytes = 20, kOffset = 0;
    static constexpr bool kMins = true, kSigned = false;
    static void unpack(const std::byte* p, size_t stride, Bytes64 w[8], F32x16& scale, F32x16& min) {
        unpack_nibbles(p + 4, stride, w);
        gather_two_halves(p, stride, scale, min);
    }
};
struct UnpackQ5_0 {
    static constexpr int kBlockBytes = 22, kOffset = 16;
    static constexpr bool kMins = false, kSigned = false;
    static void unpack(const std::byte* p, size_t stride, Bytes64 w[8], F32x16& scale, F32x16&) {
        unpack_nibbles(p + 6, stride, w);
        add_fifth_bits(gather_u32(p + 2, stride), w);
        scale = gather_half(p, stride);
    }
};
struct UnpackQ5_1 {
    static constexpr int kBlockBytes = 24, kOffset = 0;
    static constexpr bool kMins = true, kSigned = false;
    static void unpack(const std::byte* p, size_t stride, Bytes64 w[8], F32x16& scale, F32x16& min) {
        unpack_nibbles(p + 8, stride, w);
        add_fifth_bits(gather_u32(p + 4, stride), w);
        gather_two_halves(p, stride, scale, min);
    }
};
struct UnpackQ8_0 {
    static constexpr int kBlockBytes = 34, kOffset = kSignedOffset;
    static constexpr bool kMins = false, kSigned = true;
    static void unpack(const std::byte* p, size_t stride, Bytes64 w[8], F32x16& scale, F32x16&) {
        transpose_rows(p + 2, stride, w);
        transpose_rows(p + 18, stride, w + 4);
        for (int i = 0; i < 8; ++i) w[i] = signed_operand(w[i]);
        scale = gather_half(p, stride);
    }
};

// Blocks of 256 with kSubs sub-blocks: weight = (w - kOffset) * d * sub scale - dmin * sub min.

/// The scales of a block for 16 rows; sub scales and mins are small whole numbers.
template <int kSubs, bool kMins>
struct BlockScales {
    F32x16 sub[kSubs];
    Bytes64 min_pairs[kMins ? kSubs / 2 : 1];  ///< the mins of two neighbours as 16-bit numbers
    F32x16 d;
    F32x16 dmin;
};

/// The four bytes of each lane, signed or not, as four vectors of floats.
inline void widen_unsigned(I32x16 bytes, F32x16 out[4]) {
    const I32x16 mask = splat_i32(255);
    out[0] = to_f32(bytes & mask);
    out[1] = to_f32(shift_right<8>(bytes) & mask);
    out[2] = to_f32(shift_right<16>(bytes) & mask);
    out[3] = to_f32(shift_right<24>(bytes));
}
inline void widen_signed(I32x16 bytes, F32x16 out[4]) {
    out[0] = to_f32(shift_right_signed<24>(shift_left<24>(bytes)));
    out[1] = to_f32(shift_right_signed<24>(shift_left<16>(bytes)));
    out[2] = to_f32(shift_right_signed<24>(shift_left<8>(bytes)));
    out[3] = to_f32(shift_right_signed<24>(bytes));
}
inline void widen_pairs(I32x16 bytes, Bytes64 out[2]) {
    out[0] = as_bytes((bytes & splat_i32(0xFF)) | shift_left<8>(bytes & splat_i32(0xFF00)));
    const I32x16 high = shift_right<16>(bytes);
    out[1] = as_bytes((high & splat_i32(0xFF)) | shift_left<8>(high & splat_i32(0xFF00)));
}

/// 16 bytes d, dmin, 12 bytes of packed 6-bit scales and mins, as Q4_K and Q5_K have them.
inline void unpack_scales_q4_k(const std::byte* p, size_t stride, BlockScales<8, true>& s) {
    Bytes64 t[4];
    transpose_rows(p, stride, t);
    s.d = half_bits_to_f32(as_i32(t[0]));
    s.dmin = half_bits_to_f32(shift_right<16>(as_i32(t[0])));
    const I32x16 a = as_i32(t[1]), b = as_i32(t[2]), c = as_i32(t[3]);
    const I32x16 six = splat_i32(0x3F3F3F3F), four = splat_i32(0x0F0F0F0F), top = splat_i32(0x30303030);
    widen_unsigned(a & six, s.sub);
    widen_unsigned((c & four) | (shift_right<2>(a) & top), s.sub + 4);
    widen_pairs(b & six, s.min_pairs);
    widen_pairs((shift_right<4>(c) & four) | (shift_right<2>(b) & top), s.min_pairs + 2);
}

inline void transpose_32(const std::byte* p, size_t stride, Bytes64 out[8]) {
    transpose_rows(p, stride, out);
    transpose_rows(p + 16, stride, out + 4);
}

/// The N bits from bit From of each byte on, moved to bit To, alone.
template <int From, int To, int N>
inline Bytes64 move_bits(Bytes64 x) {
    const Bytes64 mask = splat_byte(((1 << N) - 1) << To);
    if constexpr (From < To) return as_bytes(shift_left<To - From>(as_i32(x))) & mask;
    if constexpr (From > To) return as_bytes(shift_right<From - To>(as_i32(x))) & mask;
    return x & mask;
}

struct UnpackQ4_K {
    static constexpr int kBlockBytes = 144, kSubs = 8, kOffset = 0;
    static constexpr bool kMins = true;
    using Scales = BlockScales<kSubs, kMins>;
    static void unpack_scales(const std::byte* p, size_t stride, Scales& s) {
        unpack_scales_q4_k(p, stride, s);
    }
    /// visit(s, w[8]) for the sub-blocks s of 32, in order.
    template <typename Visit>
    [[gnu::always_inline]] static void unpack(const std::byte* p, size_t stride, Visit visit) {
        for (int sub = 0; sub < 8; sub += 2) {
            Bytes64 t[8], w[8];
            transpose_32(p + 16 + 16 * sub, stride, t);
            for (int i = 0; i < 8; ++i) w[i] = low_nibbles(t[i]);
            visit(sub, w);
            for (int i = 0; i < 8; ++i) w[i] = high_nibbles(t[i]);
            visit(sub + 1, w);
        }
    }
};
struct UnpackQ5_K {
    static constexpr int kBlockBytes = 176, kSubs = 8, kOffset = 0;
    static constexpr bool kMins = true;
    using Scales = BlockScales<kSubs, kMins>;
    static void unpack_scales(const std::byte* p, size_t stride, Scales& s) {
        unpack_scales_q4_k(p, stride, s);
    }
    template <typename Visit>
    [[gnu::always_inline]] static void unpack(const std::byte* p, size_t stride, Visit visit) {
        Bytes64 high[8];  // the fifth bits of the next two sub-blocks are bits 0 and 1
        transpose_32(p + 16, stride, high);
        for (int sub = 0; sub < 8; sub += 2) {
            Bytes64 t[8], w[8];
            transpose_32(p + 48 + 16 * sub, stride, t);
            for (int i = 0; i < 8; ++i) w[i] = low_nibbles(t[i]) | move_bits<0, 4, 1>(high[i]);
            visit(sub, w);
            for (int i = 0; i < 8; ++i) {
                w[i] = high_nibbles(t[i]) | move_bits<1, 4, 1>(high[i]);
                high[i] = as_bytes(shift_right<2>(as_i32(high[i])));
            }
            visit(sub + 1, w);
        }
    }
};
struct UnpackQ6_K {
    static constexpr int kBlockBytes = 210, kSubs = 16, kOffset = 32;
    static constexpr bool kMins = false;
    using Scales = BlockScales<kSubs, kMins>;
    static void unpack_scales(const std::byte* p, size_t stride, Scales& s) {
        Bytes64 t[4];
        transpose_rows(p + 192, stride, t);
        for (int i = 0; i < 4; ++i) widen_signed(as_i32(t[i]), s.sub + 4 * i);
        s.d = gather_half(p + 208, stride);
    }
    template <typename Visit>
    [[gnu::always_inline]] static void unpack(const std::byte* p, size_t stride, Visit visit) {
        for (int sub = 0; sub < 8; sub += 4) {
            Bytes64 a[8], b[8], high[8], w[8];
            transpose_32(p + 16 * sub, stride, a);
            transpose_32(p + 16 * sub + 32, stride, b);
            transpose_32(p + 128 + 8 * sub, stride, high);
            for (int i = 0; i < 8; ++i) w[i] = low_nibbles(a[i]) | move_bits<0, 4, 2>(high[i]);
            visit(sub, w);
            for (int i = 0; i < 8; ++i) w[i] = low_nibbles(b[i]) | move_bits<2, 4, 2>(high[i]);
            visit(sub + 1, w);
            for (int i = 0; i < 8; ++i) w[i] = high_nibbles(a[i]) | move_bits<4, 4, 2>(high[i]);
            visit(sub + 2, w);
            for (int i = 0; i < 8; ++i) w[i] = high_nibbles(b[i]) | move_bits<6, 4, 2>(high[i]);
            visit(sub + 3, w);
        }
    }
};
struct UnpackQ3_K {
    static constexpr int kBlockBytes = 110, kSubs = 16, kOffset = 4;
    static constexpr bool kMins = false;
    using Scales = BlockScales<kSubs, kMins>;
    static void unpack_scales(const std::byte* p, size_t stride, Scales& s) {
        // 16 bytes from two before the 12 of the scales to the end of d.
        Bytes64 t[4];
        transpose_rows(p + 94, stride, t);
        const auto from_third_byte = [](Bytes64 low, Bytes64 high) {
            return shift_right<16>(as_i32(low)) | shift_left<16>(as_i32(high));
        };
        const I32x16 a = from_third_byte(t[0], t[1]), b = from_third_byte(t[1], t[2]);
        const I32x16 c = from_third_byte(t[2], t[3]);
        const I32x16 four = splat_i32(0x0F0F0F0F), top = splat_i32(0x30303030);
        widen_unsigned((a & four) | (shift_left<4>(c) & top), s.sub);
        widen_unsigned((b & four) | (shift_left<2>(c) & top), s.sub + 4);
        widen_unsigned((shift_right<4>(a) & four) | (c & top), s.sub + 8);
        widen_unsigned((shift_right<4>(b) & four) | (shift_right<2>(c) & top), s.sub + 12);
        for (int i = 0; i < kSubs; ++i) s.sub[i] = s.sub[i] - splat(32.0f);
        s.d = half_bits_to_f32(shift_right<16>(as_i32(t[3])));
    }
    template <typename Visit>
    [[gnu::always_inline]] static void unpack(const std::byte* p, size_t stride, Visit visit) {
        Bytes64 high[8];  // the third bits of the next four sub-blocks are bits 0 to 3
        transpose_32(p, stride, high);
        for (int half = 0; half < 8; half += 4) {
            Bytes64 t[8];
            transpose_32(p + 32 + 8 * half, stride, t);
            unroll<4>([&](auto quarter) __attribute__((always_inline)) {
                constexpr int Q = decltype(quarter)::value;
                Bytes64 w[8];
                for (int i = 0; i < 8; ++i) w[i] = move_bits<2 * Q, 0, 2>(t[i]) | move_bits<Q, 2, 1>(high[i]);
                visit(half + Q, w);
            });
            for (Bytes64& h : high) h = as_bytes(shift_right<4>(as_i32(h)));
        }
    }
};
struct UnpackQ2_K {
    static constexpr int kBlockBytes = 84, kSubs = 16, kOffset = 0;
    static constexpr bool kMins = true;
    using Scales = BlockScales<kSubs, kMins>;
    static void unpack_scales(const std::byte* p, size_t stride, Scales& s) {
        Bytes64 t[4];
        transpose_rows(p, stride, t);
        for (int i = 0; i < 4; ++i) {
            widen_unsigned(as_i32(low_nibbles(t[i])), s.sub + 4 * i);
            widen_pairs(as_i32(high_nibbles(t[i])), s.min_pairs + 2 * i);
        }
        gather_two_halves(p + 80, stride, s.d, s.dmin);
    }
    template <typename Visit>
    [[gnu::always_inline]] static void unpack(const std::byte* p, size_t stride, Visit visit) {
        for (int half = 0; half < 8; half += 4) {
            Bytes64 t[8];
            transpose_32(p + 16 + 8 * half, stride, t);
            unroll<4>([&](auto quarter) __attribute__((always_inline)) {
                constexpr int Q = decltype(quarter)::value;
                Bytes64 w[8];
                for (int i = 0; i < 8; ++i) w[i] = move_bits<2 * Q, 0, 2>(t[i]);
                visit(half + Q, w);
            });
        }
    }
};

// Formats whose nibbles are indices into a table of 16 signed numbers.

struct NibbleTable {
    uint8_t values[16];
};
/// The numbers moved up by `offset`.
constexpr NibbleTable nibble_table(const int8_t (&values)[16], int offset) {
    NibbleTable table{};
    for (int i = 0; i < 16; ++i) table.values[i] = static_cast<uint8_t>(values[i] + offset);
    return table;
}
inline void unpack_nibbles(const std::byte* p, size_t stride, const NibbleTable& table, Bytes64 w[8]) {
    unpack_nibbles(p, stride, w);
    for (int i = 0; i < 8; ++i) w[i] = lookup16(table.values, w[i]);
}
inline constexpr NibbleTable kE2M1Table = nibble_table(kDoubledE2M1, 12);
inline constexpr NibbleTable kIQ4Table = nibble_table(kIQ4Values, kSignedOffset);

/// 2^(e - 128) of the E8M0 at `p` of each row. Two factors, because the smallest are subnormal.
inline F32x16 gather_half_of_e8m0(const std::byte* p, size_t stride) {
    const I32x16 e = gather_u32(p, stride) & splat_i32(255);
    const I32x16 half = shift_right<1>(e);
    return f32_of_bits(shift_left<23>(half + splat_i32(63))) *
           f32_of_bits(shift_left<23>(e - half + splat_i32(63)));
}

struct UnpackMXFP4 {
    static constexpr int kBlockBytes = 17, kOffset = 12;
    static constexpr bool kMins = false, kSigned = false;
    static void unpack(const std::byte* p, size_t stride, Bytes64 w[8], F32x16& scale, F32x16&) {
        unpack_nibbles(p + 1, stride, kE2M1Table, w);
        scale = gather_half_of_e8m0(p, stride);
    }
};
struct UnpackIQ4_NL {
    static constexpr int kBlockBytes = 18, kOffset = kSignedOffset;
    static constexpr bool kMins = false, kSigned = true;
    static void unpack(const std::byte* p, size_t stride, Bytes64 w[8], F32x16& scale, F32x16&) {
        unpack_nibbles(p + 2, stride, kIQ4Table, w);
        scale = gather_half(p, stride);
    }
};
struct UnpackIQ4_XS {
    static constexpr int kBlockBytes = 136, kSubs = 8, kOffset = kSignedOffset;
    static constexpr bool kMins = false, kSigned = true;
    using Scales = BlockScales<kSubs, kMins>;
    static void unpack_scales(const std::byte* p, size_t stride, Scales& s) {
        const I32x16 high = gather_u32(p, stride), low = gather_u32(p + 4, stride);
        unroll<8>([&](auto i) __attribute__((always_inline)) {
            constexpr int G = decltype(i)::value;
            const I32x16 top = shift_left<4>(shift_right<16 + 2 * G>(high) & splat_i32(3));
            s.sub[G] = to_f32(((shift_right<4 * G>(low) & splat_i32(15)) | top) - splat_i32(32));
        });
        s.d = half_bits_to_f32(high);
    }
    template <typename Visit>
    [[gnu::always_inline]] static void unpack(const std::byte* p, size_t stride, Visit visit) {
        for (int sub = 0; sub < 8; ++sub) {
            Bytes64 w[8];
            unpack_nibbles(p + 8 + 16 * sub, stride, kIQ4Table, w);
            visit(sub, w);
        }
    }
};

// Ternary weights: 0, 1, 2 stand for -1, 0, 1. They are moved to where the other formats of eight sub-blocks
// have their zero, and so share the product.

inline Bytes64 ternary_operand(Bytes64 digits) {
    return add_bytes(digits, splat_byte(static_cast<uint8_t>(kSignedOffset - 1)));
}

struct UnpackTQ2_0 {
    static constexpr int kBlockBytes = 66, kSubs = 8, kOffset = kSignedOffset;
    static constexpr bool kMins = false, kSigned = true, kAlone = true;
    using Scales = BlockScales<kSubs, kMins>;
    static void unpack_scales(const std::byte* p, size_t stride, Scales& s) {
        for (F32x16& sub : s.sub) sub = splat(1.0f);
        s.d = gather_half(p + 64, stride);
    }
    template <typename Visit>
    [[gnu::always_inline]] static void unpack(const std::byte* p, size_t stride, Visit visit) {
        for (int half = 0; half < 8; half += 4) {
            Bytes64 t[8];
            transpose_32(p + 8 * half, stride, t);
            unroll<4>([&](auto quarter) __attribute__((always_inline)) {
                constexpr int Q = decltype(quarter)::value;
                Bytes64 w[8];
                for (int i = 0; i < 8; ++i) w[i] = ternary_operand(move_bits<2 * Q, 0, 2>(t[i]));
                visit(half + Q, w);
            });
        }
    }
};

/// The bytes of a vector in two halves of 16 bits each, which multiply by 3 without carrying into each other.
struct TernaryBytes {
    I32x16 even, odd;
};
inline TernaryBytes ternary_bytes(Bytes64 x) {
    const I32x16 mask = splat_i32(0x00FF00FF);
    return {as_i32(x) & mask, shift_right<8>(as_i32(x)) & mask};
}
/// The next base-3 digit of each byte.
inline Bytes64 next_digit(TernaryBytes& x) {
    const I32x16 mask = splat_i32(0x00FF00FF);
    const I32x16 even = x.even + x.even + x.even, odd = x.odd + x.odd + x.odd;
    x = {even & mask, odd & mask};
    return ternary_operand(as_bytes((shift_right<8>(even) & mask) | (odd & splat_i32(0x03000300))));
}

struct UnpackTQ1_0 {
    static constexpr int kBlockBytes = 54, kSubs = 8, kOffset = kSignedOffset;
    static constexpr bool kMins = false, kSigned = true, kAlone = true;
    using Scales = BlockScales<kSubs, kMins>;
    static void unpack_scales(const std::byte* p, size_t stride, Scales& s) {
        for (F32x16& sub : s.sub) sub = splat(1.0f);
        s.d = gather_half(p + 52, stride);
    }
    template <typename Visit>
    [[gnu::always_inline]] static void unpack(const std::byte* p, size_t stride, Visit visit) {
        Bytes64 t[8], w[8];
        TernaryBytes x[8];
        transpose_32(p, stride, t);
        for (int i = 0; i < 8; ++i) x[i] = ternary_bytes(t[i]);
        for (int digit = 0; digit < 5; ++digit) {
            for (int i = 0; i < 8; ++i) w[i] = next_digit(x[i]);
            visit(digit, w);
        }
        transpose_rows(p + 32, stride, t);
        for (int i = 0; i < 4; ++i) x[i] = ternary_bytes(t[i]);
        for (int sub = 5; sub < 7; ++sub) {
            for (int i = 0; i < 8; ++i) w[i] = next_digit(x[i % 4]);
            visit(sub, w);
        }
        TernaryBytes rest = ternary_bytes(as_bytes(gather_u32(p + 48, stride)));
        for (int i = 0; i < 4; ++i) w[i] = next_digit(x[i]);
        for (int i = 4; i < 8; ++i) w[i] = next_digit(rest);
        visit(7, w);
    }
};

// Blocks that hold kTiles times 32 weights. unpack(): visit(t, w[8], scale[kSubs], min), in order, where
// kSubs is 2 if each half of the 32 has a scale.

struct UnpackQ1_0 {
    static constexpr int kBlockBytes = 18, kTiles = 4, kSubs = 1, kOffset = 1;
    static constexpr bool kMins = false, kSigned = false, kAlone = true;
    template <typename Visit>
    [[gnu::always_inline]] static void unpack(const std::byte* p, size_t stride, Visit visit) {
        Bytes64 bits[4];
        transpose_rows(p + 2, stride, bits);
        const F32x16 scale = gather_half(p, stride);
        for (int t = 0; t < kTiles; ++t) {
            Bytes64 w[8];
            unroll<8>([&](auto i) __attribute__((always_inline)) {
                w[decltype(i)::value] = bits_to_bytes<decltype(i)::value, 1>(as_i32(bits[t]));
            });
            visit(t, w, &scale, zero());
        }
    }
};
struct UnpackQ2_0 {
    static constexpr int kBlockBytes = 18, kTiles = 2, kSubs = 1, kOffset = 1;
    static constexpr bool kMins = false, kSigned = false, kAlone = true;
    template <typename Visit>
    [[gnu::always_inline]] static void unpack(const std::byte* p, size_t stride, Visit visit) {
        Bytes64 fields[4];
        transpose_rows(p + 2, stride, fields);
        const F32x16 scale = gather_half(p, stride);
        for (int t = 0; t < kTiles; ++t) {
            Bytes64 w[8];
            unroll<8>([&](auto i) __attribute__((always_inline)) {
                constexpr int I = decltype(i)::value;
                w[I] = fields_to_bytes<2, I % 4, 0>(as_i32(fields[2 * t + I / 4]));
            });
            visit(t, w, &scale, zero());
        }
    }
};
/// Half the E4M3 in the lowest byte of each lane, whose sign is ignored; 0x7F is 0.
inline F32x16 half_of_e4m3(I32x16 bytes) {
    // The exponent is moved by a multiplication, which also normalises.
    const F32x16 value = f32_of_bits(shift_left<20>(bytes & splat_i32(0x7F))) * splat(0x1p119f);
    const F32x16 from_nan = abs(to_f32(bytes & splat_i32(0xFF)) - splat(127.0f));
    return select(less(zero(), from_nan), value, zero());
}
struct UnpackNVFP4 {
    static constexpr int kBlockBytes = 36, kTiles = 2, kSubs = 2, kOffset = 12;
    static constexpr bool kMins = false, kSigned = false, kAlone = true;
    template <typename Visit>
    [[gnu::always_inline]] static void unpack(const std::byte* p, size_t stride, Visit visit) {
        Bytes64 t[8];
        transpose_32(p + 4, stride, t);
        const I32x16 e4m3 = gather_u32(p, stride);
        const F32x16 scale[4] = {half_of_e4m3(e4m3), half_of_e4m3(shift_right<8>(e4m3)),
                                 half_of_e4m3(shift_right<16>(e4m3)), half_of_e4m3(shift_right<24>(e4m3))};
        for (int tile = 0; tile < kTiles; ++tile) {
            Bytes64 w[8];
            for (int i = 0; i < 8; ++i) {
                // Of a group of 16 the low nibbles of two dwords are the first 8, the high ones the others.
                const Bytes64 x = t[4 * tile + i / 4 * 2 + i % 2];
                w[i] = lookup16(kE2M1Table.values, i % 4 < 2 ? low_nibbles(x) : high_nibbles(x));
            }
            visit(tile, w, scale + 2 * tile, zero());
        }
    }
};

}  // namespace
}  // namespace agave::cpu
