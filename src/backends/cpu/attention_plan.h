#pragma once

#include <cstddef>
#include <cstdint>

#include "backends/cpu/kernels.h"

/// How an attention task is cut: into tiles of query rows, and the keys into splits at absolute positions.
///
/// The arithmetic of one row and head is always the same: the keys of each split of kSplitTokens positions
/// give a partial result (maximum, sum of exponentials, weighted sum of V), and the partial results are
/// joined from the lowest position to the highest. Whether one thread walks all splits of a tile or each
/// split goes to another thread decides only where the partial results lie in between.
namespace agave::cpu {

constexpr int kSplitTokens = 256;
constexpr int kSplitPages = kSplitTokens / kPageTokens;
/// Pairs of (row, head) that one item holds, unless a single row has more heads to a K/V head than that.
constexpr int kTileUnits = 48;
/// Lanes of the float vectors: rows of floats in scratch and partial results are padded to them.
constexpr int kFloatLanes = 16;

/// The half-open range of positions that the row at `position` sees.
struct KeyRange {
    int64_t begin;
    int64_t end;
};
KeyRange visible_keys(int64_t position, int window);

struct AttentionPlan {
    int group;      ///< query heads that share one K/V head
    int tile_rows;  ///< query rows of one tile (the last tile may have fewer)
    int n_tiles;
    int64_t first_split;  ///< the splits that any row of the task sees
    int64_t n_splits;
    int64_t splits_per_item;
    int64_t items_per_tile;
    bool split_keys;       ///< an item is some splits of one tile; otherwise it is a tile with all its splits
    int64_t partial_size;  ///< floats of one partial result: V, padded, then maximum and sum
    int64_t q_stride;      ///< floats from one scaled query in scratch to the next
};

AttentionPlan plan_attention(const AttentionTask& task);

/// The places in a thread's scratch, as offsets in floats.
struct AttentionScratch {
    int64_t q;         ///< [units, q_stride], scaled
    int64_t scores;    ///< [units, kSplitTokens]
    int64_t partials;  ///< [units, partial_size]: of the split in progress
    int64_t states;    ///< [units, partial_size]: of the splits so far
    int64_t
        value_tail;  ///< [kPageTokens, kFloatLanes]: the last dimensions of V where they do not fill a vector
    int64_t size;
};
AttentionScratch layout_scratch(const KvShape& shape, int group);

}  // namespace agave::cpu
