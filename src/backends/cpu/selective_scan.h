#pragma once

#include <cstdint>

#include "backends/cpu/activation.h"
#include "backends/cpu/activation_row.h"
#include "backends/cpu/kernels.h"
#include "backends/cpu/simd/simd.h"
#include "backends/cpu/small_products.h"

/// Mamba-2's scan (Dao and Gu 2024, "Transformers are SSMs"): one row by the recurrence, several by the
/// chunked form of section 6, where everything but the way from one chunk's state to the next is a product of
/// small matrices. A lane is a column of x, and of the state. Compiled once for each level.
namespace agave::cpu {
namespace {

/// Rows and vectors of a tile of the small products, whose sums stay in registers.
constexpr int kScanRows = kAccumulatorVectors >= 24 ? 4 : 2;
constexpr int kScanVectors = kAccumulatorVectors >= 24 ? 4 : kAccumulatorVectors >= 6 ? 2 : 1;

/// out[i] = e^x[i]; n is a multiple of 16.
inline void exp_each(const float* x, int64_t n, float* out) {
    for (int64_t i = 0; i < n; i += 16) store(out + i, exp(load(x + i)));
}

/// Calls tile.template operator()<Rows, Vectors>(row, vector) for tiles that cover n_rows x n_vectors.
template <typename Tile>
void for_each_tile(int64_t n_rows, int64_t n_vectors, Tile&& tile) {
    for (int64_t row = 0; row < n_rows;) {
        const bool full = row + kScanRows <= n_rows;
        for (int64_t vector = 0; vector < n_vectors;) {
            const bool wide = vector + kScanVectors <= n_vectors;
            if (full && wide)
                tile.template operator()<kScanRows, kScanVectors>(row, vector);
            else if (full)
                tile.template operator()<kScanRows, 1>(row, vector);
            else if (wide)
                tile.template operator()<1, kScanVectors>(row, vector);
            else
                tile.template operator()<1, 1>(row, vector);
            vector += wide ? kScanVectors : 1;
        }
        row += full ? kScanRows : 1;
    }
}

/// One row of one head: S <- e^(dt a) S + B (dt x)^T, y = S^T C + d x, for the lanes [first, first + 16 *
/// Vectors) of x.
template <int Vectors>
void scan_row_lanes(const ScanTask& task, int head, float decay, int64_t first) {
    const int64_t lanes = scan_lanes(task.head_dim), left = task.head_dim - first;
    const float* x = task.x + int64_t{head} * task.head_dim + first;
    float* state = task.state + int64_t{head} * task.state_size * lanes + first;
    const F32x16 factor = splat(decay), dt = splat(task.dt[head * kScanChunk]);
    F32x16 input[Vectors], sum[2][Vectors];
    for (int v = 0; v < Vectors; ++v) input[v] = load_lanes(x + 16 * v, left - 16 * v) * dt;
    clear(sum);
    // Even and odd entries sum by themselves, so that an addition need not wait for the one before.
    const auto add_entry = [&](int n, int half) {
        for (int v = 0; v < Vectors; ++v) {
            float* place = state + n * lanes + 16 * v;
            const F32x16 value = fma(input[v], splat(task.b[n]), load(place) * factor);
            store(place, value);
            sum[half][v] = fma(value, splat(task.c[n]), sum[half][v]);
        }
    };
    int n = 0;
    for (; n + 2 <= task.state_size; n += 2) add_entry(n, 0), add_entry(n + 1, 1);
    if (n < task.state_size) add_entry(n, 0);
    float* out = task.out + int64_t{head} * task.head_dim + first;
    const F32x16 skip = splat(task.d[head]);
    for (int v = 0; v < Vectors; ++v) {
        const F32x16 value = fma(load_lanes(x + 16 * v, left - 16 * v), skip, sum[0][v] + sum[1][v]);
        store_lanes(out + 16 * v, value, left - 16 * v);
    }
}

inline void scan_row(const ScanTask& task) {
    const int64_t lanes = scan_lanes(task.head_dim);
    for (int head = 0; head < task.n_heads; ++head) {
        float decay[16];
        store(decay, exp(splat(task.dt[head * kScanChunk] * task.a[head])));
        int64_t first = 0;
        for (; first + 16 * kScanVectors <= lanes; first += 16 * kScanVectors)
            scan_row_lanes<kScanVectors>(task, head, decay[0], first);
        for (; first < lanes; first += 16) scan_row_lanes<1>(task, head, decay[0], first);
    }
}

/// Where a chunk's intermediate results lie in scratch. Rows are kScanChunk floats long where the columns are
/// positions.
struct ScanScratch {
    float* b;                   ///< [state_size, kScanChunk] B transposed
    float* products;            ///< [kScanChunk, kScanChunk] C[l] . B[s]
    float* weights;             ///< [kScanChunk, kScanChunk] of one head: how row s comes out of row l
    float* x;                   ///< [kScanChunk, lanes] of one head: dt x
    float *log_high, *log_low;  ///< [kScanChunk] log of the decay from the chunk's start, as high + low
    float* since_start;         ///< [kScanChunk] the decay itself
    float* until_end;           ///< [kScanChunk] the decay from the row to the chunk's end

