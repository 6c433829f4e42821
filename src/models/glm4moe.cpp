#include <cmath>

#include "base/error.h"
#include "models/common.h"
#include "models/translation.h"

namespace agave {

/// GLM-4.5 (GLM-4.5 Team 2025, "GLM-4.5: Agentic, Reasoning, and Coding Foundation Models"): after some dense
/// layers, mixtures of experts with sigmoid scores, a correction bias for the choice alone (DeepSeek-V3,
/// section 2.1.2) and a shared expert; RoPE of halves on a part of each head. The layers for multi-token
/// prediction at the end are not run.
void build_glm4moe(const ModelFile& file, Model& model) {
    const Metadata& metadata = file.metadata();
    const auto [n_heads, kv_heads, head_dim] = read_attention_sizes(file, model);
    const float epsilon = read_epsilon(file, model);
    const int64_t rope_dims = metadata.integer_or(key(model, "rope.dimension_count"), head_dim, 2, head_dim);
    const RopeTable rope =
        scaled_rope_table(file, model, read_rope_base(file, model, "freq_base", 10000.0), rope_dims);
    const Graph::AttentionOptions attention{
        .n_heads = n_heads, .kv_heads = kv_heads, .scale = 1.0f / std::sqrt(static_cast<float>(head_dim))};
    const int64_t n_predict_layers =
        metadata.integer_or(key(model, "nextn_predict_layers"), 0, 0, model.n_layers - 1);
    const int64_t n_dense_layers =
        metadata.integer_or(key(model, "leading_dense_block_count"), 0, 0, model.n_layers);
    const MixtureSizes sizes = read_mixture_sizes(file, model, Scoring::sigmoid);
    model.n_layers -= n_predict_layers;
    Graph& g = model.graph;

    Value h = g.embed(file.tensor("token_embd.weight"));
    for (int64_t layer = 0; layer < model.n_layers; layer++) {
        const LayerTensors w{file, layer};

        Value x = g.rms_norm(h, w("attn_norm.weight"), epsilon);
        Value q = g.linear(x, w("attn_q.weight", n_heads * head_dim), w.find("attn_q.bias"));
        Value k = g.linear(x, w("attn_k.weight", kv_heads * head_dim), w.find("attn_k.bias"));
        Value v = g.linear(x, w("attn_v.weight", kv_heads * head_dim), w.find("attn_v.bias"));
        if (w.find("attn_q_norm.weight")) {
            q = g.head_norm(q, w("attn_q_norm.weight"), epsilon);
            k = g.head_norm(k, w("attn_k_norm.weight"), epsilon);
        }
        Value attended =
            g.attention(g.rope(q, rope, n_heads, true), g.rope(k, rope, kv_heads, true), v, attention);
        select_outputs_at_last(model, g, layer, attended, h);
        h = g.add(h, g.linear(attended, w("attn_output.weight")));

        x = g.rms_norm(h, w("post_attention_norm.weight"), epsilon);
        if (layer < n_dense_layers)
            h = g.add(h, swiglu(g, x, w, ""));
        else
            h = add_mixture(g, h, x, w, sizes);
    }
    h = g.rms_norm(h, file.tensor("output_norm.weight"), epsilon);
    g.set_logits(g.linear(h, output_matrix(file)));
}

namespace {

constexpr TensorName own_names[] = {
    {"layers.*.post_attention_layernorm", "blk.*.post_attention_norm"},
};

}  // namespace

void translate_glm4moe(Translation& t) {
    const int64_t head_dim = translate_decoder(t, {.epsilon = 1e-5});
    translate_rope(t, head_dim, {.partial_factor = 0.5});
    translate_mixture(t);
    translate_leading_dense(t, 1);
    t.add_integer("expert_gating_func", 2);
    t.add("expert_weights_norm", t.boolean_or("norm_topk_prob", true));
    t.add_tensors({own_names, kMixtureNames, kDecoderNames});
}

}  // namespace agave
