#include <cmath>

#include "models/common.h"

namespace agave {

/// Gemma 2 (Gemma Team 2024, "Gemma 2: Improving Open Language Models at a Practical Size"): every other
/// layer, from the first on, sees a sliding window; scores and logits are soft-capped; norms stand before and
/// after attention and MLP. GGUF's norm weights already hold the +1 of the paper's code.
void build_gemma2(const ModelFile& file, Model& model) {
    const Metadata& metadata = file.metadata();
    PlainAttention full = read_plain_attention(file, model, true);
    // The 27B model, known by its 46 layers, scales by the embedding's share of a head; no key of GGUF says
    // so.
    if (model.n_layers == 46)
        full.scale = 1.0f / std::sqrt(static_cast<float>(model.embedding_length) /
                                      static_cast<float>(full.sizes.n_heads));
    full.scale = static_cast<float>(metadata.number_or(key(model, "attention.scale"), full.scale));
    full.softcap = static_cast<float>(metadata.number_or(key(model, "attn_logit_softcapping"), 50.0));
    const double softcap = metadata.number_or(key(model, "final_logit_softcapping"), 30.0);
    PlainAttention sliding = full;
    sliding.window =
        static_cast<int>(metadata.integer_or(key(model, "attention.sliding_window"), 4096, 1, INT32_MAX));
    const float epsilon = full.epsilon;
    Graph& g = model.graph;

    Value h =
        g.embed(file.tensor("token_embd.weight"), std::sqrt(static_cast<float>(model.embedding_length)));
    for (int64_t layer = 0; layer < model.n_layers; layer++) {
        const LayerTensors w{file, layer};

        Value x = g.rms_norm(h, w("attn_norm.weight"), epsilon);
        Value attended = plain_attention(g, layer % 2 == 0 ? sliding : full, w, x);
        select_outputs_at_last(model, g, layer, attended, h);
        x = g.linear(attended, w("attn_output.weight"));
        h = g.add(h, g.rms_norm(x, w("post_attention_norm.weight"), epsilon));

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
