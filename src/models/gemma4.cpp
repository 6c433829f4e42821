#include <cmath>
#include <cstring>

#include "base/error.h"
#include "models/common.h"

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

}  // namespace agave
