#include <cmath>

#include "base/error.h"
#include "models/common.h"
#include "models/translation.h"

namespace agave {

/// GPT-OSS (OpenAI 2025, "gpt-oss-120b & gpt-oss-20b Model Card"): every other layer sees a sliding window,
/// each head has a learned sink in its softmax, all projections have biases, and each MLP is a mixture of
/// experts. YaRN's range is not truncated: the released configurations say so, and GGUF has no key for it.
void build_gptoss(const ModelFile& file, Model& model) {
    const auto [n_heads, kv_heads, head_dim] = read_attention_sizes(file, model);
    const float epsilon = read_epsilon(file, model);
    const int64_t window = file.metadata().integer(key(model, "attention.sliding_window"), 1, INT32_MAX);
    const RopeTable rope =
        scaled_rope_table(file, model, read_rope_base(file, model, "freq_base", 150000.0), head_dim, false);
    const auto pattern = file.metadata().booleans(key(model, "attention.sliding_window_pattern"));
    if (pattern && static_cast<int64_t>(pattern->size()) < model.n_layers)
        fail(ErrorKind::bad_file, "'%s': attention.sliding_window_pattern names %zu layers, expected %lld",
             file.path().c_str(), pattern->size(), static_cast<long long>(model.n_layers));
    const MixtureSizes sizes = read_mixture_sizes(file, model, Scoring::softmax_chosen);
    Graph& g = model.graph;

    Value h = g.embed(file.tensor("token_embd.weight"));
    for (int64_t layer = 0; layer < model.n_layers; layer++) {
        const LayerTensors w{file, layer};
        const bool sliding = pattern ? (*pattern)[static_cast<size_t>(layer)] : layer % 2 == 0;

        Value x = g.rms_norm(h, w("attn_norm.weight"), epsilon);
        Value q = g.linear(x, w("attn_q.weight", n_heads * head_dim), &w("attn_q.bias"));
        Value k = g.linear(x, w("attn_k.weight", kv_heads * head_dim), &w("attn_k.bias"));
        Value v = g.linear(x, w("attn_v.weight", kv_heads * head_dim), &w("attn_v.bias"));
        Value attended = g.attention(g.rope(q, rope, n_heads, true), g.rope(k, rope, kv_heads, true), v,
                                     {.n_heads = n_heads,
                                      .kv_heads = kv_heads,
                                      .window = sliding ? static_cast<int>(window) : 0,
                                      .scale = 1.0f / std::sqrt(static_cast<float>(head_dim)),
                                      .sinks = &w("attn_sinks.weight")});
        select_outputs_at_last(model, g, layer, attended, h);
        h = g.add(h, g.linear(attended, w("attn_output.weight"), &w("attn_output.bias")));

        x = g.rms_norm(h, w("post_attention_norm.weight"), epsilon);
        Value router = g.linear(x, w("ffn_gate_inp.weight", sizes.n_experts), &w("ffn_gate_inp.bias"));
        h = g.add(h, g.experts(x, router,
                               {.gate = &w("ffn_gate_exps.weight"),
                                .up = &w("ffn_up_exps.weight"),
                                .down = &w("ffn_down_exps.weight"),
                                .gate_bias = &w("ffn_gate_exps.bias"),
                                .up_bias = &w("ffn_up_exps.bias"),
                                .down_bias = &w("ffn_down_exps.bias"),
                                .scoring = sizes.scoring,
                                .n_used = sizes.n_used,
                                .n_groups = sizes.n_groups,
                                .n_groups_used = sizes.n_groups_used,
                                .kind = GateKind::clamped}));
    }
    h = g.rms_norm(h, file.tensor("output_norm.weight"), epsilon);
    g.set_logits(g.linear(h, output_matrix(file)));
}

namespace {

/// Rows of gate and up alternate in one tensor.
constexpr TensorName own_names[] = {
    {"layers.*.post_attention_layernorm", "blk.*.post_attention_norm"},
    {"layers.*.self_attn.sinks", "blk.*.attn_sinks.weight"},
    {"layers.*.mlp.router", "blk.*.ffn_gate_inp"},
    {"layers.*.mlp.experts.gate_up_proj", "blk.*.ffn_gate_exps.weight", Change::even_rows},
    {"layers.*.mlp.experts.gate_up_proj", "blk.*.ffn_up_exps.weight", Change::odd_rows},
    {"layers.*.mlp.experts.gate_up_proj_bias", "blk.*.ffn_gate_exps.bias", Change::even_entries},
    {"layers.*.mlp.experts.gate_up_proj_bias", "blk.*.ffn_up_exps.bias", Change::odd_entries},
    {"layers.*.mlp.experts.down_proj", "blk.*.ffn_down_exps.weight"},
    {"layers.*.mlp.experts.down_proj_bias", "blk.*.ffn_down_exps.bias", Change::to_float},
};

}  // namespace

void translate_gptoss(Translation& t) {
    if (t.number_or("swiglu_limit", 7) != 7) t.refuse("swiglu_limit", "another number than 7");
    if (t.number_or("swiglu_alpha", 1.702) != 1.702) t.refuse("swiglu_alpha", "another number than 1.702");
    const int64_t head_dim = translate_decoder(t, {.head_dim = 64, .kv_heads = 8, .epsilon = 1e-5});
    translate_rope(t, head_dim, {.base = 150000.0});
    translate_mixture(t);
    t.add_integer("expert_feed_forward_length", t.integer("intermediate_size"));
    t.add_integer("attention.sliding_window", t.integer_or("sliding_window", 128));
    t.add(
        "attention.sliding_window_pattern",
        MetadataArray(layers_of_type(t, "sliding_attention", [](int64_t layer) { return layer % 2 == 0; })));
    t.add_tensors({own_names, kDecoderNames});
}

}  // namespace agave
