#pragma once

#include <cstdint>

#include "backends/cpu/activation.h"
#include "backends/cpu/activation_row.h"
#include "backends/cpu/delta_net_scratch.h"
#include "backends/cpu/kernels.h"
#include "backends/cpu/simd/simd.h"
#include "backends/cpu/small_products.h"

/// The gated delta rule (Yang et al. 2024, "Gated Delta Networks", arXiv:2412.06464) of one head, whose state
/// S maps keys to values: S decays by e^g, then learns the value v for the key k at the rate beta,
///
///     S_t = e^g_t S_t-1 + k_t d_t^T,   d_t = beta_t (v_t - e^g_t S_t-1^T k_t),   o_t = S_t^T q_t.
///
/// With G_tj = e^(g_j+1 + ... + g_t) and S the state before a chunk, all d of the chunk solve a triangular
/// system (the paper's section 3.3, there for the WY representation of S), and the rest are products of
/// matrices:
///
///     d_t = beta_t (v_t - G_t0 S^T k_t) - sum over j < t of beta_t G_tj (k_t . k_j) d_j
///     o_t = G_t0 S^T q_t + sum over j <= t of G_tj (q_t . k_j) d_j
///     S' = G_n0 S + sum over j of G_nj k_j d_j^T
///
/// A row's numbers depend on the rows from the beginning of its chunk (or of the task) to itself alone.
/// Compiled once for each level.
namespace agave::cpu {
namespace {

/// Rows and vectors of a product that stay in registers.
constexpr int kDeltaRows = kAccumulatorVectors >= 16 ? 4 : 2;
constexpr int kDeltaVectors = kDeltaRows;

struct DeltaNetChunk {
    const DeltaNetTask& task;
    int64_t first;  ///< row of the task
    int n_rows;
    float* scratch;
    DeltaNetScratch places = layout_delta_net(task.key_dim);
    float decays[kDeltaChunk] = {};         ///< G_t0
    float decays_to_end[kDeltaChunk] = {};  ///< G_nt

