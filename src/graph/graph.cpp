#include "graph/graph.h"

#include <algorithm>

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
    if (weight.format != Format::f32 || weight.scaled || weight.parts)
        fail(ErrorKind::unsupported, "tensor '%s' is stored as %s, expected F32",
             printable(weight.name).c_str(), weight.format_name());
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

Value Graph::head_norm(Value x, int64_t head_dim, float epsilon) {
    const Value out = new_value(width(x), info(x).rows);
    operations.push_back(op::RmsNorm{x, nullptr, epsilon, head_dim, out});
    return out;
}

Value Graph::group_norm(Value x, const Tensor& weight, int64_t n_groups, float epsilon) {
    check_vector(weight, width(x));
    if (n_groups < 1 || width(x) % n_groups != 0)
        fail(ErrorKind::bad_file, "%lld groups do not divide the %lld entries of tensor '%s'",
             static_cast<long long>(n_groups), static_cast<long long>(width(x)),
             printable(weight.name).c_str());
    const Value out = new_value(width(x), info(x).rows);
    operations.push_back(op::RmsNorm{x, &weight, epsilon, width(x) / n_groups, out});
    return out;
}

Value Graph::activate(Nonlinearity kind, Value x) {
    const Value out = new_value(width(x), info(x).rows);
    operations.push_back(op::Activate{x, kind, out});
    return out;
}

Value Graph::linear(Value x, const Tensor& weight, const Tensor* bias) {
    check_matrix(weight, width(x));
    if (bias) check_vector(*bias, weight.n_rows());
    const Value out = new_value(weight.n_rows(), info(x).rows);
    operations.push_back(op::Linear{x, &weight, bias, out, false, Nonlinearity::none});
    return out;
}

namespace {

/// Throws unless the tensor holds `n_matrices` matrices [n, k]; n 0 accepts any number of rows.
void check_matrices(const Tensor& weight, int64_t k, int64_t n, int64_t n_matrices) {
    if (weight.shape[0] != k || (n != 0 && weight.shape[1] != n) || weight.shape[2] != n_matrices ||
        weight.shape[3] != 1)
        fail(ErrorKind::bad_file, "tensor '%s' has the shape [%lld, %lld, %lld], expected [%lld, %lld, %lld]",
             printable(weight.name).c_str(), static_cast<long long>(weight.shape[0]),
             static_cast<long long>(weight.shape[1]), static_cast<long long>(weight.shape[2]),
             static_cast<long long>(k), static_cast<long long>(n != 0 ? n : weight.shape[1]),
             static_cast<long long>(n_matrices));
}

}  // namespace

