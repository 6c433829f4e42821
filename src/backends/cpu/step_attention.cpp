#include <algorithm>

#include "backends/cpu/step_context.h"

namespace agave::cpu {

namespace {

AttentionTask attention_task(const Run& run, const op::Attention& node, const BatchSlice& slice) {
    const Matrix q = run.at(node.q), out = run.at(node.out);
    const KvLayer& layer = run.graph.kv_layers[static_cast<size_t>(node.kv_layer)];
    return {.kv = run.cache.view(*slice.sequence, node.kv_layer),
            .shape = layer.shape,
            .format = run.cache.format(),
            .n_heads = node.n_heads,
            .scale = node.scale,
            .softcap = node.softcap,
            .window = layer.window,
            .sinks = floats(node.sinks),
            .first_position = slice.first_position,
            .n_rows = slice.n_rows,
            .q = q.row(slice.row_begin),
            .q_stride = q.stride,
            .out = out.row(slice.row_begin),
            .out_stride = out.stride};
}

/// K and V of this slot's rows into their pages.
void store(const StepContext& context, const op::Attention& node) {
    const Run& run = context.run;
    const KvLayer& layer = run.graph.kv_layers[static_cast<size_t>(node.kv_layer)];
    const Matrix k = run.at(node.k), v = run.at(node.v);
    const Range rows = context.my_rows(node.k);
    for (const BatchSlice& slice : run.batch.slices) {
        const KvView view = run.cache.view(*slice.sequence, node.kv_layer);
        const int64_t end = std::min<int64_t>(rows.end, slice.row_begin + slice.n_rows);
        for (int64_t row = std::max<int64_t>(rows.begin, slice.row_begin); row < end; row++)
            run.kernels.store_kv(view, layer.shape, run.cache.format(),
                                 slice.first_position + row - slice.row_begin, k.row(row), v.row(row));
    }
}

/// Takes the items of all sequences in one line, each the next one that is left.
void attend(const StepContext& context, const op::Attention& node) {
    const auto take = [&] { return context.next_item.fetch_add(1, std::memory_order_relaxed); };
    int64_t item = take(), first_item = 0;
    float* partials = context.run.workspace.attention_partials.data();
    for (const BatchSlice& slice : context.run.batch.slices) {
        const AttentionTask task = attention_task(context.run, node, slice);
        const int64_t end_item = first_item + attention_items(task);
        for (; item < end_item; item = take())
            context.run.kernels.attention_item(task, item - first_item, partials, context.scratch());
        first_item = end_item;
        partials += attention_partial_floats(task);
    }
}

/// Joins the splits of this slot's share of the merges.
void merge(const StepContext& context, const op::Attention& node) {
    int64_t n_merges = 0;
    for (const BatchSlice& slice : context.run.batch.slices)
        n_merges += attention_merges(attention_task(context.run, node, slice));
    const Range mine = context.my_share(n_merges);
    int64_t first = 0;
    float* partials = context.run.workspace.attention_partials.data();
    for (const BatchSlice& slice : context.run.batch.slices) {
        const AttentionTask task = attention_task(context.run, node, slice);
        const int64_t merges = attention_merges(task);
        const int64_t begin = std::max(mine.begin, first), end = std::min(mine.end, first + merges);
        if (begin < end)
            context.run.kernels.attention_merge(task, static_cast<int>(begin - first),
                                                static_cast<int>(end - first), partials);
        first += merges;
        partials += attention_partial_floats(task);
    }
}

}  // namespace

size_t attention_partials(const Run& run, const op::Attention& node) {
    size_t needed = 0;
    for (const BatchSlice& slice : run.batch.slices)
        needed += attention_partial_floats(attention_task(run, node, slice));
    return needed;
}

void execute(const StepContext& context, const op::Attention& node) {
    if (context.step.part == 0) return store(context, node);
    if (context.step.part == 1) return attend(context, node);
    merge(context, node);
}

}  // namespace agave::cpu
