#include <algorithm>

#include "backends/cpu/step_context.h"

namespace agave::cpu {

namespace {

void matmul(const StepContext& context, const Tensor& weight, Value x, Activation activation, Range columns,
            float* out, int64_t out_stride, bool accumulate) {
    multiply_rows(context, weight, 0,
                  {.weights = {},
                   .row_begin = columns.begin,
                   .row_end = columns.end,
                   .activation = activation,
                   .activations = context.run.activations(x, activation),
                   .n_rows = static_cast<int>(context.run.rows_of(x)),
                   .out = out,
                   .out_stride = out_stride,
                   .accumulate = accumulate,
                   .scratch = context.scratch()});
}

}  // namespace

void multiply_rows(const StepContext& context, const Tensor& weight, int64_t first_row, MatmulTask task) {
    const Kernels& kernels = context.run.kernels;
    const int64_t k = weight.row_elements();
    if (!weight.scaled) {
        task.weights = {weight.data + static_cast<size_t>(first_row) * weight.row_bytes(), weight.format, k,
                        weight.row_bytes()};
        return kernels.matmul(task);
    }
    // The scratch for a row of k weights has room for this many decoded ones, and products of float32 use
    // none.
    constexpr int64_t kRows = 8;
    float* decoded = reinterpret_cast<float*>(task.scratch);
    for (int64_t row = task.row_begin; row < task.row_end; row += kRows) {
        const int64_t n = std::min(kRows, task.row_end - row);
        decode_rows(weight, first_row + row, n, decoded);
        MatmulTask some = task;
        some.weights = {task.scratch, Format::f32, k, static_cast<size_t>(k) * sizeof(float)};
        some.row_begin = 0;
        some.row_end = n;
        some.out = task.out + row;
        kernels.matmul(some);
    }
}

const std::byte* Run::activations(Value value, Activation activation) const {
    if (activation == Activation::float32) return reinterpret_cast<const std::byte*>(at(value).data);
    return workspace.quantized[static_cast<size_t>(activation)];
}

void quantize(const StepContext& context) {
    const Value value = context.step.quantized;
    const Activation activation = context.step.activation;
    const Matrix x = context.run.at(value);
    const int64_t k = context.run.graph.width(value);
    const size_t row_bytes = activation_row_bytes(activation, k);
    std::byte* out = context.run.workspace.quantized[static_cast<size_t>(activation)];
    const Range rows = context.my_rows(value);
    for (int64_t r = rows.begin; r < rows.end; r++)
        context.run.kernels.quantize_row(activation, x.row(r), k, out + static_cast<size_t>(r) * row_bytes);
}

void execute(const StepContext& context, const op::Linear& node) {
    const Matrix out = context.run.at(node.out);
    const int64_t n_columns = node.weight->n_rows(), n_rows = context.run.rows_of(node.out);
    const NonlinearityKernel kernel = nonlinearity_kernel(context.run.kernels, node.nonlinearity);
    for_each_piece(
        context, n_columns, piece_columns(n_columns, context.run.team.n_threads()), [&](Range columns) {
            matmul(context, *node.weight, node.x, context.step.activation, columns, out.data, out.stride,
                   node.accumulate);
            const int64_t width = columns.end - columns.begin;
            for (int64_t r = 0; node.bias && r < n_rows; r++)
                context.run.kernels.add(floats(node.bias) + columns.begin, width, out.row(r) + columns.begin);
            for (int64_t r = 0; kernel && r < n_rows; r++) kernel(out.row(r) + columns.begin, width);
        });
}

void execute(const StepContext& context, const op::HeadLinear& node) {
    const Run& run = context.run;
    const Matrix x = run.at(node.x), out = run.at(node.out);
    const int64_t n_rows = run.rows_of(node.x), n_threads = run.team.n_threads();
    const int64_t k = node.weight->shape[0], n = node.weight->shape[1], n_heads = node.weight->shape[2];
    const int64_t head_dim = run.graph.width(node.x) / n_heads, kept = head_dim - k;
    const Activation activation = run.activation_for(node.weight->format);
    const size_t row_bytes = activation_row_bytes(activation, k);
    std::byte* rows = run.workspace.head_rows[static_cast<size_t>(context.thread)];
    // A piece is some columns of one head; whoever takes it turns the head's rows into activations first.
    const int64_t pieces = std::clamp<int64_t>((kPiecesPerThread * n_threads + n_heads - 1) / n_heads, 1,
                                               (n + kPanelRows - 1) / kPanelRows);
    const int64_t columns = ((n + pieces - 1) / pieces + kPanelRows - 1) / kPanelRows * kPanelRows;
    const int64_t per_head = (n + columns - 1) / columns;
    for (int64_t item;
         (item = context.next_item.fetch_add(1, std::memory_order_relaxed)) < per_head * n_heads;) {
        const int64_t head = item / per_head, begin = item % per_head * columns;
        float* to = out.data + head * (n + kept);
        for (int64_t r = 0; r < n_rows; r++) {
            const float* from = x.row(r) + head * head_dim;
            run.kernels.quantize_row(activation, from, k, rows + static_cast<size_t>(r) * row_bytes);
            if (begin == 0) std::copy(from + k, from + head_dim, to + r * out.stride + n);
        }
        multiply_rows(context, node.weight->parts ? node.weight->parts[head] : *node.weight,
                      node.weight->parts ? 0 : head * n,
                      {.weights = {},
                       .row_begin = begin,
                       .row_end = std::min(begin + columns, n),
                       .activation = activation,
                       .activations = rows,
                       .n_rows = static_cast<int>(n_rows),
                       .out = to,
                       .out_stride = out.stride,
                       .accumulate = false,
                       .scratch = context.scratch()});
    }
}

void execute(const StepContext& context, const op::GatedLinear& node) {
    const Run& run = context.run;
    const Matrix out = run.at(node.out);
    const int64_t n_rows = run.rows_of(node.out), n_columns = node.gate->n_rows();
    const Activation up_activation = run.activation_for(node.up->format);
    const auto kernel = gate_kernel(run.kernels, node.kind);
    // The scratch holds kGateColumns columns of max_rows rows: more columns when there are fewer rows.
    const int64_t most = run.max_rows / std::max<int64_t>(1, n_rows) * kGateColumns;
    const int64_t piece = std::min(most, piece_columns(n_columns, run.team.n_threads()));
    float* gate = run.workspace.gate_scratch[static_cast<size_t>(context.thread)];
    for_each_piece(context, n_columns, piece, [&](Range columns) {
        const int64_t width = columns.end - columns.begin;
        matmul(context, *node.gate, node.x, context.step.activation, columns, gate - columns.begin, width,
               false);
        matmul(context, *node.up, node.x, up_activation, columns, out.data, out.stride, false);
        for (int64_t r = 0; r < n_rows; r++)
            kernel(gate + r * width, out.row(r) + columns.begin, width, out.row(r) + columns.begin);
    });
}

}  // namespace agave::cpu
