#include "models/common.h"

namespace agave {

/// Qwen 3 as a mixture of experts (Yang et al. 2025, "Qwen3 Technical Report"): Qwen 3's attention, and in
/// each layer a mixture whose scores are a softmax over all experts, those of the chosen renormalised.
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
        h = add_mixture(g, h, x, w, mixture);
    }
    h = g.rms_norm(h, file.tensor("output_norm.weight"), attention.epsilon);
    g.set_logits(g.linear(h, output_matrix(file)));
}

}  // namespace agave
