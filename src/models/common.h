#pragma once

#include <string>

#include "models/model.h"

namespace agave {

/// Fills in what every architecture has: name, layers, context and embedding lengths, vocabulary; each
/// checked against the others and against the token embedding.
void read_common(const ModelFile& file, Model& model);

/// The hyperparameters of an attention layer that is alike in all layers.
struct AttentionSizes {
    int n_heads;
    int kv_heads;
    int head_dim;
};
AttentionSizes read_attention_sizes(const ModelFile& file, const Model& model);
/// The same where each layer has its own number of K/V heads.
AttentionSizes read_attention_sizes(const ModelFile& file, const Model& model, int64_t kv_heads);

/// The hyperparameters of a mixture of experts.
struct MixtureSizes {
    int64_t n_experts;
    int n_used;
    Scoring scoring;
    bool renormalize;
    float scale;
    int n_groups;       ///< the experts fall into groups (DeepSeek-V3, section 2.1.2), and a row chooses
    int n_groups_used;  ///< from the best of them alone
};
/// Reads them; `expert_gating_func` (1 softmax, 2 sigmoid, 3 softmax of the chosen) where the file has it,
/// else `scoring`.
MixtureSizes read_mixture_sizes(const ModelFile& file, const Model& model, Scoring scoring);

/// For each layer, whether it sees a sliding window only: `<arch>.attention.sliding_window_pattern` is an
/// array of booleans, or the period (else `default_period`) of a pattern whose last layer sees everything.
std::vector<bool> read_sliding_layers(const ModelFile& file, const Model& model, int64_t default_period);

/// "<architecture>.<suffix>", the way hyperparameters are keyed.
std::string key(const Model& model, const char* suffix);

/// rms_norm's epsilon: a positive number below 1.
float read_epsilon(const ModelFile& file, const Model& model);

/// RoPE's inverse frequencies base^(-2i / n_dims), i < n_dims / 2, in float32 as Hugging Face computes them.
RopeTable rope_table(double base, int64_t n_dims);
/// The same, with the file's scaling applied: `<arch>.rope.scaling.*` of type linear (Chen et al. 2023,
/// "Position Interpolation") or yarn, and the tensor rope_freqs.weight of divisors (Llama 3). Other types are
/// refused by name. truncate_yarn rounds YaRN's range of pairs outwards, as most models do; no key of GGUF
/// says so.
RopeTable scaled_rope_table(const ModelFile& file, const Model& model, double base, int64_t n_dims,
                            bool truncate_yarn = true);
/// `<arch>.rope.<suffix>`, a base of RoPE: a number above 0.
double read_rope_base(const ModelFile& file, const Model& model, const char* suffix, double fallback);

/// The tensors of one layer: layer("attn_q.weight") is blk.<layer>.attn_q.weight.
struct LayerTensors {
    const ModelFile& file;
    int64_t layer;
    const Tensor& operator()(const char* name) const;
    /// The same, and throws Error(bad_file) unless it has this many rows.
    const Tensor& operator()(const char* name, int64_t n_rows) const;
    const Tensor* find(const char* name) const;  ///< nullptr where the file has none
};

/// The window of each layer: attention.sliding_window where attention.sliding_window_pattern (true or false
/// for each layer) says so, or, without that key, where `slides` does; elsewhere 0, none.
std::vector<int> read_windows(const ModelFile& file, const Model& model, bool (*slides)(int64_t layer));

/// Attention as most decoders have it: what does not change from layer to layer.
struct PlainAttention {
    AttentionSizes sizes;
    RopeTable rope;
    bool halves;        ///< how RoPE pairs columns, see Graph::rope
    float epsilon;      ///< of the norms of q and k heads
    float scale;        ///< of the scores
    float softcap = 0;  ///< of the scores; 0: none
    int window = 0;     ///< 0: none
};
/// Reads it: RoPE on the first rope.dimension_count columns of a head, scores divided by sqrt(head_dim).
PlainAttention read_plain_attention(const ModelFile& file, const Model& model, bool halves);
/// From the layer's attn_q, attn_k and attn_v, with the biases and the norms of heads that the layer has, to
/// what attn_output takes.
Value plain_attention(Graph& g, const PlainAttention& attention, const LayerTensors& w, Value x);

/// The gated MLP with SiLU (Shazeer 2020): down(silu(gate x) * (up x)), by the layer's
/// ffn_gate<suffix>.weight, ffn_up<suffix>.weight and ffn_down<suffix>.weight.
Value swiglu(Graph& g, Value x, const LayerTensors& w, const char* suffix);

/// h + mixture of experts of x, and the shared expert of x where the layer has one, by GGUF's usual names:
/// ffn_gate_inp, ffn_{gate,up,down}_exps, exp_probs_b.bias and ffn_{gate,up,down}_shexp.
Value add_mixture(Graph& g, Value h, Value x, const LayerTensors& w, const MixtureSizes& sizes);

/// In the last layer, keeps of both values the rows whose logits were asked for: all that follows needs no
/// others.
void select_outputs_at_last(const Model& model, Graph& g, int64_t layer, Value& attended, Value& h);

/// output.weight, or the token embedding where the two are tied.
const Tensor& output_matrix(const ModelFile& file);

}  // namespace agave
