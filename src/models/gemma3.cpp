#include <cmath>

#include "models/common.h"

namespace agave {

/// Gemma 3 (Gemma Team 2025, "Gemma 3 Technical Report"): five layers that see a sliding window to one that
/// sees everything, each kind with its own RoPE; norms before and after attention and MLP. GGUF's norm
/// weights already hold the +1 of the paper's code.
void build_gemma3(const ModelFile& file, Model& model) {
    const Metadata& metadata = file.metadata();
    const auto [n_heads, kv_heads, head_dim] = read_attention_sizes(file, model);
    const float epsilon = read_epsilon(file, model);
    const int64_t window = metadata.integer(key(model, "attention.sliding_window"), 1, INT32_MAX);
    const int64_t pattern =
        metadata.integer_or(key(model, "attention.sliding_window_pattern"), 6, 1, INT32_MAX);
    const RopeTable full_rope =
        scaled_rope_table(file, model, read_rope_base(file, model, "freq_base", 1e6), head_dim);
    const RopeTable sliding_rope = rope_table(read_rope_base(file, model, "freq_base_swa", 1e4), head_dim);
    // The 27B model, known by its 62 layers, scales by the embedding's share of a head; no key says so.
    const float scaled_dim = model.n_layers == 62
                                 ? static_cast<float>(model.embedding_length) / static_cast<float>(n_heads)
                                 : static_cast<float>(head_dim);
    const double softcap = metadata.number_or(key(model, "final_logit_softcapping"), 0.0);
    Graph& g = model.graph;

    Value h =
        g.embed(file.tensor("token_embd.weight"), std::sqrt(static_cast<float>(model.embedding_length)));
    for (int64_t layer = 0; layer < model.n_layers; layer++) {
        const LayerTensors w{file, layer};
        const bool sliding = (layer + 1) % pattern != 0;
        const RopeTable& rope = sliding ? sliding_rope : full_rope;

        Value x = g.rms_norm(h, w("attn_norm.weight"), epsilon);
        Value q = g.head_norm(g.linear(x, w("attn_q.weight", n_heads * head_dim)), w("attn_q_norm.weight"),
                              epsilon);
        Value k = g.head_norm(g.linear(x, w("attn_k.weight", kv_heads * head_dim)), w("attn_k_norm.weight"),
                              epsilon);
        Value v = g.linear(x, w("attn_v.weight", kv_heads * head_dim));
        Value attended = g.attention(g.rope(q, rope, n_heads, true), g.rope(k, rope, kv_heads, true), v,
                                     {.n_heads = n_heads,
                                      .kv_heads = kv_heads,
                                      .window = sliding ? static_cast<int>(window) : 0,
                                      .scale = 1.0f / std::sqrt(scaled_dim)});
        if (layer + 1 == model.n_layers) {
            attended = g.select_outputs(attended);
            h = g.select_outputs(h);
        }
        h = g.add(h, g.rms_norm(g.linear(attended, w("attn_output.weight")), w("post_attention_norm.weight"),
                                epsilon));

        x = g.rms_norm(h, w("ffn_norm.weight"), epsilon);
        x = g.gate(GateKind::gelu_tanh, g.linear(x, w("ffn_gate.weight")), g.linear(x, w("ffn_up.weight")));
        h = g.add(h, g.rms_norm(g.linear(x, w("ffn_down.weight")), w("post_ffw_norm.weight"), epsilon));
    }
    h = g.rms_norm(h, file.tensor("output_norm.weight"), epsilon);
    Value logits = g.linear(h, output_matrix(file));
    if (softcap != 0) logits = g.softcap(logits, static_cast<float>(softcap));
    g.set_logits(logits);
}

}  // namespace agave
