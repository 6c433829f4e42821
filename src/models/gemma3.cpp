#include <algorithm>
#include <cmath>

#include "models/common.h"
#include "models/translation.h"

namespace agave {

/// Gemma 3 (Gemma Team 2025, "Gemma 3 Technical Report"): five layers that see a sliding window to one that
/// sees everything, each kind with its own RoPE; norms before and after attention and MLP. GGUF's norm
/// weights already hold the +1 of the paper's code.
void build_gemma3(const ModelFile& file, Model& model) {
    const Metadata& metadata = file.metadata();
    const auto [n_heads, kv_heads, head_dim] = read_attention_sizes(file, model);
    const float epsilon = read_epsilon(file, model);
    const int64_t window = metadata.integer(key(model, "attention.sliding_window"), 1, INT32_MAX);
    const std::vector<bool> sliding_layers = read_sliding_layers(file, model, 6);
    const RopeTable full_rope =
        scaled_rope_table(file, model, read_rope_base(file, model, "freq_base", 1e6), head_dim);
    const RopeTable sliding_rope = rope_table(read_rope_base(file, model, "freq_base_swa", 1e4), head_dim);
    // The 27B model, known by its 62 layers, scales by the embedding's share of a head; no key says so.
    const float scaled_dim = model.n_layers == 62
                                 ? static_cast<float>(model.embedding_length) / static_cast<float>(n_heads)
                                 : static_cast<float>(head_dim);
    const double scale = metadata.number_or(key(model, "attention.scale"), 1.0 / std::sqrt(scaled_dim));
    const double softcap = metadata.number_or(key(model, "final_logit_softcapping"), 0.0);
    Graph& g = model.graph;

    Value h =
        g.embed(file.tensor("token_embd.weight"), std::sqrt(static_cast<float>(model.embedding_length)));
    for (int64_t layer = 0; layer < model.n_layers; layer++) {
        const LayerTensors w{file, layer};
        const bool sliding = sliding_layers[static_cast<size_t>(layer)];
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
                                      .scale = static_cast<float>(scale)});
        select_outputs_at_last(model, g, layer, attended, h);
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

namespace {

/// Weights of norms are stored as what is added to 1.
constexpr TensorName own_names[] = {
    {"norm", "output_norm", Change::plus_one},
    {"layers.*.input_layernorm", "blk.*.attn_norm", Change::plus_one},
    {"layers.*.self_attn.q_norm", "blk.*.attn_q_norm", Change::plus_one},
    {"layers.*.self_attn.k_norm", "blk.*.attn_k_norm", Change::plus_one},
    {"layers.*.post_attention_layernorm", "blk.*.post_attention_norm", Change::plus_one},
    {"layers.*.pre_feedforward_layernorm", "blk.*.ffn_norm", Change::plus_one},
    {"layers.*.post_feedforward_layernorm", "blk.*.post_ffw_norm", Change::plus_one},
};

}  // namespace

void translate_gemma3(Translation& t) {
    if (t.boolean_or("use_bidirectional_attention", false)) t.refuse("use_bidirectional_attention", "true");
    const int64_t head_dim = translate_decoder(
        t, {.head_dim = 256, .n_heads = 8, .kv_heads = 4, .context_length = 131072, .tied = true});
    translate_rope(t, head_dim, {.base = 1e6, .layer_type = "full_attention"});
    translate_rope(t, head_dim,
                   {.base = 1e4,
                    .layer_type = "sliding_attention",
                    .key_suffix = "_swa",
                    .base_name = "rope_local_base_freq"});
    t.add("attention.scale", 1.0 / std::sqrt(t.number_or("query_pre_attn_scalar", 256)));
    t.add_integer("attention.sliding_window", t.integer_or("sliding_window", 4096));
    if (t.config("layer_types"))
        t.add("attention.sliding_window_pattern",
              MetadataArray(layers_of_type(t, "sliding_attention", nullptr)));
    else
        t.add_integer("attention.sliding_window_pattern", t.integer_or("sliding_window_pattern", 6));
    if (t.config("final_logit_softcapping"))
        t.add("final_logit_softcapping", t.number_or("final_logit_softcapping", 0));
    t.add_tensors({own_names, kDecoderNames});
}

}  // namespace agave
