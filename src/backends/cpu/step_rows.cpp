#include <algorithm>
#include <cmath>
#include <cstring>

#include "backends/cpu/step_context.h"

namespace agave::cpu {

Matrix Run::at(Value value) const {
    const size_t id = static_cast<size_t>(value.id);
    const ValueInfo& info = graph.values[id];
    if (value == graph.logits) return {logits, info.width};
    if (info.rows == Rows::tokens)
        return {workspace.token_arena + plan.token_offsets[id] * max_rows, row_stride(info.width)};
    return {workspace.output_arena + plan.output_offsets[id] * max_outputs, row_stride(info.width)};
}

void rope_angles(const Run& run, int slot) {
    const Range rows = thread_range(run.n_rows(), 1, slot, run.team.n_threads());
    const std::vector<RopeTable>& tables = run.graph.rope_tables;
    for (const BatchSlice& slice : run.batch.slices)
        for (int64_t row = std::max<int64_t>(rows.begin, slice.row_begin);
             row < std::min<int64_t>(rows.end, slice.row_begin + slice.n_rows); row++) {
            const float position = static_cast<float>(slice.first_position + row - slice.row_begin);
            for (size_t t = 0; t < tables.size(); t++) {
                const int64_t n_pairs = static_cast<int64_t>(tables[t].inverse_frequencies.size());
                for (int64_t i = 0; i < n_pairs; i++) {
                    const float angle = position * tables[t].inverse_frequencies[static_cast<size_t>(i)];
                    run.workspace.cosines[t][row * n_pairs + i] = std::cos(angle) * tables[t].magnitude;
                    run.workspace.sines[t][row * n_pairs + i] = std::sin(angle) * tables[t].magnitude;
                }
            }
        }
}

void execute(const StepContext& context, const op::Embed& node) {
    const Matrix out = context.run.at(node.out);
    const Tensor& table = *node.table;
    const Range rows = context.my_rows(node.out);
    for (int64_t r = rows.begin; r < rows.end; r++) {
        decode_rows(table, context.run.batch.tokens[static_cast<size_t>(r)], 1, out.row(r));
        if (node.scale != 1.0f) context.run.kernels.scale(out.row(r), table.row_elements(), node.scale);
    }
}

void execute(const StepContext& context, const op::RmsNorm& node) {
    const Matrix x = context.run.at(node.x), out = context.run.at(node.out);
    const int64_t width = context.run.graph.width(node.x);
    // A weight for each column moves on with the groups.
    const int64_t weight_step = node.weight && node.weight->n_elements() == width ? 1 : 0;
    const Range rows = context.my_rows(node.out);
    for (int64_t r = rows.begin; r < rows.end; r++)
        for (int64_t begin = 0; begin < width; begin += node.group)
            context.run.kernels.rms_norm(x.row(r) + begin,
                                         node.weight ? floats(node.weight) + weight_step * begin : nullptr,
                                         node.epsilon, node.group, out.row(r) + begin);
}

void execute(const StepContext& context, const op::Gate& node) {
    const Matrix gate = context.run.at(node.gate), up = context.run.at(node.up),
                 out = context.run.at(node.out);
    const Kernels& kernels = context.run.kernels;
    const auto kernel = gate_kernel(kernels, node.kind);
    const Range rows = context.my_rows(node.out);
    for (int64_t r = rows.begin; r < rows.end; r++)
        kernel(gate.row(r), up.row(r), context.run.graph.width(node.out), out.row(r));
}

/// Operations on one value copy it first, unless the plan lets them work in place.
static void copy_rows(const Matrix& from, const Matrix& to, Range rows, int64_t width) {
    if (from.data == to.data) return;
    for (int64_t r = rows.begin; r < rows.end; r++)
        std::memcpy(to.row(r), from.row(r), static_cast<size_t>(width) * sizeof(float));
}

void execute(const StepContext& context, const op::Rope& node) {
    const Run& run = context.run;
    const Matrix out = run.at(node.out);
    const size_t table = static_cast<size_t>(node.table);
    const int n_pairs = static_cast<int>(run.graph.rope_tables[table].inverse_frequencies.size());
    const Range rows = context.my_rows(node.out);
    copy_rows(run.at(node.x), out, rows, run.graph.width(node.x));
    for (int64_t r = rows.begin; r < rows.end; r++)
        run.kernels.rope(out.row(r) + node.begin, node.n_heads, node.head_dim, n_pairs, node.halves,
                         run.workspace.cosines[table] + r * n_pairs,
                         run.workspace.sines[table] + r * n_pairs);
}

void execute(const StepContext& context, const op::Add& node) {
    const Matrix x = context.run.at(node.x), out = context.run.at(node.out);
    const Range rows = context.my_rows(node.out);
    for (int64_t r = rows.begin; r < rows.end; r++)
        context.run.kernels.add(x.row(r), context.run.graph.width(node.x), out.row(r));
}

void execute(const StepContext& context, const op::SelectOutputs& node) {
    const Matrix x = context.run.at(node.x), out = context.run.at(node.out);
    const Range rows = context.my_rows(node.out);
    for (int64_t r = rows.begin; r < rows.end; r++)
        std::memcpy(out.row(r), x.row(context.run.batch.output_rows[static_cast<size_t>(r)]),
                    static_cast<size_t>(context.run.graph.width(node.x)) * sizeof(float));
}

void execute(const StepContext& context, const op::Softcap& node) {
    const Matrix out = context.run.at(node.out);
    const int64_t width = context.run.graph.width(node.x);
    const Range rows = context.my_rows(node.out);
    copy_rows(context.run.at(node.x), out, rows, width);
    for (int64_t r = rows.begin; r < rows.end; r++) context.run.kernels.softcap(out.row(r), width, node.cap);
}

void execute(const StepContext& context, const op::Activate& node) {
    const Matrix out = context.run.at(node.out);
    const int64_t width = context.run.graph.width(node.x);
    const NonlinearityKernel kernel = nonlinearity_kernel(context.run.kernels, node.kind);
    const Range rows = context.my_rows(node.out);
    copy_rows(context.run.at(node.x), out, rows, width);
    if (!kernel) return;
    for (int64_t r = rows.begin; r < rows.end; r++) kernel(out.row(r), width);
}

void execute(const StepContext& context, const op::Scale& node) {
    const Matrix out = context.run.at(node.out);
    const int64_t width = context.run.graph.width(node.x);
    const Range rows = context.my_rows(node.out);
    copy_rows(context.run.at(node.x), out, rows, width);
    for (int64_t r = rows.begin; r < rows.end; r++) context.run.kernels.scale(out.row(r), width, node.factor);
}

void execute(const StepContext& context, const op::RowGate& node) {
    const Matrix gate = context.run.at(node.gate), out = context.run.at(node.out);
    const int64_t width = context.run.graph.width(node.x);
    const Range rows = context.my_rows(node.out);
    copy_rows(context.run.at(node.x), out, rows, width);
    for (int64_t r = rows.begin; r < rows.end; r++)
        context.run.kernels.scale(out.row(r), width, 1.0f / (1.0f + std::exp(-gate.row(r)[0])));
}

void execute(const StepContext& context, const op::Slice& node) {
    const Matrix x = context.run.at(node.x), out = context.run.at(node.out);
    const int64_t n_groups = context.run.graph.width(node.x) / node.group;
    const int64_t width = context.run.graph.width(node.out) / n_groups;
    const Range rows = context.my_rows(node.out);
    for (int64_t r = rows.begin; r < rows.end; r++)
        for (int64_t i = 0; i < n_groups; i++)
            std::memcpy(out.row(r) + i * width, x.row(r) + i * node.group + node.begin,
                        static_cast<size_t>(width) * sizeof(float));
}

}  // namespace agave::cpu
