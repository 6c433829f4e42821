#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <variant>
#include <vector>

#include "formats/model_file.h"
#include "graph/kv_layer.h"

namespace agave {

/// A matrix of float32 that the graph computes: `width` columns and one row for each token of the batch, or,
/// after select_outputs, for each token whose logits were asked for. An index into Graph::values.
struct Value {
    int32_t id = -1;
    bool operator==(const Value&) const = default;
};

enum class Rows : uint8_t { tokens, outputs };

struct ValueInfo {
    int64_t width = 0;
    Rows rows = Rows::tokens;
};

/// The nonlinearity of a gated MLP.
enum class GateKind : uint8_t {
    silu,       ///< silu(gate) * up
    gelu_tanh,  ///< gelu(gate) * up, the tanh form
    sigmoid,    ///< sigmoid(gate) * up
    clamped     ///< GPT-OSS: with gate <= 7 and |up| <= 7, gate * sigmoid(1.702 * gate) * (up + 1)
};

/// A function of single elements.
enum class Nonlinearity : uint8_t {
    none,
    squared_relu  ///< max(x, 0)^2 (So et al. 2021, "Primer", section 4)
};

/// Rotary position embedding (Su et al. 2021, RoFormer, section 3.4.2): the angle of pair i at position p is
/// p * inverse_frequencies[i], both float32, as Hugging Face computes it.
struct RopeTable {
    std::vector<float> inverse_frequencies;
    float magnitude = 1.0f;  ///< multiplies cosines and sines (YaRN's attention factor)
    bool operator==(const RopeTable&) const = default;
};

/// The operations. Each names its inputs, its output and what it takes from the model.
/// How a router's logits become the scores of a mixture of experts.
enum class Scoring : uint8_t {
    softmax,         ///< over all experts
    softmax_chosen,  ///< over the chosen experts alone (GPT-OSS)
    sigmoid          ///< of each by itself (DeepSeek-V3, GLM-4.5)
};

namespace op {

/// out = row `token` of table, times scale.
struct Embed {
    const Tensor* table;
    float scale;
    Value out;
};
/// RMSNorm (Zhang and Sennrich 2019) over each group of `group` columns; weight has `group` entries, or one
/// for each column; nullptr: all 1.
struct RmsNorm {
    Value x;
    const Tensor* weight;
    float epsilon;
    int64_t group;
    Value out;
};
/// out = nonlinearity(x * weight^T (+ bias)); with `accumulate`, out already holds what is added to.
struct Linear {
    Value x;
    const Tensor* weight;
    const Tensor* bias;
    Value out;
    bool accumulate;
    Nonlinearity nonlinearity = Nonlinearity::none;
};
/// out = kind(x), element by element.
struct Activate {
    Value x;
    Nonlinearity kind;
    Value out;
};
/// Each head of x by a matrix of its own, weight [k, n, n_heads]: a head of out is the product of the head's
/// first k columns, then the head's other columns as they are.
struct HeadLinear {
    Value x;
    const Tensor* weight;
    Value out;
};
/// out = kind(gate) * up, element by element.
struct Gate {
    Value gate, up;
    GateKind kind;
    Value out;
};
/// out = kind(x * gate^T) * (x * up^T): what fuse() makes of two Linear and a Gate.
struct GatedLinear {
    Value x;
    const Tensor *gate, *up;
    GateKind kind;
    Value out;
};
/// Rotates the 2 * n_pairs columns from `begin` on of each head of x.
struct Rope {
    Value x;
    int32_t table;  ///< index into Graph::rope_tables
    int32_t n_heads;
    int32_t head_dim;
    bool halves;  ///< pairs (i, i + n_pairs) as in GPT-NeoX; otherwise (2i, 2i + 1)
    int32_t begin;
    Value out;
};
/// Stores k and v in the layer's pages, then attends from q to all of them that causality and the window
/// allow. Of a latent layer, v is the latent and k the columns of K that follow it.
struct Attention {
    Value q, k, v;
    int32_t kv_layer;  ///< index into Graph::kv_layers
    int32_t n_heads;
    float scale;
    float softcap;        ///< 0: none
    const Tensor* sinks;  ///< nullptr: none
    Value out;
};
/// out += x; the same storage as the first operand.
struct Add {
    Value x;
    Value out;
};
/// Keeps the rows whose logits were asked for.
struct SelectOutputs {
    Value x;
    Value out;
};
/// out = cap * tanh(x / cap).
struct Softcap {
    Value x;
    float cap;
    Value out;
};

/// Causal depthwise convolution along the positions of a sequence, each column by itself:
/// out[t] = silu?(bias + sum over j < kernel of weight[j] * x[t - kernel + 1 + j]). What lies before the
/// batch is in the state: [kernel - 1, columns], oldest first.
struct Convolve {
    Value x;
    const Tensor* weight;  ///< [columns, kernel]: a row for each column, the present input's weight last
    const Tensor* bias;    ///< [columns], or nullptr
    bool silu;
    int32_t state_layer;  ///< index into Graph::state_layers
    Value out;
};
/// Mamba-2's recurrence (Dao and Gu 2024, "Transformers are SSMs", section 6), for each head of head_dim
/// columns of x, whose group has a B and a C of state_size: step = max(softplus(dt + dt_bias), min_step), S
/// <- e^(step * a) S + B (step * x)^T, out = S^T C + d * x. The state is [n_heads, state_size, head_dim
/// rounded up to 16].
struct SelectiveScan {
    Value x;   ///< columns x [n_heads * head_dim], B [n_groups * state_size], C [n_groups * state_size]
    Value dt;  ///< [n_heads]
    const Tensor* dt_bias;  ///< [n_heads], as are a, the log of the decay for a step of 1, and d
    const Tensor *a, *d;
    int32_t n_heads, n_groups, head_dim, state_size;
    float min_step;
    int32_t state_layer;  ///< index into Graph::state_layers
    Value out;
};
/// Linear attention by the gated delta rule (Yang et al. 2024, arXiv:2412.06464): each head's state S, which
/// begins with zeros, decays by e^g, g = a * softplus(alpha + dt_bias), then learns v for the key k at the
/// rate sigmoid(beta) and gives S^T q. q and k are divided by sqrt(|x|^2 + epsilon), q by sqrt(key_dim) too.
struct DeltaNet {
    Value qkv;                  ///< [key_heads * key_dim (q), the same (k), value_heads * value_dim (v)]
    Value alpha, beta;          ///< [value_heads]
    const Tensor *a, *dt_bias;  ///< [value_heads], a < 0
    int32_t key_heads, value_heads;
    int32_t key_dim, value_dim;
    bool tiled_heads;  ///< value head i has the key head i % key_heads; otherwise neighbours share one
    float epsilon;
    int32_t state_layer;  ///< index into Graph::state_layers: head_state_floats() for each value head
    Value out;            ///< [value_heads * value_dim]

