#pragma once

#include <cstdint>

#include "backends/cpu/activation.h"
#include "backends/cpu/attention_inner.h"
#include "backends/cpu/attention_plan.h"
#include "backends/cpu/kv_page.h"
#include "backends/cpu/simd/simd.h"

/// Attention over pages in the manner of FlashAttention-2 (Dao 2023, arXiv:2307.08691). Compiled once for
/// each level. Scores are kept in units of log2(e), so that the softmax is a power of two.
namespace agave::cpu {
namespace {

constexpr float kInfinity = __builtin_inff();
constexpr float kLog2E = 1.44269504088896341f;

/// One tile of query rows and one K/V head. Its units are the pairs (row, head of the group), row by row, so
/// the ranges of keys that they see never move backwards.
struct AttentionTile {
    const AttentionTask& task;
    const AttentionPlan& plan;
    AttentionScratch places;
    float* scratch;
    int kv_head;
    int first_row;
    int n_rows;

    int n_units() const { return n_rows * plan.group; }
    int row(int unit) const { return first_row + unit / plan.group; }
    int head(int unit) const { return kv_head * plan.group + unit % plan.group; }
    float* q(int unit) const { return scratch + places.q + unit * plan.q_stride; }
    float* scores(int unit) const { return scratch + places.scores + int64_t{unit} * kSplitTokens; }
    float* partial(int unit) const { return scratch + places.partials + unit * plan.partial_size; }
    float* state(int unit) const { return scratch + places.states + unit * plan.partial_size; }

