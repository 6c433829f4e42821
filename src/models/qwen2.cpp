#include "models/common.h"
#include "models/translation.h"

namespace agave {

/// Qwen 2 and 2.5, dense (Yang et al. 2024, "Qwen2 Technical Report"): Llama's shape with biases on q, k and
/// v and RoPE of halves.
void build_qwen2(const ModelFile& file, Model& model) {
    PlainAttention attention = read_plain_attention(file, model, true);
    const std::vector<int> windows = read_windows(file, model, [](int64_t) { return false; });
    Graph& g = model.graph;

    Value h = g.embed(file.tensor("token_embd.weight"));
    for (int64_t layer = 0; layer < model.n_layers; layer++) {
        const LayerTensors w{file, layer};
        for (const char* bias : {"attn_q.bias", "attn_k.bias", "attn_v.bias"}) w(bias);

        Value x = g.rms_norm(h, w("attn_norm.weight"), attention.epsilon);
        attention.window = windows[static_cast<size_t>(layer)];
        Value attended = plain_attention(g, attention, w, x);
        select_outputs_at_last(model, g, layer, attended, h);
        h = g.add(h, g.linear(attended, w("attn_output.weight")));

        x = g.rms_norm(h, w("ffn_norm.weight"), attention.epsilon);
        h = g.add(h, swiglu(g, x, w, ""));
    }
    h = g.rms_norm(h, file.tensor("output_norm.weight"), attention.epsilon);
    g.set_logits(g.linear(h, output_matrix(file)));
}

void translate_qwen2(Translation& t) {
    if (t.boolean_or("use_sliding_window", false)) {
        if (!t.config("layer_types")) t.refuse("use_sliding_window", "true without layer_types");
        t.add_integer("attention.sliding_window", t.integer("sliding_window"));
        t.add("attention.sliding_window_pattern",
              MetadataArray(layers_of_type(t, "sliding_attention", [](int64_t) { return false; })));
    }
    const int64_t head_dim = translate_decoder(t, {.context_length = 32768});
    translate_rope(t, head_dim);
    t.add_tensors({kDecoderNames});
}

}  // namespace agave