    int64_t key_head(int64_t value_head) const {
        return tiled_heads ? value_head % key_heads : value_head / (value_heads / key_heads);
    }
    /// [key_dim rounded up to 4, value_dim rounded up to 16]
    int64_t head_state_floats() const {
        return int64_t{(key_dim + 3) / 4 * 4} * ((value_dim + 15) / 16 * 16);
    }
};
/// out = factor * x.
struct Scale {
    Value x;
    float factor;
    Value out;
};
/// out = of each group of `group` columns of x, those from `begin` on.
struct Slice {
    Value x;
    int64_t group;
    int64_t begin;
    Value out;
};
/// out = sigmoid(gate) * x, where gate has one column.
struct RowGate {
    Value x, gate;
    Value out;
};
/// A mixture of experts: for each row the n_used experts of the highest scores, and the sum of their MLPs
/// weighted by those scores. An MLP is gated, or down * squared_relu(up * x) where there is no gate.
struct Experts {
    Value x;
    Value router;                    ///< logits [n_experts]
    const Tensor *gate, *up, *down;  ///< [k, n, n_experts]: one matrix for each expert; gate may be nullptr
    int64_t up_begin;  ///< the first row of up in its matrix: behind gate where the two are one tensor
    const Tensor *gate_bias, *up_bias, *down_bias;  ///< [n, n_experts], or nullptr
    const Tensor* choice_bias;   ///< [n_experts], added to the scores for the choice alone; nullptr: none
    const Tensor* expert_scale;  ///< [n_experts], multiplies the score of each; nullptr: none
    Scoring scoring;
    int32_t n_used;
    int32_t n_groups;  ///< the experts fall into so many groups of equal size, one behind the other
    int32_t
        n_groups_used;  ///< only the groups with the highest sums of their two best scores are chosen from
    bool renormalize;   ///< divide the chosen scores by their sum
    float scale;        ///< multiplies the chosen scores
    GateKind kind;
    Value out;
    /// The matrix that the first pass reads x for: gate, or up without one.
    const Tensor& first() const { return gate ? *gate : *up; }
};

}  // namespace op

using Operation =
    std::variant<op::Embed, op::RmsNorm, op::Linear, op::HeadLinear, op::Activate, op::Gate, op::GatedLinear,
                 op::Rope, op::Attention, op::Add, op::SelectOutputs, op::Softcap, op::Experts, op::Scale,
                 op::Slice, op::Convolve, op::SelectiveScan, op::RowGate, op::DeltaNet>;

/// A model's forward pass: straight-line operations over symbolic rows. One graph serves prefill, decode and
/// mixed batches. The methods append an operation and return its value; they check shapes against the weights
/// and throw Error(bad_file) that names the tensor.
class Graph {
  public:
    Value embed(const Tensor& table, float scale = 1.0f);
    Value rms_norm(Value x, const Tensor& weight, float epsilon);
    /// RMSNorm of each head by itself; weight has head_dim entries.
    Value head_norm(Value x, const Tensor& weight, float epsilon);
    /// The same without a weight.
    Value head_norm(Value x, int64_t head_dim, float epsilon);
    /// RMSNorm of each of n_groups equal ranges of columns by itself; weight has one entry for each column.
    Value group_norm(Value x, const Tensor& weight, int64_t n_groups, float epsilon);
    Value linear(Value x, const Tensor& weight, const Tensor* bias = nullptr);
    Value activate(Nonlinearity kind, Value x);
    /// Each of the n_heads heads of x by a matrix of its own, weight [k, n, n_heads], but for the last
    /// `n_kept` columns of the head, which stay as they are behind the product.
    Value head_linear(Value x, const Tensor& weight, int n_heads, int64_t n_kept = 0);
    Value gate(GateKind kind, Value gate, Value up);
    /// Rotates the table's columns of each head, from column `begin` of the head on.
    Value rope(Value x, const RopeTable& table, int n_heads, bool halves, int64_t begin = 0);
    struct AttentionOptions {
        int n_heads = 0;
        int kv_heads = 0;
        int window = 0;
        float scale = 0;
        float softcap = 0;
        const Tensor* sinks = nullptr;
    };
    /// Adds a layer to kv_layers.
    Value attention(Value q, Value k, Value v, const AttentionOptions& options);
    /// Attention of all heads to one shared K, [latent | rest], and V, the latent: multi-head latent
    /// attention in its absorbed form (DeepSeek-V2, section 2.1.2). Adds a layer to kv_layers that stores K
    /// alone.
    Value latent_attention(Value q, Value latent, Value rest, const AttentionOptions& options);
    /// Attention over what the earlier layer kv_layers[kv_layer] has stored for the same tokens.
    Value shared_attention(Value q, int32_t kv_layer, const AttentionOptions& options);
    /// The residual stream: returns residual + x and ends the life of `residual`.
    Value add(Value residual, Value x);
    struct ExpertsOptions {
        const Tensor *gate = nullptr, *up = nullptr, *down = nullptr;
        const Tensor *gate_bias = nullptr, *up_bias = nullptr, *down_bias = nullptr;
        const Tensor* choice_bias = nullptr;
        const Tensor* expert_scale = nullptr;
        Scoring scoring = Scoring::softmax;
        int n_used = 0;
        int n_groups = 1, n_groups_used = 1;
        bool renormalize = false;
        float scale = 1.0f;
        GateKind kind = GateKind::silu;
    };
    Value experts(Value x, Value router, const ExpertsOptions& options);
    Value select_outputs(Value x);
    Value softcap(Value x, float cap);
    Value scale(Value x, float factor);
    /// The columns [begin, begin + width) of x.
    Value slice(Value x, int64_t begin, int64_t width);
    /// The same columns of each of n_heads heads.
    Value slice_heads(Value x, int n_heads, int64_t begin, int64_t width);
    /// sigmoid(gate) * x with one gate for each row.
    Value row_gate(Value x, Value gate);
    /// Adds a layer to state_layers. The kernel has at most kMaxConvolution inputs.
    Value convolve(Value x, const Tensor& weight, const Tensor* bias, bool silu);
    struct ScanOptions {
        const Tensor *dt_bias = nullptr, *a = nullptr, *d = nullptr;
        int n_groups = 1;
        int state_size = 0;
        float min_step = 0;
    };
    /// Adds a layer to state_layers. dt has a column for each head, and x those of all heads, B and C.
    Value selective_scan(Value x, Value dt, const ScanOptions& options);
    struct DeltaNetOptions {
        const Tensor *a = nullptr, *dt_bias = nullptr;
        int key_heads = 0, value_heads = 0;
        int key_dim = 0, value_dim = 0;
        bool tiled_heads = true;
        float epsilon = 0;
    };
    /// Adds a layer to state_layers, and a scan chunk.
    Value delta_net(Value qkv, Value alpha, Value beta, const DeltaNetOptions& options);
    /// Declares x to be the logits, the graph's result.
    void set_logits(Value x);

