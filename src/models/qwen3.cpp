#include <cmath>

#include "models/common.h"
#include "models/translation.h"

namespace agave {

/// Qwen 3, dense (Yang et al. 2025, "Qwen3 Technical Report"): Llama's shape with RMSNorm on each head of q
/// and k before RoPE, which rotates halves.
void build_qwen3(const ModelFile& file, Model& model) {
    const auto [n_heads, kv_heads, head_dim] = read_attention_sizes(file, model);
    const float epsilon = read_epsilon(file, model);
    const RopeTable rope =
        scaled_rope_table(file, model, read_rope_base(file, model, "freq_base", 10000.0), head_dim);
    const std::vector<int> windows = read_windows(file, model, [](int64_t) { return false; });
    Graph::AttentionOptions options{
        .n_heads = n_heads, .kv_heads = kv_heads, .scale = 1.0f / std::sqrt(static_cast<float>(head_dim))};
    Graph& g = model.graph;

    Value h = g.embed(file.tensor("token_embd.weight"));
    for (int64_t layer = 0; layer < model.n_layers; layer++) {
        const LayerTensors w{file, layer};

        Value x = g.rms_norm(h, w("attn_norm.weight"), epsilon);
        Value q = g.head_norm(g.linear(x, w("attn_q.weight", n_heads * head_dim), w.find("attn_q.bias")),
                              w("attn_q_norm.weight"), epsilon);
        Value k = g.head_norm(g.linear(x, w("attn_k.weight", kv_heads * head_dim), w.find("attn_k.bias")),
                              w("attn_k_norm.weight"), epsilon);
        Value v = g.linear(x, w("attn_v.weight", kv_heads * head_dim), w.find("attn_v.bias"));
        options.window = windows[static_cast<size_t>(layer)];
        Value attended =
            g.attention(g.rope(q, rope, n_heads, true), g.rope(k, rope, kv_heads, true), v, options);
        select_outputs_at_last(model, g, layer, attended, h);
        h = g.add(h, g.linear(attended, w("attn_output.weight"), w.find("attn_output.bias")));

        x = g.rms_norm(h, w("ffn_norm.weight"), epsilon);
        x = g.gate(GateKind::silu, g.linear(x, w("ffn_gate.weight")), g.linear(x, w("ffn_up.weight")));
        h = g.add(h, g.linear(x, w("ffn_down.weight")));
    }
    h = g.rms_norm(h, file.tensor("output_norm.weight"), epsilon);
    g.set_logits(g.linear(h, output_matrix(file)));
}

void translate_qwen3(Translation& t) {
    if (t.boolean_or("use_sliding_window", false)) {
        if (!t.config("layer_types")) t.refuse("use_sliding_window", "true without layer_types");
        t.add_integer("attention.sliding_window", t.integer("sliding_window"));
        t.add("attention.sliding_window_pattern",
              MetadataArray(layers_of_type(t, "sliding_attention", [](int64_t) { return false; })));
    }
    const int64_t head_dim = translate_decoder(t, {.head_dim = 128});
    translate_rope(t, head_dim);
    t.add_tensors({kDecoderNames});
}

}  // namespace agave
