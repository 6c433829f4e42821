#pragma once

#include "backends/cpu/activation_row.h"
#include "backends/cpu/codebook_entries.h"
#include "backends/cpu/matmul_unpack.h"
#include "quant/codebook.h"

namespace agave::cpu {
namespace {

// Formats with codebooks. For each format look_up_codes() fetches the entries of a row, and look_up_rest()
// brings the signs and scales of 16 rows into one form; two unpackers then serve seven formats.

/// Weight j of a row is levels[code j | sign j << 3] * scale of j / 16 * d. kCodeBits is 2 or 4.
template <int kCodeBits>
struct CodebookUnit {
    static constexpr int kSubs = 16, kOffset = kSignedOffset;
    static constexpr bool kMins = false, kSigned = true;
    using Scales = BlockScales<kSubs, kMins>;

    /// The codes from the lowest bit on; the rows lie an odd multiple of 16 bytes apart, in other sets of the
    /// cache.
    uint16_t codes[16][16 * kCodeBits + 8];
    I32x16 signs[8];  ///< of each 32 weights a bit each
    Scales scales;
    const int8_t* levels;  ///< [16]

    template <typename Visit>
    [[gnu::always_inline]] void unpack(Visit visit) const {
        uint8_t operands[16];
        for (int i = 0; i < 16; ++i) operands[i] = static_cast<uint8_t>(levels[i] ^ kSignedOffset);
        constexpr int kSubsAtOnce = 4 / kCodeBits, kPart = 8 / kCodeBits;
        for (int first = 0; first < 8; first += kSubsAtOnce) {
            Bytes64 dwords[4];
            transpose_rows(as_bytes_pointer(codes[0] + first * kCodeBits * 2), sizeof codes[0], dwords);
            for (int s = 0; s < kSubsAtOnce; ++s) {
                Bytes64 w[8];
                unroll<8>([&](auto i) __attribute__((always_inline)) {
                    constexpr int I = decltype(i)::value;
                    const I32x16 dword = as_i32(dwords[s * kCodeBits + I / kPart]);
                    w[I] = lookup16(operands, fields_to_bytes<kCodeBits, I % kPart, 0>(dword) |
                                                  bits_to_bytes<I, 3>(signs[first + s]));
                });
                visit(first + s, w);
            }
        }
    }
};

struct CodebookLevels {
    int8_t values[16];
};
/// Positive numbers, then their negatives.
template <int n>
constexpr CodebookLevels signed_levels(const uint8_t (&magnitudes)[n]) {
    CodebookLevels levels{};
    for (int i = 0; i < n; ++i) {
        levels.values[i] = static_cast<int8_t>(magnitudes[i]);
        levels.values[8 + i] = static_cast<int8_t>(-magnitudes[i]);
    }
    return levels;
}
inline constexpr CodebookLevels kLevelsIQ2 = signed_levels(kIQ2Levels);
inline constexpr CodebookLevels kLevelsIQ3_XXS = signed_levels(kIQ3_XXSLevels);
inline constexpr CodebookLevels kLevelsIQ3_S = signed_levels(kIQ3_SLevels);
/// Eight times -1, 0 and 1 plus or minus an eighth; the sign is that of the eighth.
inline constexpr CodebookLevels kLevelsIQ1{{-7, 1, 9, 0, 0, 0, 0, 0, -9, -1, 7, 0, 0, 0, 0, 0}};

/// 2 s + 1 of the lowest kBits bits of each lane.
template <int kBits>
inline F32x16 odd_scale(I32x16 x) {
    return to_f32((x & splat_i32((1 << kBits) - 1)) * splat_i32(2) + splat_i32(1));
}
/// Scales of 16 weights each from nibbles, `dword` having those of 128.
template <int kFirst, typename Scales>
inline void odd_scales_of_nibbles(I32x16 dword, Scales& s) {
    unroll<8>([&](auto i) __attribute__((always_inline)) {
        constexpr int I = decltype(i)::value;
        s.sub[kFirst + I] = odd_scale<4>(shift_right<4 * I>(dword));
    });
}
/// Bit 7 of each byte makes the number of ones even (see even_signs() in quant/codebook.h).
inline I32x16 complete_even_signs(I32x16 x) {
    Bytes64 parity = as_bytes(x) ^ as_bytes(shift_right<4>(x));
    parity = parity ^ as_bytes(shift_right<2>(as_i32(parity)));
    parity = parity ^ as_bytes(shift_right<1>(as_i32(parity)));
    return x | shift_left<7>(as_i32(parity) & splat_i32(0x01010101));
}
/// The signs and the scale of 32 weights from 4 times 7 bits and 4 bits.
template <typename Unit>
inline void signs_and_scale(I32x16 x, int sub, Unit& out) {
    out.signs[sub] = complete_even_signs((x & splat_i32(0x7F)) | (shift_left<1>(x) & splat_i32(0x7F00)) |
                                         (shift_left<2>(x) & splat_i32(0x7F0000)) |
                                         (shift_left<3>(x) & splat_i32(0x7F000000)));
    out.scales.sub[2 * sub] = out.scales.sub[2 * sub + 1] = odd_scale<4>(shift_right<28>(x));
}
/// Signs that are stored as they are: 32 bytes.
template <typename Unit>
inline void plain_signs(const std::byte* p, size_t stride, Unit& out) {
    Bytes64 t[8];
    transpose_32(p, stride, t);
    for (int i = 0; i < 8; ++i) out.signs[i] = as_i32(t[i]);
}

inline void look_up_rest(const std::byte* p, size_t stride, const BlockIQ1_S&, CodebookUnit<2>& out) {
    Bytes64 qh[4];
    transpose_rows(p + offsetof(BlockIQ1_S, qh), stride, qh);
    for (int g = 0; g < 8; ++g) {
        const I32x16 x = g % 2 ? as_i32(qh[g / 2]) : shift_left<16>(as_i32(qh[g / 2]));
        out.signs[g] = shift_right_signed<31>(x);
        out.scales.sub[2 * g] = out.scales.sub[2 * g + 1] = odd_scale<3>(shift_right<28>(x));
    }
    out.scales.d = gather_half(p, stride) * splat(0.125f);
    out.levels = kLevelsIQ1.values;
}

inline void look_up_rest(const std::byte* p, size_t stride, const BlockIQ1_M&, CodebookUnit<2>& out) {
    Bytes64 qh[4];
    transpose_rows(p + offsetof(BlockIQ1_M, qh), stride, qh);
    for (int sub = 0; sub < 8; ++sub) {
        // Bit 3 of four nibbles: the sign of all 8 weights of an entry.
        const I32x16 x = shift_right<3>(as_i32(qh[sub / 2])), y = sub % 2 ? shift_right<16>(x) : x;
        const I32x16 ones = (y & splat_i32(1)) | (shift_left<4>(y) & splat_i32(0x100)) |
                            (shift_left<8>(y) & splat_i32(0x10000)) |
                            (shift_left<12>(y) & splat_i32(0x1000000));
        out.signs[sub] = shift_left<8>(ones) - ones;
    }
    constexpr size_t kScales = offsetof(BlockIQ1_M, scales);
    const I32x16 scales[2] = {gather_u32(p + kScales, stride), gather_u32(p + kScales + 4, stride)};
    unroll<16>([&](auto i) __attribute__((always_inline)) {
        constexpr int I = decltype(i)::value;
        out.scales.sub[I] = odd_scale<3>(shift_right<I / 4 % 2 * 16 + I % 4 * 3>(scales[I / 8]));
    });
    const I32x16 nibble = splat_i32(15);
    const I32x16 half = (shift_right<12>(scales[0]) & nibble) | shift_left<4>(shift_right<28>(scales[0])) |
                        shift_left<8>(shift_right<12>(scales[1]) & nibble) |
                        shift_left<12>(shift_right<28>(scales[1]));
    out.scales.d = half_bits_to_f32(half) * splat(0.125f);
    out.levels = kLevelsIQ1.values;
}

inline void look_up_rest(const std::byte* p, size_t stride, const BlockIQ2_XXS&, CodebookUnit<2>& out) {
    for (int sub = 0; sub < 8; sub += 2) {
        Bytes64 groups[4];
        transpose_rows(p + offsetof(BlockIQ2_XXS, qs) + 8 * sub, stride, groups);
        signs_and_scale(as_i32(groups[1]), sub, out);
        signs_and_scale(as_i32(groups[3]), sub + 1, out);
    }
    out.scales.d = gather_half(p, stride) * splat(0.125f);
    out.levels = kLevelsIQ2.values;
}

inline void look_up_rest(const std::byte* p, size_t stride, const BlockIQ2_XS&, CodebookUnit<2>& out) {
    for (int sub = 0; sub < 8; sub += 2) {
        Bytes64 t[4];
        transpose_rows(p + offsetof(BlockIQ2_XS, qs) + 8 * sub, stride, t);
        for (int s = 0; s < 2; ++s) {
            const I32x16 a = as_i32(t[2 * s]), b = as_i32(t[2 * s + 1]);
            out.signs[sub + s] = complete_even_signs(
                (shift_right<9>(a) & splat_i32(0x7F)) | (shift_right<17>(a) & splat_i32(0x7F00)) |
                (shift_left<7>(b) & splat_i32(0x7F0000)) | (shift_right<1>(b) & splat_i32(0x7F000000)));
        }
    }
    constexpr size_t kScales = offsetof(BlockIQ2_XS, scales);
    odd_scales_of_nibbles<0>(gather_u32(p + kScales, stride), out.scales);
    odd_scales_of_nibbles<8>(gather_u32(p + kScales + 4, stride), out.scales);
    out.scales.d = gather_half(p, stride) * splat(0.125f);
    out.levels = kLevelsIQ2.values;
}

inline void look_up_rest(const std::byte* p, size_t stride, const BlockIQ2_S&, CodebookUnit<2>& out) {
    plain_signs(p + offsetof(BlockIQ2_S, signs), stride, out);
    constexpr size_t kScales = offsetof(BlockIQ2_S, scales);
    odd_scales_of_nibbles<0>(gather_u32(p + kScales, stride), out.scales);
    odd_scales_of_nibbles<8>(gather_u32(p + kScales + 4, stride), out.scales);
    out.scales.d = gather_half(p, stride) * splat(0.125f);
    out.levels = kLevelsIQ2.values;
}

inline void look_up_rest(const std::byte* p, size_t stride, const BlockIQ3_XXS&, CodebookUnit<4>& out) {
    Bytes64 groups[8];
    transpose_32(p + offsetof(BlockIQ3_XXS, bits), stride, groups);
    for (int sub = 0; sub < 8; ++sub) signs_and_scale(as_i32(groups[sub]), sub, out);
    out.scales.d = gather_half(p, stride) * splat(0.25f);
    out.levels = kLevelsIQ3_XXS.values;
}

inline void look_up_rest(const std::byte* p, size_t stride, const BlockIQ3_S&, CodebookUnit<4>& out) {
    plain_signs(p + offsetof(BlockIQ3_S, signs), stride, out);
    const I32x16 nibbles = gather_u32(p + offsetof(BlockIQ3_S, scales), stride);
    unroll<8>([&](auto i) __attribute__((always_inline)) {
        constexpr int I = decltype(i)::value;
        out.scales.sub[2 * I] = out.scales.sub[2 * I + 1] = odd_scale<4>(shift_right<4 * I>(nibbles));
    });
    out.scales.d = gather_half(p, stride);
    out.levels = kLevelsIQ3_S.values;
}

/// Fills the CodebookUnit at `unit` from a block of 16 rows.
using LookUp = void (*)(const std::byte* p, size_t stride, void* unit);
template <typename Block, int kCodeBits>
void look_up_of(const std::byte* p, size_t stride, void* unit) {
    auto& out = *static_cast<CodebookUnit<kCodeBits>*>(unit);
    for (size_t r = 0; r < 16; ++r) look_up_codes(*typed<Block>(p + r * stride), out.codes[r]);
    look_up_rest(p, stride, Block{}, out);
}

}  // namespace
}  // namespace agave::cpu
