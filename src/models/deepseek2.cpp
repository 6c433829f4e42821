#include <cmath>

#include "base/error.h"
#include "models/common.h"
#include "models/translation.h"

namespace agave {

namespace {

/// Hugging Face builds the norms of both latents with its class's default, whatever rms_norm_eps is; GGUF has
/// no key for it.
constexpr float kLatentEpsilon = 1e-6f;

struct LatentSizes {
    int n_heads;
    int64_t nope;     ///< columns of a query or key head that RoPE leaves alone
    int64_t rope;     ///< columns that it rotates
    int64_t value;    ///< columns of a value head
    int64_t kv_lora;  ///< columns of the latent that keys and values are made from
    int64_t q_lora;   ///< of the queries' latent; 0: queries are made from the residual stream
};

LatentSizes read_latent_sizes(const ModelFile& file, const Model& model) {
    const Metadata& metadata = file.metadata();
    const auto read = [&](const char* suffix, int64_t lowest) {
        return metadata.integer(key(model, suffix), lowest, 1 << 16);
    };
    if (file.find("blk.0.attn_kv_b.weight"))
        fail(
            ErrorKind::unsupported,
            "'%s' holds attn_kv_b whole, which old converters wrote; agave needs attn_k_b and attn_v_b, into "
            "which a current converter splits it",
            file.path().c_str());
    LatentSizes sizes{};
    sizes.n_heads = static_cast<int>(metadata.integer(key(model, "attention.head_count"), 1, 4096));
    sizes.rope = read("rope.dimension_count", 2);
    sizes.nope = read("attention.key_length_mla", sizes.rope + 1) - sizes.rope;
    sizes.value = read("attention.value_length_mla", 1);
    sizes.kv_lora = read("attention.kv_lora_rank", 1);
    sizes.q_lora = metadata.integer_or(key(model, "attention.q_lora_rank"), 0, 0, 1 << 16);
    if (sizes.rope % 2 != 0)
        fail(ErrorKind::bad_file, "'%s': %s is %lld, expected an even number", file.path().c_str(),
             key(model, "rope.dimension_count").c_str(), static_cast<long long>(sizes.rope));
    return sizes;
}

/// RoPE, and what YaRN multiplies the attention scores by: its magnitude squared, which DeepSeek applies to
/// the whole score and not only to the rotated columns.
struct ScoreScaling {
    RopeTable rope;
    float factor;
};

ScoreScaling read_score_scaling(const ModelFile& file, const Model& model, int64_t rope_dims) {
    const Metadata& metadata = file.metadata();
    ScoreScaling scaling{
        scaled_rope_table(file, model, read_rope_base(file, model, "freq_base", 10000.0), rope_dims), 1.0f};
    const double multiplier = metadata.number_or(key(model, "rope.scaling.yarn_log_multiplier"), 0.0);
    if (multiplier != 0 && metadata.text_or(key(model, "rope.scaling.type"), "none") == "yarn") {
        const double factor = metadata.number(key(model, "rope.scaling.factor"));
        const double magnitude = 1.0 + multiplier * std::log(factor);
        scaling.rope.magnitude =
            static_cast<float>(metadata.number_or(key(model, "rope.scaling.attn_factor"), 1.0));
        scaling.factor = static_cast<float>(magnitude * magnitude);
    }
    return scaling;
}

/// Multi-head latent attention in its absorbed form (section 2.1.2 of the paper): the matrix that would
/// expand latents to keys is applied to the queries instead, and the one that would expand them to values to
/// the result, so that attention runs over the latents as they are cached. Returns the heads' latents.
Value attend(Graph& g, const LayerTensors& w, const LatentSizes& sizes, const ScoreScaling& scaling,
             Value x) {
    const int64_t q_width = sizes.n_heads * (sizes.nope + sizes.rope);
    Value q;
    if (sizes.q_lora != 0) {
        q = g.rms_norm(g.linear(x, w("attn_q_a.weight", sizes.q_lora), w.find("attn_q_a.bias")),
                       w("attn_q_a_norm.weight"), kLatentEpsilon);
        q = g.linear(q, w("attn_q_b.weight", q_width));
    } else {
        q = g.linear(x, w("attn_q.weight", q_width));
    }
    q = g.rope(q, scaling.rope, sizes.n_heads, false, sizes.nope);
    q = g.head_linear(q, w("attn_k_b.weight"), sizes.n_heads, sizes.rope);

    const Tensor& kv_a = w("attn_kv_a_mqa.weight", sizes.kv_lora + sizes.rope);
    const auto projected = [&](int64_t begin, int64_t columns) {
        if (const Tensor* bias = w.find("attn_kv_a_mqa.bias"))
            return g.slice(g.linear(x, kv_a, bias), begin, columns);
        return g.linear(x, g.row_range(kv_a, begin, columns));
    };
    Value latent = g.rms_norm(projected(0, sizes.kv_lora), w("attn_kv_a_norm.weight"), kLatentEpsilon);
    Value rotated = g.rope(projected(sizes.kv_lora, sizes.rope), scaling.rope, 1, false);
    const float scale = scaling.factor / std::sqrt(static_cast<float>(sizes.nope + sizes.rope));
    return g.latent_attention(q, latent, rotated, {.n_heads = sizes.n_heads, .scale = scale});
}

}  // namespace

/// DeepSeek-V2 (DeepSeek-AI 2024, arXiv:2405.04434) and what shares its shape, above all GLM-4.7-Flash:
/// multi-head latent attention, then, after some dense layers, mixtures of experts with a shared expert.
/// Scores are sigmoids with a correction bias for the choice (DeepSeek-V3, section 2.1.2) unless the file
/// names another function. The layers for multi-token prediction at the end are not run.
void build_deepseek2(const ModelFile& file, Model& model) {
    const Metadata& metadata = file.metadata();
    const LatentSizes sizes = read_latent_sizes(file, model);
    const ScoreScaling scaling = read_score_scaling(file, model, sizes.rope);
    const float epsilon = read_epsilon(file, model);
    const MixtureSizes mixture = read_mixture_sizes(file, model, Scoring::sigmoid);
    model.n_layers -= metadata.integer_or(key(model, "nextn_predict_layers"), 0, 0, model.n_layers - 1);
    const int64_t n_dense_layers =
        metadata.integer_or(key(model, "leading_dense_block_count"), 0, 0, INT32_MAX);
    Graph& g = model.graph;

    Value h = g.embed(file.tensor("token_embd.weight"));
    for (int64_t layer = 0; layer < model.n_layers; layer++) {
        const LayerTensors w{file, layer};

        Value attended = attend(g, w, sizes, scaling, g.rms_norm(h, w("attn_norm.weight"), epsilon));
        select_outputs_at_last(model, g, layer, attended, h);
        Value values = g.head_linear(attended, w("attn_v_b.weight"), sizes.n_heads);
        h = g.add(h, g.linear(values, w("attn_output.weight"), w.find("attn_output.bias")));

        Value x = g.rms_norm(h, w("ffn_norm.weight"), epsilon);
        if (layer < n_dense_layers)
            h = g.add(h, swiglu(g, x, w, ""));
        else
            h = add_mixture(g, h, x, w, mixture);
    }
    h = g.rms_norm(h, file.tensor("output_norm.weight"), epsilon);
    g.set_logits(g.linear(h, output_matrix(file)));
}

namespace {

constexpr TensorName own_names[] = {
    {"layers.*.self_attn.q_a_proj", "blk.*.attn_q_a"},
    {"layers.*.self_attn.q_a_layernorm", "blk.*.attn_q_a_norm"},
    {"layers.*.self_attn.q_b_proj", "blk.*.attn_q_b"},
    {"layers.*.self_attn.kv_a_proj_with_mqa", "blk.*.attn_kv_a_mqa"},
    {"layers.*.self_attn.kv_a_layernorm", "blk.*.attn_kv_a_norm"},
    {"layers.*.self_attn.kv_b_proj", "blk.*.attn_kv_b"},
};

/// The rows of each head's keys in kv_b_proj, turned to columns as the absorbed form needs them; float32 in
/// memory of their own.
Tensor transposed_keys(Translation& t, const Tensor& kv_b, int64_t n_heads, int64_t nope, int64_t value) {
    const int64_t k = kv_b.row_elements();
    auto turned = std::make_shared<std::vector<float>>(static_cast<size_t>(n_heads * nope * k));
    std::vector<float> row(static_cast<size_t>(k));
    for (int64_t head = 0; head < n_heads; head++)
        for (int64_t i = 0; i < nope; i++) {
            decode_rows(kv_b, head * (nope + value) + i, 1, row.data());
            for (int64_t j = 0; j < k; j++)
                (*turned)[static_cast<size_t>((head * k + j) * nope + i)] = row[static_cast<size_t>(j)];
        }
    Tensor keys;
    keys.n_dims = 3;
    keys.shape = {nope, k, n_heads, 1};
    keys.data = reinterpret_cast<const std::byte*>(turned->data());
    keys.n_bytes = turned->size() * sizeof(float);
    t.keep(std::move(turned));
    return keys;
}

/// The rows of each head's values in kv_b_proj, where they are.
Tensor head_values(Translation& t, const Tensor& kv_b, int64_t n_heads, int64_t nope, int64_t value) {
    auto heads = std::make_shared<std::vector<Tensor>>(static_cast<size_t>(n_heads), kv_b);
    for (int64_t head = 0; head < n_heads; head++) {
        Tensor& part = (*heads)[static_cast<size_t>(head)];
        const int64_t first = head * (nope + value) + nope;
        part.shape[1] = value;
        part.scaled_row = first;
        if (part.data) part.data += static_cast<size_t>(first) * kv_b.row_bytes();
        part.n_bytes = kv_b.n_bytes / static_cast<size_t>(n_heads * (nope + value) / value);
    }
    Tensor values = kv_b;
    values.data = nullptr;
    values.scaled = nullptr;
    values.n_dims = 3;
    values.shape = {kv_b.row_elements(), value, n_heads, 1};
    values.n_bytes = heads->front().n_bytes * static_cast<size_t>(n_heads);
    values.parts = heads->data();
    t.keep(std::move(heads));
    return values;
}

/// kv_b_proj becomes attn_k_b and attn_v_b.
void split_kv_b(Translation& t, int64_t n_heads, int64_t nope, int64_t value) {
    constexpr std::string_view suffix = "attn_kv_b.weight";
    std::vector<Tensor> made;
    for (Tensor& tensor : t.tensors()) {
        if (!tensor.name.ends_with(suffix)) {
            made.push_back(std::move(tensor));
            continue;
        }
        if (tensor.n_dims != 2 || tensor.shape[1] != n_heads * (nope + value))
            fail(ErrorKind::bad_file, "'%s': tensor '%s' has %lld rows, expected %lld",
                 t.config_path().c_str(), printable(tensor.name).c_str(),
                 static_cast<long long>(tensor.n_rows()), static_cast<long long>(n_heads * (nope + value)));
        const std::string layer = tensor.name.substr(0, tensor.name.size() - suffix.size());
        made.push_back(transposed_keys(t, tensor, n_heads, nope, value));
        made.back().name = layer + "attn_k_b.weight";
        made.push_back(head_values(t, tensor, n_heads, nope, value));
        made.back().name = layer + "attn_v_b.weight";
    }
    t.tensors() = std::move(made);
}

int64_t size_in_config(const Translation& t, const char* name, int64_t fallback) {
    const int64_t size = t.integer_or(name, fallback);
    if (size < 1 || size > 1 << 16)
        fail(ErrorKind::bad_file, "'%s': '%s' is %lld; expected 1 to 65536", t.config_path().c_str(), name,
             static_cast<long long>(size));
    return size;
}

}  // namespace

void translate_deepseek2(Translation& t) {
    if (!t.boolean_or("rope_interleave", true)) t.refuse("rope_interleave", "false");
    translate_decoder(t, {.same_heads = false});
    const int64_t n_heads = size_in_config(t, "num_attention_heads", 0);
    const int64_t nope = size_in_config(t, "qk_nope_head_dim", 192);
    const int64_t rope = size_in_config(t, "qk_rope_head_dim", 64);
    const int64_t value = size_in_config(t, "v_head_dim", 256);
    const int64_t kv_lora = size_in_config(t, "kv_lora_rank", 512);
    if (t.config("q_lora_rank")) t.add_integer("attention.q_lora_rank", t.integer("q_lora_rank"));
    t.add_integer("attention.kv_lora_rank", kv_lora);
    t.add_integer("attention.head_count_kv", 1);
    t.add_integer("attention.key_length", kv_lora + rope);
    t.add_integer("attention.value_length", kv_lora);
    t.add_integer("attention.key_length_mla", nope + rope);
    t.add_integer("attention.value_length_mla", value);
    if (t.config("intermediate_size")) t.add_integer("feed_forward_length", t.integer("intermediate_size"));
    translate_rope(t, rope);
    translate_mixture(t);
    translate_leading_dense(t, 1);
    if (t.text_or("scoring_func", "sigmoid") != "sigmoid") t.refuse("scoring_func", "another than 'sigmoid'");
    t.add_integer("expert_gating_func", 2);
    t.add("expert_weights_norm", t.boolean_or("norm_topk_prob", true));
    t.add_tensors({own_names, kMixtureNames, kDecoderNames});
    split_kv_b(t, n_heads, nope, value);
}

}  // namespace agave