    /// The rows [begin, begin + n_rows) of a matrix, as a matrix that lives as long as the graph.
    const Tensor& row_range(const Tensor& matrix, int64_t begin, int64_t n_rows);

    int64_t width(Value value) const { return values[static_cast<size_t>(value.id)].width; }

    std::vector<Operation> operations;
    std::vector<ValueInfo> values;
    std::vector<RopeTable> rope_tables;
    std::vector<KvLayer> kv_layers;
    std::vector<StateLayer> state_layers;
    /// Recurrent layers compute the rows of one step in pieces that begin at absolute multiples of this, from
    /// the state at the piece's start. Where a prompt is cut elsewhere, results differ in their last bits.
    int scan_chunk = 1;
    Value logits;

  private:
    std::vector<std::unique_ptr<Tensor>> views_;

    Value new_value(int64_t width, Rows rows);
    const ValueInfo& info(Value value) const { return values[static_cast<size_t>(value.id)]; }
};

/// The value that the operation writes, and those that it reads.
Value output_of(const Operation& operation);
std::vector<Value> inputs_of(const Operation& operation);
/// The name of the operation, as `--profile` prints it.
const char* operation_name(const Operation& operation);

/// Rewrites the graph to fewer, larger operations that compute the same: gate, up and activation become
/// GatedLinear; residual + linear becomes a Linear that accumulates; a Linear takes in the Activate behind
/// it.
void fuse(Graph& graph);

/// Floats from one row of a value to the next: an odd number of 64-byte lines, so that the rows of a tile
/// fall into different sets of a cache.
constexpr int64_t row_stride(int64_t columns) {
    return ((columns + 15) / 16 | 1) * 16;
}

/// Where each value lives: values that are never alive together share storage. Offsets and the total are in
/// columns (floats for each row). An output may share its offset with an input that nobody reads later
/// (RmsNorm, Activate, Rope, Softcap, Scale, RowGate, Convolve).
struct MemoryPlan {
    std::vector<int64_t> token_offsets;   ///< by value id; -1 for values of output rows
    std::vector<int64_t> output_offsets;  ///< by value id; -1 for values of token rows
    int64_t token_columns = 0;
    int64_t output_columns = 0;
};
MemoryPlan plan_memory(const Graph& graph);

}  // namespace agave
