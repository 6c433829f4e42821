#include <cmath>

#include "models/common.h"
#include "models/translation.h"

namespace agave {

/// Gemma 2 (Gemma Team 2024, "Gemma 2: Improving Open Language Models at a Practical Size"): every other
/// layer, from the first on, sees a sliding window; scores and logits are soft-capped; norms stand before and
/// after attention and MLP. GGUF's norm weights already hold the +1 of the paper's code.
void build_gemma2(const ModelFile& file, Model& model) {
    const Metadata& metadata = file.metadata();
    PlainAttention attention = read_plain_attention(file, model, true);
    // The 27B model, known by its 46 layers, scales by the embedding's share of a head; no key of GGUF says
    // so.
    if (model.n_layers == 46)
        attention.scale = 1.0f / std::sqrt(static_cast<float>(model.embedding_length) /
                                           static_cast<float>(attention.sizes.n_heads));
    attention.scale = static_cast<float>(metadata.number_or(key(model, "attention.scale"), attention.scale));
    attention.softcap = static_cast<float>(metadata.number_or(key(model, "attn_logit_softcapping"), 50.0));
    const double softcap = metadata.number_or(key(model, "final_logit_softcapping"), 30.0);
    metadata.integer(key(model, "attention.sliding_window"), 1, INT32_MAX);
    const std::vector<int> windows = read_windows(file, model, [](int64_t layer) { return layer % 2 == 0; });
    const float epsilon = attention.epsilon;
    Graph& g = model.graph;

    Value h =
        g.embed(file.tensor("token_embd.weight"), std::sqrt(static_cast<float>(model.embedding_length)));
    for (int64_t layer = 0; layer < model.n_layers; layer++) {
        const LayerTensors w{file, layer};

        Value x = g.rms_norm(h, w("attn_norm.weight"), epsilon);
        attention.window = windows[static_cast<size_t>(layer)];
        Value attended = plain_attention(g, attention, w, x);
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

namespace {

/// Weights of norms are stored as what is added to 1.
constexpr TensorName own_names[] = {
    {"norm", "output_norm", Change::plus_one},
    {"layers.*.input_layernorm", "blk.*.attn_norm", Change::plus_one},
    {"layers.*.post_attention_layernorm", "blk.*.post_attention_norm", Change::plus_one},
    {"layers.*.pre_feedforward_layernorm", "blk.*.ffn_norm", Change::plus_one},
    {"layers.*.post_feedforward_layernorm", "blk.*.post_ffw_norm", Change::plus_one},
};

}  // namespace

void translate_gemma2(Translation& t) {
    const int64_t head_dim = translate_decoder(t, {.head_dim = 256, .context_length = 8192, .tied = true});
    translate_rope(t, head_dim);
    t.add("attention.scale", 1.0 / std::sqrt(t.number_or("query_pre_attn_scalar", 256)));
    t.add("attn_logit_softcapping", t.number_or("attn_logit_softcapping", 0));
    t.add("final_logit_softcapping", t.number_or("final_logit_softcapping", 0));
    t.add_integer("attention.sliding_window", t.integer_or("sliding_window", 4096));
    t.add(
        "attention.sliding_window_pattern",
        MetadataArray(layers_of_type(t, "sliding_attention", [](int64_t layer) { return layer % 2 == 0; })));
    t.add_tensors({own_names, kDecoderNames});
}

}  // namespace agave
