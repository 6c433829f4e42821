#include <algorithm>
#include <cmath>

#include "backends/cpu/step_context.h"

namespace agave::cpu {

void execute(const StepContext& context, const op::Convolve& node) {
    const Run& run = context.run;
    const Matrix x = run.at(node.x), out = run.at(node.out);
    const int64_t n_columns = run.graph.width(node.x);
    for_each_piece(context, n_columns, piece_columns(n_columns, run.team.n_threads()), [&](Range columns) {
        for (const BatchSlice& slice : run.batch.slices)
            run.kernels.convolve({.weight = floats(node.weight),
                                  .bias = floats(node.bias),
                                  .kernel = static_cast<int>(node.weight->row_elements()),
                                  .silu = node.silu,
                                  .n_columns = n_columns,
                                  .begin = columns.begin,
                                  .end = columns.end,
                                  .state = run.cache.state(*slice.sequence, node.state_layer),
                                  .n_rows = slice.n_rows,
                                  .x = x.row(slice.row_begin),
                                  .x_stride = x.stride,
                                  .out = out.row(slice.row_begin),
                                  .out_stride = out.stride});
    });
}

namespace {

/// log(1 + e^x), and x itself from 20 on, as PyTorch computes it.
float softplus(float x) {
    return x > 20.0f ? x : std::log1p(std::exp(x));
}

/// The step sizes [n_heads, kScanChunk] of some heads for some rows.
void scan_steps(const op::SelectiveScan& node, const Matrix& dt, int64_t first_row, int n_rows,
                int first_head, int n_heads, float* steps) {
    for (int h = 0; h < n_heads; h++) {
        const float bias = floats(node.dt_bias)[first_head + h];
        for (int r = 0; r < n_rows; r++)
            steps[h * kScanChunk + r] =
                std::max(node.min_step, softplus(dt.row(first_row + r)[first_head + h] + bias));
    }
}

}  // namespace

void execute(const StepContext& context, const op::SelectiveScan& node) {
    const Run& run = context.run;
    const Matrix x = run.at(node.x), dt = run.at(node.dt), out = run.at(node.out);
    const int group_heads = node.n_heads / node.n_groups;
    const int64_t state_columns = int64_t{node.n_heads} * node.head_dim,
                  state_floats = node.state_size * scan_lanes(node.head_dim);
    // An item is some heads of one group of one sequence, over all its rows. The heads of a group share the
    // products C . B, so few items are better, as long as every thread has several.
    const int64_t n_slices = static_cast<int64_t>(run.batch.slices.size());
    const int64_t wanted = int64_t{run.team.n_threads()} * kPiecesPerThread;
    int64_t parts = 1;
    while (parts < group_heads && n_slices * node.n_groups * parts < wanted) parts *= 2;
    const int part_heads = static_cast<int>((group_heads + parts - 1) / parts);

    float* steps = reinterpret_cast<float*>(context.scratch());
    const int64_t n_items = n_slices * node.n_groups * parts;
    for (int64_t item; (item = context.next_item.fetch_add(1, std::memory_order_relaxed)) < n_items;) {
        const BatchSlice& slice = run.batch.slices[static_cast<size_t>(item / (node.n_groups * parts))];
        const int64_t group = item / parts % node.n_groups;
        const int begin = static_cast<int>(item % parts) * part_heads;
        const int n_heads = std::min(part_heads, group_heads - begin);
        if (n_heads <= 0) continue;
        const int first_head = static_cast<int>(group) * group_heads + begin;
        float* state = run.cache.state(*slice.sequence, node.state_layer) + first_head * state_floats;
        for (int done = 0; done < slice.n_rows;) {
            const int64_t position = slice.first_position + done, row = slice.row_begin + done;
            const int n_rows =
                std::min(slice.n_rows - done, kScanChunk - static_cast<int>(position % kScanChunk));
            scan_steps(node, dt, row, n_rows, first_head, n_heads, steps);
            const float* columns = x.row(row);
            run.kernels.selective_scan(
                {.n_heads = n_heads,
                 .head_dim = node.head_dim,
                 .state_size = node.state_size,
                 .n_rows = n_rows,
                 .x = columns + int64_t{first_head} * node.head_dim,
                 .b = columns + state_columns + group * node.state_size,
                 .c = columns + state_columns + (node.n_groups + group) * node.state_size,
                 .stride = x.stride,
                 .dt = steps,
                 .a = floats(node.a) + first_head,
                 .d = floats(node.d) + first_head,
                 .state = state,
                 .out = out.row(row) + int64_t{first_head} * node.head_dim,
                 .out_stride = out.stride,
                 .scratch = steps + int64_t{group_heads} * kScanChunk});
            done += n_rows;
        }
    }
}

void execute(const StepContext& context, const op::DeltaNet& node) {
    const Run& run = context.run;
    const Matrix qkv = run.at(node.qkv), alpha = run.at(node.alpha), beta = run.at(node.beta),
                 out = run.at(node.out);
    const int64_t keys = int64_t{node.key_heads} * node.key_dim;
    float* const g = reinterpret_cast<float*>(context.scratch() + delta_net_scratch_bytes(node.key_dim));
    float* const rates = g + run.max_rows;
    const int64_t n_items = static_cast<int64_t>(run.batch.slices.size()) * node.value_heads;
    for (int64_t item; (item = context.next_item.fetch_add(1, std::memory_order_relaxed)) < n_items;) {
        const BatchSlice& slice = run.batch.slices[static_cast<size_t>(item / node.value_heads)];
        const int64_t head = item % node.value_heads, key_head = node.key_head(head);
        for (int64_t r = 0; r < slice.n_rows; r++) {
            const float a = alpha.row(slice.row_begin + r)[head], b = beta.row(slice.row_begin + r)[head];
            g[r] = floats(node.a)[head] * softplus(a + floats(node.dt_bias)[head]);
            rates[r] = 1.0f / (1.0f + std::exp(-b));
        }
        const float* const first = qkv.row(slice.row_begin);
        run.kernels.delta_net(
            {.state = run.cache.state(*slice.sequence, node.state_layer) + head * node.head_state_floats(),
             .key_dim = node.key_dim,
             .value_dim = node.value_dim,
             .first_position = slice.first_position,
             .n_rows = slice.n_rows,
             .q = first + key_head * node.key_dim,
             .k = first + keys + key_head * node.key_dim,
             .v = first + 2 * keys + head * node.value_dim,
             .stride = qkv.stride,
             .g = g,
             .beta = rates,
             .query_scale = 1.0f / std::sqrt(static_cast<float>(node.key_dim)),
             .epsilon = node.epsilon,
             .out = out.row(slice.row_begin) + head * node.value_dim,
             .out_stride = out.stride},
            context.scratch());
    }
}

}  // namespace agave::cpu
