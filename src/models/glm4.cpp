#include <cmath>

#include "models/common.h"
#include "models/translation.h"

namespace agave {

/// GLM-4 (GLM Team 2024, "ChatGLM: A Family of Large Language Models from GLM-130B to GLM-4"; the 0414
/// models): norms before and after attention and MLP, biases on q, k and v, RoPE of adjacent pairs on a part
/// of each head, and gate and up in one matrix (gate rows first).
void build_glm4(const ModelFile& file, Model& model) {
    const auto [n_heads, kv_heads, head_dim] = read_attention_sizes(file, model);
    const float epsilon = read_epsilon(file, model);
    const int64_t rope_dims =
        file.metadata().integer_or(key(model, "rope.dimension_count"), head_dim, 2, head_dim);
    const RopeTable rope =
        scaled_rope_table(file, model, read_rope_base(file, model, "freq_base", 10000.0), rope_dims);
    const Graph::AttentionOptions options{
        .n_heads = n_heads, .kv_heads = kv_heads, .scale = 1.0f / std::sqrt(static_cast<float>(head_dim))};
    Graph& g = model.graph;

    Value h = g.embed(file.tensor("token_embd.weight"));
    for (int64_t layer = 0; layer < model.n_layers; layer++) {
        const LayerTensors w{file, layer};

        Value x = g.rms_norm(h, w("attn_norm.weight"), epsilon);
        Value q = g.linear(x, w("attn_q.weight", n_heads * head_dim), w.find("attn_q.bias"));
        Value k = g.linear(x, w("attn_k.weight", kv_heads * head_dim), w.find("attn_k.bias"));
        Value v = g.linear(x, w("attn_v.weight", kv_heads * head_dim), w.find("attn_v.bias"));
        Value attended =
            g.attention(g.rope(q, rope, n_heads, false), g.rope(k, rope, kv_heads, false), v, options);
        select_outputs_at_last(model, g, layer, attended, h);
        x = g.linear(attended, w("attn_output.weight"));
        h = g.add(h, g.rms_norm(x, w("post_attention_norm.weight"), epsilon));

        x = g.rms_norm(h, w("ffn_norm.weight"), epsilon);
        const Tensor& gate_up = w("ffn_up.weight");
        const int64_t ff = w("ffn_down.weight").row_elements();
        x = g.gate(GateKind::silu, g.linear(x, g.row_range(gate_up, 0, ff)),
                   g.linear(x, g.row_range(gate_up, ff, ff)));
        h = g.add(h, g.rms_norm(g.linear(x, w("ffn_down.weight")), w("post_ffw_norm.weight"), epsilon));
    }
    h = g.rms_norm(h, file.tensor("output_norm.weight"), epsilon);
    g.set_logits(g.linear(h, output_matrix(file)));
}

namespace {

constexpr TensorName own_names[] = {
    {"layers.*.post_attention_layernorm", "blk.*.ffn_norm"},
    {"layers.*.post_self_attn_layernorm", "blk.*.post_attention_norm"},
    {"layers.*.post_mlp_layernorm", "blk.*.post_ffw_norm"},
    {"layers.*.mlp.gate_up_proj", "blk.*.ffn_up"},
};

}  // namespace

void translate_glm4(Translation& t) {
    const int64_t head_dim = translate_decoder(t, {.head_dim = 128, .kv_heads = 2, .epsilon = 1.5625e-07});
    translate_rope(t, head_dim, {.partial_factor = 0.5});
    t.add_tensors({own_names, kDecoderNames});
}

}  // namespace agave
