#include "models/common.h"

#include <algorithm>

#include <cmath>

#include "base/error.h"

namespace agave {

namespace {

constexpr int64_t kMaxLayers = 512;
constexpr int64_t kMaxHeads = 4096;
constexpr int64_t kMaxHeadDim = 4096;
constexpr int64_t kMaxEmbedding = 1 << 20;
constexpr int64_t kMaxExperts = 4096;
constexpr int64_t kMaxContext = int64_t{1} << 31;

}  // namespace

std::string key(const Model& model, const char* suffix) {
    return model.architecture + "." + suffix;
}

void read_common(const ModelFile& file, Model& model) {
    const Metadata& metadata = file.metadata();
    model.name = printable(metadata.text_or("general.name", ""));
    model.n_layers = metadata.integer(key(model, "block_count"), 1, kMaxLayers);
    model.context_length = metadata.integer(key(model, "context_length"), 1, kMaxContext);
    model.embedding_length = metadata.integer(key(model, "embedding_length"), 1, kMaxEmbedding);
    const Tensor& embedding = file.tensor("token_embd.weight");
    if (embedding.shape[0] != model.embedding_length)
        fail(ErrorKind::bad_file, "'%s': %s is %lld, but the rows of token_embd.weight have %lld weights",
             file.path().c_str(), key(model, "embedding_length").c_str(),
             static_cast<long long>(model.embedding_length), static_cast<long long>(embedding.shape[0]));
    model.n_vocab = embedding.n_rows();
    const std::vector<std::string_view>* tokens = metadata.texts("tokenizer.ggml.tokens");
    if (tokens && static_cast<int64_t>(tokens->size()) != model.n_vocab)
        fail(ErrorKind::bad_file, "'%s': the vocabulary has %zu tokens, but token_embd.weight has %lld rows",
             file.path().c_str(), tokens->size(), static_cast<long long>(model.n_vocab));
}

AttentionSizes read_attention_sizes(const ModelFile& file, const Model& model) {
    const Metadata& metadata = file.metadata();
    const int64_t n_heads = metadata.integer(key(model, "attention.head_count"), 1, kMaxHeads);
    return read_attention_sizes(
        file, model, metadata.integer_or(key(model, "attention.head_count_kv"), n_heads, 1, kMaxHeads));
}

AttentionSizes read_attention_sizes(const ModelFile& file, const Model& model, int64_t kv_heads) {
    const Metadata& metadata = file.metadata();
    const int64_t n_heads = metadata.integer(key(model, "attention.head_count"), 1, kMaxHeads);
    if (kv_heads < 1 || n_heads % kv_heads != 0)
        fail(ErrorKind::bad_file, "'%s': %lld attention heads cannot share %lld K/V heads evenly",
             file.path().c_str(), static_cast<long long>(n_heads), static_cast<long long>(kv_heads));
    const std::string head_dim_key = key(model, "attention.key_length");
    if (!metadata.find(head_dim_key) && model.embedding_length % n_heads != 0)
        fail(ErrorKind::bad_file, "'%s': %lld attention heads do not divide the embedding length %lld",
             file.path().c_str(), static_cast<long long>(n_heads),
             static_cast<long long>(model.embedding_length));
    const int64_t head_dim =
        metadata.integer_or(head_dim_key, model.embedding_length / n_heads, 2, kMaxHeadDim);
    if (head_dim % 2 != 0)
        fail(ErrorKind::bad_file, "'%s': the head dimension %lld is odd, which RoPE cannot rotate",
             file.path().c_str(), static_cast<long long>(head_dim));
    return {static_cast<int>(n_heads), static_cast<int>(kv_heads), static_cast<int>(head_dim)};
}

MixtureSizes read_mixture_sizes(const ModelFile& file, const Model& model, Scoring scoring) {
    const Metadata& metadata = file.metadata();
    MixtureSizes sizes{};
    sizes.n_experts = metadata.integer(key(model, "expert_count"), 1, kMaxExperts);
    sizes.n_used = static_cast<int>(metadata.integer(key(model, "expert_used_count"), 1, sizes.n_experts));
    const Scoring named[] = {scoring, Scoring::softmax, Scoring::sigmoid, Scoring::softmax_chosen};
    sizes.scoring = named[metadata.integer_or(key(model, "expert_gating_func"), 0, 0, 3)];
    sizes.renormalize = metadata.boolean_or(key(model, "expert_weights_norm"), false);
    sizes.scale = static_cast<float>(metadata.number_or(key(model, "expert_weights_scale"), 1.0));
    // Converters write 0 where the configuration has no factor.
    if (sizes.scale == 0) sizes.scale = 1.0f;
    // Converters write 0 groups, or none chosen, where the configuration has no groups.
    const auto groups = [&](const char* name) {
        return static_cast<int>(
            std::max<int64_t>(1, metadata.integer_or(key(model, name), 1, 0, kMaxExperts)));
    };
    sizes.n_groups = groups("expert_group_count");
    sizes.n_groups_used = groups("expert_group_used_count");
    if (sizes.n_groups_used > sizes.n_groups)
        fail(ErrorKind::bad_file, "'%s' chooses from %d groups of experts, but has only %d",
             file.path().c_str(), sizes.n_groups_used, sizes.n_groups);
    return sizes;
}

float read_epsilon(const ModelFile& file, const Model& model) {
    const std::string name = key(model, "attention.layer_norm_rms_epsilon");
    const double epsilon = file.metadata().number(name);
    if (!(epsilon > 0 && epsilon < 1))
        fail(ErrorKind::bad_file, "'%s': %s is %g, expected a number between 0 and 1", file.path().c_str(),
             name.c_str(), epsilon);
    return static_cast<float>(epsilon);
}

static std::string tensor_name(int64_t layer, const char* name) {
    return strprintf("blk.%lld.%s", static_cast<long long>(layer), name);
}

const Tensor& LayerTensors::operator()(const char* name) const {
    return file.tensor(tensor_name(layer, name));
}
const Tensor& LayerTensors::operator()(const char* name, int64_t n_rows) const {
    const Tensor& tensor = (*this)(name);
    if (tensor.n_rows() != n_rows)
        fail(ErrorKind::bad_file, "'%s': tensor '%s' has %lld rows, expected %lld", file.path().c_str(),
             printable(tensor.name).c_str(), static_cast<long long>(tensor.n_rows()),
             static_cast<long long>(n_rows));
    return tensor;
}
const Tensor* LayerTensors::find(const char* name) const {
    return file.find(tensor_name(layer, name));
}

std::vector<int> read_windows(const ModelFile& file, const Model& model, bool (*slides)(int64_t layer)) {
    const Metadata& metadata = file.metadata();
    const int64_t window = metadata.integer_or(key(model, "attention.sliding_window"), 0, 0, INT32_MAX);
    const std::string pattern_key = key(model, "attention.sliding_window_pattern");
    const auto pattern = metadata.booleans(pattern_key);
    if (pattern && static_cast<int64_t>(pattern->size()) < model.n_layers)
        fail(ErrorKind::bad_file, "'%s': %s names %zu layers, expected %lld", file.path().c_str(),
             pattern_key.c_str(), pattern->size(), static_cast<long long>(model.n_layers));
    std::vector<int> windows;
    for (int64_t layer = 0; layer < model.n_layers; layer++) {
        const bool sliding = pattern ? bool((*pattern)[static_cast<size_t>(layer)]) : slides(layer);
        windows.push_back(sliding ? static_cast<int>(window) : 0);
    }
    return windows;
}

PlainAttention read_plain_attention(const ModelFile& file, const Model& model, bool halves) {
    PlainAttention attention{};
    attention.sizes = read_attention_sizes(file, model);
    const int64_t head_dim = attention.sizes.head_dim;
    const int64_t rope_dims =
        file.metadata().integer_or(key(model, "rope.dimension_count"), head_dim, 2, head_dim);
    attention.rope =
        scaled_rope_table(file, model, read_rope_base(file, model, "freq_base", 10000.0), rope_dims);
    attention.halves = halves;
    attention.epsilon = read_epsilon(file, model);
    attention.scale = 1.0f / std::sqrt(static_cast<float>(head_dim));
    return attention;
}

Value plain_attention(Graph& g, const PlainAttention& attention, const LayerTensors& w, Value x) {
    const auto [n_heads, kv_heads, head_dim] = attention.sizes;
    Value q = g.linear(x, w("attn_q.weight", n_heads * head_dim), w.find("attn_q.bias"));
    Value k = g.linear(x, w("attn_k.weight", kv_heads * head_dim), w.find("attn_k.bias"));
    Value v = g.linear(x, w("attn_v.weight", kv_heads * head_dim), w.find("attn_v.bias"));
    if (w.find("attn_q_norm.weight")) {
        q = g.head_norm(q, w("attn_q_norm.weight"), attention.epsilon);
        k = g.head_norm(k, w("attn_k_norm.weight"), attention.epsilon);
    }
    return g.attention(g.rope(q, attention.rope, n_heads, attention.halves),
                       g.rope(k, attention.rope, kv_heads, attention.halves), v,
                       {.n_heads = n_heads,
                        .kv_heads = kv_heads,
                        .window = attention.window,
                        .scale = attention.scale,
                        .softcap = attention.softcap});
}

void select_outputs_at_last(const Model& model, Graph& g, int64_t layer, Value& attended, Value& h) {
    if (layer + 1 != model.n_layers) return;
    attended = g.select_outputs(attended);
    h = g.select_outputs(h);
}

Value swiglu(Graph& g, Value x, const LayerTensors& w, const char* suffix) {
    const auto matrix = [&](const char* name) -> const Tensor& {
        return w(strprintf("ffn_%s%s.weight", name, suffix).c_str());
    };
    x = g.gate(GateKind::silu, g.linear(x, matrix("gate")), g.linear(x, matrix("up")));
    return g.linear(x, matrix("down"));
}

Value add_mixture(Graph& g, Value h, Value x, const LayerTensors& w, const MixtureSizes& sizes) {
    Value router = g.linear(x, w("ffn_gate_inp.weight", sizes.n_experts));
    if (w.find("ffn_gate_shexp.weight")) h = g.add(h, swiglu(g, x, w, "_shexp"));
    return g.add(h, g.experts(x, router,
                              {.gate = &w("ffn_gate_exps.weight"),
                               .up = &w("ffn_up_exps.weight"),
                               .down = &w("ffn_down_exps.weight"),
                               .choice_bias = w.find("exp_probs_b.bias"),
                               .scoring = sizes.scoring,
                               .n_used = sizes.n_used,
                               .n_groups = sizes.n_groups,
                               .n_groups_used = sizes.n_groups_used,
                               .renormalize = sizes.renormalize,
                               .scale = sizes.scale}));
}

std::vector<bool> read_sliding_layers(const ModelFile& file, const Model& model, int64_t default_period) {
    const Metadata& metadata = file.metadata();
    const std::string name = key(model, "attention.sliding_window_pattern");
    const auto n_layers = static_cast<size_t>(model.n_layers);
    const MetadataValue* value = metadata.find(name);
    if (value && std::holds_alternative<MetadataArray>(*value)) {
        std::vector<bool> sliding = *metadata.booleans(name);
        if (sliding.size() < n_layers)
            fail(ErrorKind::bad_file, "'%s': %s names %zu layers, expected %zu", file.path().c_str(),
                 name.c_str(), sliding.size(), n_layers);
        return sliding;
    }
    const auto period = static_cast<size_t>(metadata.integer_or(name, default_period, 1, INT32_MAX));
    std::vector<bool> sliding(n_layers);
    for (size_t layer = 0; layer < n_layers; layer++) sliding[layer] = (layer + 1) % period != 0;
    return sliding;
}

const Tensor& output_matrix(const ModelFile& file) {
    const Tensor* output = file.find("output.weight");
    const Tensor& embedding = file.tensor("token_embd.weight");
    if (output && output->n_rows() != embedding.n_rows())
        fail(ErrorKind::bad_file, "'%s': output.weight has %lld rows, but token_embd.weight has %lld",
             file.path().c_str(), static_cast<long long>(output->n_rows()),
             static_cast<long long>(embedding.n_rows()));
    return output ? *output : embedding;
}

}  // namespace agave
