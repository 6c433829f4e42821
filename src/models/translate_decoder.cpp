#include <algorithm>
#include <cmath>
#include <numbers>

#include "base/error.h"
#include "models/common.h"
#include "models/translation.h"

namespace agave {

namespace {

constexpr TensorName decoder_names[] = {
    {"embed_tokens", "token_embd"},
    {"norm", "output_norm"},
    {"lm_head", "output"},
    {"layers.*.input_layernorm", "blk.*.attn_norm"},
    {"layers.*.self_attn.q_proj", "blk.*.attn_q"},
    {"layers.*.self_attn.k_proj", "blk.*.attn_k"},
    {"layers.*.self_attn.v_proj", "blk.*.attn_v"},
    {"layers.*.self_attn.o_proj", "blk.*.attn_output"},
    {"layers.*.self_attn.q_norm", "blk.*.attn_q_norm"},
    {"layers.*.self_attn.k_norm", "blk.*.attn_k_norm"},
    {"layers.*.post_attention_layernorm", "blk.*.ffn_norm"},
    {"layers.*.mlp.gate_proj", "blk.*.ffn_gate"},
    {"layers.*.mlp.up_proj", "blk.*.ffn_up"},
    {"layers.*.mlp.down_proj", "blk.*.ffn_down"},
};

constexpr TensorName mixture_names[] = {
    {"layers.*.mlp.gate", "blk.*.ffn_gate_inp"},
    {"layers.*.mlp.gate.e_score_correction_bias", "blk.*.exp_probs_b.bias"},
    {"layers.*.mlp.experts.*.gate_proj", "blk.*.ffn_gate_exps"},
    {"layers.*.mlp.experts.*.up_proj", "blk.*.ffn_up_exps"},
    {"layers.*.mlp.experts.*.down_proj", "blk.*.ffn_down_exps"},
    {"layers.*.mlp.switch_mlp.gate_proj", "blk.*.ffn_gate_exps"},  // MLX's
    {"layers.*.mlp.switch_mlp.up_proj", "blk.*.ffn_up_exps"},
    {"layers.*.mlp.switch_mlp.down_proj", "blk.*.ffn_down_exps"},
    {"layers.*.mlp.shared_experts.gate_proj", "blk.*.ffn_gate_shexp"},
    {"layers.*.mlp.shared_experts.up_proj", "blk.*.ffn_up_shexp"},
    {"layers.*.mlp.shared_experts.down_proj", "blk.*.ffn_down_shexp"},
    {"layers.*.eh_proj", "blk.*.nextn.eh_proj"},
    {"layers.*.enorm", "blk.*.nextn.enorm"},
    {"layers.*.hnorm", "blk.*.nextn.hnorm"},
    {"layers.*.embed_tokens", "blk.*.nextn.embed_tokens"},
    {"layers.*.shared_head.head", "blk.*.nextn.shared_head_head"},
    {"layers.*.shared_head.norm", "blk.*.nextn.shared_head_norm"},
};

/// Where a RoPE is described, by whichever version of transformers.
struct RopeSource {
    const Translation& t;
    JsonValue own;  ///< rope_parameters (of the kind of layer), or rope_scaling

