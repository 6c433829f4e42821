#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "models/common.h"
#include "models/translation.h"

namespace agave {

namespace {

/// The step of the recurrence is kept at least at time_step_min, for which GGUF has no key: this is the
/// default, which no released configuration changes. Hugging Face does so where it scans several tokens
/// (NemotronHMamba2Mixer.time_step_limit) and not where it decodes one; here every token is treated alike, so
/// that a text has the same logits whether it was read or written.
constexpr double kMinStep = 0.001;

constexpr int64_t kMaxState = 4096;
constexpr int64_t kMaxInner = 1 << 20;

/// An array with one number, 0 or more, for each layer.
std::vector<int64_t> layer_numbers(const ModelFile& file, const Model& model, const char* name) {
    const std::string full_name = key(model, name);
    const size_t n_layers = static_cast<size_t>(model.n_layers);
    const std::optional<std::vector<int64_t>> numbers = file.metadata().integers(full_name);
    if (!numbers || numbers->size() != n_layers)
        fail(ErrorKind::bad_file, "'%s': %s has %zu entries, expected one for each of %zu layers",
             file.path().c_str(), full_name.c_str(), numbers ? numbers->size() : size_t{0}, n_layers);
    for (const int64_t number : *numbers)
        if (number < 0)
            fail(ErrorKind::bad_file, "'%s': %s has the entry %lld, expected 0 or more", file.path().c_str(),
                 full_name.c_str(), static_cast<long long>(number));
    return *numbers;
}

struct MambaSizes {
    int64_t inner;  ///< columns of x, of all heads
    int64_t n_heads;
    int n_groups;
    int state_size;
    float min_step;
};

MambaSizes read_mamba_sizes(const ModelFile& file, const Model& model) {
    const Metadata& metadata = file.metadata();
    MambaSizes sizes{};
    sizes.inner = metadata.integer(key(model, "ssm.inner_size"), 1, kMaxInner);
    sizes.n_heads = metadata.integer(key(model, "ssm.time_step_rank"), 1, sizes.inner);
    sizes.n_groups = static_cast<int>(metadata.integer(key(model, "ssm.group_count"), 1, sizes.n_heads));
    sizes.state_size = static_cast<int>(metadata.integer(key(model, "ssm.state_size"), 1, kMaxState));
    sizes.min_step = static_cast<float>(metadata.number_or(key(model, "ssm.time_step_min"), kMinStep));
    if (sizes.inner % sizes.n_heads != 0 || sizes.n_heads % sizes.n_groups != 0)
        fail(ErrorKind::bad_file,
             "'%s': %lld columns of a Mamba layer do not fall into %lld heads in %d groups",
             file.path().c_str(), static_cast<long long>(sizes.inner), static_cast<long long>(sizes.n_heads),
             sizes.n_groups);
    return sizes;
}

/// One layer's parts. The last layer goes on only with the rows whose logits are wanted, as soon as it can.
struct NemotronLayer {
    const ModelFile& file;
    const Model& model;
    Graph& g;
    LayerTensors w;
    float epsilon;
    bool last;

    Value wanted_rows(Value x) const { return last ? g.select_outputs(x) : x; }

    /// MLP of squared ReLU; the shared expert of a mixture has a suffix.
    Value mlp(Value x, const std::string& suffix) const {
        const auto matrix = [&](const char* name) -> const Tensor& {
            return w((name + suffix + ".weight").c_str());
        };
        const auto bias = [&](const char* name) { return w.find((name + suffix + ".bias").c_str()); };
        x = g.activate(Nonlinearity::squared_relu, g.linear(x, matrix("ffn_up"), bias("ffn_up")));
        return g.linear(x, matrix("ffn_down"), bias("ffn_down"));
    }

