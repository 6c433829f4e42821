#include "models/quantization.h"

#include <algorithm>
#include <charconv>
#include <cstring>
#include <numeric>

#include "base/error.h"

namespace agave {

namespace {

// The file types are those of llama_ftype in llama.cpp's llama.h.
constexpr Mix kMixes[] = {
    {"F32", 0, Format::f32, "32 bits a weight"},
    {"F16", 1, Format::f16, "16 bits a weight"},
    {"BF16", 32, Format::bf16, "16 bits a weight, the range of F32"},
    {"Q8_0", 7, Format::q8_0, "8.5 bits; hardly distinguishable from F16"},
    {"Q6_K", 18, Format::q6_k, "6.6 bits"},
    {"Q5_K_M", 17, Format::q5_k, "5.5 bits, more for half of attn_v and ffn_down"},
    {"Q5_K_S", 16, Format::q5_k, "5.5 bits"},
    {"Q5_1", 9, Format::q5_1, "6 bits"},
    {"Q5_0", 8, Format::q5_0, "5.5 bits"},
    {"Q4_K_M", 15, Format::q4_k, "4.5 bits, more for half of attn_v and ffn_down; the usual choice"},
    {"Q4_K_S", 14, Format::q4_k, "4.5 bits"},
    {"Q4_1", 3, Format::q4_1, "5 bits"},
    {"Q4_0", 2, Format::q4_0, "4.5 bits"},
    {"IQ4_NL", 25, Format::iq4_nl, "4.5 bits, levels that suit a bell curve"},
    {"IQ4_XS", 30, Format::iq4_xs, "4.25 bits, levels that suit a bell curve"},
    {"MXFP4_MOE", 38, Format::mxfp4, "experts in 4.25 bits, the rest in Q8_0"},
    {"NVFP4", 39, Format::nvfp4, "4.5 bits of floating point"},
    {"Q3_K_L", 13, Format::q3_k, "3.4 bits, Q5_K for attn_v, attn_output and ffn_down"},
    {"Q3_K_M", 12, Format::q3_k, "3.4 bits, Q4_K or Q5_K for attn_v, attn_output and ffn_down"},
    {"Q3_K_S", 11, Format::q3_k, "3.4 bits"},
    {"IQ3_M", 27, Format::iq3_s, "3.4 bits, Q4_K for attn_v and attn_output"},
    {"IQ3_S", 26, Format::iq3_s, "3.4 bits"},
    {"IQ3_XS", 22, Format::iq3_s, "3.3 bits"},
    {"IQ3_XXS", 23, Format::iq3_xxs, "3.1 bits"},
    {"Q2_K", 10, Format::q2_k, "2.6 bits, Q3_K for ffn_down and attn_output"},
    {"Q2_K_S", 21, Format::q2_k, "2.6 bits"},
    {"IQ2_M", 29, Format::iq2_s, "2.6 bits"},
    {"IQ2_S", 28, Format::iq2_xs, "2.3 bits, more for attn_v, attn_output and ffn_down"},
    {"IQ2_XS", 20, Format::iq2_xs, "2.3 bits"},
    {"IQ2_XXS", 19, Format::iq2_xxs, "2.1 bits"},
    {"TQ2_0", 37, Format::tq2_0, "2.1 bits, for models trained with three values"},
    {"TQ1_0", 36, Format::tq1_0, "1.7 bits, for models trained with three values"},
    {"Q2_0", 41, Format::q2_0, "2.25 bits, for models trained with four values"},
    {"Q1_0", 40, Format::q1_0, "1.1 bits, for models trained with two values"},
    {"IQ1_M", 31, Format::iq1_m, "1.75 bits"},
    {"IQ1_S", 24, Format::iq1_s, "1.56 bits"},
};

bool equal_names(std::string_view a, std::string_view b) {
    const auto upper = [](char c) { return c >= 'a' && c <= 'z' ? static_cast<char>(c - 32) : c; };
    return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                      [&](char x, char y) { return upper(x) == upper(y); });
}

bool has(std::string_view name, std::string_view part) {
    return name.find(part) != std::string_view::npos;
}

/// What the choices depend on.
struct Facts {
    bool falcon = false;
    int64_t n_layers = 0;
    int64_t n_experts = 0;
    int64_t heads_per_kv = 1;
    bool has_output = false;
    bool has_importance = false;
    int64_t n_values = 0;  ///< attn_v, attn_qkv and attn_kv_b matrices
};

/// The layer of `blk.7.attn_v.weight`, or -1.
int64_t layer_of(std::string_view name) {
    if (!name.starts_with("blk.")) return -1;
    int64_t layer = -1;
    std::from_chars(name.data() + 4, name.data() + name.size(), layer);
    return layer;
}

int64_t first_integer(const Metadata& metadata, const std::string& key, int64_t fallback) {
    const MetadataValue* value = metadata.find(key);
    if (!value) return fallback;
    if (std::holds_alternative<MetadataArray>(*value)) {
        const auto integers = metadata.integers(key);
        return integers && !integers->empty() ? integers->front() : fallback;
    }
    return metadata.integer(key, 0, INT32_MAX);
}

Facts facts_of(const ModelFile& model, const MixOptions& options) {
    const Metadata& metadata = model.metadata();
    const std::string architecture(metadata.text_or("general.architecture", ""));
    Facts facts;
    facts.falcon = architecture == "falcon";
    facts.n_layers = metadata.integer_or(architecture + ".block_count", 0, 0, INT32_MAX);
    facts.n_experts = metadata.integer_or(architecture + ".expert_count", 0, 0, INT32_MAX);
    const int64_t heads = first_integer(metadata, architecture + ".attention.head_count", 1);
    const int64_t kv_heads = first_integer(metadata, architecture + ".attention.head_count_kv", heads);
    facts.heads_per_kv = kv_heads > 0 ? heads / kv_heads : 0;
    facts.has_importance = options.has_importance;
    for (const Tensor& tensor : model.tensors()) {
        const std::string_view name = tensor.name;
        facts.n_values +=
            has(name, "attn_v.weight") || has(name, "attn_qkv.weight") || has(name, "attn_kv_b.weight");
        facts.has_output |= name == "output.weight";
    }
    return facts;
}

/// Layers at the beginning, at the end and every third between that get more bits.
bool use_more_bits(int64_t layer, int64_t n_layers) {
    return layer < n_layers / 8 || layer >= 7 * n_layers / 8 || (layer - n_layers / 8) % 3 == 2;
}

template <size_t kN>
bool one_of(std::string_view name, const char* const (&names)[kN]) {
    return std::find(std::begin(names), std::end(names), name) != std::end(names);
}

/// Walks the matrices in the order of layers and chooses. The counters say how many of a kind came before.
class Chooser {
  public:
    Chooser(const Mix& mix, const Facts& facts) : mix_(mix.name), format_(mix.format), facts_(facts) {}