Value Graph::head_linear(Value x, const Tensor& weight, int n_heads, int64_t n_kept) {
    const int64_t head_dim = width(x) / n_heads;
    check_matrices(weight, head_dim - n_kept, 0, n_heads);
    const Value out = new_value((weight.shape[1] + n_kept) * n_heads, info(x).rows);
    operations.push_back(op::HeadLinear{x, &weight, out});
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

Value Graph::rope(Value x, const RopeTable& table, int n_heads, bool halves, int64_t begin) {
    size_t index = 0;
    while (index < rope_tables.size() && !(rope_tables[index] == table)) index++;
    if (index == rope_tables.size()) rope_tables.push_back(table);
    const int64_t head_dim = width(x) / n_heads;
    if (begin + static_cast<int64_t>(table.inverse_frequencies.size()) * 2 > head_dim)
        fail(ErrorKind::bad_file, "RoPE over %zu dimensions does not fit heads of %lld",
             table.inverse_frequencies.size() * 2, static_cast<long long>(head_dim));
    const Value out = new_value(width(x), info(x).rows);
    operations.push_back(op::Rope{.x = x,
                                  .table = static_cast<int32_t>(index),
                                  .n_heads = n_heads,
                                  .head_dim = static_cast<int32_t>(head_dim),
                                  .halves = halves,
                                  .begin = static_cast<int32_t>(begin),
                                  .out = out});
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

Value Graph::latent_attention(Value q, Value latent, Value rest, const AttentionOptions& options) {
    const int64_t head_dim = width(latent) + width(rest);
    if (width(q) != head_dim * options.n_heads)
        fail(ErrorKind::bad_file,
             "attention of %d heads in %lld columns does not fit a latent of %lld columns and %lld behind it",
             options.n_heads, static_cast<long long>(width(q)), static_cast<long long>(width(latent)),
             static_cast<long long>(width(rest)));
    kv_layers.push_back({{.kv_heads = 1,
                          .head_dim = static_cast<int>(head_dim),
                          .value_head_dim = static_cast<int>(width(latent)),
                          .latent = true},
                         options.window});
    const Value out = new_value(width(latent) * options.n_heads, Rows::tokens);
    operations.push_back(op::Attention{q, rest, latent, static_cast<int32_t>(kv_layers.size() - 1),
                                       options.n_heads, options.scale, options.softcap, options.sinks, out});
    return out;
}

Value Graph::shared_attention(Value q, int32_t kv_layer, const AttentionOptions& options) {
    const KvLayer& layer = kv_layers[static_cast<size_t>(kv_layer)];
    if (width(q) != int64_t{options.n_heads} * layer.shape.head_dim || layer.window != options.window ||
        layer.shape.kv_heads != options.kv_heads)
        fail(ErrorKind::bad_file,
             "attention of %d heads over %lld columns cannot share K/V of %d heads of %d", options.n_heads,
             static_cast<long long>(width(q)), layer.shape.kv_heads, layer.shape.head_dim);
    if (options.sinks) check_vector(*options.sinks, options.n_heads);
    const Value out = new_value(int64_t{layer.shape.value_head_dim} * options.n_heads, Rows::tokens);
    operations.push_back(op::Attention{
        q, {}, {}, kv_layer, options.n_heads, options.scale, options.softcap, options.sinks, out});
    return out;
}

Value Graph::add(Value residual, Value x) {
    if (width(residual) != width(x))
        fail(ErrorKind::bad_file, "a residual of %lld columns meets %lld columns",
             static_cast<long long>(width(residual)), static_cast<long long>(width(x)));
    operations.push_back(op::Add{x, residual});
    return residual;
}

Value Graph::experts(Value x, Value router, const ExpertsOptions& options) {
    const int64_t n_experts = width(router), ff = options.down->row_elements();
    const bool fused = options.gate == options.up;
    if (options.n_used < 1 || options.n_used > n_experts)
        fail(ErrorKind::bad_file, "a mixture of %lld experts cannot use %d of them",
             static_cast<long long>(n_experts), options.n_used);
    // A group's score is the sum of its two best, and the chosen groups must hold n_used experts.
    const int64_t group = n_experts / std::max(1, options.n_groups);
    if (options.n_groups < 1 || n_experts % options.n_groups != 0 || (options.n_groups > 1 && group < 2) ||
        options.n_groups_used < 1 || options.n_groups_used > options.n_groups ||
        options.n_used > group * options.n_groups_used)
        fail(ErrorKind::bad_file, "%d of %lld experts cannot be chosen from %d of %d groups", options.n_used,
             static_cast<long long>(n_experts), options.n_groups_used, options.n_groups);
    if (options.gate) check_matrices(*options.gate, width(x), fused ? 2 * ff : ff, n_experts);
    check_matrices(*options.up, width(x), fused ? 2 * ff : ff, n_experts);
    check_matrices(*options.down, ff, 0, n_experts);
    const int64_t out_width = options.down->shape[1];
    if (options.gate_bias) check_vector(*options.gate_bias, ff * n_experts);
    if (options.up_bias) check_vector(*options.up_bias, ff * n_experts);
    if (options.down_bias) check_vector(*options.down_bias, out_width * n_experts);
    if (options.choice_bias) check_vector(*options.choice_bias, n_experts);
    if (options.expert_scale) check_vector(*options.expert_scale, n_experts);
    const Value out = new_value(out_width, info(x).rows);
    operations.push_back(op::Experts{.x = x,
                                     .router = router,
                                     .gate = options.gate,
                                     .up = options.up,
                                     .down = options.down,
                                     .up_begin = fused ? ff : 0,
                                     .gate_bias = options.gate_bias,
                                     .up_bias = options.up_bias,
                                     .down_bias = options.down_bias,
                                     .choice_bias = options.choice_bias,
                                     .expert_scale = options.expert_scale,
                                     .scoring = options.scoring,
                                     .n_used = options.n_used,
                                     .n_groups = options.n_groups,
                                     .n_groups_used = options.n_groups_used,
                                     .renormalize = options.renormalize,
                                     .scale = options.scale,
                                     .kind = options.kind,
                                     .out = out});
    return out;
}

const Tensor& Graph::row_range(const Tensor& matrix, int64_t begin, int64_t n_rows) {
    if (matrix.n_dims > 2 || begin < 0 || n_rows < 1 || begin + n_rows > matrix.n_rows())
        fail(ErrorKind::bad_file, "tensor '%s' has %lld rows, expected a matrix of at least %lld",
             printable(matrix.name).c_str(), static_cast<long long>(matrix.n_rows()),
             static_cast<long long>(begin + n_rows));
    views_.push_back(std::make_unique<Tensor>(matrix));
    Tensor& view = *views_.back();
    view.n_dims = 2;
    view.shape = {matrix.shape[0], n_rows, 1, 1};
    view.scaled_row += begin * matrix.scaled_step;
    if (matrix.data) view.data = matrix.data + static_cast<size_t>(begin) * matrix.row_bytes();
    view.n_bytes = static_cast<size_t>(n_rows) * matrix.row_bytes();
    return view;
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

Value Graph::scale(Value x, float factor) {
    const Value out = new_value(width(x), info(x).rows);
    operations.push_back(op::Scale{x, factor, out});
    return out;
}

Value Graph::slice(Value x, int64_t begin, int64_t columns) {
    return slice_heads(x, 1, begin, columns);
}

Value Graph::slice_heads(Value x, int n_heads, int64_t begin, int64_t columns) {
    const int64_t group = width(x) / n_heads;
    if (width(x) % n_heads != 0 || begin < 0 || columns < 1 || begin + columns > group)
        fail(ErrorKind::bad_file, "columns %lld to %lld are outside a value of %lld",
             static_cast<long long>(begin), static_cast<long long>(begin + columns),
             static_cast<long long>(group));
    const Value out = new_value(columns * n_heads, info(x).rows);
    operations.push_back(op::Slice{x, group, begin, out});
    return out;
}

Value Graph::row_gate(Value x, Value gate_value) {
    if (width(gate_value) != 1)
        fail(ErrorKind::bad_file, "a gate for whole rows has %lld columns, expected 1",
             static_cast<long long>(width(gate_value)));
    const Value out = new_value(width(x), info(x).rows);
    operations.push_back(op::RowGate{x, gate_value, out});
    return out;
}

Value Graph::convolve(Value x, const Tensor& weight, const Tensor* bias, bool silu) {
    const int64_t kernel = weight.shape[0];
    if (kernel < 1 || kernel > kMaxConvolution)
        fail(ErrorKind::unsupported, "tensor '%s' convolves %lld inputs, expected 1 to %d",
             printable(weight.name).c_str(), static_cast<long long>(kernel), kMaxConvolution);
    check_vector(weight, kernel * width(x));
    if (bias) check_vector(*bias, width(x));
    state_layers.push_back({(kernel - 1) * width(x)});
    const Value out = new_value(width(x), Rows::tokens);
    operations.push_back(
        op::Convolve{x, &weight, bias, silu, static_cast<int32_t>(state_layers.size() - 1), out});
    return out;
}

Value Graph::selective_scan(Value x, Value dt, const ScanOptions& options) {
    const int64_t n_heads = width(dt), groups = int64_t{options.n_groups} * options.state_size;
    const int64_t columns = width(x) - 2 * groups;
    if (options.n_groups < 1 || options.state_size < 1 || n_heads % options.n_groups != 0 ||
        columns < n_heads || columns % n_heads != 0)
        fail(ErrorKind::bad_file,
             "a scan of %lld heads in %d groups with states of %d does not fit %lld columns",
             static_cast<long long>(n_heads), options.n_groups, options.state_size,
             static_cast<long long>(width(x)));
    for (const Tensor* vector : {options.dt_bias, options.a, options.d}) check_vector(*vector, n_heads);
    const int64_t head_dim = columns / n_heads;
    state_layers.push_back({n_heads * options.state_size * ((head_dim + 15) / 16 * 16)});
    scan_chunk = kScanChunk;
    const Value out = new_value(columns, Rows::tokens);
    operations.push_back(op::SelectiveScan{.x = x,
                                           .dt = dt,
                                           .dt_bias = options.dt_bias,
                                           .a = options.a,
                                           .d = options.d,
                                           .n_heads = static_cast<int32_t>(n_heads),
                                           .n_groups = options.n_groups,
                                           .head_dim = static_cast<int32_t>(head_dim),
                                           .state_size = options.state_size,
                                           .min_step = options.min_step,
                                           .state_layer = static_cast<int32_t>(state_layers.size() - 1),
                                           .out = out});
    return out;
}

Value Graph::delta_net(Value qkv, Value alpha, Value beta, const DeltaNetOptions& options) {
    const int64_t keys = int64_t{options.key_heads} * options.key_dim,
                  values_width = int64_t{options.value_heads} * options.value_dim;
    if (options.key_heads < 1 || options.value_heads < 1 || options.value_heads % options.key_heads != 0 ||
        options.key_dim < 1 || options.value_dim < 1 || width(qkv) != 2 * keys + values_width ||
        width(alpha) != options.value_heads || width(beta) != options.value_heads)
        fail(ErrorKind::bad_file,
             "DeltaNet of %d key heads of %d and %d value heads of %d does not fit widths %lld (q, k, v), "
             "%lld "
             "(alpha), %lld (beta)",
             options.key_heads, options.key_dim, options.value_heads, options.value_dim,
             static_cast<long long>(width(qkv)), static_cast<long long>(width(alpha)),
             static_cast<long long>(width(beta)));
    check_vector(*options.a, options.value_heads);
    check_vector(*options.dt_bias, options.value_heads);
    op::DeltaNet node{.qkv = qkv,
                      .alpha = alpha,
                      .beta = beta,
                      .a = options.a,
                      .dt_bias = options.dt_bias,
                      .key_heads = options.key_heads,
                      .value_heads = options.value_heads,
                      .key_dim = options.key_dim,
                      .value_dim = options.value_dim,
                      .tiled_heads = options.tiled_heads,
                      .epsilon = options.epsilon,
                      .state_layer = static_cast<int32_t>(state_layers.size()),
                      .out = new_value(values_width, Rows::tokens)};
    state_layers.push_back({node.head_state_floats() * node.value_heads});
    scan_chunk = kScanChunk;
    operations.push_back(node);
    return node.out;
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
                   [](const op::Attention& n) { return n.k.id < 0 ? Values{n.q} : Values{n.q, n.k, n.v}; },
                   [](const op::Add& n) { return Values{n.x, n.out}; },
                   [](const op::Experts& n) { return Values{n.x, n.router}; },
                   [](const op::SelectiveScan& n) { return Values{n.x, n.dt}; },
                   [](const op::RowGate& n) { return Values{n.x, n.gate}; },
                   [](const op::DeltaNet& n) { return Values{n.qkv, n.alpha, n.beta}; },
                   [](const auto& n) { return Values{n.x}; }},
        operation);
}

const char* operation_name(const Operation& operation) {
    return std::visit(
        Overloaded{
            [](const op::Embed&) { return "embed"; }, [](const op::RmsNorm&) { return "rms_norm"; },
            [](const op::Linear&) { return "linear"; }, [](const op::Activate&) { return "activate"; },
            [](const op::HeadLinear&) { return "head_linear"; }, [](const op::Gate&) { return "gate"; },
            [](const op::GatedLinear&) { return "gated_linear"; }, [](const op::Rope&) { return "rope"; },
            [](const op::Attention&) { return "attention"; }, [](const op::Add&) { return "add"; },
            [](const op::SelectOutputs&) { return "select_outputs"; },
            [](const op::Softcap&) { return "softcap"; }, [](const op::Experts&) { return "experts"; },
            [](const op::Scale&) { return "scale"; }, [](const op::Slice&) { return "slice"; },
            [](const op::Convolve&) { return "convolve"; },
            [](const op::SelectiveScan&) { return "selective_scan"; },
            [](const op::RowGate&) { return "row_gate"; }, [](const op::DeltaNet&) { return "delta_net"; }},
        operation);
}

}  // namespace agave