    RopeSource(const Translation& translation, const char* layer_type) : t(translation) {
        own = t.config("rope_parameters");
        if (layer_type && own[layer_type].is(JsonKind::object)) own = own[layer_type];
        if (!own) own = t.config("rope_scaling");
    }
    JsonValue operator[](const char* name) const {
        const JsonValue value = own[name];
        return value.is(JsonKind::null) ? JsonValue() : value;
    }
    double number(const char* name) const { return t.number_of((*this)[name], name); }
    double number_or(const char* name, double fallback) const {
        return (*this)[name] ? number(name) : fallback;
    }
    std::string_view type(std::string_view fallback) const {
        const JsonValue type = (*this)["rope_type"] ? (*this)["rope_type"] : (*this)["type"];
        return type ? t.text_of(type, "rope_type") : fallback;
    }
    int64_t original_context() const {
        const JsonValue own_value = (*this)["original_max_position_embeddings"];
        return own_value ? t.integer_of(own_value, "original_max_position_embeddings")
                         : t.integer("max_position_embeddings");
    }
};

void translate_yarn(Translation& t, const RopeSource& rope) {
    const double original = static_cast<double>(rope.original_context());
    const double factor = rope["factor"]
                              ? rope.number("factor")
                              : static_cast<double>(t.integer("max_position_embeddings")) / original;
    t.add("rope.scaling.type", std::string_view("yarn"));
    t.add("rope.scaling.factor", factor);
    t.add_integer("rope.scaling.original_context_length", rope.original_context());
    t.add("rope.scaling.yarn_beta_fast", rope.number_or("beta_fast", 32));
    t.add("rope.scaling.yarn_beta_slow", rope.number_or("beta_slow", 1));
    if (const JsonValue truncate = rope["truncate"]; truncate.is(JsonKind::boolean))
        t.add("rope.scaling.yarn_truncate", truncate.as_boolean());
    const double mscale = rope.number_or("mscale", 0), all_dim = rope.number_or("mscale_all_dim", 0);
    const auto magnitude = [&](double scale) {
        return factor <= 1 ? 1.0 : 0.1 * scale * std::log(factor) + 1.0;
    };
    if (rope["attention_factor"])
        t.add("rope.scaling.attn_factor", rope.number("attention_factor"));
    else if (mscale != 0 && all_dim != 0)
        t.add("rope.scaling.attn_factor", magnitude(mscale) / magnitude(all_dim));
}

/// Llama 3.1's scaling as the divisor of each pair's frequency: transformers' _compute_llama3_parameters.
void translate_llama3(Translation& t, const RopeSource& rope, double base, int64_t n_dims) {
    const float factor = static_cast<float>(rope.number("factor"));
    const float low = static_cast<float>(rope.number("low_freq_factor"));
    const float high = static_cast<float>(rope.number("high_freq_factor"));
    const float context = static_cast<float>(rope.original_context());
    std::vector<float> divisors;
    for (const float frequency : rope_table(base, n_dims).inverse_frequencies) {
        const float wavelength = 2 * std::numbers::pi_v<float> / frequency;
        const float smooth = (context / wavelength - low) / (high - low);
        if (wavelength > context / low)
            divisors.push_back(factor);
        else if (wavelength < context / high)
            divisors.push_back(1.0f);
        else
            divisors.push_back(1.0f / ((1.0f - smooth) / factor + smooth));
    }
    t.add_vector("rope_freqs.weight", std::move(divisors));
}

/// Gemma 4's proportional RoPE: only the first pairs of the whole head rotate.
void translate_proportional(Translation& t, const RopeSource& rope, int64_t head_dim, double default_share) {
    const double factor = rope.number_or("factor", 1);
    const double share = rope.number_or("partial_rotary_factor", default_share);
    const double n_rotated = std::floor(share * static_cast<double>(head_dim) / 2);
    if (!(factor > 0) || !(share >= 0 && share <= 1))
        fail(ErrorKind::bad_file, "'%s': RoPE with factor %g over a share %g of the head is out of range",
             t.config_path().c_str(), factor, share);
    constexpr float kNever = 1e30f;
    std::vector<float> divisors;
    for (int64_t i = 0; i < head_dim / 2; i++)
        divisors.push_back(static_cast<double>(i) < n_rotated ? static_cast<float>(factor) : kNever);
    t.add_vector("rope_freqs.weight", std::move(divisors));
}

}  // namespace

const std::span<const TensorName> kDecoderNames = decoder_names;
const std::span<const TensorName> kMixtureNames = mixture_names;

/// Layers for multi-token prediction (DeepSeek-V3, section 2.2), numbered on from the others.
static int64_t count_prediction_layers(const Translation& t, int64_t n_layers) {
    constexpr int64_t kMost = 16;
    int64_t n = 0;
    while (n < kMost && t.has_tensor("layers." + std::to_string(n_layers + n) + ".eh_proj.weight")) n++;
    return n;
}

int64_t translate_decoder(Translation& t, const DecoderDefaults& defaults) {
    const auto required_or = [&](const char* name, int64_t fallback) {
        return fallback ? t.integer_or(name, fallback) : t.integer(name);
    };
    const int64_t hidden = t.integer("hidden_size");
    const int64_t n_heads = required_or("num_attention_heads", defaults.n_heads);
    const int64_t kv_heads =
        t.integer_or("num_key_value_heads", defaults.kv_heads ? defaults.kv_heads : n_heads);
    if (n_heads < 1)
        fail(ErrorKind::bad_file, "'%s': 'num_attention_heads' is %lld; expected 1 or more",
             t.config_path().c_str(), static_cast<long long>(n_heads));
    const int64_t head_dim =
        t.integer_or("head_dim", defaults.head_dim ? defaults.head_dim : hidden / n_heads);
    if (head_dim < 1 || head_dim > 1 << 16)
        fail(ErrorKind::bad_file, "'%s': 'head_dim' is %lld; expected 1 to 65536", t.config_path().c_str(),
             static_cast<long long>(head_dim));
    const int64_t n_layers = t.n_layers();
    const int64_t n_prediction_layers = count_prediction_layers(t, n_layers);
    t.add_integer("block_count", n_layers + n_prediction_layers);
    if (n_prediction_layers) t.add_integer("nextn_predict_layers", n_prediction_layers);
    t.add_integer("context_length", required_or("max_position_embeddings", defaults.context_length));
    t.add_integer("embedding_length", hidden);
    if (defaults.same_heads && t.config("intermediate_size").is(JsonKind::integer))
        t.add_integer("feed_forward_length", t.integer("intermediate_size"));
    t.add_integer("attention.head_count", n_heads);
    if (defaults.same_heads) {
        t.add_integer("attention.head_count_kv", kv_heads);
        t.add_integer("attention.key_length", head_dim);
        t.add_integer("attention.value_length", head_dim);
    }
    t.add("attention.layer_norm_rms_epsilon", t.number_or(defaults.epsilon_name, defaults.epsilon));
    if (t.boolean_or("tie_word_embeddings", defaults.tied))
        t.leave_out("lm_head.");
    else if (!t.has_tensor("lm_head.weight"))
        fail(ErrorKind::bad_file,
             "'%s' has no lm_head.weight, and the output is not tied to the embedding by its config.json",
             t.config_path().c_str());
    return head_dim;
}

void translate_rope(Translation& t, int64_t head_dim, const RopeDefaults& defaults) {
    const RopeSource rope(t, defaults.layer_type);
    const double base =
        rope["rope_theta"] ? rope.number("rope_theta") : t.number_or(defaults.base_name, defaults.base);
    t.add((std::string("rope.freq_base") + defaults.key_suffix).c_str(), base);
    if (*defaults.key_suffix) return;
    const std::string_view type = rope.type(defaults.type);
    if (type == "proportional") return translate_proportional(t, rope, head_dim, defaults.partial_factor);
    const double share = rope.number_or("partial_rotary_factor",
                                        t.number_or("partial_rotary_factor", defaults.partial_factor));
    if (!(share > 0 && share <= 1))
        fail(ErrorKind::bad_file, "'%s': 'partial_rotary_factor' is %g; expected a number above 0, at most 1",
             t.config_path().c_str(), share);
    const int64_t n_dims = static_cast<int64_t>(static_cast<double>(head_dim) * share);
    t.add_integer("rope.dimension_count", n_dims);
    if (type == "yarn") return translate_yarn(t, rope);
    if (type == "llama3") return translate_llama3(t, rope, base, n_dims);
    if (type == "linear") {
        t.add("rope.scaling.type", std::string_view("linear"));
        t.add("rope.scaling.factor", rope.number("factor"));
    } else if (type != "default") {
        t.refuse("rope_type", std::string(type));
    }
}

void translate_mixture(Translation& t) {
    const auto first_of = [&](std::initializer_list<const char*> names) {
        for (const char* name : names)
            if (t.config(name)) return t.integer(name);
        return t.integer(*names.begin());
    };
    t.add_integer("expert_count", first_of({"n_routed_experts", "num_experts", "num_local_experts"}));
    t.add_integer("expert_used_count",
                  first_of({"num_experts_per_tok", "top_k_experts", "experts_per_token"}));
    if (t.config("moe_intermediate_size"))
        t.add_integer("expert_feed_forward_length", t.integer("moe_intermediate_size"));
    if (t.config("n_shared_experts")) t.add_integer("expert_shared_count", t.integer("n_shared_experts"));
    if (t.config("n_group")) t.add_integer("expert_group_count", t.integer("n_group"));
    if (t.config("topk_group")) t.add_integer("expert_group_used_count", t.integer("topk_group"));
    if (t.config("routed_scaling_factor"))
        t.add("expert_weights_scale", t.number_or("routed_scaling_factor", 1));
}

void translate_leading_dense(Translation& t, int64_t fallback) {
    int64_t n_dense = t.integer_or("first_k_dense_replace", fallback);
    if (const JsonValue types = t.config("mlp_layer_types"); types.is(JsonKind::array)) {
        n_dense = 0;
        bool sparse = false;
        for (const JsonValue type : types) {
            const bool dense = t.text_of(type, "mlp_layer_types") == "dense";
            if (dense && sparse) t.refuse("mlp_layer_types", "a list with a dense layer behind a sparse one");
            sparse |= !dense;
            n_dense += dense;
        }
    }
    t.add_integer("leading_dense_block_count", n_dense);
}

std::vector<bool> layers_of_type(const Translation& t, std::string_view kind,
                                 bool (*fallback)(int64_t layer)) {
    constexpr int64_t kMaxLayers = 512;
    const int64_t n_layers = std::clamp<int64_t>(t.integer("num_hidden_layers"), 0, kMaxLayers);
    const JsonValue types = t.config("layer_types");
    if (types && (!types.is(JsonKind::array) || static_cast<int64_t>(types.size()) < n_layers))
        fail(ErrorKind::bad_file, "'%s': 'layer_types' names %zu layers, expected %lld",
             t.config_path().c_str(), types.size(), static_cast<long long>(n_layers));
    std::vector<bool> result;
    JsonValue::Iterator type = types.begin();
    for (int64_t layer = 0; layer < n_layers; layer++) {
        result.push_back(types ? t.text_of(*type, "layer_types") == kind : fallback(layer));
        if (types) ++type;
    }
    return result;
}

}  // namespace agave