    Format choose(const Tensor& tensor) {
        const std::string_view name = tensor.name;
        if (name == "output.weight" || (!facts_.has_output && name == "token_embd.weight"))
            return output(tensor);
        if (mix_ == "MXFP4_MOE") return tensor.shape[2] > 1 ? Format::mxfp4 : Format::q8_0;
        if (name == "token_embd.weight" || name == "per_layer_token_embd.weight") return embedding();
        if (is_tiny()) return tiny(name);
        if (has(name, "attn_v.weight")) return value();
        if (has(name, "attn_k.weight")) return query_key(true);
        if (has(name, "attn_q.weight")) return query_key(false);
        if (has(name, "ffn_down")) return down(name);
        if (has(name, "attn_output.weight")) return attention_output();
        if (has(name, "attn_qkv.weight")) return fused_attention();
        if (has(name, "ffn_gate")) return gate_up(name, n_gate_++);
        if (has(name, "ffn_up")) return gate_up(name, n_up_++);
        return format_;
    }

  private:
    bool is(const char* name) const { return mix_ == name; }
    bool is_tiny() const { return one_of(mix_, {"IQ2_XXS", "IQ2_XS", "IQ2_S", "IQ2_M", "IQ1_S", "IQ1_M"}); }

    Format output(const Tensor& tensor) const {
        if (facts_.falcon || tensor.shape[0] % 256 != 0) return Format::q8_0;
        if (is_tiny() || is("IQ3_XXS")) return Format::q5_k;
        if (is("MXFP4_MOE")) return Format::q8_0;
        return format_ == Format::q8_0 || one_of(mix_, {"F32", "F16", "BF16"}) ? format_ : Format::q6_k;
    }