    int64_t state_stride() const { return (task.value_dim + 15) / 16 * 16; }
    float* q(int row) const { return scratch + places.q + row * places.key_stride; }
    float* k(int row) const { return scratch + places.k + row * places.key_stride; }
    float* among_keys(int row) const { return scratch + places.among_keys + row * kDeltaChunk; }
    float* to_queries(int row) const { return scratch + places.to_queries + row * kDeltaChunk; }
    float* deltas(int row) const { return scratch + places.deltas + row * 64; }
    const float* v(int row) const { return task.v + (first + row) * task.stride; }
    float beta(int row) const { return row < n_rows ? task.beta[first + row] : 0.0f; }
};

/// out = x * factor / sqrt(|x|^2 + epsilon), padded with zeros to whole vectors.
inline void normalize(const float* x, int n, float epsilon, float factor, float* out) {
    F32x16 squares = zero();
    for (int i = 0; i < n; i += 16) {
        const F32x16 value = load_lanes(x + i, n - i);
        squares = fma(value, value, squares);
    }
    const F32x16 scale = splat(factor / __builtin_sqrtf(reduce_add(squares) + epsilon));
    for (int i = 0; i < n; i += 16) store(out + i, load_lanes(x + i, n - i) * scale);
}

/// The chunk's normalised queries and keys, and the keys transposed; rows beyond the last are 0.
inline void load_chunk(const DeltaNetChunk& chunk) {
    const DeltaNetTask& task = chunk.task;
    const int n_padded = (chunk.n_rows + 15) / 16 * 16;
    for (int r = 0; r < chunk.n_rows; ++r) {
        const int64_t place = (chunk.first + r) * task.stride;
        normalize(task.q + place, task.key_dim, task.epsilon, task.query_scale, chunk.q(r));
        normalize(task.k + place, task.key_dim, task.epsilon, 1.0f, chunk.k(r));
    }
    for (int r = chunk.n_rows; r < n_padded; ++r)
        for (int64_t i = 0; i < chunk.places.key_stride; i += 16) {
            store(chunk.q(r) + i, zero());
            store(chunk.k(r) + i, zero());
        }
    float* const transposed = chunk.scratch + chunk.places.transposed;
    for (int r = 0; r < n_padded; r += 16)
        for (int64_t i = 0; i < chunk.places.key_stride; i += 4) {
            Bytes64 columns[4];
            transpose_rows(as_bytes_pointer(chunk.k(r) + i),
                           static_cast<size_t>(chunk.places.key_stride) * sizeof(float), columns);
            for (int j = 0; j < 4; ++j) store_bytes(transposed + (i + j) * kDeltaChunk + r, columns[j]);
        }
}

/// out[r][j] = rows[r] . k_j for the rows [row, row + kDeltaRows) and all j up to the last of them.
inline void dot_with_keys(const DeltaNetChunk& chunk, const float* rows, int row, float* out) {
    for (int column = 0; column < row + kDeltaRows; column += 16) {
        F32x16 sum[kDeltaRows][1];
        clear(sum);
        multiply_tile(rows, chunk.places.key_stride, 1, chunk.scratch + chunk.places.transposed + column,
                      kDeltaChunk, chunk.task.key_dim, sum);
        for (int r = 0; r < kDeltaRows; ++r) store(out + r * kDeltaChunk + column, sum[r][0]);
    }
}

/// How the rows of the chunk act on each other: among_keys = -beta_t G_tj (k_t . k_j) below the diagonal,
/// to_queries = G_tj (q_t . k_j) up to it, both 0 elsewhere.
inline void relate_rows(DeltaNetChunk& chunk) {
    for (int row = 0; row < chunk.n_rows; row += kDeltaRows) {
        dot_with_keys(chunk, chunk.k(row), row, chunk.among_keys(row));
        dot_with_keys(chunk, chunk.q(row), row, chunk.to_queries(row));
    }
    // Sums of g from behind each earlier row to this one, so that near rows lose no digits to far ones.
    F32x16 sums[kDeltaChunk / 16];
    for (F32x16& sum : sums) sum = zero();
    float since_begin = 0;
    const int n_padded = (chunk.n_rows + kDeltaRows - 1) / kDeltaRows * kDeltaRows;
    for (int row = 0; row < n_padded; ++row) {
        const float g = row < chunk.n_rows ? chunk.task.g[chunk.first + row] : 0.0f;
        const F32x16 rate = splat(-chunk.beta(row));
        const int last = (row / kDeltaRows * kDeltaRows + kDeltaRows - 1) / 16;
        for (int i = 0; i <= last; ++i) {
            const int before = row - 16 * i < 0 ? 0 : row - 16 * i > 16 ? 16 : row - 16 * i;
            const int until = row + 1 - 16 * i < 0 ? 0 : row + 1 - 16 * i > 16 ? 16 : row + 1 - 16 * i;
            sums[i] = select(lanes_below(before), sums[i] + splat(g), zero());
            const F32x16 decay = exp(sums[i]);
            float* const keys = chunk.among_keys(row) + 16 * i;
            float* const queries = chunk.to_queries(row) + 16 * i;
            store(keys, select(lanes_below(before), load(keys) * decay * rate, zero()));
            store(queries, select(lanes_below(until), load(queries) * decay, zero()));
            if (row + 1 == chunk.n_rows) store(chunk.decays_to_end + 16 * i, decay);
        }
        since_begin += g;
        chunk.decays[row] = since_begin;
    }
    for (int row = 0; row < n_padded; row += 16)
        store(chunk.decays + row, exp(load_lanes(chunk.decays + row, n_padded - row)));
}

/// Some columns of values, `Vectors` vectors from `column` on: outputs of all rows, and the state after them.
template <int Vectors>
void run_columns(const DeltaNetChunk& chunk, int column) {
    const DeltaNetTask& task = chunk.task;
    const int64_t stride = chunk.state_stride(), lanes = task.value_dim - column;
    float* const state = task.state + column;
    const float* const deltas = chunk.deltas(0);
    for (int row = 0; row < chunk.n_rows; row += kDeltaRows) {
        F32x16 sum[kDeltaRows][Vectors];
        clear(sum);
        multiply_tile(chunk.k(row), chunk.places.key_stride, 1, state, stride, task.key_dim, sum);
        for (int r = 0; r < kDeltaRows; ++r) {
            const F32x16 decay = splat(chunk.decays[row + r]), rate = splat(chunk.beta(row + r));
            for (int v = 0; v < Vectors; ++v) {
                const F32x16 value = row + r < chunk.n_rows
                                         ? load_lanes(chunk.v(row + r) + column + 16 * v, lanes - 16 * v)
                                         : zero();
                sum[r][v] = (value - decay * sum[r][v]) * rate;
            }
        }
        multiply_tile(chunk.among_keys(row), kDeltaChunk, 1, deltas, 64, row, sum);
        for (int r = 0; r < kDeltaRows; ++r) {
            for (int j = 0; j < r; ++j) {
                const F32x16 factor = splat(chunk.among_keys(row + r)[row + j]);
                for (int v = 0; v < Vectors; ++v) sum[r][v] = fma(factor, sum[j][v], sum[r][v]);
            }
            for (int v = 0; v < Vectors; ++v) store(chunk.deltas(row + r) + 16 * v, sum[r][v]);
        }

        clear(sum);
        multiply_tile(chunk.q(row), chunk.places.key_stride, 1, state, stride, task.key_dim, sum);
        for (int r = 0; r < kDeltaRows; ++r)
            for (int v = 0; v < Vectors; ++v) sum[r][v] = sum[r][v] * splat(chunk.decays[row + r]);
        multiply_tile(chunk.to_queries(row), kDeltaChunk, 1, deltas, 64, row + kDeltaRows, sum);
        for (int r = 0; r < kDeltaRows && row + r < chunk.n_rows; ++r)
            for (int v = 0; v < Vectors; ++v)
                store_lanes(task.out + (chunk.first + row + r) * task.out_stride + column + 16 * v, sum[r][v],
                            lanes - 16 * v);
    }

    for (int row = 0; row < chunk.n_rows; ++row)
        for (int v = 0; v < Vectors; ++v) {
            float* const place = chunk.deltas(row) + 16 * v;
            store(place, load(place) * splat(chunk.decays_to_end[row]));
        }
    const F32x16 decay = splat(chunk.decays[chunk.n_rows - 1]);
    for (int i = 0; i < task.key_dim; i += kDeltaRows) {
        F32x16 sum[kDeltaRows][Vectors];
        for (int r = 0; r < kDeltaRows; ++r)
            for (int v = 0; v < Vectors; ++v) sum[r][v] = load(state + (i + r) * stride + 16 * v) * decay;
        multiply_tile(chunk.k(0) + i, 1, chunk.places.key_stride, deltas, 64, chunk.n_rows, sum);
        for (int r = 0; r < kDeltaRows; ++r)
            for (int v = 0; v < Vectors; ++v) store(state + (i + r) * stride + 16 * v, sum[r][v]);
    }
}

inline void run_chunk(const DeltaNetTask& task, int64_t first, int n_rows, float* scratch) {
    DeltaNetChunk chunk{task, first, n_rows, scratch};
    load_chunk(chunk);
    relate_rows(chunk);
    int column = 0;
    for (; column + 16 * kDeltaVectors <= chunk.state_stride(); column += 16 * kDeltaVectors)
        run_columns<kDeltaVectors>(chunk, column);
    for (; column < chunk.state_stride(); column += 16) run_columns<1>(chunk, column);
}

/// One row, some columns of values: the recurrence as it stands.
template <int Vectors>
void step_columns(const DeltaNetTask& task, int64_t row, const float* q, const float* k, float q_dot_k,
                  int column) {
    const int64_t stride = (task.value_dim + 15) / 16 * 16, lanes = task.value_dim - column;
    float* const state = task.state + column;
    F32x16 by_key[Vectors], by_query[Vectors];
    for (int v = 0; v < Vectors; ++v) by_key[v] = by_query[v] = zero();
    for (int i = 0; i < task.key_dim; ++i) {
        const F32x16 key = splat(k[i]), query = splat(q[i]);
        for (int v = 0; v < Vectors; ++v) {
            const F32x16 value = load(state + i * stride + 16 * v);
            by_key[v] = fma(key, value, by_key[v]);
            by_query[v] = fma(query, value, by_query[v]);
        }
    }
    F32x16 decay = exp(splat(task.g[row])), rate = splat(task.beta[row]), delta[Vectors];
    for (int v = 0; v < Vectors; ++v) {
        const F32x16 value = load_lanes(task.v + row * task.stride + column + 16 * v, lanes - 16 * v);
        delta[v] = (value - decay * by_key[v]) * rate;
        store_lanes(task.out + row * task.out_stride + column + 16 * v,
                    fma(delta[v], splat(q_dot_k), decay * by_query[v]), lanes - 16 * v);
    }
    for (int i = 0; i < task.key_dim; ++i) {
        const F32x16 key = splat(k[i]);
        for (int v = 0; v < Vectors; ++v) {
            float* const place = state + i * stride + 16 * v;
            store(place, fma(key, delta[v], load(place) * decay));
        }
    }
}

inline void run_row(const DeltaNetTask& task, int64_t row, float* scratch) {
    constexpr int kVectors = kAccumulatorVectors >= 16 ? 8 : 2;
    const DeltaNetScratch places = layout_delta_net(task.key_dim);
    float *const q = scratch + places.q, *const k = scratch + places.k;
    normalize(task.q + row * task.stride, task.key_dim, task.epsilon, task.query_scale, q);
    normalize(task.k + row * task.stride, task.key_dim, task.epsilon, 1.0f, k);
    F32x16 products = zero();
    for (int64_t i = 0; i < places.key_stride; i += 16) products = fma(load(q + i), load(k + i), products);
    const float q_dot_k = reduce_add(products);
    int column = 0;
    for (; column + 16 * (kVectors - 1) < task.value_dim; column += 16 * kVectors)
        step_columns<kVectors>(task, row, q, k, q_dot_k, column);
    for (; column < task.value_dim; column += 16) step_columns<1>(task, row, q, k, q_dot_k, column);
}

inline void delta_net(const DeltaNetTask& task, std::byte* scratch) {
    float* const floats = typed<float>(scratch);
    for (int64_t row = 0; row < task.n_rows;) {
        const int64_t in_chunk = kDeltaChunk - (task.first_position + row) % kDeltaChunk;
        const int n = static_cast<int>(task.n_rows - row < in_chunk ? task.n_rows - row : in_chunk);
        if (n == 1)
            run_row(task, row, floats);
        else
            run_chunk(task, row, n, floats);
        row += n;
    }
}

}  // namespace
}  // namespace agave::cpu
