#include "backends/cpu/workspace.h"

#include <algorithm>

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
};

Sizes measure(const Graph& graph, const std::vector<Step>& steps, size_t max_rows, size_t max_outputs) {
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
        } else if (step.division == Division::columns) {
            for (Value x : inputs_of(*step.operation))
                sizes.thread_scratch = std::max(sizes.thread_scratch, matmul_scratch_bytes(graph.width(x)));
        }
    }
    return sizes;
}

}  // namespace

Workspace::Workspace(const Graph& graph, const MemoryPlan& plan, const std::vector<Step>& steps, int max_rows,
                     int max_outputs, int n_threads) {
    const size_t rows = static_cast<size_t>(max_rows), outputs = static_cast<size_t>(max_outputs);
    const Sizes sizes = measure(graph, steps, rows, outputs);
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
        scratch.clear();
        gate_scratch.clear();
        for (int thread = 0; thread < n_threads; thread++) {
            scratch.push_back(carver.take<std::byte>(sizes.thread_scratch));
            gate_scratch.push_back(carver.take<float>(rows * kGateColumns));
        }
        return carver.used;
    };
    memory = PageMemory(lay_out({}));
    lay_out({memory.data(), 0});
}

}  // namespace agave::cpu
