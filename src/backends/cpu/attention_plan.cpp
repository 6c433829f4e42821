#include "backends/cpu/attention_plan.h"

#include <algorithm>

namespace agave::cpu {
namespace {

/// Below this many tiles the keys are split as well, so that all threads have work...
constexpr int64_t kFewTiles = 16;
/// ...as long as the partial results of a task stay within this many floats. A single row is always split.
constexpr int64_t kMaxPartialFloats = int64_t{2} << 20;

constexpr int64_t round_up(int64_t n, int64_t multiple) {
    return (n + multiple - 1) / multiple * multiple;
}

/// Where there are more items than this, an item takes several splits, which it can prefetch across.
constexpr int64_t kManyItems = 64;
constexpr int64_t kMaxSplitsPerItem = 8;

/// Latent K is padded to whole vectors, and the queries with it.
int64_t query_stride(const KvShape& shape) {
    return shape.latent ? round_up(shape.head_dim, kFloatLanes) : shape.head_dim;
}

int64_t partial_size(const KvShape& shape) {
    return round_up(shape.value_head_dim, kFloatLanes) + kFloatLanes;
}

}  // namespace

KeyRange visible_keys(int64_t position, int window) {
    return {window > 0 ? std::max<int64_t>(0, position - window + 1) : 0, position + 1};
}

AttentionPlan plan_attention(const AttentionTask& task) {
    AttentionPlan plan{};
    plan.group = task.n_heads / task.shape.kv_heads;
    plan.tile_rows = std::max(1, kTileUnits / plan.group);
    plan.n_tiles = (task.n_rows + plan.tile_rows - 1) / plan.tile_rows;
    plan.partial_size = partial_size(task.shape);
    plan.q_stride = query_stride(task.shape);

    const int64_t last_position = task.first_position + task.n_rows - 1;
    plan.first_split = visible_keys(task.first_position, task.window).begin / kSplitTokens;
    plan.n_splits = last_position / kSplitTokens + 1 - plan.first_split;

    const int64_t partial_floats = task.n_rows * int64_t{task.n_heads} * plan.n_splits * plan.partial_size;
    const bool few_tiles = int64_t{plan.n_tiles} * task.shape.kv_heads < kFewTiles;
    plan.split_keys =
        plan.n_splits > 1 && few_tiles && (task.n_rows == 1 || partial_floats <= kMaxPartialFloats);

    const int64_t pieces = int64_t{plan.n_tiles} * task.shape.kv_heads * plan.n_splits;
    plan.splits_per_item = std::clamp<int64_t>(pieces / kManyItems, 1, kMaxSplitsPerItem);
    plan.items_per_tile =
        plan.split_keys ? (plan.n_splits + plan.splits_per_item - 1) / plan.splits_per_item : 1;
    return plan;
}

AttentionScratch layout_scratch(const KvShape& shape, int group) {
    const int64_t units = std::max(group, kTileUnits);
    AttentionScratch scratch{};
    int64_t end = 0;
    const auto place = [&end](int64_t floats) {
        const int64_t begin = end;
        end += round_up(floats, kFloatLanes);
        return begin;
    };
    scratch.q = place(units * query_stride(shape));
    scratch.scores = place(units * kSplitTokens);
    scratch.partials = place(units * partial_size(shape));
    scratch.states = place(units * partial_size(shape));
    scratch.value_tail = place(kPageTokens * kFloatLanes);
    scratch.size = end;
    return scratch;
}

size_t attention_scratch_bytes(const KvShape& shape, int n_heads) {
    return static_cast<size_t>(layout_scratch(shape, n_heads / shape.kv_heads).size) * sizeof(float);
}

int64_t attention_items(const AttentionTask& task) {
    if (task.n_rows == 0) return 0;
    const AttentionPlan plan = plan_attention(task);
    return int64_t{plan.n_tiles} * task.shape.kv_heads * plan.items_per_tile;
}

size_t attention_partial_floats(const AttentionTask& task) {
    if (task.n_rows == 0) return 0;
    const AttentionPlan plan = plan_attention(task);
    if (!plan.split_keys) return 0;
    return static_cast<size_t>(task.n_rows * int64_t{task.n_heads} * plan.n_splits * plan.partial_size);
}

int attention_merges(const AttentionTask& task) {
    if (task.n_rows == 0 || !plan_attention(task).split_keys) return 0;
    return task.n_rows * task.n_heads;
}

}  // namespace agave::cpu
