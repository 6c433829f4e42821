#include "engine/step_cost.h"

#include <algorithm>
#include <cmath>

namespace agave {

namespace {

/// Adds up what operations cost.
struct Counter {
    const Graph& graph;
    KvFormat kv_format;
    int64_t first_position, n_rows;
    StepCost cost;

    double rows_of(Value value) const {
        const bool outputs = graph.values[static_cast<size_t>(value.id)].rows == Rows::outputs;
        return outputs ? 1.0 : static_cast<double>(n_rows);
    }
    void matrix(const Tensor& weight, double share_read, double rows) {
        MatrixCost* row = nullptr;
        for (MatrixCost& other : cost.matrices)
            if (other.format == weight.format) row = &other;
        if (!row) row = &cost.matrices.emplace_back(MatrixCost{weight.format});
        row->bytes += static_cast<double>(weight.n_bytes) * share_read;
        row->operations += 2.0 * static_cast<double>(weight.n_elements()) * rows;
    }
    void state(int32_t layer, Value out, double operations_of_entry) {
        const auto entries = static_cast<double>(graph.state_layers[static_cast<size_t>(layer)].n_floats);
        cost.cache_bytes += entries * sizeof(float);
        cost.cache_operations += entries * operations_of_entry * rows_of(out);
    }

    void operator()(const op::Linear& node) { matrix(*node.weight, 1, rows_of(node.x)); }
    void operator()(const op::HeadLinear& node) { matrix(*node.weight, 1, rows_of(node.x)); }
    void operator()(const op::GatedLinear& node) {
        matrix(*node.gate, 1, rows_of(node.x));
        matrix(*node.up, 1, rows_of(node.x));
    }
    void operator()(const op::Experts& node) {
        const auto n_experts = static_cast<double>(graph.width(node.router));
        const double used = node.n_used / n_experts, rows = rows_of(node.x);
        const double read = 1 - std::pow(1 - used, rows);
        // Gate and up may be one tensor.
        if (node.gate && node.gate != node.up) matrix(*node.gate, read, rows * used);
        matrix(*node.up, read, rows * used);
        matrix(*node.down, read, rows * used);
    }
    void operator()(const op::DeltaNet& node) { state(node.state_layer, node.out, 7); }
    void operator()(const op::SelectiveScan& node) { state(node.state_layer, node.out, 5); }
    void operator()(const op::Attention& node) {
        const KvLayer& layer = graph.kv_layers[static_cast<size_t>(node.kv_layer)];
        const auto keys_at = [&](int64_t position) {
            return static_cast<double>(layer.window ? std::min<int64_t>(position + 1, layer.window)
                                                    : position + 1);
        };
        const double dims = layer.shape.head_dim + layer.shape.value_head_dim;
        const double stored = layer.shape.latent ? layer.shape.head_dim : dims;
        cost.cache_bytes += keys_at(first_position + n_rows - 1) * layer.shape.kv_heads * stored *
                            static_cast<double>(kv_element_bytes(kv_format));
        for (int64_t r = 0; r < n_rows; r++)
            cost.cache_operations += 2 * keys_at(first_position + r) * node.n_heads * dims;
    }
    template <typename Other>
    void operator()(const Other&) {}
};

}  // namespace

double StepCost::bytes() const {
    double sum = cache_bytes;
    for (const MatrixCost& matrix : matrices) sum += matrix.bytes;
    return sum;
}

double StepCost::operations() const {
    double sum = cache_operations;
    for (const MatrixCost& matrix : matrices) sum += matrix.operations;
    return sum;
}

StepCost step_cost(const Graph& graph, KvFormat format, int64_t first_position, int64_t n_rows) {
    Counter counter{graph, format, first_position, n_rows, {}};
    for (const Operation& operation : graph.operations) std::visit(counter, operation);
    return std::move(counter.cost);
}

}  // namespace agave
