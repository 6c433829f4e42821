#include <algorithm>

#include "graph/graph.h"

namespace agave {

namespace {

/// How many operations read each value.
std::vector<int> count_readers(const Graph& graph) {
    std::vector<int> readers(graph.values.size(), 0);
    for (const Operation& operation : graph.operations)
        for (Value value : inputs_of(operation)) readers[static_cast<size_t>(value.id)]++;
    if (graph.logits.id >= 0) readers[static_cast<size_t>(graph.logits.id)]++;
    return readers;
}

/// The last operation before `end` that writes `value`, or -1.
int64_t writer_of(const Graph& graph, Value value, size_t end) {
    for (size_t i = end; i-- > 0;)
        if (output_of(graph.operations[i]) == value) return static_cast<int64_t>(i);
    return -1;
}

/// The Linear that alone feeds operation `end` with `value` and whose input is still the same there, so that
/// it may as well run there; or nullptr.
const op::Linear* sole_feeder(const Graph& graph, const std::vector<int>& readers, Value value, size_t end,
                              size_t& index) {
    const int64_t writer = writer_of(graph, value, end);
    if (writer < 0 || readers[static_cast<size_t>(value.id)] != 1) return nullptr;
    index = static_cast<size_t>(writer);
    const op::Linear* linear = std::get_if<op::Linear>(&graph.operations[index]);
    if (!linear || linear->accumulate || linear->nonlinearity != Nonlinearity::none) return nullptr;
    return writer_of(graph, linear->x, end) < writer ? linear : nullptr;
}

/// The same, without a bias.
const op::Linear* sole_linear(const Graph& graph, const std::vector<int>& readers, Value value, size_t end,
                              size_t& index) {
    const op::Linear* linear = sole_feeder(graph, readers, value, end, index);
    return linear && !linear->bias ? linear : nullptr;
}

}  // namespace

void fuse(Graph& graph) {
    const std::vector<int> readers = count_readers(graph);
    std::vector<bool> removed(graph.operations.size(), false);
    for (size_t i = 0; i < graph.operations.size(); i++) {
        Operation& operation = graph.operations[i];
        if (const op::Gate* gate = std::get_if<op::Gate>(&operation)) {
            size_t gate_index = 0, up_index = 0;
            const op::Linear* left = sole_linear(graph, readers, gate->gate, i, gate_index);
            const op::Linear* right = sole_linear(graph, readers, gate->up, i, up_index);
            if (!left || !right || !(left->x == right->x)) continue;
            removed[gate_index] = removed[up_index] = true;
            operation = op::GatedLinear{left->x, left->weight, right->weight, gate->kind, gate->out};
        } else if (const op::Add* add = std::get_if<op::Add>(&operation)) {
            size_t index = 0;
            const op::Linear* linear = sole_linear(graph, readers, add->x, i, index);
            // The residual must not change between the linear and the addition.
            if (!linear || writer_of(graph, add->out, i) > static_cast<int64_t>(index)) continue;
            removed[index] = true;
            operation = op::Linear{linear->x, linear->weight, nullptr, add->out, true, Nonlinearity::none};
        } else if (const op::Activate* activate = std::get_if<op::Activate>(&operation)) {
            size_t index = 0;
            const op::Linear* linear = sole_feeder(graph, readers, activate->x, i, index);
            if (!linear) continue;
            removed[index] = true;
            operation =
                op::Linear{linear->x, linear->weight, linear->bias, activate->out, false, activate->kind};
        }
    }
    size_t kept = 0;
    for (size_t i = 0; i < graph.operations.size(); i++)
        if (!removed[i]) graph.operations[kept++] = graph.operations[i];
    graph.operations.resize(kept);
}

}  // namespace agave
