#include <algorithm>

#include "graph/graph.h"

namespace agave {

namespace {

struct Life {
    size_t first = SIZE_MAX, last = 0;
    bool overlaps(const Life& other) const { return first <= other.last && other.first <= last; }
};

/// Operations that write over their input when nobody reads the input afterwards.
Value in_place_input(const Operation& operation) {
    if (const auto* rope = std::get_if<op::Rope>(&operation)) return rope->x;
    if (const auto* softcap = std::get_if<op::Softcap>(&operation)) return softcap->x;
    if (const auto* activate = std::get_if<op::Activate>(&operation)) return activate->x;
    if (const auto* scale = std::get_if<op::Scale>(&operation)) return scale->x;
    if (const auto* norm = std::get_if<op::RmsNorm>(&operation)) return norm->x;
    if (const auto* row_gate = std::get_if<op::RowGate>(&operation)) return row_gate->x;
    if (const auto* convolve = std::get_if<op::Convolve>(&operation)) return convolve->x;
    return {};
}

}  // namespace

MemoryPlan plan_memory(const Graph& graph) {
    const size_t n_values = graph.values.size();
    std::vector<Life> lives(n_values);
    const auto touch = [&](Value value, size_t i) {
        Life& life = lives[static_cast<size_t>(value.id)];
        life.first = std::min(life.first, i);
        life.last = std::max(life.last, i);
    };
    for (size_t i = 0; i < graph.operations.size(); i++) {
        touch(output_of(graph.operations[i]), i);
        for (Value value : inputs_of(graph.operations[i])) touch(value, i);
    }
    if (graph.logits.id >= 0) touch(graph.logits, graph.operations.size());

    // A value computed in place joins its input's storage: both are then one root with the union of their
    // lives.
    std::vector<size_t> root(n_values);
    for (size_t i = 0; i < n_values; i++) root[i] = i;
    for (size_t i = 0; i < graph.operations.size(); i++) {
        const Value input = in_place_input(graph.operations[i]), output = output_of(graph.operations[i]);
        if (input.id < 0 || input == output) continue;
        const size_t from = root[static_cast<size_t>(input.id)], to = static_cast<size_t>(output.id);
        if (lives[from].last != i) continue;
        root[to] = from;
        lives[from].last = std::max(lives[from].last, lives[to].last);
    }

    MemoryPlan plan;
    plan.token_offsets.assign(n_values, -1);
    plan.output_offsets.assign(n_values, -1);
    std::vector<size_t> placed;
    for (size_t i = 0; i < n_values; i++) {
        if (root[i] != i || lives[i].first == SIZE_MAX) continue;
        const bool tokens = graph.values[i].rows == Rows::tokens;
        std::vector<int64_t>& offsets = tokens ? plan.token_offsets : plan.output_offsets;
        const int64_t columns = row_stride(graph.values[i].width);
        // First fit: move behind every placed value that is alive at the same time and in the way.
        int64_t offset = 0;
        for (bool moved = true; moved;) {
            moved = false;
            for (size_t other : placed) {
                if (graph.values[other].rows != graph.values[i].rows || !lives[i].overlaps(lives[other]))
                    continue;
                const int64_t begin = offsets[other], end = begin + row_stride(graph.values[other].width);
                if (offset < end && begin < offset + columns) offset = end, moved = true;
            }
        }
        offsets[i] = offset;
        int64_t& total = tokens ? plan.token_columns : plan.output_columns;
        total = std::max(total, offset + columns);
        placed.push_back(i);
    }
    for (size_t i = 0; i < n_values; i++) {
        size_t origin = i;
        while (root[origin] != origin) origin = root[origin];
        plan.token_offsets[i] = plan.token_offsets[origin];
        plan.output_offsets[i] = plan.output_offsets[origin];
    }
    return plan;
}

}  // namespace agave
