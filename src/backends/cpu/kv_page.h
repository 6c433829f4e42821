#pragma once

#include <cstddef>
#include <cstdint>

#include "backends/cpu/kernels.h"
#include "backends/cpu/simd/simd.h"

/// How K and V lie in a page part: for each K/V head, K transposed [head_dim][64 tokens] - a lane is a key -
/// and then V in chunks of 64 dimensions, each [64 tokens][up to 64 dimensions] - a lane is a dimension. So
/// both products of attention read memory in order and need no sum across lanes. A latent cache, whose V is a
/// part of K, holds [64 tokens][K, padded with zeros to whole vectors] - a lane is a dimension.
namespace agave::cpu {
namespace {

constexpr int kChunkDims = 64;  ///< of V

/// Elements of one K/V head's K, and of its K and V, in a page part.
inline int64_t key_elements(const KvShape& shape) {
    return int64_t{kPageTokens} * shape.head_dim;
}
inline int64_t head_elements(const KvShape& shape) {
    return int64_t{kPageTokens} * (shape.head_dim + shape.value_head_dim);
}

/// Elements of one token in a latent cache.
inline int64_t latent_row(const KvShape& shape) {
    return (shape.head_dim + 15) / 16 * 16;
}

/// The page part with `position`. (KvView::page() is inline and so not for code of one instruction-set
/// level.)
inline std::byte* page_of(const KvView& kv, int64_t position) {
    return kv.base + static_cast<size_t>(kv.page_ids[position / kPageTokens]) * kv.page_stride;
}

inline void store_vector(float* p, F32x16 x, int n) {
    store_partial(p, x, n);
}
inline void store_vector(uint16_t* p, F32x16 x, int n) {
    store_half_partial(p, x, n);
}

template <typename T>
void store_kv_as(T* page, const KvShape& shape, int token, const float* k, const float* v) {
    for (int head = 0; head < shape.kv_heads; ++head, k += shape.head_dim, v += shape.value_head_dim) {
        T* out = page + head * head_elements(shape) + token;
        for (int d = 0; d < shape.head_dim; d += 16) {
            const int n = shape.head_dim - d < 16 ? shape.head_dim - d : 16;
            T stored[16];
            store_vector(stored, load_partial(k + d, n), n);
            for (int i = 0; i < n; ++i) out[(d + i) * kPageTokens] = stored[i];
        }
        T* values = page + head * head_elements(shape) + key_elements(shape);
        for (int d = 0; d < shape.value_head_dim; d += 16) {
            const int n = shape.value_head_dim - d < 16 ? shape.value_head_dim - d : 16;
            const int chunk = d / kChunkDims * kChunkDims;
            const int width =
                shape.value_head_dim - chunk < kChunkDims ? shape.value_head_dim - chunk : kChunkDims;
            store_vector(values + int64_t{chunk} * kPageTokens + token * width + (d - chunk),
                         load_partial(v + d, n), n);
        }
    }
}

template <typename T>
void store_latent_as(T* page, const KvShape& shape, int token, const float* rest, const float* latent) {
    T* row = page + token * latent_row(shape);
    for (int d = 0; d < latent_row(shape); d += 16) {
        float columns[16] = {};
        for (int i = 0; i < 16 && d + i < shape.head_dim; ++i)
            columns[i] = d + i < shape.value_head_dim ? latent[d + i] : rest[d + i - shape.value_head_dim];
        store_vector(row + d, load(columns), 16);
    }
}

inline void store_kv(const KvView& kv, const KvShape& shape, KvFormat format, int64_t position,
                     const float* k, const float* v) {
    std::byte* page = page_of(kv, position);
    const int token = static_cast<int>(position % kPageTokens);
    if (shape.latent) {
        if (format == KvFormat::f16)
            store_latent_as(reinterpret_cast<uint16_t*>(page), shape, token, k, v);
        else
            store_latent_as(reinterpret_cast<float*>(page), shape, token, k, v);
    } else if (format == KvFormat::f16) {
        store_kv_as(reinterpret_cast<uint16_t*>(page), shape, token, k, v);
    } else {
        store_kv_as(reinterpret_cast<float*>(page), shape, token, k, v);
    }
}

}  // namespace
}  // namespace agave::cpu