    explicit ScanScratch(const ScanTask& task) {
        b = task.scratch;
        products = b + task.state_size * kScanChunk;
        weights = products + kScanChunk * kScanChunk;
        log_high = weights + kScanChunk * kScanChunk;
        log_low = log_high + kScanChunk;
        since_start = log_low + kScanChunk;
        until_end = since_start + kScanChunk;
        x = until_end + kScanChunk;
    }
};

/// out[n][s] = B[s][n]; the columns from n_rows to the next multiple of 16 become 0.
inline void transpose_b(const ScanTask& task, float* out) {
    for (int s = 0; s < task.n_rows; s += 16) {
        int n = 0;
        for (; s + 16 <= task.n_rows && n + 4 <= task.state_size; n += 4) {
            Bytes64 columns[4];
            transpose_rows(as_bytes_pointer(task.b + s * task.stride + n),
                           static_cast<size_t>(task.stride) * sizeof(float), columns);
            for (int i = 0; i < 4; ++i)
                store(out + (n + i) * kScanChunk + s, f32_of_bits(as_i32(columns[i])));
        }
        for (; n < task.state_size; ++n)
            for (int i = 0; i < 16; ++i)
                out[n * kScanChunk + s + i] = s + i < task.n_rows ? task.b[(s + i) * task.stride + n] : 0.0f;
    }
}

/// products[l][s] = C[l] . B[s] for s <= l, which all heads of the group share.
inline void multiply_c_b(const ScanTask& task, const ScanScratch& w) {
    for_each_tile(task.n_rows, (task.n_rows + 15) / 16,
                  [&]<int Rows, int Vectors>(int64_t row, int64_t vector) {
                      if (16 * vector >= row + Rows) return;
                      F32x16 sum[Rows][Vectors];
                      clear(sum);
                      multiply_tile(task.c + row * task.stride, task.stride, 1, w.b + 16 * vector, kScanChunk,
                                    task.state_size, sum);
                      for (int r = 0; r < Rows; ++r)
                          for (int v = 0; v < Vectors; ++v)
                              store(w.products + (row + r) * kScanChunk + 16 * (vector + v), sum[r][v]);
                  });
}

/// One head's decays and dt x. The log of a decay is a sum over many rows, whose differences must be exact:
/// it is summed in double and kept in two floats.
inline void prepare_head(const ScanTask& task, int head, const ScanScratch& w) {
    const float* dt = task.dt + head * kScanChunk;
    const int64_t padded = (task.n_rows + 15) / 16 * 16, lanes = scan_lanes(task.head_dim);
    double log = 0;
    for (int l = 0; l < padded; ++l) {
        if (l < task.n_rows) log += double{dt[l] * task.a[head]};
        w.log_high[l] = static_cast<float>(log);
        w.log_low[l] = static_cast<float>(log - double{w.log_high[l]});
    }
    exp_each(w.log_high, padded, w.since_start);
    const F32x16 end_high = splat(w.log_high[padded - 1]), end_low = splat(w.log_low[padded - 1]);
    for (int64_t l = 0; l < padded; l += 16)
        store(w.until_end + l, exp((end_high - load(w.log_high + l)) + (end_low - load(w.log_low + l))));
    for (int l = 0; l < task.n_rows; ++l) {
        const float* x = task.x + l * task.stride + int64_t{head} * task.head_dim;
        for (int64_t i = 0; i < lanes; i += 16)
            store(w.x + l * lanes + i, load_lanes(x + i, task.head_dim - i) * splat(dt[l]));
    }
}

/// weights[l][s] = products[l][s] * decay from s to l for s <= l, and 0 beyond up to the end of l's tile.
inline void weigh_products(const ScanTask& task, const ScanScratch& w) {
    for (int l = 0; l < task.n_rows; ++l) {
        const F32x16 high = splat(w.log_high[l]), low = splat(w.log_low[l]);
        const int end = (l / kScanRows + 1) * kScanRows;
        for (int s = 0; s < end; s += 16) {
            const F32x16 decay = exp((high - load(w.log_high + s)) + (low - load(w.log_low + s)));
            const F32x16 weight = load(w.products + l * kScanChunk + s) * decay;
            const int n_past = l + 1 - s;
            store(w.weights + l * kScanChunk + s,
                  n_past >= 16 ? weight : select(lanes_below(n_past > 0 ? n_past : 0), weight, zero()));
        }
    }
}

/// y[l] = decay since the start * S^T C[l] + sum over s of weights[l][s] dt x[s] + d x[l].
inline void write_head(const ScanTask& task, int head, const ScanScratch& w, const float* state) {
    const int64_t lanes = scan_lanes(task.head_dim);
    const F32x16 skip = splat(task.d[head]);
    for_each_tile(task.n_rows, lanes / 16, [&]<int Rows, int Vectors>(int64_t row, int64_t vector) {
        const int64_t first = 16 * vector;
        F32x16 sum[Rows][Vectors];
        clear(sum);
        multiply_tile(task.c + row * task.stride, task.stride, 1, state + first, lanes, task.state_size, sum);
        for (int r = 0; r < Rows; ++r)
            for (int v = 0; v < Vectors; ++v) sum[r][v] = sum[r][v] * splat(w.since_start[row + r]);
        multiply_tile(w.weights + row * kScanChunk, kScanChunk, 1, w.x + first, lanes, row + Rows, sum);
        for (int r = 0; r < Rows; ++r) {
            const int64_t column = int64_t{head} * task.head_dim + first;
            const float* x = task.x + (row + r) * task.stride + column;
            float* out = task.out + (row + r) * task.out_stride + column;
            for (int v = 0; v < Vectors; ++v) {
                const int64_t left = task.head_dim - first - 16 * v;
                store_lanes(out + 16 * v, fma(load_lanes(x + 16 * v, left), skip, sum[r][v]), left);
            }
        }
    });
}

/// S <- decay of the whole chunk * S + sum over l of B[l] (decay until the end * dt x[l])^T.
inline void advance_state(const ScanTask& task, const ScanScratch& w, float* state) {
    const int64_t lanes = scan_lanes(task.head_dim);
    for (int l = 0; l < task.n_rows; ++l)
        for (int64_t i = 0; i < lanes; i += 16)
            store(w.x + l * lanes + i, load(w.x + l * lanes + i) * splat(w.until_end[l]));
    const F32x16 decay = splat(w.since_start[task.n_rows - 1]);
    for_each_tile(task.state_size, lanes / 16, [&]<int Rows, int Vectors>(int64_t row, int64_t vector) {
        F32x16 sum[Rows][Vectors];
        float* place = state + row * lanes + 16 * vector;
        for (int r = 0; r < Rows; ++r)
            for (int v = 0; v < Vectors; ++v) sum[r][v] = load(place + r * lanes + 16 * v) * decay;
        multiply_tile(task.b + row, 1, task.stride, w.x + 16 * vector, lanes, task.n_rows, sum);
        for (int r = 0; r < Rows; ++r)
            for (int v = 0; v < Vectors; ++v) store(place + r * lanes + 16 * v, sum[r][v]);
    });
}

inline void selective_scan(const ScanTask& task) {
    if (task.n_rows == 1) return scan_row(task);
    const ScanScratch w(task);
    transpose_b(task, w.b);
    multiply_c_b(task, w);
    for (int head = 0; head < task.n_heads; ++head) {
        float* state = task.state + int64_t{head} * task.state_size * scan_lanes(task.head_dim);
        prepare_head(task, head, w);
        weigh_products(task, w);
        write_head(task, head, w, state);
        advance_state(task, w, state);
    }
}

}  // namespace
}  // namespace agave::cpu
