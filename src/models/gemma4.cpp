#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/error.h"
#include "models/common.h"
#include "models/translation.h"

namespace agave {

namespace {

/// What differs from layer to layer: sliding layers and full ones have their own heads, window and RoPE.
struct LayerKind {
    bool sliding;
    int kv_heads;
    int head_dim;
};

/// The per-layer embeddings of the E models: one vector of `width` numbers for each token and layer.
struct PerLayerInputs {
    Value all;
    int64_t width = 0;
};

struct Gemma4 {
    const ModelFile& file;
    Model& model;
    Graph& g;
    int n_heads;
    float epsilon;
    int window;
    std::vector<LayerKind> kinds;
    int64_t first_shared;  ///< layers from here on read the K/V of the last layer of their kind before it
    RopeTable full_rope, sliding_rope;
};

std::vector<LayerKind> read_kinds(const ModelFile& file, const Model& model) {
    const Metadata& metadata = file.metadata();
    const size_t n_layers = static_cast<size_t>(model.n_layers);
    const std::string pattern_key = key(model, "attention.sliding_window_pattern");
    const std::string heads_key = key(model, "attention.head_count_kv");
    const auto pattern = metadata.booleans(pattern_key);
    if (!pattern || pattern->size() < n_layers)
        fail(ErrorKind::bad_file, "'%s': %s names %zu layers, expected %zu", file.path().c_str(),
             pattern_key.c_str(), pattern ? pattern->size() : 0, n_layers);
    const int head_dim = static_cast<int>(metadata.integer(key(model, "attention.key_length"), 2, 4096));
    const int sliding_dim =
        static_cast<int>(metadata.integer(key(model, "attention.key_length_swa"), 2, 4096));
    std::vector<int64_t> kv_heads;
    const MetadataValue* value = metadata.find(heads_key);
    if (value && std::holds_alternative<MetadataArray>(*value))
        kv_heads = *metadata.integers(heads_key);
    else
        kv_heads.assign(n_layers, metadata.integer(heads_key, 1, 4096));
    if (kv_heads.size() < n_layers)
        fail(ErrorKind::bad_file, "'%s': %s names %zu layers, expected %zu", file.path().c_str(),
             heads_key.c_str(), kv_heads.size(), n_layers);
    std::vector<LayerKind> kinds;
    for (size_t layer = 0; layer < n_layers; layer++) {
        if (kv_heads[layer] < 1 || kv_heads[layer] > 4096)
            fail(ErrorKind::bad_file, "'%s': layer %zu has %lld K/V heads", file.path().c_str(), layer,
                 static_cast<long long>(kv_heads[layer]));
        const bool sliding = (*pattern)[layer];
        kinds.push_back({sliding, static_cast<int>(kv_heads[layer]), sliding ? sliding_dim : head_dim});
    }
    return kinds;
}

/// Rows of a table of per-layer embeddings, joined with a projection of the token's own embedding.
PerLayerInputs per_layer_inputs(Gemma4& m, Value h) {
    PerLayerInputs inputs;
    inputs.width =
        m.file.metadata().integer_or(key(m.model, "embedding_length_per_layer_input"), 0, 0, 1 << 16);
    if (inputs.width == 0) return inputs;
    const float hidden_scale = 1.0f / std::sqrt(static_cast<float>(m.model.embedding_length));
    Value looked_up =
        m.g.embed(m.file.tensor("per_layer_token_embd.weight"), std::sqrt(static_cast<float>(inputs.width)));
    Value projected = m.g.scale(m.g.linear(h, m.file.tensor("per_layer_model_proj.weight")), hidden_scale);
    projected = m.g.head_norm(projected, m.file.tensor("per_layer_proj_norm.weight"), m.epsilon);
    inputs.all = m.g.scale(m.g.add(looked_up, projected), 1.0f / std::sqrt(2.0f));
    return inputs;
}

Value attend(Gemma4& m, int64_t layer, Value x, std::vector<int32_t>& kv_layers) {
    const LayerTensors w{m.file, layer};
    const LayerKind kind = m.kinds[static_cast<size_t>(layer)];
    const RopeTable& rope = kind.sliding ? m.sliding_rope : m.full_rope;
    const Graph::AttentionOptions options{.n_heads = m.n_heads,
                                          .kv_heads = kind.kv_heads,
                                          .window = kind.sliding ? m.window : 0,
                                          .scale = 1.0f};
    Value q = m.g.head_norm(m.g.linear(x, w("attn_q.weight", int64_t{m.n_heads} * kind.head_dim)),
                            w("attn_q_norm.weight"), m.epsilon);
    q = m.g.rope(q, rope, m.n_heads, true);
    if (layer >= m.first_shared) {
        for (int64_t earlier = m.first_shared; earlier-- > 0;)
            if (m.kinds[static_cast<size_t>(earlier)].sliding == kind.sliding)
                return m.g.shared_attention(q, kv_layers[static_cast<size_t>(earlier)], options);
        fail(ErrorKind::bad_file, "'%s': layer %lld shares K/V, but no layer before it is of its kind",
             m.file.path().c_str(), static_cast<long long>(layer));
    }
    const int64_t kv_width = int64_t{kind.kv_heads} * kind.head_dim;
    Value k = m.g.linear(x, w("attn_k.weight", kv_width));
    // Without a matrix of its own, V is K before its norm and RoPE.
    Value v = w.find("attn_v.weight") ? m.g.linear(x, w("attn_v.weight", kv_width)) : k;
    v = m.g.head_norm(v, kind.head_dim, m.epsilon);
    k = m.g.rope(m.g.head_norm(k, w("attn_k_norm.weight"), m.epsilon), rope, kind.kv_heads, true);
    Value attended = m.g.attention(q, k, v, options);
    kv_layers.push_back(static_cast<int32_t>(m.g.kv_layers.size() - 1));
    return attended;
}

/// The dense MLP, and beside it the mixture of experts of the A4B models.
Value feed_forward(Gemma4& m, int64_t layer, Value h) {
    const LayerTensors w{m.file, layer};
    Graph& g = m.g;
    Value x = g.rms_norm(h, w("ffn_norm.weight"), m.epsilon);
    x = g.gate(GateKind::gelu_tanh, g.linear(x, w("ffn_gate.weight")), g.linear(x, w("ffn_up.weight")));
    x = g.linear(x, w("ffn_down.weight"));
    if (!w.find("ffn_gate_inp.weight")) return x;

    const MixtureSizes sizes = read_mixture_sizes(m.file, m.model, Scoring::softmax);
    const float hidden_scale = 1.0f / std::sqrt(static_cast<float>(m.model.embedding_length));
    Value routed = g.scale(g.rms_norm(h, w("ffn_gate_inp.scale"), m.epsilon), hidden_scale);
    const Tensor& gate_up = w("ffn_gate_up_exps.weight");
    Value mixed = g.experts(g.rms_norm(h, w("pre_ffw_norm_2.weight"), m.epsilon),
                            g.linear(routed, w("ffn_gate_inp.weight", sizes.n_experts)),
                            {.gate = &gate_up,
                             .up = &gate_up,
                             .down = &w("ffn_down_exps.weight"),
                             .expert_scale = &w("ffn_down_exps.scale"),
                             .scoring = Scoring::softmax,
                             .n_used = sizes.n_used,
                             .n_groups = sizes.n_groups,
                             .n_groups_used = sizes.n_groups_used,
                             .renormalize = true,
                             .kind = GateKind::gelu_tanh});
    x = g.rms_norm(x, w("post_ffw_norm_1.weight"), m.epsilon);
    return g.add(x, g.rms_norm(mixed, w("post_ffw_norm_2.weight"), m.epsilon));
}

/// The one number of layer_output_scale, which multiplies the layer's result.
float layer_scalar(const LayerTensors& w) {
    const Tensor* tensor = w.find("layer_output_scale.weight");
    if (!tensor) return 1.0f;
    if (tensor->format != Format::f32 || tensor->n_elements() != 1)
        fail(ErrorKind::bad_file, "tensor '%s' has %lld entries of %s, expected 1 of F32",
             printable(tensor->name).c_str(), static_cast<long long>(tensor->n_elements()),
             format_info(tensor->format).name);
    float scalar;
    std::memcpy(&scalar, tensor->data, sizeof scalar);
    return scalar;
}

}  // namespace

/// Gemma 4 (Google 2026): Gemma 3's shape with a norm on V, attention scores that are not scaled, other heads
/// on the layers that see everything, a scalar at the end of each layer; in the E models embeddings for every
/// layer and K/V shared by the last layers, in the A4B models a mixture of experts beside the dense MLP.
void build_gemma4(const ModelFile& file, Model& model) {
    const Metadata& metadata = file.metadata();
    const double base = read_rope_base(file, model, "freq_base", 1e6);
    const std::vector<LayerKind> kinds = read_kinds(file, model);
    const auto dim_of = [&](bool sliding) {
        return metadata.integer(key(model, sliding ? "attention.key_length_swa" : "attention.key_length"), 2,
                                4096);
    };
    Graph& g = model.graph;
    Gemma4 m{file,
             model,
             g,
             static_cast<int>(metadata.integer(key(model, "attention.head_count"), 1, 4096)),
             read_epsilon(file, model),
             static_cast<int>(metadata.integer(key(model, "attention.sliding_window"), 1, INT32_MAX)),
             kinds,
             model.n_layers -
                 metadata.integer_or(key(model, "attention.shared_kv_layers"), 0, 0, model.n_layers - 1),
             scaled_rope_table(file, model, base, dim_of(false)),
             rope_table(read_rope_base(file, model, "freq_base_swa", 1e4), dim_of(true))};

    Value h =
        g.embed(file.tensor("token_embd.weight"), std::sqrt(static_cast<float>(model.embedding_length)));
    const PerLayerInputs inputs = per_layer_inputs(m, h);
    std::vector<int32_t> kv_layers;
    for (int64_t layer = 0; layer < model.n_layers; layer++) {
        const LayerTensors w{file, layer};
        const bool last = layer + 1 == model.n_layers;

        Value attended = attend(m, layer, g.rms_norm(h, w("attn_norm.weight"), m.epsilon), kv_layers);
        if (last) {
            attended = g.select_outputs(attended);
            h = g.select_outputs(h);
        }
        h = g.add(h, g.rms_norm(g.linear(attended, w("attn_output.weight")), w("post_attention_norm.weight"),
                                m.epsilon));
        h = g.add(h, g.rms_norm(feed_forward(m, layer, h), w("post_ffw_norm.weight"), m.epsilon));

        if (inputs.width != 0) {
            Value input = g.slice(inputs.all, layer * inputs.width, inputs.width);
            if (last) input = g.select_outputs(input);
            Value x = g.gate(GateKind::gelu_tanh, g.linear(h, w("inp_gate.weight", inputs.width)), input);
            h = g.add(h, g.rms_norm(g.linear(x, w("proj.weight")), w("post_norm.weight"), m.epsilon));
        }
        h = g.scale(h, layer_scalar(w));
    }
    h = g.rms_norm(h, file.tensor("output_norm.weight"), m.epsilon);
    Value logits = g.linear(h, output_matrix(file));
    const double softcap = metadata.number_or(key(model, "final_logit_softcapping"), 0.0);
    if (softcap != 0) logits = g.softcap(logits, static_cast<float>(softcap));
    g.set_logits(logits);
}

namespace {

constexpr TensorName own_names[] = {
    {"embed_tokens_per_layer", "per_layer_token_embd"},
    {"per_layer_model_projection", "per_layer_model_proj"},
    {"per_layer_projection_norm", "per_layer_proj_norm"},
    {"layers.*.layer_scalar", "blk.*.layer_output_scale.weight"},
    {"layers.*.per_layer_input_gate", "blk.*.inp_gate"},
    {"layers.*.per_layer_projection", "blk.*.proj"},
    {"layers.*.post_per_layer_input_norm", "blk.*.post_norm"},
    {"layers.*.post_attention_layernorm", "blk.*.post_attention_norm"},
    {"layers.*.pre_feedforward_layernorm", "blk.*.ffn_norm"},
    {"layers.*.pre_feedforward_layernorm_2", "blk.*.pre_ffw_norm_2"},
    {"layers.*.post_feedforward_layernorm", "blk.*.post_ffw_norm"},
    {"layers.*.post_feedforward_layernorm_1", "blk.*.post_ffw_norm_1"},
    {"layers.*.post_feedforward_layernorm_2", "blk.*.post_ffw_norm_2"},
    {"layers.*.router.proj", "blk.*.ffn_gate_inp"},
    {"layers.*.router.scale", "blk.*.ffn_gate_inp.scale"},
    {"layers.*.router.per_expert_scale", "blk.*.ffn_down_exps.scale"},
    {"layers.*.experts.gate_up_proj", "blk.*.ffn_gate_up_exps.weight"},
    {"layers.*.experts.down_proj", "blk.*.ffn_down_exps.weight"},
};

/// What a layer has instead of the configuration's own number: by per_layer_config, where there is one, or,
/// in a full layer, by the entry for those.
int64_t layer_number(const Translation& t, size_t layer, bool sliding, const char* name, JsonValue of_full) {
    if (const JsonValue all = t.config("per_layer_config")) {
        const JsonValue own = all[std::to_string(layer)][name];
        if (own) return t.integer_of(own, name);
        of_full = {};
    }
    return !sliding && of_full ? t.integer_of(of_full, name) : t.integer_or(name, 0);
}

void translate_layer_kinds(Translation& t) {
    std::vector<bool> sliding =
        layers_of_type(t, "sliding_attention", [](int64_t layer) { return (layer + 1) % 6 != 0; });
    if (sliding.empty()) t.refuse("num_hidden_layers", "0");
    sliding.back() = false;
    const int64_t sliding_dim = t.integer_or("head_dim", 256);
    int64_t full_dim = t.config("global_head_dim") ? t.integer("global_head_dim") : 512;
    bool seen_full = false;
    std::vector<int64_t> kv_heads, feed_forward;
    const JsonValue global_kv_heads =
        t.boolean_or("attention_k_eq_v", false) ? t.config("num_global_key_value_heads") : JsonValue();
    const int64_t n_shared = t.integer_or("num_kv_shared_layers", 0);
    const bool wide = t.boolean_or("use_double_wide_mlp", false);
    for (size_t layer = 0; layer < sliding.size(); layer++) {
        const int64_t heads = layer_number(t, layer, sliding[layer], "num_key_value_heads", global_kv_heads);
        kv_heads.push_back(heads ? heads : 4);
        const bool shared = static_cast<int64_t>(sliding.size() - layer) <= n_shared;
        feed_forward.push_back(t.integer("intermediate_size") * (wide && shared ? 2 : 1));
        if (!t.config("per_layer_config")) continue;
        const int64_t dim = layer_number(t, layer, sliding[layer], "head_dim", {});
        const bool first_full = !sliding[layer] && !seen_full;
        if (dim != (sliding[layer] ? sliding_dim : full_dim) && !first_full)
            t.refuse("per_layer_config", "a list of heads that differ within one kind of layer");
        if (first_full) full_dim = dim;
        seen_full |= !sliding[layer];
    }
    t.add("attention.sliding_window_pattern", MetadataArray(sliding));
    t.add("attention.head_count_kv", MetadataArray(kv_heads));
    t.add("feed_forward_length", MetadataArray(feed_forward));
    t.add_integer("attention.shared_kv_layers", n_shared);
    t.add_integer("attention.key_length", full_dim);
    t.add_integer("attention.value_length", full_dim);
    t.add_integer("attention.key_length_swa", sliding_dim);
    t.add_integer("attention.value_length_swa", sliding_dim);
    t.add_integer("rope.dimension_count", full_dim);
    t.add_integer("rope.dimension_count_swa", sliding_dim);
    translate_rope(
        t, full_dim,
        {.base = 1e6, .partial_factor = 0.25, .type = "proportional", .layer_type = "full_attention"});
    translate_rope(t, sliding_dim, {.base = 1e4, .layer_type = "sliding_attention", .key_suffix = "_swa"});
}

}  // namespace

void translate_gemma4(Translation& t) {
    if (t.text_or("use_bidirectional_attention", "vision") == "all")
        t.refuse("use_bidirectional_attention", "all");
    translate_decoder(t, {.head_dim = 256,
                          .n_heads = 8,
                          .kv_heads = 4,
                          .context_length = 131072,
                          .tied = true,
                          .same_heads = false});
    translate_layer_kinds(t);
    t.add_integer("attention.sliding_window", t.integer_or("sliding_window", 512));
    t.add_integer("embedding_length_per_layer_input", t.integer_or("hidden_size_per_layer_input", 256));
    if (t.config("final_logit_softcapping"))
        t.add("final_logit_softcapping", t.number_or("final_logit_softcapping", 0));
    if (t.boolean_or("enable_moe_block", false)) translate_mixture(t);
    t.add_tensors({own_names, kDecoderNames});
}

}  // namespace agave
