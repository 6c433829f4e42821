#pragma once

#include "backends/cpu/activation_row.h"
#include "backends/cpu/matmul_codebook.h"
#include "backends/cpu/matmul_unpack.h"

namespace agave::cpu {
namespace {

// The sums of a matrix multiplication with quantised weights: 16 weight rows (lanes) x R rows of activations.
// Two texts, blocks of 32 and of 256, each used twice: on tiles straight from the unpacker's registers
// (gemv_panel) and on a panel unpacked to memory (multiply_panel). Both go through dot_tile(), add_block32()
// and add_block256(), so they make the same operations in the same order for each output.
//
// A unit is one block of the 16 weight rows. A Tile holds R rows of activations; what the sums need beside
// the int8 is laid out by prepare_tile() as units of numbers [..][R], all 4 bytes wide, so that it is
// broadcast from memory at constant distances:
//   blocks of 32:   scale; then scale * sum (formats with mins) or -kOffset * sum (the others), of each half
//                   where those have scales of their own
//   blocks of 256:  scale; then pairs of 16-bit sums (with mins) or -kOffset * sum, for each sub-block

/// The shape of an unpacked panel, and the name of the multiply() that runs on it.
template <int kBlockSize, int kSubBlocks, int kOffsetUsed, bool kHasMins, bool kIsSigned>
struct PanelShape {
    static constexpr int kBlock = kBlockSize, kSubs = kSubBlocks, kOffset = kOffsetUsed;
    static constexpr bool kMins = kHasMins, kSigned = kIsSigned;
};

template <typename Unpack>
constexpr int tiles_of() {
    if constexpr (requires { Unpack::kTiles; }) return Unpack::kTiles;
    return 1;
}
template <typename Unpack>
constexpr int subs_of() {
    if constexpr (requires { Unpack::kSubs; }) return Unpack::kSubs;
    return 1;
}
template <typename Unpack>
struct Blocks32 : Unpack {
    static constexpr int kBlock = 32, kTiles = tiles_of<Unpack>(), kSubs = subs_of<Unpack>();
    // Only whether there is an offset matters to multiply(); its size is prepared with the activations. Where
    // signed operands are moved to unsigned, they take the same instructions.
    using Shape =
        PanelShape<32, kSubs, Unpack::kOffset != 0, Unpack::kMins, Unpack::kSigned && kSignedOffset == 0>;
};
template <typename Unpack>
struct Blocks256 : Unpack {
    static constexpr int kBlock = 256, kTiles = 1;
    static constexpr bool kSigned = requires { Unpack::kSigned; };
    using Shape =
        PanelShape<256, Unpack::kSubs, Unpack::kOffset != 0, Unpack::kMins, kSigned && kSignedOffset == 0>;
};

struct Tile {
    const std::byte* rows;  ///< of R rows of int8
    size_t stride;          ///< bytes from one to the next
    const std::byte* prepared;
};

template <bool kSigned>
inline I32x16 dot_4(I32x16 acc, Bytes64 w, Bytes64 a) {
    if constexpr (kSigned) return dot_s8(acc, w, a);
    return dot_u7(acc, w, a);
}

/// Adds the dot products of 4 * N weights; `w` yields the operand Index<i> for weights 4 i .. 4 i + 3.
template <bool kSigned, int N, int R, typename Weights>
[[gnu::always_inline]] inline void dot_tile(Weights w, const std::byte* rows, size_t stride, I32x16 acc[R]) {
    unroll<N>([&](auto i) __attribute__((always_inline)) {
        const Bytes64 operand = w(i);
        for (size_t r = 0; r < R; ++r)
            acc[r] = dot_4<kSigned>(acc[r], operand, splat_dword(rows + r * stride + 4 * decltype(i)::value));
    });
}

inline F32x16 splat_float_at(const std::byte* p) {
    return f32_of_bits(as_i32(splat_dword(p)));
}

template <typename F, int R>
constexpr size_t kBlock32Prepared = static_cast<size_t>(1 + F::kSubs) * R * 4;
template <typename F, int R>
constexpr size_t kBlock256Prepared = static_cast<size_t>(1 + (F::kMins ? F::kSubs / 2 : F::kSubs)) * R * 4;

/// One unit of a format with blocks of 32; `scale` yields the scale of its half Index<i> where it has two.
template <typename F, int R, typename Weights, typename Scale>
[[gnu::always_inline]] inline void add_block32(Weights w, Scale scale, F32x16 min, const Tile& tile,
                                               int64_t unit, F32x16 sums[R]) {
    constexpr int kOperands = 8 / F::kSubs;
    const std::byte* prepared = tile.prepared + static_cast<size_t>(unit) * kBlock32Prepared<F, R>;
    F32x16 total[R];
    unroll<F::kSubs>([&](auto part) __attribute__((always_inline)) {
        constexpr int P = decltype(part)::value;
        I32x16 acc[R];
        for (int r = 0; r < R; ++r)
            acc[r] = F::kOffset ? as_i32(splat_dword(prepared + ((1 + P) * R + r) * 4)) : zero_i32();
        dot_tile<F::kSigned, kOperands, R>(
            [&](auto i)
                __attribute__((always_inline)) { return w(Index<decltype(i)::value + P * kOperands>{}); },
            tile.rows + 32 * unit + 4 * P * kOperands, tile.stride, acc);
        const F32x16 part_scale = scale(part);
        for (int r = 0; r < R; ++r)
            total[r] = P == 0 ? to_f32(acc[r]) * part_scale : fma(to_f32(acc[r]), part_scale, total[r]);
    });
    for (int r = 0; r < R; ++r) sums[r] = fma(total[r], splat_float_at(prepared + r * 4), sums[r]);
    if constexpr (F::kMins)
        for (int r = 0; r < R; ++r) sums[r] = fma(min, splat_float_at(prepared + (R + r) * 4), sums[r]);
}

/// One sub-block of 32 weights (or two of 16) of a format with blocks of 256: inner += sub scale * dot.
template <typename F, int R, typename Weights, typename SubScale>
[[gnu::always_inline]] inline void add_sub_block(int s, Weights w, SubScale sub_scale, const Tile& tile,
                                                 int64_t unit, F32x16 inner[R]) {
    constexpr int kParts = F::kSubs / 8, kOperands = 8 / kParts;
    const std::byte* prepared = tile.prepared + static_cast<size_t>(unit) * kBlock256Prepared<F, R> + 4 * R;
    const std::byte* rows = tile.rows + 256 * unit + 32 * s;
    unroll<kParts>([&](auto part) __attribute__((always_inline)) {
        constexpr int P = decltype(part)::value;
        const int sub = s * kParts + P;
        I32x16 acc[R];
        for (int r = 0; r < R; ++r)
            acc[r] = F::kOffset ? as_i32(splat_dword(prepared + (sub * R + r) * 4)) : zero_i32();
        dot_tile<F::kSigned, kOperands, R>(
            [&](auto i)
                __attribute__((always_inline)) { return w(Index<decltype(i)::value + P * kOperands>{}); },
            rows + 16 * P, tile.stride, acc);
        const F32x16 scale = sub_scale(sub);
        for (int r = 0; r < R; ++r) inner[r] = fma(to_f32(acc[r]), scale, inner[r]);
    });
}

/// The end of a unit of a format with blocks of 256: sums += scale * (d * inner - dmin * mins).
template <typename F, int R, typename MinPairs>
[[gnu::always_inline]] inline void add_block256(MinPairs min_pairs, F32x16 d, F32x16 dmin, const Tile& tile,
                                                int64_t unit, const F32x16 inner[R], F32x16 sums[R]) {
    const std::byte* prepared = tile.prepared + static_cast<size_t>(unit) * kBlock256Prepared<F, R>;
    for (int r = 0; r < R; ++r) {
        F32x16 total = inner[r] * d;
        if constexpr (F::kMins) {
            I32x16 mins = zero_i32();
            unroll<F::kSubs / 2>([&](auto pair) __attribute__((always_inline)) {
                mins = dot_i16(mins, min_pairs(pair),
                               splat_dword(prepared + ((1 + decltype(pair)::value) * R + r) * 4));
            });
            total = total - to_f32(mins) * dmin;
        }
        sums[r] = fma(total, splat_float_at(prepared + r * 4), sums[r]);
    }
}

/// Asks for `n` bytes from p on; into L2, because L1 has fewer misses in flight.
inline void prefetch_bytes(const std::byte* p, int64_t n) {
    for (int64_t line = 0; line < n; line += 64) prefetch_far(p + line);
}
/// A pass over a matrix asks for its bytes in the order of the file, this far beyond the whole of the panel
/// at hand; the rows of a panel, taken at the same time, would be too many streams for the hardware's
/// prefetcher.
constexpr int64_t kPrefetchBytes = 8192;
inline const std::byte* prefetch_start(const std::byte* panel, size_t stride) {
    return panel + 16 * stride + kPrefetchBytes;
}

/// The tiles of one block of the file of a format with blocks of 32: visit(t, w[8], scale, min).
template <typename F, typename Visit>
[[gnu::always_inline]] inline void unpack_tiles(const std::byte* weights, size_t stride, Visit visit) {
    if constexpr (requires { F::kAlone; }) {
        F::unpack(weights, stride, visit);
    } else {
        Bytes64 w[8];
        F32x16 scale, min = zero();
        F::unpack(weights, stride, w, scale, min);
        visit(0, w, &scale, min);
    }
}

/// sums += one panel straight from the file's blocks.
template <typename F, int R>
inline void gemv_panel(const std::byte* weights, size_t weight_stride, int64_t n_units, const Tile& tile,
                       F32x16 sums[R]) {
    const std::byte* next = prefetch_start(weights, weight_stride);
    for (int64_t u = 0; u < n_units; u += F::kTiles, weights += F::kBlockBytes, next += 16 * F::kBlockBytes) {
        if constexpr (F::kBlock == 32) {
            prefetch_bytes(next, 16 * F::kBlockBytes);
            unpack_tiles<F>(
                weights, weight_stride,
                [&](int t, const Bytes64* w, const F32x16* scale, F32x16 min) __attribute__((always_inline)) {
                    add_block32<F, R>(
                        [&](auto i) __attribute__((always_inline)) { return w[decltype(i)::value]; },
                        [&](auto i) __attribute__((always_inline)) { return scale[decltype(i)::value]; }, min,
                        tile, u + t, sums);
                });
        } else {
            typename F::Scales s;
            F::unpack_scales(weights, weight_stride, s);
            F32x16 inner[R];
            for (int r = 0; r < R; ++r) inner[r] = zero();
            F::unpack(weights, weight_stride, [&](int sub, const Bytes64* w) __attribute__((always_inline)) {
                prefetch_bytes(next + 2 * F::kBlockBytes * sub, 2 * F::kBlockBytes);
                add_sub_block<F, R>(
                    sub, [&](auto i) __attribute__((always_inline)) { return w[decltype(i)::value]; },
                    [&](int i) __attribute__((always_inline)) { return s.sub[i]; }, tile, u, inner);
            });
            add_block256<F, R>([&](auto i)
                                   __attribute__((always_inline)) { return s.min_pairs[decltype(i)::value]; },
                               s.d, s.dmin, tile, u, inner, sums);
        }
    }
}

// A unit unpacked to memory. Blocks of 32: the tile, scales, min. Blocks of 256: 8 tiles, sub scales, d, then
// pairs of mins and dmin.
template <typename F>
constexpr size_t panel_unit_bytes() {
    if constexpr (F::kBlock == 32) return (8 + F::kSubs + (F::kMins ? 1 : 0)) * 64;
    return (64 + F::kSubs + 1 + (F::kMins ? F::kSubs / 2 + 1 : 0)) * 64;
}

inline float* floats_at(std::byte* p) {
    return typed<float>(p);
}
inline F32x16 load_floats_at(const std::byte* p) {
    return load(typed<float>(p));
}

/// The scales of a unit of a format with blocks of 256.
template <typename F>
[[gnu::always_inline]] inline void store_scales(const typename F::Scales& s, std::byte* out) {
    std::byte* p = out + 4096;
    for (int i = 0; i < F::kSubs; ++i, p += 64) store(floats_at(p), s.sub[i]);
    store(floats_at(p), s.d);
    if constexpr (F::kMins) {
        store(floats_at(p + 64), s.dmin);
        for (int i = 0; i < F::kSubs / 2; ++i) store_bytes(p + 128 + 64 * i, s.min_pairs[i]);
    }
}
inline void store_tile(const Bytes64 w[8], std::byte* out) {
    for (int i = 0; i < 8; ++i) store_bytes(out + 64 * i, w[i]);
}

/// Unpacks units, and meanwhile asks for their share of what will be needed, from `next` on.
template <typename F>
inline void unpack_panel(const std::byte* weights, size_t weight_stride, int64_t n_units,
                         const std::byte* next, std::byte* out) {
    constexpr size_t kUnitBytes = panel_unit_bytes<F>();
    for (int64_t u = 0; u < n_units; u += F::kTiles, weights += F::kBlockBytes, next += 16 * F::kBlockBytes,
                 out += kUnitBytes * F::kTiles) {
        if constexpr (F::kBlock == 32) {
            prefetch_bytes(next, 16 * F::kBlockBytes);
            unpack_tiles<F>(weights, weight_stride,
                            [&](int t, const Bytes64* w, const F32x16* scale, F32x16 min)
                                __attribute__((always_inline)) {
                                    std::byte* p = out + kUnitBytes * static_cast<size_t>(t);
                                    store_tile(w, p);
                                    for (int i = 0; i < F::kSubs; ++i)
                                        store(floats_at(p + 512 + 64 * i), scale[i]);
                                    if constexpr (F::kMins) store(floats_at(p + 512 + 64 * F::kSubs), min);
                                });
        } else {
            typename F::Scales s;
            F::unpack_scales(weights, weight_stride, s);
            store_scales<F>(s, out);
            F::unpack(weights, weight_stride, [&](int sub, const Bytes64* w) __attribute__((always_inline)) {
                prefetch_bytes(next + 2 * F::kBlockBytes * sub, 2 * F::kBlockBytes);
                store_tile(w, out + 512 * sub);
            });
        }
    }
}

/// The same for a format with a codebook.
template <int kCodeBits>
inline void unpack_codebook_panel(LookUp look_up, int64_t block_bytes, const std::byte* weights,
                                  size_t weight_stride, int64_t n_units, const std::byte* next,
                                  std::byte* out) {
    using Unit = CodebookUnit<kCodeBits>;
    alignas(64) Unit unit;
    for (int64_t u = 0; u < n_units;
         ++u, weights += block_bytes, next += 16 * block_bytes, out += panel_unit_bytes<Blocks256<Unit>>()) {
        prefetch_bytes(next, 16 * block_bytes);
        look_up(weights, weight_stride, &unit);
        store_scales<Unit>(unit.scales, out);
        unit.unpack([&](int sub, const Bytes64* w)
                        __attribute__((always_inline)) { store_tile(w, out + 512 * sub); });
    }
}

/// sums += n_units units of an unpacked panel; sums is [R] vectors of 16 floats in memory.
template <typename F, int R>
inline void multiply_panel(const std::byte* panel, int64_t n_units, const Tile& tile, float* sums_memory) {
    F32x16 sums[R];
    for (int r = 0; r < R; ++r) sums[r] = load(sums_memory + 16 * r);
    for (int64_t u = 0; u < n_units; ++u, panel += panel_unit_bytes<F>()) {
        if constexpr (F::kBlock == 32) {
            add_block32<F, R>(
                [&](auto i)
                    __attribute__((always_inline)) { return load_bytes(panel + 64 * decltype(i)::value); },
                [&](auto i) __attribute__((always_inline)) {
                    return load_floats_at(panel + 512 + 64 * decltype(i)::value);
                },
                F::kMins ? load_floats_at(panel + 512 + 64 * F::kSubs) : zero(), tile, u, sums);
        } else {
            F32x16 inner[R];
            for (int r = 0; r < R; ++r) inner[r] = zero();
            for (int sub = 0; sub < 8; ++sub)
                add_sub_block<F, R>(
                    sub,
                    [&](auto i) __attribute__((always_inline)) {
                        return load_bytes(panel + 512 * sub + 64 * decltype(i)::value);
                    },
                    [&](int i)
                        __attribute__((always_inline)) { return load_floats_at(panel + 4096 + 64 * i); },
                    tile, u, inner);
            const std::byte* p = panel + 4096 + 64 * F::kSubs;
            add_block256<F, R>(
                [&](auto i)
                    __attribute__((always_inline)) { return load_bytes(p + 128 + 64 * decltype(i)::value); },
                load_floats_at(p), F::kMins ? load_floats_at(p + 64) : zero(), tile, u, inner, sums);
        }
    }
    for (int r = 0; r < R; ++r) store(sums_memory + 16 * r, sums[r]);
}

}  // namespace
}  // namespace agave::cpu