    Format embedding() const {
        if (one_of(mix_, {"IQ2_XXS", "IQ2_XS", "IQ1_S", "IQ1_M"})) return Format::q2_k;
        if (one_of(mix_, {"IQ2_S", "IQ2_M", "IQ3_XXS"})) return Format::iq3_s;
        if (one_of(mix_, {"TQ1_0", "TQ2_0"})) return Format::q4_k;
        return format_;
    }

    Format tiny(std::string_view name) {
        const bool more = one_of(mix_, {"IQ2_S", "IQ2_M"});
        if (has(name, "attn_v.weight")) {
            ++n_value_;
            if (facts_.heads_per_kv >= 4 || facts_.n_experts >= 4) return Format::q4_k;
            return more ? Format::iq3_s : Format::q2_k;
        }
        if (facts_.n_experts == 8 && has(name, "attn_k.weight")) return Format::q4_k;
        if (has(name, "ffn_down")) {
            const bool early = n_down_++ < facts_.n_layers / 8;
            return !early ? format_ : more ? Format::iq3_s : Format::q2_k;
        }
        if (has(name, "attn_output.weight")) {
            if (facts_.n_experts == 8) return Format::q5_k;
            if (one_of(mix_, {"IQ1_S", "IQ1_M"})) return Format::iq2_xxs;
            if (more) return Format::iq3_s;
        }
        return format_;
    }

    Format value() {
        const int64_t index = n_value_++;
        const bool shared = facts_.heads_per_kv >= 4;
        Format format = format_;
        if (is("Q2_K")) format = shared ? Format::q4_k : Format::q3_k;
        if (is("Q2_K_S") && shared) format = Format::q4_k;
        if (is("IQ3_XXS"))
            format = shared ? Format::q4_k : facts_.has_importance ? Format::iq3_xxs : Format::iq3_s;
        if ((is("IQ3_XS") || is("IQ3_S")) && shared) format = Format::q4_k;
        if (is("IQ3_M")) format = Format::q4_k;
        if (is("Q3_K_M")) format = index < 2 ? Format::q5_k : Format::q4_k;
        if (is("Q3_K_L")) format = Format::q5_k;
        if ((is("IQ4_NL") || is("IQ4_XS")) && shared) format = Format::q5_k;
        if ((is("Q4_K_M") || is("Q5_K_M")) && use_more_bits(index, facts_.n_values)) format = Format::q6_k;
        if (is("Q4_K_S") && index < 4) format = Format::q5_k;
        return facts_.n_experts == 8 ? Format::q8_0 : format;
    }

    Format query_key(bool key) const {
        if (key && facts_.n_experts == 8) return Format::q8_0;
        if (is("IQ3_XS")) return Format::iq3_xxs;
        if (is("IQ3_XXS")) return Format::iq2_s;
        return format_;
    }

    /// The layer that counts for a feed-forward matrix: of models with experts that of its name.
    int64_t layer(std::string_view name, int64_t index) const {
        return facts_.n_experts > 1 ? layer_of(name) : index;
    }

