#include <cmath>

#include "base/error.h"
#include "models/common.h"
#include "models/translation.h"

namespace agave {

/// Llama (Touvron et al. 2023; Llama 3: Grattafiori et al. 2024), and what shares its shape: SmolLM2, Mistral
/// (whose first version sees a sliding window). GGUF holds q and k with rows permuted so that RoPE rotates
/// adjacent pairs; as Hugging Face stores them it rotates halves.
void build_llama(const ModelFile& file, Model& model) {
    if (file.metadata().integer_or(key(model, "expert_count"), 0, 0, INT32_MAX) != 0)
        fail(ErrorKind::unsupported,
             "'%s' is a mixture of experts, which agave does not run for the llama architecture yet",
             file.path().c_str());
    const auto [n_heads, kv_heads, head_dim] = read_attention_sizes(file, model);
    const float epsilon = read_epsilon(file, model);
    const int64_t rope_dims =
        file.metadata().integer_or(key(model, "rope.dimension_count"), head_dim, 2, head_dim);
    const RopeTable rope =
        scaled_rope_table(file, model, read_rope_base(file, model, "freq_base", 10000.0), rope_dims);
    const int64_t window =
        file.metadata().integer_or(key(model, "attention.sliding_window"), 0, 0, INT32_MAX);
    const Graph::AttentionOptions options{.n_heads = n_heads,
                                          .kv_heads = kv_heads,
                                          .window = static_cast<int>(window),
                                          .scale = 1.0f / std::sqrt(static_cast<float>(head_dim))};
    const bool halves = file.layout() == Layout::huggingface;
    Graph& g = model.graph;

    Value h = g.embed(file.tensor("token_embd.weight"));
    for (int64_t layer = 0; layer < model.n_layers; layer++) {
        const LayerTensors w{file, layer};

        Value x = g.rms_norm(h, w("attn_norm.weight"), epsilon);
        Value q = g.rope(g.linear(x, w("attn_q.weight", n_heads * head_dim), w.find("attn_q.bias")), rope,
                         n_heads, halves);
        Value k = g.rope(g.linear(x, w("attn_k.weight", kv_heads * head_dim), w.find("attn_k.bias")), rope,
                         kv_heads, halves);
        Value v = g.linear(x, w("attn_v.weight", kv_heads * head_dim), w.find("attn_v.bias"));
        Value attended = g.attention(q, k, v, options);
        select_outputs_at_last(model, g, layer, attended, h);
        h = g.add(h, g.linear(attended, w("attn_output.weight"), w.find("attn_output.bias")));

        x = g.rms_norm(h, w("ffn_norm.weight"), epsilon);
        x = g.gate(GateKind::silu, g.linear(x, w("ffn_gate.weight"), w.find("ffn_gate.bias")),
                   g.linear(x, w("ffn_up.weight"), w.find("ffn_up.bias")));
        h = g.add(h, g.linear(x, w("ffn_down.weight"), w.find("ffn_down.bias")));
    }
    h = g.rms_norm(h, file.tensor("output_norm.weight"), epsilon);
    g.set_logits(g.linear(h, output_matrix(file)));
}

void translate_llama(Translation& t) {
    // Mistral's (Jiang et al. 2023, section 2); transformers' Llama has none, whatever the configuration
    // says.
    if (t.text_or("model_type", "") == "mistral" && t.config("sliding_window"))
        t.add_integer("attention.sliding_window", t.integer("sliding_window"));
    const int64_t head_dim = translate_decoder(t);
    translate_rope(t, head_dim);
    t.add_tensors({kDecoderNames});
}

}  // namespace agave