    /// Experts of squared ReLU under DeepSeek-V3's router; in Nemotron 3 Super they work in a narrower,
    /// latent space.
    Value mixture(Value x) const {
        const MixtureSizes sizes = read_mixture_sizes(file, model, Scoring::sigmoid);
        const Value router = g.linear(x, w("ffn_gate_inp.weight", sizes.n_experts));
        const Tensor* to_latent = w.find("ffn_latent_down.weight");
        if (to_latent) x = g.linear(x, *to_latent, w.find("ffn_latent_down.bias"));
        x = g.experts(x, router,
                      {.up = &w("ffn_up_exps.weight"),
                       .down = &w("ffn_down_exps.weight"),
                       .choice_bias = w.find("exp_probs_b.bias"),
                       .scoring = sizes.scoring,
                       .n_used = sizes.n_used,
                       .n_groups = sizes.n_groups,
                       .n_groups_used = sizes.n_groups_used,
                       .renormalize = sizes.renormalize,
                       .scale = sizes.scale});
        return to_latent ? g.linear(x, w("ffn_latent_up.weight"), w.find("ffn_latent_up.bias")) : x;
    }

    Value attention(Value x, int64_t layer_kv_heads) const {
        const auto [n_heads, kv_heads, head_dim] = read_attention_sizes(file, model, layer_kv_heads);
        const Value q = g.linear(x, w("attn_q.weight", n_heads * head_dim), w.find("attn_q.bias"));
        const Value k = g.linear(x, w("attn_k.weight", kv_heads * head_dim), w.find("attn_k.bias"));
        const Value v = g.linear(x, w("attn_v.weight", kv_heads * head_dim), w.find("attn_v.bias"));
        const Value attended = g.attention(q, k, v,
                                           {.n_heads = n_heads,
                                            .kv_heads = kv_heads,
                                            .scale = 1.0f / std::sqrt(static_cast<float>(head_dim))});
        return g.linear(wanted_rows(attended), w("attn_output.weight"), w.find("attn_output.bias"));
    }

