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

}  // namespace agave::cpu
