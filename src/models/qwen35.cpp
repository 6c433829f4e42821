#include <cmath>

#include "base/error.h"
#include "models/common.h"
#include "models/translation.h"

namespace agave {

namespace {

/// Which layers are recurrent: as the file lists them, or all but every `full_attention_interval`-th.
std::vector<bool> read_recurrent_layers(const ModelFile& file, const Model& model) {
    const Metadata& metadata = file.metadata();
    const std::string name = key(model, "attention.recurrent_layers");
    if (const auto listed = metadata.booleans(name)) {
        if (static_cast<int64_t>(listed->size()) < model.n_layers)
            fail(ErrorKind::bad_file, "'%s': %s has %zu entries, expected %lld", file.path().c_str(),
                 name.c_str(), listed->size(), static_cast<long long>(model.n_layers));
        return *listed;
    }
    const int64_t interval = metadata.integer_or(key(model, "full_attention_interval"), 4, 1, 512);
    std::vector<bool> recurrent;
    for (int64_t layer = 0; layer < model.n_layers; layer++) recurrent.push_back((layer + 1) % interval != 0);
    return recurrent;
}

/// The sizes of a DeltaNet layer.
struct DeltaNetSizes {
    Graph::DeltaNetOptions options;
    int64_t keys, values;  ///< columns
};

DeltaNetSizes read_delta_net_sizes(const ModelFile& file, const Model& model) {
    const Metadata& metadata = file.metadata();
    constexpr int64_t kMost = 4096;
    const int64_t key_heads = metadata.integer(key(model, "ssm.group_count"), 1, kMost);
    const int64_t value_heads = metadata.integer(key(model, "ssm.time_step_rank"), 1, kMost);
    const int64_t key_dim = metadata.integer(key(model, "ssm.state_size"), 1, kMost);
    const int64_t values = metadata.integer(key(model, "ssm.inner_size"), 1, kMost * kMost);
    if (value_heads % key_heads != 0 || values % value_heads != 0 || values / value_heads > kMost)
        fail(ErrorKind::bad_file, "'%s': %lld columns of %lld value heads do not fit %lld key heads",
             file.path().c_str(), static_cast<long long>(values), static_cast<long long>(value_heads),
             static_cast<long long>(key_heads));
    return {{.key_heads = static_cast<int>(key_heads),
             .value_heads = static_cast<int>(value_heads),
             .key_dim = static_cast<int>(key_dim),
             .value_dim = static_cast<int>(values / value_heads),
             // Converters to GGUF put the value heads in another order than SafeTensors have them.
             .tiled_heads = !metadata.boolean_or(key(model, "ssm.grouped_value_heads"), false),
             .epsilon = 1e-6f},
            key_heads * key_dim,
            values};
}

/// Gated DeltaNet with its convolution; the norm of each head is gated by z.
Value delta_net(Graph& g, const LayerTensors& w, Value x, const DeltaNetSizes& sizes, float epsilon) {
    Value qkv = g.linear(x, w("attn_qkv.weight", 2 * sizes.keys + sizes.values));
    Value z = g.linear(x, w("attn_gate.weight", sizes.values));
    Value alpha = g.linear(x, w("ssm_alpha.weight", sizes.options.value_heads));
    Value beta = g.linear(x, w("ssm_beta.weight", sizes.options.value_heads));
    Graph::DeltaNetOptions options = sizes.options;
    options.a = &w("ssm_a");
    options.dt_bias = &w("ssm_dt.bias");
    Value o = g.delta_net(g.convolve(qkv, w("ssm_conv1d.weight"), nullptr, true), alpha, beta, options);
    return g.gate(GateKind::silu, z, g.head_norm(o, w("ssm_norm.weight"), epsilon));
}

/// Softmax attention whose output is gated, head by head, by the second half of what Wq gives.
Value gated_attention(Graph& g, const LayerTensors& w, Value x, const AttentionSizes& sizes,
                      const RopeTable& rope, float epsilon) {
    const auto [n_heads, kv_heads, head_dim] = sizes;
    Value qg = g.linear(x, w("attn_q.weight", int64_t{2} * n_heads * head_dim));
    Value q = g.head_norm(g.slice_heads(qg, n_heads, 0, head_dim), w("attn_q_norm.weight"), epsilon);
    Value gate = g.slice_heads(qg, n_heads, head_dim, head_dim);
    Value k = g.head_norm(g.linear(x, w("attn_k.weight", int64_t{kv_heads} * head_dim)),
                          w("attn_k_norm.weight"), epsilon);
    Value v = g.linear(x, w("attn_v.weight", int64_t{kv_heads} * head_dim));
    Value o = g.attention(
        g.rope(q, rope, n_heads, true), g.rope(k, rope, kv_heads, true), v,
        {.n_heads = n_heads, .kv_heads = kv_heads, .scale = 1.0f / std::sqrt(static_cast<float>(head_dim))});
    return g.gate(GateKind::sigmoid, gate, o);
}

Value mlp(Graph& g, Value x, const Tensor& gate, const Tensor& up, const Tensor& down) {
    return g.linear(g.gate(GateKind::silu, g.linear(x, gate), g.linear(x, up)), down);
}

/// h + a mixture of experts of x, softmax over all and the chosen renormalised, + a shared expert with a gate
/// of its own.
Value add_mixture(Graph& g, const LayerTensors& w, Value h, Value x, const MixtureSizes& sizes) {
    Value router = g.linear(x, w("ffn_gate_inp.weight", sizes.n_experts));
    Value shared =
        mlp(g, x, w("ffn_gate_shexp.weight"), w("ffn_up_shexp.weight"), w("ffn_down_shexp.weight"));
    h = g.add(h, g.row_gate(shared, g.linear(x, w("ffn_gate_inp_shexp.weight", 1))));
    const Tensor* gate_up = w.find("ffn_gate_up_exps.weight");
    return g.add(h, g.experts(x, router,
                              {.gate = gate_up ? gate_up : &w("ffn_gate_exps.weight"),
                               .up = gate_up ? gate_up : &w("ffn_up_exps.weight"),
                               .down = &w("ffn_down_exps.weight"),
                               .scoring = sizes.scoring,
                               .n_used = sizes.n_used,
                               .renormalize = true,
                               .scale = sizes.scale}));
}

}  // namespace

/// Qwen 3.5 and 3.6, dense and with mixtures of experts (Hugging Face transformers, models/qwen3_5 and
/// models/qwen3_5_moe): gated DeltaNet in three layers of four, gated full attention with partial RoPE in the
/// fourth. The sections of interleaved M-RoPE turn text, whose three positions are equal, as plain RoPE does.
/// The layers for multi-token prediction at the end are not run.
void build_qwen35(const ModelFile& file, Model& model) {
    const Metadata& metadata = file.metadata();
    model.n_layers -= metadata.integer_or(key(model, "nextn_predict_layers"), 0, 0, model.n_layers - 1);
    const AttentionSizes attention = read_attention_sizes(file, model);
    const DeltaNetSizes recurrent = read_delta_net_sizes(file, model);
    const std::vector<bool> is_recurrent = read_recurrent_layers(file, model);
    const bool is_mixture = model.architecture == "qwen35moe";
    const MixtureSizes mixture =
        is_mixture ? read_mixture_sizes(file, model, Scoring::softmax) : MixtureSizes{};
    const float epsilon = read_epsilon(file, model);
    const int64_t rope_dims =
        metadata.integer_or(key(model, "rope.dimension_count"), attention.head_dim, 2, attention.head_dim);
    const RopeTable rope =
        scaled_rope_table(file, model, read_rope_base(file, model, "freq_base", 10000000.0), rope_dims);
    Graph& g = model.graph;

    Value h = g.embed(file.tensor("token_embd.weight"));
    for (int64_t layer = 0; layer < model.n_layers; layer++) {
        const LayerTensors w{file, layer};
        const bool is_delta_net = is_recurrent[static_cast<size_t>(layer)];

        Value x = g.rms_norm(h, w("attn_norm.weight"), epsilon);
        Value mixed = is_delta_net ? delta_net(g, w, x, recurrent, epsilon)
                                   : gated_attention(g, w, x, attention, rope, epsilon);
        if (layer + 1 == model.n_layers) {
            mixed = g.select_outputs(mixed);
            h = g.select_outputs(h);
        }
        h = g.add(h, g.linear(mixed, w(is_delta_net ? "ssm_out.weight" : "attn_output.weight")));
        x = g.rms_norm(h, w("post_attention_norm.weight"), epsilon);
        h = is_mixture ? add_mixture(g, w, h, x, mixture)
                       : g.add(h, mlp(g, x, w("ffn_gate.weight"), w("ffn_up.weight"), w("ffn_down.weight")));
    }
    h = g.rms_norm(h, file.tensor("output_norm.weight"), epsilon);
    g.set_logits(g.linear(h, output_matrix(file)));
}

namespace {

/// Weights of norms are stored as what is added to 1, but for the gated one of DeltaNet.
constexpr TensorName own_names[] = {
    {"norm", "output_norm", Change::plus_one},
    {"layers.*.input_layernorm", "blk.*.attn_norm", Change::plus_one},
    {"layers.*.post_attention_layernorm", "blk.*.post_attention_norm", Change::plus_one},
    {"layers.*.self_attn.q_norm", "blk.*.attn_q_norm", Change::plus_one},
    {"layers.*.self_attn.k_norm", "blk.*.attn_k_norm", Change::plus_one},
    {"layers.*.linear_attn.in_proj_qkv", "blk.*.attn_qkv"},
    {"layers.*.linear_attn.in_proj_z", "blk.*.attn_gate"},
    {"layers.*.linear_attn.in_proj_a", "blk.*.ssm_alpha"},
    {"layers.*.linear_attn.in_proj_b", "blk.*.ssm_beta"},
    {"layers.*.linear_attn.conv1d", "blk.*.ssm_conv1d", Change::to_float},
    {"layers.*.linear_attn.A_log", "blk.*.ssm_a", Change::negate_exp},
    {"layers.*.linear_attn.dt_bias", "blk.*.ssm_dt.bias"},
    {"layers.*.linear_attn.norm", "blk.*.ssm_norm"},
    {"layers.*.linear_attn.out_proj", "blk.*.ssm_out"},
    {"layers.*.mlp.experts.gate_up_proj", "blk.*.ffn_gate_up_exps.weight"},
    {"layers.*.mlp.experts.down_proj", "blk.*.ffn_down_exps.weight"},
    {"layers.*.mlp.shared_expert.gate_proj", "blk.*.ffn_gate_shexp"},
    {"layers.*.mlp.shared_expert.up_proj", "blk.*.ffn_up_shexp"},
    {"layers.*.mlp.shared_expert.down_proj", "blk.*.ffn_down_shexp"},
    {"layers.*.mlp.shared_expert_gate", "blk.*.ffn_gate_inp_shexp"},
};

}  // namespace

/// The defaults are those of transformers' Qwen3_5TextConfig.
void translate_qwen35(Translation& t) {
    const bool is_mixture = static_cast<bool>(t.config("num_experts"));
    if (is_mixture) t.set_architecture("qwen35moe");
    const int64_t head_dim = translate_decoder(t, {.head_dim = 256, .context_length = 32768});
    translate_rope(t, head_dim, {.base = 1e7, .partial_factor = 0.25});
    const int64_t value_heads = t.integer_or("linear_num_value_heads", 32);
    int64_t inner = 0;
    if (__builtin_mul_overflow(value_heads, t.integer_or("linear_value_head_dim", 128), &inner))
        t.refuse("linear_num_value_heads", "too large");
    t.add_integer("ssm.conv_kernel", t.integer_or("linear_conv_kernel_dim", 4));
    t.add_integer("ssm.state_size", t.integer_or("linear_key_head_dim", 128));
    t.add_integer("ssm.group_count", t.integer_or("linear_num_key_heads", 16));
    t.add_integer("ssm.time_step_rank", value_heads);
    t.add_integer("ssm.inner_size", inner);
    t.add("ssm.grouped_value_heads", true);
    t.add("attention.recurrent_layers",
          MetadataArray(layers_of_type(t, "linear_attention", [](int64_t layer) { return layer % 4 != 3; })));
    // The sections of multimodal RoPE, which text does not tell apart: for other engines.
    JsonValue sections = t.config("rope_parameters")["mrope_section"];
    if (!sections) sections = t.config("rope_scaling")["mrope_section"];
    std::vector<int64_t> sizes;
    for (const JsonValue size : sections) sizes.push_back(t.integer_of(size, "mrope_section"));
    if (!sections) sizes = {11, 11, 10};
    sizes.resize(4);
    t.add("rope.dimension_sections", MetadataArray(std::move(sizes)));
    if (is_mixture) {
        translate_mixture(t);
        t.add_integer("expert_shared_feed_forward_length",
                      t.integer_or("shared_expert_intermediate_size", 512));
    }
    t.add_tensors({own_names, kMixtureNames, kDecoderNames});
}

}  // namespace agave