    /// The keys that a unit sees among the `size` positions from `first` on, relative to `first`.
    struct Range {
        int begin;
        int end;
    };
    Range keys(int unit, int64_t first, int size) const {
        const KeyRange visible = visible_keys(task.first_position + row(unit), task.window);
        const int64_t begin = visible.begin - first, end = visible.end - first;
        return {static_cast<int>(begin < 0      ? 0
                                 : begin > size ? size
                                                : begin),
                static_cast<int>(end < 0      ? 0
                                 : end > size ? size
                                              : end)};
    }
};

/// A partial result is the weighted sum of V, padded to whole vectors, then the maximum of the scores and the
/// sum of the weights. The maximum is -infinity where no key was seen; the rest then has no meaning.
constexpr int kMaximum = -kFloatLanes;  ///< places counted from the end of a partial result
constexpr int kWeightSum = kMaximum + 1;

float power_of_two(float x) {
    float lanes[kFloatLanes];
    store(lanes, exp2(splat(x)));
    return lanes[0];
}

/// Joins the partial result of a later split into `state`: the only place where splits meet.
void join_partial(const float* partial, int64_t size, float* state) {
    const float* const partial_end = partial + size;
    float* const state_end = state + size;
    const float maximum = partial_end[kMaximum], old_maximum = state_end[kMaximum];
    if (maximum == -kInfinity) return;
    if (old_maximum == -kInfinity) {
        for (int64_t i = 0; i < size; i += kFloatLanes) store(state + i, load(partial + i));
        return;
    }
    const float new_maximum = maximum > old_maximum ? maximum : old_maximum;
    const float state_factor = power_of_two(old_maximum - new_maximum);
    const float partial_factor = power_of_two(maximum - new_maximum);
    const F32x16 a = splat(state_factor), b = splat(partial_factor);
    for (int64_t i = 0; i < size - kFloatLanes; i += kFloatLanes)
        store(state + i, fma(load(partial + i), b, load(state + i) * a));
    state_end[kMaximum] = new_maximum;
    state_end[kWeightSum] = state_end[kWeightSum] * state_factor + partial_end[kWeightSum] * partial_factor;
}

/// Divides by the sum of the weights, the head's sink included, and writes one row and head of task.out.
void finish_row(const AttentionTask& task, int row, int head, int64_t size, float* state) {
    const float maximum = state[size + kMaximum];
    float factor = 1.0f, sum = state[size + kWeightSum];
    if (task.sinks) {
        const float sink = task.sinks[head] * kLog2E;
        const float new_maximum = maximum > sink ? maximum : sink;
        factor = power_of_two(maximum - new_maximum);
        sum = sum * factor + power_of_two(sink - new_maximum);
    }
    const F32x16 scale = splat(factor / sum);
    const int dim = task.shape.value_head_dim;
    float* out = task.out + row * task.out_stride + int64_t{head} * dim;
    int i = 0;
    for (; i + kFloatLanes <= dim; i += kFloatLanes) store(out + i, load(state + i) * scale);
    if (i < dim) store_partial(out + i, load(state + i) * scale, dim - i);
}

void load_queries(const AttentionTile& tile) {
    const AttentionTask& task = tile.task;
    const float factor = task.softcap > 0 ? task.scale / task.softcap : task.scale * kLog2E;
    for (int unit = 0; unit < tile.n_units(); ++unit) {
        const int dim = task.shape.head_dim;
        const float* q = task.q + tile.row(unit) * task.q_stride + int64_t{tile.head(unit)} * dim;
        float* scaled = tile.q(unit);
        int d = 0;
        for (; d + kFloatLanes <= dim; d += kFloatLanes) store(scaled + d, load(q + d) * splat(factor));
        if (d == dim) continue;
        // What the stride leaves behind the last column is 0.
        const int left = static_cast<int>(tile.plan.q_stride) - d;
        store_partial(scaled + d, load_partial(q + d, dim - d) * splat(factor), left);
    }
}

/// x in the lanes [begin, end), `other` elsewhere.
inline F32x16 keep_lanes(int begin, int end, F32x16 x, F32x16 other) {
    const F32x16 below_end = end < kFloatLanes ? select(lanes_below(end), x, other) : x;
    return begin > 0 ? select(lanes_below(begin), other, below_end) : below_end;
}

/// Turns a unit's scores for one split into weights exp2(score - maximum), in place, and notes maximum and
/// sum. Only the vectors with keys in [begin, end) are touched; their lanes outside get weight 0.
void weigh_scores(float* scores, int begin, int end, float softcap, float* partial_end) {
    if (begin >= end) {
        partial_end[kMaximum] = -kInfinity;
        partial_end[kWeightSum] = 0.0f;
        return;
    }
    const int first = begin / kFloatLanes * kFloatLanes;
    const F32x16 outside = splat(-kInfinity);
    F32x16 maximum = outside;
    for (int i = first; i < end; i += kFloatLanes) {
        F32x16 x = load(scores + i);
        if (softcap > 0) x = tanh(x) * splat(softcap * kLog2E);
        if (i < begin || i + kFloatLanes > end) x = keep_lanes(begin - i, end - i, x, outside);
        store(scores + i, x);
        maximum = max(maximum, x);
    }
    const float top = reduce_max(maximum);
    F32x16 sum = zero();
    for (int i = first; i < end; i += kFloatLanes) {
        F32x16 weight = exp2(load(scores + i) - splat(top));
        if (i < begin || i + kFloatLanes > end) weight = keep_lanes(begin - i, end - i, weight, zero());
        store(scores + i, weight);
        sum = sum + weight;
    }
    partial_end[kMaximum] = top;
    partial_end[kWeightSum] = reduce_add(sum);
}

/// The scores of all units for the page at `first_key`; meanwhile what lies at `next` is prefetched.
template <typename T>
void score_units(const AttentionTile& tile, const T* keys, const T* next, int64_t first_key) {
    const int place = static_cast<int>(first_key % kSplitTokens);
    const int head_dim = tile.task.shape.head_dim;
    for (int unit = 0; unit < tile.n_units();) {
        const BlockLoops<T>& loops = block_loops(tile.n_units() - unit, keys);
        const int begin = tile.keys(unit, first_key, kPageTokens).begin;
        const int end = tile.keys(unit + loops.units - 1, first_key, kPageTokens).end;
        if (begin < end)
            loops.score_page(tile.q(unit), head_dim, keys, unit == 0 ? next : keys, head_dim,
                             tile.scores(unit) + place);
        unit += loops.units;
    }
}

/// Adds the weighted values of a piece of the page at `first_key` for all units. A unit never touches a key
/// that it does not see (0 * infinity is not 0): what only some units of a block see is added unit by unit.
template <typename T>
void add_piece(const AttentionTile& tile, ValuePiece<T> piece, int64_t first_key, float* sums,
               int64_t sum_stride) {
    const int place = static_cast<int>(first_key % kSplitTokens);
    const auto add_alone = [&](int unit, int begin, int end) {
        block_loops(1, piece.values)
            .add_values(tile.scores(unit) + place, piece, begin, end, sums + unit * sum_stride, sum_stride);
    };
    for (int unit = 0; unit < tile.n_units();) {
        const BlockLoops<T>& loops = block_loops(tile.n_units() - unit, piece.values);
        const int block_end = unit + loops.units;
        const AttentionTile::Range first = tile.keys(unit, first_key, kPageTokens);
        const AttentionTile::Range last = tile.keys(block_end - 1, first_key, kPageTokens);
        const int common_begin = last.begin;
        const int common_end = first.end > common_begin ? first.end : common_begin;
        for (int u = unit; u < block_end && first.begin < common_begin; ++u) {
            const AttentionTile::Range range = tile.keys(u, first_key, kPageTokens);
            add_alone(u, range.begin, range.end < common_begin ? range.end : common_begin);
        }
        loops.add_values(tile.scores(unit) + place, piece, common_begin, common_end, sums + unit * sum_stride,
                         sum_stride);
        for (int u = unit; u < block_end && last.end > common_end; ++u)
            add_alone(u, common_end, tile.keys(u, first_key, kPageTokens).end);
        piece.next = piece.values;
        unit = block_end;
    }
}

/// Adds the weighted values of the page at `first_key`, of which some unit sees the keys [begin, end).
template <typename T>
void add_page_values(const AttentionTile& tile, const T* values, const T* next, int64_t first_key, int begin,
                     int end, float* sums, int64_t sum_stride) {
    const int dim = tile.task.shape.value_head_dim;
    for (int d = 0; d < dim; d += kChunkDims) {
        const int width = dim - d < kChunkDims ? dim - d : kChunkDims;
        const int64_t place = int64_t{d} * kPageTokens;
        const T* chunk = values + place;
        const int whole = width / kFloatLanes;
        if (whole > 0)
            add_piece(tile, ValuePiece<T>{chunk, next + place, width, whole}, first_key, sums + d,
                      sum_stride);
        if (width % kFloatLanes == 0) continue;
        // The dimensions that do not fill a vector are padded with zeros elsewhere.
        float* tail = tile.scratch + tile.places.value_tail;
        const T* last = chunk + whole * kFloatLanes;
        for (int key = begin; key < end; ++key)
            store(tail + key * kFloatLanes, load_vector_partial(last + key * width, width % kFloatLanes));
        add_piece(tile, ValuePiece<float>{tail, tail, kFloatLanes, 1}, first_key,
                  sums + d + whole * kFloatLanes, sum_stride);
    }
}

/// The scores of all units for the page of latents at `first_key`.
template <typename T>
void score_latents(const AttentionTile& tile, const T* rows, int64_t first_key) {
    const int place = static_cast<int>(first_key % kSplitTokens);
    for (int unit = 0; unit < tile.n_units();) {
        const BlockLoops<T>& loops = block_loops(tile.n_units() - unit, rows);
        loops.score_rows(
            tile.q(unit), tile.plan.q_stride, rows, tile.keys(unit, first_key, kPageTokens).begin,
            tile.keys(unit + loops.units - 1, first_key, kPageTokens).end, tile.scores(unit) + place);
        unit += loops.units;
    }
}

/// Adds the weighted latents of the page at `first_key`, which are V as they lie: what the last vector holds
/// of the columns behind them goes into the padding of `sums`.
template <typename T>
void add_latents(const AttentionTile& tile, const T* rows, int64_t first_key, float* sums,
                 int64_t sum_stride) {
    const int n_vectors = (tile.task.shape.value_head_dim + kFloatLanes - 1) / kFloatLanes;
    add_piece(tile, ValuePiece<T>{rows, rows, tile.plan.q_stride, n_vectors}, first_key, sums, sum_stride);
}

/// The partial results of one split for all units, `stride` floats from unit to unit. `more` says that the
/// next split follows.
template <typename T>
void run_split(const AttentionTile& tile, int64_t split, bool more, float* partials, int64_t stride) {
    const AttentionTask& task = tile.task;
    const int64_t first_key = split * kSplitTokens;
    const int last_unit = tile.n_units() - 1;
    const int begin = tile.keys(0, first_key, kSplitTokens).begin;
    const int end = tile.keys(last_unit, first_key, kSplitTokens).end;
    const int first_page_key = begin / kPageTokens * kPageTokens;
    const auto keys_at = [&](int key) {
        const std::byte* page = page_of(task.kv, first_key + key);
        return reinterpret_cast<const T*>(page) + tile.kv_head * head_elements(task.shape);
    };
    const auto values_at = [&](int key) { return keys_at(key) + key_elements(task.shape); };

    for (int key = first_page_key; key < end; key += kPageTokens) {
        if (task.shape.latent) {
            score_latents(tile, keys_at(key), first_key + key);
            continue;
        }
        const int following = key + kPageTokens;
        score_units(tile, keys_at(key), following < end ? keys_at(following) : values_at(first_page_key),
                    first_key + key);
    }
    const int64_t size = tile.plan.partial_size;
    for (int unit = 0; unit <= last_unit; ++unit) {
        float* partial = partials + unit * stride;
        const AttentionTile::Range range = tile.keys(unit, first_key, kSplitTokens);
        weigh_scores(tile.scores(unit), range.begin, range.end, task.softcap, partial + size);
        for (int64_t i = 0; i < size - kFloatLanes; i += kFloatLanes) store(partial + i, zero());
    }
    for (int key = first_page_key; key < end; key += kPageTokens) {
        if (task.shape.latent) {
            add_latents(tile, keys_at(key), first_key + key, partials, stride);
            continue;
        }
        const int following = key + kPageTokens;
        const T* next = following < end ? values_at(following)
                        : more          ? keys_at(kSplitTokens)
                                        : values_at(key);
        const int page_begin = begin > key ? begin - key : 0;
        const int page_end = end - key < kPageTokens ? end - key : kPageTokens;
        add_page_values(tile, values_at(key), next, first_key + key, page_begin, page_end, partials, stride);
    }
}

/// Walks all splits that the tile sees and writes its rows of task.out.
template <typename T>
void run_all_splits(const AttentionTile& tile) {
    const AttentionTask& task = tile.task;
    const int64_t size = tile.plan.partial_size;
    const int64_t first_position = task.first_position + tile.first_row;
    const int64_t first = visible_keys(first_position, task.window).begin / kSplitTokens;
    const int64_t last = (first_position + tile.n_rows - 1) / kSplitTokens;
    for (int unit = 0; unit < tile.n_units(); ++unit) tile.state(unit)[size + kMaximum] = -kInfinity;
    for (int64_t split = first; split <= last; ++split) {
        run_split<T>(tile, split, split < last, tile.partial(0), size);
        for (int unit = 0; unit < tile.n_units(); ++unit)
            join_partial(tile.partial(unit), size, tile.state(unit));
    }
    for (int unit = 0; unit < tile.n_units(); ++unit)
        finish_row(task, tile.row(unit), tile.head(unit), size, tile.state(unit));
}

/// Runs some splits of the tile into their places among the partial results of the task, which are numbered
/// [kv head][row][head of the group][split].
template <typename T>
void run_some_splits(const AttentionTile& tile, int64_t begin, int64_t end, float* partials) {
    const AttentionPlan& plan = tile.plan;
    const int64_t stride = plan.n_splits * plan.partial_size;
    const int64_t first_unit = (int64_t{tile.kv_head} * tile.task.n_rows + tile.first_row) * plan.group;
    for (int64_t split = begin; split < end; ++split)
        run_split<T>(tile, plan.first_split + split, split + 1 < end,
                     partials + first_unit * stride + split * plan.partial_size, stride);
}

template <typename T>
void run_item(const AttentionTile& tile, int64_t part, float* partials) {
    const AttentionPlan& plan = tile.plan;
    if (!plan.split_keys) return run_all_splits<T>(tile);
    const int64_t begin = part * plan.splits_per_item, end = begin + plan.splits_per_item;
    run_some_splits<T>(tile, begin, end < plan.n_splits ? end : plan.n_splits, partials);
}

inline void attention_item(const AttentionTask& task, int64_t item, float* partials, std::byte* scratch) {
    const AttentionPlan plan = plan_attention(task);
    const int64_t part = item % plan.items_per_tile;
    const int64_t tile_number = item / plan.items_per_tile;
    // The tiles with the latest rows see the most keys and go first.
    const int tile_index = plan.n_tiles - 1 - static_cast<int>(tile_number / task.shape.kv_heads);
    const int first_row = tile_index * plan.tile_rows;
    const int rows_left = task.n_rows - first_row;
    const AttentionTile tile{task,
                             plan,
                             layout_scratch(task.shape, plan.group),
                             reinterpret_cast<float*>(scratch),
                             static_cast<int>(tile_number % task.shape.kv_heads),
                             first_row,
                             rows_left < plan.tile_rows ? rows_left : plan.tile_rows};
    load_queries(tile);
    if (task.format == KvFormat::f16) {
        run_item<uint16_t>(tile, part, partials);
    } else {
        run_item<float>(tile, part, partials);
    }
}

/// Joins the splits of the rows and heads [begin, end), numbered [kv head][row][head of the group], in place.
inline void attention_merge(const AttentionTask& task, int begin, int end, float* partials) {
    const AttentionPlan plan = plan_attention(task);
    const int64_t size = plan.partial_size;
    for (int unit = begin; unit < end; ++unit) {
        float* const state = partials + unit * plan.n_splits * size;
        for (int64_t split = 1; split < plan.n_splits; ++split)
            join_partial(state + split * size, size, state);
        const int units_per_kv_head = task.n_rows * plan.group;
        const int row = unit % units_per_kv_head / plan.group;
        const int head = unit / units_per_kv_head * plan.group + unit % plan.group;
        finish_row(task, row, head, size, state);
    }
}

}  // namespace
}  // namespace agave::cpu
