#pragma once

#include <cstdint>
#include <type_traits>

#include "backends/cpu/attention_plan.h"
#include "backends/cpu/simd/simd.h"

/// The two products of attention for one page of keys and a block of (row, head) pairs, its units. Compiled
/// once for each level.
namespace agave::cpu {
namespace {

constexpr int kPageVectors = kPageTokens / kFloatLanes;

inline F32x16 load_vector(const float* p) {
    return load(p);
}
inline F32x16 load_vector(const uint16_t* p) {
    return load_half(p);
}

inline F32x16 load_vector_partial(const float* p, int n) {
    return load_partial(p, n);
}
inline F32x16 load_vector_partial(const uint16_t* p, int n) {
    return load_half_partial(p, n);
}

/// How many vectors of keys or dimensions a block of `units` accumulates at once: a power of two up to a
/// page's, so that the sums stay in registers.
constexpr int vectors_at_once(int units) {
    int vectors = kPageVectors;
    while (vectors > 1 && vectors * units > kAccumulatorVectors) vectors /= 2;
    return vectors;
}

/// Asks for the cache lines that begin within a vector of elements, whose row begins at a cache line. Always
/// inline, because GCC 12 takes a function that only prefetches for one without effect and drops the calls.
template <typename T>
[[gnu::always_inline]] inline void prefetch_vector(const T* p, int vector) {
    constexpr int kVectorsPerLine = sizeof(T) == 2 ? 2 : 1;
    if (vector % kVectorsPerLine == 0) prefetch_far(p + vector * kFloatLanes);
}

/// scores[unit][key] = q[unit] . K[key] for the 64 keys of a page, summed over the dimensions in order. What
/// lies at `next` is prefetched at the same pace.
template <int Units, typename T>
void score_page(const float* q, int64_t q_stride, const T* keys, const T* next, int head_dim, float* scores) {
    constexpr int kVectors = vectors_at_once(Units);
    for (int first = 0; first < kPageVectors; first += kVectors) {
        F32x16 sum[Units][kVectors];
        for (int u = 0; u < Units; ++u)
            for (int v = 0; v < kVectors; ++v) sum[u][v] = zero();
        const T* column = keys + first * kFloatLanes;
        const T* next_column = next + first * kFloatLanes;
        for (int d = 0; d < head_dim; ++d, column += kPageTokens, next_column += kPageTokens) {
            F32x16 key[kVectors];
            for (int v = 0; v < kVectors; ++v) {
                prefetch_vector(next_column, v);
                key[v] = load_vector(column + v * kFloatLanes);
            }
            for (int u = 0; u < Units; ++u) {
                const F32x16 factor = splat(q[u * q_stride + d]);
                for (int v = 0; v < kVectors; ++v) sum[u][v] = fma(factor, key[v], sum[u][v]);
            }
        }
        for (int u = 0; u < Units; ++u)
            for (int v = 0; v < kVectors; ++v)
                store(scores + u * kSplitTokens + (first + v) * kFloatLanes, sum[u][v]);
    }
}

/// scores[unit][key] = q[unit] . K[key] for at least the keys [begin, end) of a page of rows of `width`
/// numbers, whole vectors: the lanes are summed over the vectors in order, then by reduce_add's tree.
template <int Units, typename T>
void score_rows(const float* q, int64_t width, const T* rows, int begin, int end, float* scores) {
    constexpr int kKeys = vectors_at_once(Units);
    for (int first = begin / kKeys * kKeys; first < end; first += kKeys) {
        F32x16 sum[Units][kKeys];
        for (int u = 0; u < Units; ++u)
            for (int j = 0; j < kKeys; ++j) sum[u][j] = zero();
        const T* row = rows + first * width;
        for (int64_t d = 0; d < width; d += kFloatLanes) {
            F32x16 key[kKeys];
            for (int j = 0; j < kKeys; ++j) key[j] = load_vector(row + j * width + d);
            for (int u = 0; u < Units; ++u) {
                const F32x16 query = load(q + u * width + d);
                for (int j = 0; j < kKeys; ++j) sum[u][j] = fma(query, key[j], sum[u][j]);
            }
        }
        for (int u = 0; u < Units; ++u)
            for (int j = 0; j < kKeys; ++j) scores[u * kSplitTokens + first + j] = reduce_add(sum[u][j]);
    }
}

/// A piece of V: some dimensions of the keys of one page, `stride` elements from key to key. What lies at
/// `next` is prefetched at the same pace.
template <typename T>
struct ValuePiece {
    const T* values;
    const T* next;
    int64_t stride;
    int n_vectors;
};

/// sums[unit] += sum over keys [begin, end) of a page, in order, of weights[unit][key] * V[key], for the
/// Vectors vectors of the piece that begin with number `first`.
template <int Units, int Vectors, typename T>
void add_vectors(const float* weights, const ValuePiece<T>& piece, int first, int begin, int end, float* sums,
                 int64_t sum_stride) {
    if (begin >= end) return;
    sums += first * kFloatLanes;
    F32x16 sum[Units][Vectors];
    for (int u = 0; u < Units; ++u)
        for (int v = 0; v < Vectors; ++v) sum[u][v] = load(sums + u * sum_stride + v * kFloatLanes);
    const T* row = piece.values + begin * piece.stride + first * kFloatLanes;
    const T* next_row = piece.next + begin * piece.stride + first * kFloatLanes;
    for (int key = begin; key < end; ++key, row += piece.stride, next_row += piece.stride) {
        F32x16 value[Vectors];
        for (int v = 0; v < Vectors; ++v) {
            prefetch_vector(next_row, v);
            value[v] = load_vector(row + v * kFloatLanes);
        }
        for (int u = 0; u < Units; ++u) {
            const F32x16 factor = splat(weights[u * kSplitTokens + key]);
            for (int v = 0; v < Vectors; ++v) sum[u][v] = fma(factor, value[v], sum[u][v]);
        }
    }
    for (int u = 0; u < Units; ++u)
        for (int v = 0; v < Vectors; ++v) store(sums + u * sum_stride + v * kFloatLanes, sum[u][v]);
}

/// The same for all vectors of the piece, as many at once as registers allow.
template <int Units, typename T>
void add_values(const float* weights, const ValuePiece<T>& piece, int begin, int end, float* sums,
                int64_t sum_stride) {
    constexpr int kVectors = vectors_at_once(Units);
    int v = 0;
    for (; v + kVectors <= piece.n_vectors; v += kVectors)
        add_vectors<Units, kVectors>(weights, piece, v, begin, end, sums, sum_stride);
    if constexpr (kVectors > 1) {
        for (; v < piece.n_vectors; ++v)
            add_vectors<Units, 1>(weights, piece, v, begin, end, sums, sum_stride);
    }
}

/// The loops for a block of `units`.
template <typename T>
struct BlockLoops {
    int units;
    decltype(&score_page<1, T>) score_page;
    decltype(&score_rows<1, T>) score_rows;
    decltype(&add_values<1, T>) add_values;
};
template <int Units, typename T>
constexpr BlockLoops<T> kLoopsOf = {Units, score_page<Units, T>, score_rows<Units, T>, add_values<Units, T>};

/// The loops for the largest block that is compiled and not larger than the `left` units that remain. Floats,
/// the less common format, have fewer.
inline const BlockLoops<uint16_t>& block_loops(int left, const uint16_t*) {
    if constexpr (kAccumulatorVectors >= 6) {
        if (left >= 6) return kLoopsOf<6, uint16_t>;
        if (left >= 4) return kLoopsOf<4, uint16_t>;
        if (left == 3) return kLoopsOf<3, uint16_t>;
    }
    return left >= 2 ? kLoopsOf<2, uint16_t> : kLoopsOf<1, uint16_t>;
}
inline const BlockLoops<float>& block_loops(int left, const float*) {
    if constexpr (kAccumulatorVectors >= 6) {
        if (left >= 4) return kLoopsOf<4, float>;
    }
    return kLoopsOf<1, float>;
}

}  // namespace
}  // namespace agave::cpu
