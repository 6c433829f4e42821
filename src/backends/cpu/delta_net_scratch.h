#pragma once

#include <cstddef>
#include <cstdint>

#include "graph/kv_layer.h"

namespace agave::cpu {

/// Rows that the chunked form of DeltaNet takes together; chunks begin at absolute multiples of it. Longer
/// chunks pass over the state less often, but their rows have more to do with each other.
constexpr int kDeltaChunk = 32;
static_assert(kScanChunk % kDeltaChunk == 0 && kDeltaChunk % 16 == 0);

/// The places in a thread's scratch, as offsets in floats. Rows of keys and values are padded with zeros to
/// whole vectors.
struct DeltaNetScratch {
    int64_t key_stride;
    int64_t q, k;        ///< [kDeltaChunk, key_stride], normalised
    int64_t transposed;  ///< [key_stride, kDeltaChunk]: k
    int64_t among_keys;  ///< [kDeltaChunk, kDeltaChunk]
    int64_t to_queries;  ///< [kDeltaChunk, kDeltaChunk]
    int64_t deltas;      ///< [kDeltaChunk, 64]: of some vectors of values
    int64_t size;
};
constexpr DeltaNetScratch layout_delta_net(int key_dim) {
    DeltaNetScratch scratch{};
    scratch.key_stride = (key_dim + 15) / 16 * 16;
    const int64_t keys = kDeltaChunk * scratch.key_stride, square = kDeltaChunk * kDeltaChunk;
    scratch.k = keys;
    scratch.transposed = 2 * keys;
    scratch.among_keys = 3 * keys;
    scratch.to_queries = scratch.among_keys + square;
    scratch.deltas = scratch.to_queries + square;
    scratch.size = scratch.deltas + kDeltaChunk * 64;
    return scratch;
}

}  // namespace agave::cpu
