#include "graph/graph.h"

#include "base/error.h"

namespace agave {

namespace {

/// Throws when a matrix is not [n_rows, row length]; n_rows 0 accepts any number of rows.
void check_matrix(const Tensor& weight, int64_t row_length) {
    if (weight.n_dims > 2)
        fail(ErrorKind::bad_file, "tensor '%s' has %d dimensions, expected a matrix",
             printable(weight.name).c_str(), weight.n_dims);
    if (weight.shape[0] != row_length)
        fail(ErrorKind::bad_file, "tensor '%s' has rows of %lld weights, expected %lld",
             printable(weight.name).c_str(), static_cast<long long>(weight.shape[0]),
             static_cast<long long>(row_length));
}

/// Norm weights, biases and sinks are read as float32 where they lie.
void check_vector(const Tensor& weight, int64_t length) {
    if (weight.n_elements() != length)
        fail(ErrorKind::bad_file, "tensor '%s' has %lld entries, expected %lld",
             printable(weight.name).c_str(), static_cast<long long>(weight.n_elements()),
             static_cast<long long>(length));
    if (weight.format != Format::f32)
        fail(ErrorKind::unsupported, "tensor '%s' is stored as %s, expected F32",
             printable(weight.name).c_str(), format_info(weight.format).name);
}

}  // namespace

Value Graph::new_value(int64_t columns, Rows rows) {
    values.push_back({columns, rows});
    return {static_cast<int32_t>(values.size() - 1)};
}

Value Graph::embed(const Tensor& table, float scale) {
    check_matrix(table, table.shape[0]);
    const Value out = new_value(table.shape[0], Rows::tokens);
    operations.push_back(op::Embed{&table, scale, out});
    return out;
}

Value Graph::rms_norm(Value x, const Tensor& weight, float epsilon) {
    check_vector(weight, width(x));
    const Value out = new_value(width(x), info(x).rows);
    operations.push_back(op::RmsNorm{x, &weight, epsilon, width(x), out});
    return out;
}

Value Graph::head_norm(Value x, const Tensor& weight, float epsilon) {
    const int64_t head_dim = weight.n_elements();
    check_vector(weight, head_dim);
    if (head_dim == 0 || width(x) % head_dim != 0)
        fail(ErrorKind::bad_file,
             "tensor '%s' has %lld entries, which does not divide the %lld columns of its heads",
             printable(weight.name).c_str(), static_cast<long long>(head_dim),
             static_cast<long long>(width(x)));
    const Value out = new_value(width(x), info(x).rows);
    operations.push_back(op::RmsNorm{x, &weight, epsilon, head_dim, out});
    return out;
}

Value Graph::linear(Value x, const Tensor& weight, const Tensor* bias) {
    check_matrix(weight, width(x));
    if (bias) check_vector(*bias, weight.n_rows());
    const Value out = new_value(weight.n_rows(), info(x).rows);
    operations.push_back(op::Linear{x, &weight, bias, out, false});
    return out;
}

Value Graph::gate(GateKind kind, Value gate_value, Value up) {
    if (width(gate_value) != width(up))
        fail(ErrorKind::bad_file, "a gate of %lld columns meets %lld columns",
             static_cast<long long>(width(gate_value)), static_cast<long long>(width(up)));
    const Value out = new_value(width(up), info(up).rows);
    operations.push_back(op::Gate{gate_value, up, kind, out});
    return out;
}

Value Graph::rope(Value x, const RopeTable& table, int n_heads, bool halves) {
    size_t index = 0;
    while (index < rope_tables.size() && !(rope_tables[index] == table)) index++;
    if (index == rope_tables.size()) rope_tables.push_back(table);
    const int64_t head_dim = width(x) / n_heads;
    if (static_cast<int64_t>(table.inverse_frequencies.size()) * 2 > head_dim)
        fail(ErrorKind::bad_file, "RoPE over %zu dimensions does not fit heads of %lld",
             table.inverse_frequencies.size() * 2, static_cast<long long>(head_dim));
    const Value out = new_value(width(x), info(x).rows);
    operations.push_back(
        op::Rope{x, static_cast<int32_t>(index), n_heads, static_cast<int32_t>(head_dim), halves, out});
    return out;
}

Value Graph::attention(Value q, Value k, Value v, const AttentionOptions& options) {
    const int64_t head_dim = width(q) / options.n_heads;
    if (width(q) % options.n_heads != 0 || width(k) != head_dim * options.kv_heads ||
        width(v) % options.kv_heads != 0)
        fail(ErrorKind::bad_file,
             "attention of %d heads over %d K/V heads does not fit widths %lld (q), %lld (k), %lld (v)",
             options.n_heads, options.kv_heads, static_cast<long long>(width(q)),
             static_cast<long long>(width(k)), static_cast<long long>(width(v)));
    const int64_t value_head_dim = width(v) / options.kv_heads;
    if (options.sinks) check_vector(*options.sinks, options.n_heads);
    kv_layers.push_back(
        {{options.kv_heads, static_cast<int>(head_dim), static_cast<int>(value_head_dim)}, options.window});
    const Value out = new_value(value_head_dim * options.n_heads, Rows::tokens);
    operations.push_back(op::Attention{q, k, v, static_cast<int32_t>(kv_layers.size() - 1), options.n_heads,
                                       options.scale, options.softcap, options.sinks, out});
    return out;
}

Value Graph::add(Value residual, Value x) {
    if (width(residual) != width(x))
        fail(ErrorKind::bad_file, "a residual of %lld columns meets %lld columns",
             static_cast<long long>(width(residual)), static_cast<long long>(width(x)));
    operations.push_back(op::Add{x, residual});
    return residual;
}

Value Graph::select_outputs(Value x) {
    const Value out = new_value(width(x), Rows::outputs);
    operations.push_back(op::SelectOutputs{x, out});
    return out;
}

Value Graph::softcap(Value x, float cap) {
    const Value out = new_value(width(x), info(x).rows);
    operations.push_back(op::Softcap{x, cap, out});
    return out;
}

void Graph::set_logits(Value x) {
    logits = x;
}

namespace {

template <typename... Functions>
struct Overloaded : Functions... {
    using Functions::operator()...;
};
template <typename... Functions>
Overloaded(Functions...) -> Overloaded<Functions...>;

}  // namespace

Value output_of(const Operation& operation) {
    return std::visit([](const auto& node) { return node.out; }, operation);
}

std::vector<Value> inputs_of(const Operation& operation) {
    using Values = std::vector<Value>;
    return std::visit(
        Overloaded{[](const op::Embed&) { return Values{}; },
                   [](const op::Linear& n) { return n.accumulate ? Values{n.x, n.out} : Values{n.x}; },
                   [](const op::Gate& n) { return Values{n.gate, n.up}; },
                   [](const op::Attention& n) { return Values{n.q, n.k, n.v}; },
                   [](const op::Add& n) { return Values{n.x, n.out}; },
                   [](const auto& n) { return Values{n.x}; }},
        operation);
}

const char* operation_name(const Operation& operation) {
    return std::visit(
        Overloaded{[](const op::Embed&) { return "embed"; }, [](const op::RmsNorm&) { return "rms_norm"; },
                   [](const op::Linear&) { return "linear"; }, [](const op::Gate&) { return "gate"; },
                   [](const op::GatedLinear&) { return "gated_linear"; },
                   [](const op::Rope&) { return "rope"; }, [](const op::Attention&) { return "attention"; },
                   [](const op::Add&) { return "add"; },
                   [](const op::SelectOutputs&) { return "select_outputs"; },
                   [](const op::Softcap&) { return "softcap"; }},
        operation);
}

}  // namespace agave
