#include "backends/cpu/step_context.h"

namespace agave::cpu {

namespace {

void observe_rows(const Run& run, const Tensor& weight, Value x, InputObserver& observer) {
    const Matrix rows = run.at(x);
    observer.observe(weight, 0, rows.data, rows.stride, run.rows_of(x));
}

void observe_heads(const Run& run, const op::HeadLinear& node, InputObserver& observer) {
    const Matrix rows = run.at(node.x);
    const int64_t n_heads = node.weight->shape[2], head_dim = run.graph.width(node.x) / n_heads;
    for (int64_t head = 0; head < n_heads; head++)
        observer.observe(*node.weight, head, rows.data + head * head_dim, rows.stride, run.rows_of(node.x));
}

/// The workspace still lists the rows of each expert, and holds what went into its down projection.
void observe_experts(const Run& run, const op::Experts& node, InputObserver& observer) {
    const ExpertsWorkspace& w = run.workspace.experts;
    const Matrix x = run.at(node.x);
    const int64_t hidden_stride = row_stride(node.down->row_elements());
    for (int64_t expert = 0; expert < run.graph.width(node.router); expert++) {
        const int64_t begin = w.begin[expert], end = w.begin[expert + 1];
        for (int64_t i = begin; i < end; i++) {
            const float* row = x.row(w.order[i] / node.n_used);
            // Gate and up may be one tensor.
            if (node.gate && node.gate != node.up) observer.observe(*node.gate, expert, row, 0, 1);
            observer.observe(*node.up, expert, row, 0, 1);
        }
        observer.observe(*node.down, expert, w.hidden + begin * hidden_stride, hidden_stride, end - begin);
    }
}

}  // namespace

void observe_inputs(const Run& run, const Step& step, InputObserver& observer) {
    const Operation& operation = *step.operation;
    if (const auto* linear = std::get_if<op::Linear>(&operation))
        observe_rows(run, *linear->weight, linear->x, observer);
    if (const auto* heads = std::get_if<op::HeadLinear>(&operation)) observe_heads(run, *heads, observer);
    if (const auto* gated = std::get_if<op::GatedLinear>(&operation)) {
        observe_rows(run, *gated->gate, gated->x, observer);
        observe_rows(run, *gated->up, gated->x, observer);
    }
    // After the down projection; the part that follows it may already write over x.
    const auto* experts = std::get_if<op::Experts>(&operation);
    if (experts && step.part == kExpertParts - 2) observe_experts(run, *experts, observer);
}

}  // namespace agave::cpu