    Format down(std::string_view name) {
        const int64_t i = layer(name, n_down_++), n = facts_.n_layers;
        const bool early = i < n / 8;
        Format format = format_;
        if (is("Q2_K")) format = Format::q3_k;
        if (is("Q2_K_S") && early) format = Format::q4_k;
        if (is("IQ3_XXS") && !facts_.has_importance) format = early ? Format::q4_k : Format::q3_k;
        if (is("Q3_K_M"))
            format = i < n / 16                              ? Format::q5_k
                     : !facts_.falcon || use_more_bits(i, n) ? Format::q4_k
                                                             : Format::q3_k;
        if (is("IQ3_M") && (early || (facts_.n_experts == 8 && use_more_bits(i, n)))) format = Format::q4_k;
        if (is("Q3_K_L")) format = facts_.falcon ? Format::q4_k : Format::q5_k;
        if (is("Q4_K_M") && !facts_.falcon && use_more_bits(i, n)) format = Format::q6_k;
        if (is("Q4_K_M") && facts_.falcon)
            format = i < n / 16 ? Format::q6_k : use_more_bits(i, n) ? Format::q5_k : Format::q4_k;
        if ((is("IQ4_NL") || is("IQ4_XS")) && early && !facts_.has_importance) format = Format::q5_k;
        if (is("Q5_K_M") && use_more_bits(i, n)) format = Format::q6_k;
        if (is("Q4_K_S") && early && !facts_.falcon) format = Format::q5_k;
        if (early && facts_.has_importance) {
            if (is("Q4_0")) format = Format::q4_1;
            if (is("Q5_0")) format = Format::q5_1;
        }
        return format;
    }

    Format attention_output() const {
        if (facts_.falcon) return is("Q3_K_L") ? Format::q4_k : format_;
        if (facts_.n_experts == 8)
            return one_of(mix_, {"Q2_K", "IQ3_XS", "IQ3_XXS", "Q3_K_S", "Q3_K_M", "IQ4_NL", "Q4_K_S",
                                 "Q4_K_M", "IQ3_S", "IQ3_M", "IQ4_XS"})
                       ? Format::q5_k
                       : format_;
        if (is("Q2_K")) return Format::q3_k;
        if (is("IQ3_XXS")) return Format::iq3_s;
        if (is("Q3_K_M") || is("IQ3_M")) return Format::q4_k;
        if (is("Q3_K_L")) return Format::q5_k;
        return format_;
    }

    Format fused_attention() const {
        if (is("Q3_K_M") || is("Q3_K_L") || is("IQ3_M")) return Format::q4_k;
        if (is("Q4_K_M")) return Format::q5_k;
        if (is("Q5_K_M")) return Format::q6_k;
        return format_;
    }

    Format gate_up(std::string_view name, int64_t index) const {
        const int64_t i = layer(name, index), n = facts_.n_layers;
        return is("IQ3_XS") && i >= n / 8 && i < 7 * n / 8 ? Format::iq3_xxs : format_;
    }

    const std::string_view mix_;
    const Format format_;
    const Facts& facts_;
    int64_t n_value_ = 0, n_down_ = 0, n_gate_ = 0, n_up_ = 0;
};

}  // namespace

std::span<const Mix> mixes() {
    return kMixes;
}

const Mix* find_mix(std::string_view name) {
    for (const Mix& mix : kMixes)
        if (equal_names(mix.name, name)) return &mix;
    return nullptr;
}

const FormatInfo* find_format(std::string_view name) {
    for (const FormatInfo& info : formats())
        if (equal_names(info.name, name)) return &info;
    return nullptr;
}

bool matches(std::string_view pattern, std::string_view name) {
    if (pattern.find_first_of("*?") == std::string_view::npos) return has(name, pattern);
    // Greedy with one point to return to: the last star.
    size_t p = 0, n = 0, star = std::string_view::npos, from = 0;
    while (n < name.size()) {
        if (p < pattern.size() && (pattern[p] == '?' || pattern[p] == name[n]) && pattern[p] != '*') {
            ++p;
            ++n;
        } else if (p < pattern.size() && pattern[p] == '*') {
            star = p++;
            from = n;
        } else if (star != std::string_view::npos) {
            p = star + 1;
            n = ++from;
        } else {
            return false;
        }
    }
    while (p < pattern.size() && pattern[p] == '*') ++p;
    return p == pattern.size();
}