    Value mamba(Value x, const MambaSizes& sizes) const {
        const int64_t convolved = sizes.inner + 2 * int64_t{sizes.n_groups} * sizes.state_size;
        const Tensor& in = w("ssm_in.weight", sizes.inner + convolved + sizes.n_heads);
        if (w.find("ssm_in.bias"))
            fail(ErrorKind::unsupported, "'%s' has biases in its Mamba layers, which agave does not run",
                 file.path().c_str());
        const Value z = g.linear(x, g.row_range(in, 0, sizes.inner));
        const Value xbc = g.linear(x, g.row_range(in, sizes.inner, convolved));
        const Value dt = g.linear(x, g.row_range(in, sizes.inner + convolved, sizes.n_heads));
        const Value y =
            g.selective_scan(g.convolve(xbc, w("ssm_conv1d.weight"), w.find("ssm_conv1d.bias"), true), dt,
                             {.dt_bias = &w("ssm_dt.bias"),
                              .a = &w("ssm_a"),
                              .d = &w("ssm_d"),
                              .n_groups = sizes.n_groups,
                              .state_size = sizes.state_size,
                              .min_step = sizes.min_step});
        const Value gated = g.gate(GateKind::silu, wanted_rows(z), wanted_rows(y));
        return g.linear(g.group_norm(gated, w("ssm_norm.weight"), sizes.n_groups, epsilon),
                        w("ssm_out.weight"), w.find("ssm_out.bias"));
    }
};

}  // namespace

/// Nemotron-H (NVIDIA 2025, "Nemotron-H: A Family of Accurate and Efficient Hybrid Mamba-Transformer Models")
/// and Nemotron 3 Nano: each layer is one of Mamba-2 (Dao and Gu 2024), attention without position embedding,
/// and an MLP of squared ReLU or a mixture of such, with a single norm and residual. An attention layer has
/// K/V heads, an MLP a feed-forward length, a Mamba layer neither. A configuration's sliding_window has no
/// effect in transformers, and none here.
void build_nemotronh(const ModelFile& file, Model& model) {
    const std::vector<int64_t> kv_heads = layer_numbers(file, model, "attention.head_count_kv");
    const std::vector<int64_t> feed_forward = layer_numbers(file, model, "feed_forward_length");
    const float epsilon = read_epsilon(file, model);
    // A block for multi-token prediction at the end, of attention and a mixture of experts, is not run.
    model.n_layers -=
        file.metadata().integer_or(key(model, "nextn_predict_layers"), 0, 0, model.n_layers - 1);
    Graph& g = model.graph;

    Value h = g.embed(file.tensor("token_embd.weight"));
    for (int64_t i = 0; i < model.n_layers; i++) {
        const size_t index = static_cast<size_t>(i);
        const NemotronLayer layer{file, model, g, {file, i}, epsilon, i + 1 == model.n_layers};
        const Tensor& norm = layer.w("attn_norm.weight");
        // Beside mixtures of experts, llama.cpp's converter writes no length for a plain MLP.
        const bool plain = kv_heads[index] == 0 && layer.w.find("ffn_up.weight");
        if (feed_forward[index] > 0 || plain) {
            h = layer.wanted_rows(h);
            const Value x = g.rms_norm(h, norm, epsilon);
            const bool mixed = layer.w.find("ffn_gate_inp.weight");
            if (!mixed || layer.w.find("ffn_up_shexp.weight"))
                h = g.add(h, layer.mlp(x, mixed ? "_shexp" : ""));
            if (mixed) h = g.add(h, layer.mixture(x));
        } else {
            const Value x = g.rms_norm(h, norm, epsilon);
            const Value mixed = kv_heads[index] > 0 ? layer.attention(x, kv_heads[index])
                                                    : layer.mamba(x, read_mamba_sizes(file, model));
            h = g.add(layer.wanted_rows(h), mixed);
        }
    }
    h = g.rms_norm(h, file.tensor("output_norm.weight"), epsilon);
    g.set_logits(g.linear(h, output_matrix(file)));
}

namespace {

constexpr TensorName own_names[] = {
    {"embeddings", "token_embd"},
    {"norm_f", "output_norm"},
    {"lm_head", "output"},
    {"layers.*.norm", "blk.*.attn_norm"},
    {"layers.*.mixer.in_proj", "blk.*.ssm_in"},
    {"layers.*.mixer.conv1d", "blk.*.ssm_conv1d", Change::to_float},
    {"layers.*.mixer.A_log", "blk.*.ssm_a", Change::negate_exp},
    {"layers.*.mixer.D", "blk.*.ssm_d"},
    {"layers.*.mixer.dt_bias", "blk.*.ssm_dt.bias"},
    {"layers.*.mixer.norm", "blk.*.ssm_norm"},
    {"layers.*.mixer.out_proj", "blk.*.ssm_out"},
    {"layers.*.mixer.q_proj", "blk.*.attn_q"},
    {"layers.*.mixer.k_proj", "blk.*.attn_k"},
    {"layers.*.mixer.v_proj", "blk.*.attn_v"},
    {"layers.*.mixer.o_proj", "blk.*.attn_output"},
    {"layers.*.mixer.up_proj", "blk.*.ffn_up"},
    {"layers.*.mixer.down_proj", "blk.*.ffn_down"},
    {"layers.*.mixer.gate", "blk.*.ffn_gate_inp", Change::to_float},
    {"layers.*.mixer.gate.e_score_correction_bias", "blk.*.exp_probs_b.bias"},
    {"layers.*.mixer.experts.*.up_proj", "blk.*.ffn_up_exps"},
    {"layers.*.mixer.experts.*.down_proj", "blk.*.ffn_down_exps"},
    {"layers.*.mixer.experts.up_proj", "blk.*.ffn_up_exps.weight"},
    {"layers.*.mixer.experts.down_proj", "blk.*.ffn_down_exps.weight"},
    {"layers.*.mixer.shared_experts.up_proj", "blk.*.ffn_up_shexp"},
    {"layers.*.mixer.shared_experts.down_proj", "blk.*.ffn_down_shexp"},
    {"layers.*.mixer.fc1_latent_proj", "blk.*.ffn_latent_down"},
    {"layers.*.mixer.fc2_latent_proj", "blk.*.ffn_latent_up"},
};

/// The layers as hybrid_override_pattern spells them, one letter for each: M Mamba-2, * attention, - MLP, E
/// experts.
std::string layer_pattern(const Translation& t) {
    JsonValue types = t.config("layers_block_type");
    if (!types) types = t.config("layer_types");
    if (!types) return std::string(t.text_or("hybrid_override_pattern", "ME*-"));
    constexpr std::pair<std::string_view, char> kLetters[] = {{"mamba", 'M'},     {"linear_attention", 'M'},
                                                              {"attention", '*'}, {"full_attention", '*'},
                                                              {"mlp", '-'},       {"moe", 'E'}};
    std::string pattern;
    for (const JsonValue type : types) {
        const std::string_view name = t.text_of(type, "layers_block_type");
        const auto* letter = std::find_if(std::begin(kLetters), std::end(kLetters),
                                          [&](const auto& known) { return known.first == name; });
        if (letter == std::end(kLetters)) t.refuse("layers_block_type", std::string(name));
        pattern += letter->second;
    }
    return pattern;
}

/// For each layer the number that its letter stands for, or 0.
std::vector<int64_t> by_letter(const std::string& pattern,
                               std::initializer_list<std::pair<char, int64_t>> numbers) {
    std::vector<int64_t> result;
    for (const char letter : pattern) {
        result.push_back(0);
        for (const auto& [known, number] : numbers)
            if (letter == known) result.back() = number;
    }
    return result;
}

}  // namespace

/// The defaults are those of transformers' NemotronHConfig.
void translate_nemotronh(Translation& t) {
    const std::string pattern = layer_pattern(t);
    if (pattern.find_first_not_of("M*-E") != std::string::npos) t.refuse("hybrid_override_pattern", pattern);
    if (t.text_or("mlp_hidden_act", "relu2") != "relu2")
        t.refuse("mlp_hidden_act", std::string(t.text_or("mlp_hidden_act", "")));
    if (t.text_or("mamba_hidden_act", "silu") != "silu")
        t.refuse("mamba_hidden_act", std::string(t.text_or("mamba_hidden_act", "")));
    const int64_t n_heads = t.integer_or("num_attention_heads", 32);
    const int64_t head_dim = t.integer_or("head_dim", 128);
    t.add_integer("block_count", static_cast<int64_t>(pattern.size()));
    t.add_integer("context_length", t.integer_or("max_position_embeddings", 4096));
    t.add_integer("embedding_length", t.integer_or("hidden_size", 4096));
    t.add("attention.layer_norm_rms_epsilon", t.number_or("layer_norm_epsilon", 1e-5));
    // llama.cpp requires both.
    t.add("attention.layer_norm_epsilon", t.number_or("layer_norm_epsilon", 1e-5));
    t.add_integer("attention.head_count", n_heads);
    t.add("attention.head_count_kv",
          MetadataArray(by_letter(pattern, {{'*', t.integer_or("num_key_value_heads", 8)}})));
    t.add_integer("attention.key_length", head_dim);
    t.add_integer("attention.value_length", head_dim);
    t.add_integer("rope.dimension_count", head_dim);
    t.add("feed_forward_length",
          MetadataArray(by_letter(pattern, {{'-', t.integer_or("intermediate_size", 21504)},
                                            {'E', t.integer_or("moe_intermediate_size", 7688)}})));
    const int64_t mamba_heads = t.integer_or("mamba_num_heads", 128);
    const int64_t mamba_head_dim = t.integer_or("mamba_head_dim", 64);
    if (mamba_heads < 1 || mamba_heads > kMaxInner || mamba_head_dim < 1 || mamba_head_dim > kMaxInner)
        t.refuse("mamba_num_heads", std::to_string(mamba_heads) + " of " + std::to_string(mamba_head_dim));
    t.add_integer("ssm.conv_kernel", t.integer_or("conv_kernel", 4));
    t.add_integer("ssm.inner_size", mamba_heads * mamba_head_dim);
    t.add_integer("ssm.time_step_rank", mamba_heads);
    t.add_integer("ssm.group_count", t.integer_or("mamba_n_groups", t.integer_or("n_groups", 8)));
    t.add_integer("ssm.state_size", t.integer_or("ssm_state_size", 128));
    t.add("ssm.time_step_min", t.number_or("mamba_dt_min", t.number_or("time_step_min", kMinStep)));
    if (pattern.find('E') != std::string::npos) {
        t.set_architecture("nemotron_h_moe");
        translate_mixture(t);
        t.add("expert_weights_norm", t.boolean_or("norm_topk_prob", true));
        t.add_integer("expert_shared_feed_forward_length",
                      t.integer_or("moe_shared_expert_intermediate_size", 7688));
        if (t.config("moe_latent_size")) t.add_integer("moe_latent_size", t.integer("moe_latent_size"));
    }
    if (t.boolean_or("tie_word_embeddings", false)) t.leave_out("lm_head.");
    t.add_tensors({own_names});
}

}  // namespace agave
