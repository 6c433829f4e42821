#include "models/common.h"
#include "models/translation.h"

namespace agave {

/// Qwen 3 as a mixture of experts (Yang et al. 2025, "Qwen3 Technical Report"): Qwen 3's attention, and in
/// each layer a mixture whose scores are a softmax over all experts, those of the chosen renormalised; layers
/// without a router have a dense MLP.
void build_qwen3moe(const ModelFile& file, Model& model) {
    const PlainAttention attention = read_plain_attention(file, model, true);
    MixtureSizes mixture = read_mixture_sizes(file, model, Scoring::softmax);
    // Converters write no key for it; all released models renormalise.
    mixture.renormalize = file.metadata().boolean_or(key(model, "expert_weights_norm"), true);
    Graph& g = model.graph;

    Value h = g.embed(file.tensor("token_embd.weight"));
    for (int64_t layer = 0; layer < model.n_layers; layer++) {
        const LayerTensors w{file, layer};
        w("attn_q_norm.weight");

        Value x = g.rms_norm(h, w("attn_norm.weight"), attention.epsilon);
        Value attended = plain_attention(g, attention, w, x);
        select_outputs_at_last(model, g, layer, attended, h);
        h = g.add(h, g.linear(attended, w("attn_output.weight")));

        x = g.rms_norm(h, w("ffn_norm.weight"), attention.epsilon);
        if (w.find("ffn_gate_inp.weight"))
            h = add_mixture(g, h, x, w, mixture);
        else
            h = g.add(h, swiglu(g, x, w, ""));
    }
    h = g.rms_norm(h, file.tensor("output_norm.weight"), attention.epsilon);
    g.set_logits(g.linear(h, output_matrix(file)));
}

namespace {

constexpr TensorName own_names[] = {
    {"layers.*.mlp.gate", "blk.*.ffn_gate_inp"},
    {"layers.*.mlp.experts.*.gate_proj", "blk.*.ffn_gate_exps"},
    {"layers.*.mlp.experts.*.up_proj", "blk.*.ffn_up_exps"},
    {"layers.*.mlp.experts.*.down_proj", "blk.*.ffn_down_exps"},
    {"layers.*.mlp.switch_mlp.gate_proj", "blk.*.ffn_gate_exps"},  // MLX's
    {"layers.*.mlp.switch_mlp.up_proj", "blk.*.ffn_up_exps"},
    {"layers.*.mlp.switch_mlp.down_proj", "blk.*.ffn_down_exps"},
};

}  // namespace

void translate_qwen3moe(Translation& t) {
    if (t.boolean_or("use_sliding_window", false)) t.refuse("use_sliding_window", "true");
    const int64_t head_dim = translate_decoder(t);
    translate_rope(t, head_dim);
    translate_mixture(t);
    t.add("expert_weights_norm", t.boolean_or("norm_topk_prob", false));
    t.add_tensors({own_names, kDecoderNames});
}

}  // namespace agave