bool is_quantizable(const Tensor& tensor) {
    const std::string_view name = tensor.name;
    if (!name.ends_with("weight") || tensor.n_rows() < 2) return false;
    constexpr const char* kKept[] = {"_norm.weight",
                                     "ffn_gate_inp.weight",
                                     "ffn_gate_inp_shexp.weight",
                                     "altup",
                                     "laurel",
                                     "per_layer_model_proj",
                                     "ssm_conv1d",
                                     "shortconv.conv.weight",
                                     "attn_rel_b.weight",
                                     "position_embd.weight",
                                     "token_types.weight",
                                     "ssm_a",
                                     "ssm_d",
                                     "rope_freqs"};
    return std::none_of(std::begin(kKept), std::end(kKept),
                        [&](const char* part) { return has(name, part); });
}

Format fitting_format(Format format, int64_t row_elements) {
    const auto divides = [&](Format f) { return row_elements % format_info(f).block_elements == 0; };
    if (divides(format)) return format;
    Format fallback = Format::f16;
    switch (format) {
        case Format::tq1_0:
        case Format::tq2_0:
            fallback = Format::q4_0;
            break;
        case Format::iq1_s:
        case Format::iq1_m:
        case Format::iq2_xxs:
        case Format::iq2_xs:
        case Format::iq2_s:
        case Format::iq3_xxs:
        case Format::iq3_s:
        case Format::q2_k:
        case Format::q3_k:
        case Format::iq4_xs:
            fallback = Format::iq4_nl;
            break;
        case Format::q4_k:
            fallback = Format::q5_0;
            break;
        case Format::q5_k:
            fallback = Format::q5_1;
            break;
        case Format::q6_k:
            fallback = Format::q8_0;
            break;
        default:
            break;
    }
    return divides(fallback) ? fallback : Format::f16;
}

std::vector<Format> choose_formats(const ModelFile& model, const Mix& mix, const MixOptions& options) {
    const std::vector<Tensor>& tensors = model.tensors();
    // The mixes count in the order of layers, whatever the file's.
    std::vector<uint32_t> order(tensors.size());
    std::iota(order.begin(), order.end(), 0u);
    std::sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) {
        const int64_t x = layer_of(tensors[a].name), y = layer_of(tensors[b].name);
        return x != y ? x < y : tensors[a].name < tensors[b].name;
    });
    const Facts facts = facts_of(model, options);
    Chooser chooser(mix, facts);
    const bool floats = one_of(mix.name, {"F32", "F16", "BF16"});
    std::vector<Format> chosen(tensors.size());
    std::vector<bool> used(options.rules.size());
    for (const uint32_t i : order) {
        const Tensor& tensor = tensors[i];
        chosen[i] = tensor.format;
        if (!is_quantizable(tensor)) continue;
        const Format by_mix = options.pure || floats ? mix.format : chooser.choose(tensor);
        const auto rule = std::find_if(options.rules.begin(), options.rules.end(),
                                       [&](const TensorRule& r) { return matches(r.pattern, tensor.name); });
        std::optional<Format> wanted;
        if (tensor.name == "output.weight") wanted = options.output_format;
        if (tensor.name == "token_embd.weight") wanted = options.embedding_format;
        if (rule != options.rules.end()) {
            wanted = rule->format;
            used[static_cast<size_t>(rule - options.rules.begin())] = true;
        }
        if (!wanted) {
            chosen[i] = fitting_format(by_mix, tensor.shape[0]);
            continue;
        }
        const FormatInfo& info = format_info(*wanted);
        if (tensor.shape[0] % info.block_elements != 0)
            fail(ErrorKind::usage, "the tensor '%s' has rows of %lld weights; %s needs a multiple of %d",
                 printable(tensor.name).c_str(), static_cast<long long>(tensor.shape[0]), info.name,
                 info.block_elements);
        chosen[i] = *wanted;
    }
    for (size_t i = 0; i < used.size(); ++i)
        if (!used[i])
            fail(ErrorKind::usage,
                 "--tensor-type: no matrix of the model matches '%s' before another rule does",
                 printable(options.rules[i].pattern).c_str());
    return chosen;
}

}  // namespace agave
