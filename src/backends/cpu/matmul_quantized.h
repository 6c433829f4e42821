#pragma once

#include "backends/cpu/matmul_micro.h"
#include "backends/cpu/matmul_scratch.h"

namespace agave::cpu {
namespace {

/// The functions of one format's matrix multiplication. Formats that unpack to the same layout share
/// `multiply` and `prepare`.
struct QuantizedKernels {
    int block;        ///< weights in a unit
    int tiles;        ///< units in a block of the file
    int block_bytes;  ///< bytes of a block in the file
    size_t unit_bytes;
    int offset;  ///< taken from the weights by the sums of the activations
    int subs;    ///< sub-blocks of a unit
    bool mins;
    void (*gemv)(const std::byte* weights, size_t weight_stride, int64_t n_units, const Tile& tile,
                 float* sums);
    void (*unpack)(const QuantizedKernels& f, const std::byte* weights, size_t weight_stride, int64_t n_units,
                   const std::byte* next, std::byte* panel);
    void (*multiply)(int n_rows, const std::byte* panel, int64_t n_units, const Tile& tile, float* sums);
    LookUp look_up = nullptr;  ///< for formats with a codebook

    /// Where the unit starts in a row of the file.
    int64_t offset_of(int64_t unit) const { return unit / tiles * block_bytes; }
    size_t row_bytes(int64_t k) const { return static_cast<size_t>(offset_of(k / block)); }
};

template <typename F>
void gemv(const std::byte* weights, size_t weight_stride, int64_t n_units, const Tile& tile, float* sums) {
    if constexpr (F::kBlock <= kFusedGemvBlock) {
        F32x16 total[1] = {zero()};
        gemv_panel<F, 1>(weights, weight_stride, n_units, tile, total);
        store(sums, total[0]);
    }
}
template <typename F>
void unpack_panel_of(const QuantizedKernels&, const std::byte* weights, size_t weight_stride, int64_t n_units,
                     const std::byte* next, std::byte* panel) {
    unpack_panel<F>(weights, weight_stride, n_units, next, panel);
}
template <int kCodeBits>
void unpack_codebook_panel_of(const QuantizedKernels& f, const std::byte* weights, size_t weight_stride,
                              int64_t n_units, const std::byte* next, std::byte* panel) {
    unpack_codebook_panel<kCodeBits>(f.look_up, f.block_bytes, weights, weight_stride, n_units, next, panel);
}

/// Calls function(Index<R>) with the greatest R of {12, 8, 4, 2, 1}, as far as the level has them, that is at
/// most n, and returns it.
template <typename Function>
inline int with_tile_rows(int n, Function function) {
    if constexpr (kTileRows >= 12)
        if (n >= 12) return function(Index<12>{}), 12;
    if constexpr (kTileRows >= 8)
        if (n >= 8) return function(Index<8>{}), 8;
    if (n >= 4) return function(Index<4>{}), 4;
    if constexpr (kTileRows >= 8)
        if (n >= 2) return function(Index<2>{}), 2;
    return function(Index<1>{}), 1;
}

/// The number of rows of the next tile when n rows are left.
inline int tile_rows(int n) {
    return with_tile_rows(n, [](auto) {});
}

template <typename Shape>
void multiply_panel_of(int n_rows, const std::byte* panel, int64_t n_units, const Tile& tile, float* sums) {
    with_tile_rows(n_rows,
                   [&](auto r) { multiply_panel<Shape, decltype(r)::value>(panel, n_units, tile, sums); });
}

template <typename F>
constexpr QuantizedKernels quantized_kernels() {
    return {F::kBlock,          F::kTiles,
            F::kBlockBytes,     panel_unit_bytes<F>(),
            F::kOffset,         F::kSubs,
            F::kMins,           F::kBlock <= kFusedGemvBlock ? gemv<F> : nullptr,
            unpack_panel_of<F>, multiply_panel_of<typename F::Shape>};
}
template <int kCodeBits, typename Block>
constexpr QuantizedKernels codebook_kernels() {
    using F = Blocks256<CodebookUnit<kCodeBits>>;
    return {F::kBlock,
            1,
            sizeof(Block),
            panel_unit_bytes<F>(),
            F::kOffset,
            F::kSubs,
            F::kMins,
            nullptr,
            unpack_codebook_panel_of<kCodeBits>,
            multiply_panel_of<typename F::Shape>,
            look_up_of<Block, kCodeBits>};
}

/// Numbers that a prepared tile has for each unit and row.
constexpr int prepared_numbers(const QuantizedKernels& f) {
    return 1 + (f.mins && f.block == 256 ? f.subs / 2 : f.subs);
}

/// Lays out what the sums need of R rows of k activations, `stride` bytes apart (see matmul_micro.h), from
/// the block `unit` on.
inline void prepare_tile_by_row(const QuantizedKernels& f, int R, const std::byte* rows, size_t stride,
                                int64_t k, int64_t unit, std::byte* out) {
    const int64_t n_units = k / f.block;
    const int64_t numbers = prepared_numbers(f);
    for (int r = 0; r < R; ++r, rows += stride) {
        int32_t* to = typed<int32_t>(out) + unit * numbers * R + r;
        if (f.block == 32 && f.subs == 2) {
            const Block32Row<const std::byte> row{rows, k};
            for (int64_t u = unit; u < n_units; ++u, to += 3 * R) {
                std::memcpy(to, row.scales() + u, 4);
                int32_t first = 0;
                for (int i = 0; i < 16; ++i) first += row.quants()[32 * u + i];
                to[R] = first * -f.offset;
                to[2 * R] = (row.sums()[u] - first) * -f.offset;
            }
            continue;
        }
        if (f.block == 32) {
            const Block32Row<const std::byte> row{rows, k};
            for (int64_t u = unit; u < n_units; ++u, to += 2 * R) {
                const int32_t sum = row.sums()[u] * -f.offset;
                std::memcpy(to, row.scales() + u, 4);
                std::memcpy(to + R, f.mins ? static_cast<const void*>(row.scaled_sums() + u) : &sum, 4);
            }
            continue;
        }
        const Block256Row<const std::byte> row{rows, k};
        const int16_t* sums = f.subs == 16 ? row.sums16() : row.sums32();
        for (int64_t u = unit; u < n_units; ++u, to += numbers * R) {
            const int16_t* s = sums + u * f.subs;
            std::memcpy(to, row.scales() + u, 4);
            for (int64_t i = 1; i < numbers; ++i) {
                const int32_t sum = f.mins ? 0 : s[i - 1] * -f.offset;
                std::memcpy(to + i * R, f.mins ? static_cast<const void*>(s + 2 * (i - 1)) : &sum, 4);
            }
        }
    }
}

/// 4 numbers of R rows, each to its place `pitch` numbers behind the one before.
inline void store_columns(const Bytes64 columns[4], int R, int64_t pitch, float* out) {
    for (int i = 0; i < 4; ++i) store_partial(out + i * pitch, f32_of_bits(as_i32(columns[i])), R);
}

/// The same, 16 rows at a time, of which R are kept: all 16 must be readable.
inline int64_t prepare_tile_by_columns(const QuantizedKernels& f, int R, const std::byte* rows, size_t stride,
                                       int64_t k, std::byte* out) {
    const int64_t numbers = prepared_numbers(f), pitch = numbers * R;
    Bytes64 t[4];
    float* to = typed<float>(out);
    int64_t unit = 0;
    if (f.block == 32) {
        const Block32Row<const std::byte> row{rows, k};
        const I32x16 factor = splat_i32(-f.offset);
        for (; unit + 4 <= k / 32; unit += 4, to += 4 * pitch) {
            transpose_rows(as_bytes_pointer(row.scales() + unit), stride, t);
            store_columns(t, R, pitch, to);
            if (f.mins) {
                transpose_rows(as_bytes_pointer(row.scaled_sums() + unit), stride, t);
            } else {
                transpose_rows(as_bytes_pointer(row.sums() + unit), stride, t);
                for (Bytes64& column : t) column = as_bytes(as_i32(column) * factor);
            }
            store_columns(t, R, pitch, to + R);
        }
        return unit;
    }
    const Block256Row<const std::byte> row{rows, k};
    const int16_t* sums = f.subs == 16 ? row.sums16() : row.sums32();
    for (; unit < k / 256; ++unit, sums += f.subs, to += pitch) {
        for (int r = 0; r < R; ++r)
            std::memcpy(to + r, as_bytes_pointer(row.scales() + unit) + static_cast<size_t>(r) * stride, 4);
        float* column = to + R;
        for (int i = 0; i < f.subs; i += 8) {
            transpose_rows(as_bytes_pointer(sums + i), stride, t);
            if (f.mins) {
                store_columns(t, R, R, column);
                column += 4 * R;
                continue;
            }
            for (int c = 0; c < 4; ++c, column += 2 * R) {
                const I32x16 low = shift_right_signed<16>(shift_left<16>(as_i32(t[c])));
                const I32x16 high = shift_right_signed<16>(as_i32(t[c]));
                store_partial(column, f32_of_bits(low * splat_i32(-f.offset)), R);
                store_partial(column + R, f32_of_bits(high * splat_i32(-f.offset)), R);
            }
        }
    }
    return unit;
}

/// Prepares R rows; `n_readable` rows lie from `rows` on.
[[gnu::noinline]] inline void prepare_tile(const QuantizedKernels& f, int R, const std::byte* rows,
                                           int n_readable, size_t stride, int64_t k, std::byte* out) {
    const bool by_columns = n_readable >= 16 && R >= 4 && !(f.block == 32 && f.subs == 2);
    const int64_t done = by_columns ? prepare_tile_by_columns(f, R, rows, stride, k, out) : 0;
    prepare_tile_by_row(f, R, rows, stride, k, done, out);
}

constexpr Format kQuantizedFormats[] = {
    Format::q4_0,   Format::q4_1,    Format::q5_0,   Format::q5_1,  Format::q8_0,    Format::q2_k,
    Format::q3_k,   Format::q4_k,    Format::q5_k,   Format::q6_k,  Format::mxfp4,   Format::iq4_nl,
    Format::iq4_xs,
#if !AGAVE_CPU_SMALL
    Format::tq1_0,  Format::tq2_0,   Format::nvfp4,  Format::q1_0,  Format::q2_0,    Format::iq1_s,
    Format::iq1_m,  Format::iq2_xxs, Format::iq2_xs, Format::iq2_s, Format::iq3_xxs, Format::iq3_s,
#endif
};
/// In the order of kQuantizedFormats. The minimal program leaves the rarer formats to the exact path.
constexpr QuantizedKernels kQuantizedKernels[] = {
    quantized_kernels<Blocks32<UnpackQ4_0>>(),
    quantized_kernels<Blocks32<UnpackQ4_1>>(),
    quantized_kernels<Blocks32<UnpackQ5_0>>(),
    quantized_kernels<Blocks32<UnpackQ5_1>>(),
    quantized_kernels<Blocks32<UnpackQ8_0>>(),
    quantized_kernels<Blocks256<UnpackQ2_K>>(),
    quantized_kernels<Blocks256<UnpackQ3_K>>(),
    quantized_kernels<Blocks256<UnpackQ4_K>>(),
    quantized_kernels<Blocks256<UnpackQ5_K>>(),
    quantized_kernels<Blocks256<UnpackQ6_K>>(),
    quantized_kernels<Blocks32<UnpackMXFP4>>(),
    quantized_kernels<Blocks32<UnpackIQ4_NL>>(),
    quantized_kernels<Blocks256<UnpackIQ4_XS>>(),
#if !AGAVE_CPU_SMALL
    quantized_kernels<Blocks256<UnpackTQ1_0>>(),
    quantized_kernels<Blocks256<UnpackTQ2_0>>(),
    quantized_kernels<Blocks32<UnpackNVFP4>>(),
    quantized_kernels<Blocks32<UnpackQ1_0>>(),
    quantized_kernels<Blocks32<UnpackQ2_0>>(),
    codebook_kernels<2, BlockIQ1_S>(),
    codebook_kernels<2, BlockIQ1_M>(),
    codebook_kernels<2, BlockIQ2_XXS>(),
    codebook_kernels<2, BlockIQ2_XS>(),
    codebook_kernels<2, BlockIQ2_S>(),
    codebook_kernels<4, BlockIQ3_XXS>(),
    codebook_kernels<4, BlockIQ3_S>(),
#endif
};

static_assert(sizeof kQuantizedKernels / sizeof kQuantizedKernels[0] ==
              sizeof kQuantizedFormats / sizeof kQuantizedFormats[0]);

/// The kernels of a quantised format; nullptr for float formats and those that only the exact path runs.
inline const QuantizedKernels* quantized_kernels_for(Format format) {
    for (const Format& known : kQuantizedFormats)
        if (known == format) return &kQuantizedKernels[&known - kQuantizedFormats];
    return nullptr;
}

/// Writes the sums of up to 16 weight rows, one row of activations each `out_stride` floats.
inline void write_sums(const float* sums, int n_rows, int n_weights, bool accumulate, float* out,
                       int64_t out_stride) {
    for (int r = 0; r < n_rows; ++r, sums += 16, out += out_stride) {
        const F32x16 x = load(sums);
        if (n_weights == 16) {
            store(out, accumulate ? load(out) + x : x);
        } else {
            store_partial(out, accumulate ? load_partial(out, n_weights) + x : x, n_weights);
        }
    }
}

/// A thread's scratch, cut into its parts.
struct QuantizedScratch {
    std::byte* tail;      ///< a last panel of fewer than 16 rows, completed with zeros
    std::byte* prepared;  ///< tiles of up to kManyRows - 1 rows
    float* sums;          ///< [kManyRows][16]
    std::byte* panels;
};
inline QuantizedScratch cut_scratch(std::byte* base, int64_t k) {
    std::byte* prepared = base + tail_bytes(k);
    std::byte* sums = prepared + prepared_bytes(k);
    return {base, prepared, typed<float>(sums), sums + kManyRows * 64};
}

/// 16 weight rows as the kernels take them.
struct Panel {
    const std::byte* data;
    size_t stride;
    int n_rows;
};

/// The panel that starts at `row`; one that lacks rows is copied to the scratch and completed with zeros.
inline Panel panel_at(const MatmulTask& task, int64_t row, size_t used_bytes, std::byte* tail) {
    const std::byte* data = task.weights.data + static_cast<size_t>(row) * task.weights.row_bytes;
    const int64_t n_rows = task.row_end - row;
    if (n_rows >= kPanelRows) return {data, task.weights.row_bytes, kPanelRows};
    for (int64_t r = 0; r < kPanelRows; ++r) {
        std::byte* to = tail + static_cast<size_t>(r) * used_bytes;
        if (r < n_rows) {
            std::memcpy(to, data + static_cast<size_t>(r) * task.weights.row_bytes, used_bytes);
        } else {
            std::memset(to, 0, used_bytes);
        }
    }
    return {tail, used_bytes, static_cast<int>(n_rows)};
}

/// Prefill: groups of panels are unpacked once into the L2 cache and all rows of activations run over them,
/// tile by tile, a tile's int8 staying in L1.
inline void multiply_many_rows(const MatmulTask& task, const QuantizedKernels& f, size_t row_bytes) {
    const QuantizedScratch scratch = cut_scratch(task.scratch, task.weights.k);
    const int64_t n_units = task.weights.k / f.block;
    const size_t one_panel = static_cast<size_t>(n_units) * f.unit_bytes;
    const int64_t fitting = static_cast<int64_t>(kPanelCacheBytes / one_panel);
    const int64_t group_rows = (fitting > 1 ? fitting : 1) * kPanelRows;
    for (int64_t begin = task.row_begin; begin < task.row_end; begin += group_rows) {
        const int64_t end = begin + group_rows < task.row_end ? begin + group_rows : task.row_end;
        std::byte* unpacked = scratch.panels;
        for (int64_t row = begin; row < end; row += kPanelRows, unpacked += one_panel) {
            const Panel panel = panel_at(task, row, f.row_bytes(task.weights.k), scratch.tail);
            f.unpack(f, panel.data, panel.stride, n_units, prefetch_start(panel.data, panel.stride),
                     unpacked);
        }
        for (int first = 0; first < task.n_rows;) {
            const std::byte* rows = task.activations + static_cast<size_t>(first) * row_bytes;
            const int n_rows = tile_rows(task.n_rows - first);
            prepare_tile(f, n_rows, rows, task.n_rows - first, row_bytes, task.weights.k, scratch.prepared);
            const Tile tile{rows, row_bytes, scratch.prepared};
            unpacked = scratch.panels;
            for (int64_t row = begin; row < end; row += kPanelRows, unpacked += one_panel) {
                const int64_t left = end - row;
                std::memset(scratch.sums, 0, static_cast<size_t>(n_rows) * 64);
                f.multiply(n_rows, unpacked, n_units, tile, scratch.sums);
                write_sums(scratch.sums, n_rows, left < kPanelRows ? static_cast<int>(left) : kPanelRows,
                           task.accumulate, task.out + first * task.out_stride + row, task.out_stride);
            }
            first += n_rows;
        }
    }
}

/// Decode: one row takes the file's blocks as they come; a few rows share each strip of a panel, unpacked to
/// L1.
inline void multiply_few_rows(const MatmulTask& task, const QuantizedKernels& f, size_t row_bytes) {
    const QuantizedScratch scratch = cut_scratch(task.scratch, task.weights.k);
    const int64_t n_units = task.weights.k / f.block;
    const size_t unit_prepared = static_cast<size_t>(prepared_numbers(f)) * 4;
    const size_t row_prepared = static_cast<size_t>(n_units) * unit_prepared;
    struct Part {
        int first, n_rows;
        Tile tile;
    };
    Part parts[kManyRows];
    int n_parts = 0;
    for (int first = 0; first < task.n_rows; ++n_parts) {
        const std::byte* rows = task.activations + static_cast<size_t>(first) * row_bytes;
        std::byte* prepared = scratch.prepared + static_cast<size_t>(first) * row_prepared;
        const int n_rows = tile_rows(task.n_rows - first);
        prepare_tile(f, n_rows, rows, task.n_rows - first, row_bytes, task.weights.k, prepared);
        parts[n_parts] = {first, n_rows, {rows, row_bytes, prepared}};
        first += n_rows;
    }
    const int64_t strip_units = kStripWeights / f.block;
    if (task.row_begin < task.row_end)
        prefetch_bytes(task.weights.data + static_cast<size_t>(task.row_begin) * task.weights.row_bytes,
                       static_cast<int64_t>(kPanelRows * task.weights.row_bytes) + kPrefetchBytes);
    for (int64_t row = task.row_begin; row < task.row_end; row += kPanelRows) {
        const Panel panel = panel_at(task, row, f.row_bytes(task.weights.k), scratch.tail);
        if (f.gemv && task.n_rows == 1) {
            f.gemv(panel.data, panel.stride, n_units, parts[0].tile, scratch.sums);
        } else {
            std::memset(scratch.sums, 0, static_cast<size_t>(task.n_rows) * 64);
            for (int64_t unit = 0; unit < n_units; unit += strip_units) {
                const int64_t n = n_units - unit < strip_units ? n_units - unit : strip_units;
                f.unpack(f, panel.data + f.offset_of(unit), panel.stride, n,
                         prefetch_start(panel.data, panel.stride) + f.offset_of(unit) * kPanelRows,
                         scratch.panels);
                for (int i = 0; i < n_parts; ++i) {
                    const Part& part = parts[i];
                    const Tile tile{part.tile.rows + unit * f.block, row_bytes,
                                    part.tile.prepared + static_cast<size_t>(unit) * unit_prepared *
                                                             static_cast<size_t>(part.n_rows)};
                    f.multiply(part.n_rows, scratch.panels, n, tile, scratch.sums + 16 * part.first);
                }
            }
        }
        write_sums(scratch.sums, task.n_rows, panel.n_rows, task.accumulate, task.out + row, task.out_stride);
    }
}

inline void matmul_quantized(const MatmulTask& task, const QuantizedKernels& f) {
    const size_t row_bytes = row_bytes_of(task.activation, task.weights.k);
    if (task.n_rows >= kManyRows) return multiply_many_rows(task, f, row_bytes);
    multiply_few_rows(task, f, row_bytes);
}

}  // namespace
}  // namespace agave::cpu
