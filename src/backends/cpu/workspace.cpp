#include "backends/cpu/workspace.h"

#include <algorithm>

#include "backends/cpu/step_context.h"

namespace agave::cpu {

namespace {

/// Deals out the bytes of a reservation from front to back; without a base it only counts them.
struct Carver {
    std::byte* base = nullptr;
    size_t used = 0;

    template <typename T>
    T* take(size_t count) {
        std::byte* place = base + used;
        used += (count * sizeof(T) + 63) / 64 * 64;
        return reinterpret_cast<T*>(place);
    }
};

struct Sizes {
    size_t quantized[4] = {};  ///< bytes, by Activation
    size_t thread_scratch = 64;
    size_t head_row = 0;  ///< bytes of one row of a head
    // Of mixtures of experts, for one row: the most over all of them.
    size_t n_used = 0, n_experts = 0;
    size_t gate_input = 0, up_input = 0, hidden = 0, down_input = 0,
           out = 0;  ///< for one slot; bytes or floats
};

void measure_experts(const Graph& graph, const op::Experts& node, Activation (*activation_for)(Format),
                     bool exact, Sizes& sizes) {
    const auto activation = [&](const Tensor* weight) {
        return exact ? Activation::float32 : activation_for(weight->format);
    };
    const auto raise = [](size_t& size, size_t to) { size = std::max(size, to); };
    const int64_t k = node.up->row_elements(), ff = node.down->row_elements();
    raise(sizes.n_used, static_cast<size_t>(node.n_used));
    raise(sizes.n_experts, static_cast<size_t>(graph.width(node.router)));
    raise(sizes.gate_input, activation_row_bytes(activation(&node.first()), k));
    if (activation(node.up) != activation(&node.first()))
        raise(sizes.up_input, activation_row_bytes(activation(node.up), k));
    raise(sizes.hidden, static_cast<size_t>(row_stride(ff)));
    if (activation(node.down) != Activation::float32)
        raise(sizes.down_input, activation_row_bytes(activation(node.down), ff));
    raise(sizes.out, static_cast<size_t>(row_stride(graph.width(node.out))));
    raise(sizes.thread_scratch, matmul_scratch_bytes(std::max(k, ff)));
}

Sizes measure(const Graph& graph, const std::vector<Step>& steps, size_t max_rows, size_t max_outputs,
              Activation (*activation_for)(Format), bool exact) {
    Sizes sizes;
    for (const Step& step : steps) {
        if (!step.operation) {
            const ValueInfo& info = graph.values[static_cast<size_t>(step.quantized.id)];
            size_t& bytes = sizes.quantized[static_cast<size_t>(step.activation)];
            bytes = std::max(bytes, activation_row_bytes(step.activation, info.width) *
                                        (info.rows == Rows::tokens ? max_rows : max_outputs));
        } else if (const auto* attention = std::get_if<op::Attention>(step.operation)) {
            const KvShape& shape = graph.kv_layers[static_cast<size_t>(attention->kv_layer)].shape;
            sizes.thread_scratch =
                std::max(sizes.thread_scratch, attention_scratch_bytes(shape, attention->n_heads));
        } else if (const auto* delta_net = std::get_if<op::DeltaNet>(step.operation)) {
            // Behind the kernel's scratch lie g and beta of every row.
            sizes.thread_scratch =
                std::max(sizes.thread_scratch,
                         delta_net_scratch_bytes(delta_net->key_dim) + 2 * max_rows * sizeof(float));
        } else if (const auto* experts = std::get_if<op::Experts>(step.operation)) {
            measure_experts(graph, *experts, activation_for, exact, sizes);
        } else if (const auto* scan = std::get_if<op::SelectiveScan>(step.operation)) {
            sizes.thread_scratch = std::max(sizes.thread_scratch, scan_scratch_bytes(*scan));
        } else if (const auto* heads = std::get_if<op::HeadLinear>(step.operation)) {
            const int64_t k = heads->weight->shape[0];
            const Activation activation = exact ? Activation::float32 : activation_for(heads->weight->format);
            sizes.head_row = std::max(sizes.head_row, activation_row_bytes(activation, k));
            sizes.thread_scratch = std::max(sizes.thread_scratch, matmul_scratch_bytes(k));
        } else if (step.division == Division::columns) {
            for (Value x : inputs_of(*step.operation))
                sizes.thread_scratch = std::max(sizes.thread_scratch, matmul_scratch_bytes(graph.width(x)));
        }
    }
    return sizes;
}

}  // namespace

Workspace::Workspace(const Graph& graph, const MemoryPlan& plan, const std::vector<Step>& steps, int max_rows,
                     int max_outputs, int n_threads, Activation (*activation_for)(Format), bool exact) {
    const size_t rows = static_cast<size_t>(max_rows), outputs = static_cast<size_t>(max_outputs);
    const Sizes sizes = measure(graph, steps, rows, outputs, activation_for, exact);
    const size_t slots = rows * sizes.n_used;
    const auto lay_out = [&](Carver carver) {
        token_arena = carver.take<float>(static_cast<size_t>(plan.token_columns) * rows);
        output_arena = carver.take<float>(static_cast<size_t>(plan.output_columns) * outputs);
        for (size_t i = 0; i < 4; i++) quantized[i] = carver.take<std::byte>(sizes.quantized[i]);
        cosines.clear();
        sines.clear();
        for (const RopeTable& table : graph.rope_tables) {
            cosines.push_back(carver.take<float>(table.inverse_frequencies.size() * rows));
            sines.push_back(carver.take<float>(table.inverse_frequencies.size() * rows));
        }
        experts.chosen = carver.take<int32_t>(slots);
        experts.weights = carver.take<float>(slots);
        experts.begin = carver.take<int32_t>(sizes.n_experts + 1);
        experts.order = carver.take<int32_t>(slots);
        experts.gate_input = carver.take<std::byte>(slots * sizes.gate_input);
        experts.up_input = carver.take<std::byte>(slots * sizes.up_input);
        experts.hidden = carver.take<float>(slots * sizes.hidden);
        experts.down_input = carver.take<std::byte>(slots * sizes.down_input);
        experts.out = carver.take<float>(slots * sizes.out);
        experts.scores.clear();
        scratch.clear();
        gate_scratch.clear();
        head_rows.clear();
        for (int thread = 0; thread < n_threads; thread++) {
            scratch.push_back(carver.take<std::byte>(sizes.thread_scratch));
            gate_scratch.push_back(carver.take<float>(rows * kGateColumns));
            experts.scores.push_back(carver.take<float>(2 * sizes.n_experts));
            head_rows.push_back(carver.take<std::byte>(rows * sizes.head_row));
        }
        return carver.used;
    };
    memory = PageMemory(lay_out({}));
    lay_out({memory.data(), 0});
}

}  // namespace agave::cpu
