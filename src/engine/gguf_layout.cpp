#include "engine/gguf_layout.h"

#include <algorithm>

#include "base/error.h"

namespace agave {

namespace {

constexpr std::string_view kGrouped = ".ssm.grouped_value_heads";

std::string_view architecture_of(const ModelFile& model) {
    return model.metadata().text("general.architecture");
}

[[noreturn]] void fail_rows(const ModelFile& model, const Tensor& tensor, int64_t n, int64_t heads) {
    fail(ErrorKind::bad_file,
         "'%s': the tensor '%s' has %lld rows or columns, which are not %lld heads alike",
         model.path().c_str(), printable(tensor.name).c_str(), static_cast<long long>(n),
         static_cast<long long>(heads));
}

int64_t rows_of(const Tensor& tensor) {
    return tensor.n_dims == 1 ? tensor.shape[0] : tensor.shape[1];
}

/// Llama's q and k: RoPE of halves becomes that of adjacent pairs.
RowOrder llama_order(const ModelFile& model, const Tensor& tensor) {
    const std::string_view name = tensor.name;
    const bool query = name.ends_with(".attn_q.weight") || name.ends_with(".attn_q.bias");
    const bool key = name.ends_with(".attn_k.weight") || name.ends_with(".attn_k.bias");
    if (!query && !key) return {};
    const char* count = query ? "llama.attention.head_count" : "llama.attention.head_count_kv";
    const int64_t heads = model.metadata().integer(count, 1, INT32_MAX);
    if (rows_of(tensor) % (2 * heads) != 0) fail_rows(model, tensor, rows_of(tensor), heads);
    return {.interleaved_head_dim = rows_of(tensor) / heads};
}

/// Qwen3.5's value heads of DeltaNet: those of one key head lie together in a folder, and as many apart as
/// there are key heads in GGUF.
RowOrder delta_net_order(const ModelFile& model, const Tensor& tensor) {
    const std::string prefix = std::string(architecture_of(model)) + ".ssm.";
    const auto size = [&](const char* name) { return model.metadata().integer(prefix + name, 1, 1 << 24); };
    const int64_t keys = size("group_count"), values = size("time_step_rank");
    const int64_t head = size("inner_size") / values, key_rows = 2 * keys * size("state_size");
    struct Line {
        std::string_view suffix;
        int64_t first, head;
        bool columns;
    };
    const Line lines[] = {
        {".attn_qkv.weight", key_rows, head, false},
        {".ssm_conv1d.weight", key_rows, head, false},
        {".attn_gate.weight", 0, head, false},
        {".ssm_alpha.weight", 0, 1, false},
        {".ssm_beta.weight", 0, 1, false},
        {".ssm_a", 0, 1, false},
        {".ssm_dt.bias", 0, 1, false},
        {".ssm_out.weight", 0, head, true},
    };
    for (const Line& line : lines) {
        if (!tensor.name.ends_with(line.suffix)) continue;
        const int64_t n = line.columns ? tensor.shape[0] : rows_of(tensor);
        if (values % keys != 0 || n != line.first + values * line.head) fail_rows(model, tensor, n, values);
        return {.first = line.first,
                .tiled_head = line.head,
                .n_tiles = keys,
                .heads_in_group = values / keys,
                .columns = line.columns};
    }
    return {};
}

}  // namespace

void check_gguf_layout(const ModelFile& model) {
    constexpr std::string_view kKnown[] = {
        "llama",  "qwen2", "qwen3",   "qwen3moe", "qwen35",     "qwen35moe",      "gemma2",   "gemma3",
        "gemma4", "glm4",  "glm4moe", "gpt-oss",  "nemotron_h", "nemotron_h_moe", "deepseek2"};
    const std::string_view architecture = architecture_of(model);
    if (model.layout() == Layout::gguf ||
        std::find(std::begin(kKnown), std::end(kKnown), architecture) != std::end(kKnown))
        return;
    fail(ErrorKind::unsupported, "'%s': agave makes a GGUF file of %s only from another GGUF file",
         model.path().c_str(), printable(architecture).c_str());
}

RowOrder gguf_order(const ModelFile& model, const Tensor& tensor) {
    if (model.layout() == Layout::gguf) return {};
    const std::string_view architecture = architecture_of(model);
    if (architecture == "llama") return llama_order(model, tensor);
    if (architecture.starts_with("qwen35")) return delta_net_order(model, tensor);
    return {};
}

void set_gguf_shape(const ModelFile& model, Tensor& tensor) {
    if (model.layout() == Layout::gguf || !architecture_of(model).starts_with("nemotron_h")) return;
    const std::string_view name = tensor.name;
    if (tensor.n_dims != 1) return;
    int64_t outer = 1;
    if (name.ends_with(".ssm_a") || name.ends_with(".ssm_d")) outer = tensor.shape[0];
    if (name.ends_with(".ssm_norm.weight"))
        outer =
            model.metadata().integer(std::string(architecture_of(model)) + ".ssm.group_count", 1, 1 << 24);
    if (outer == 1 || tensor.shape[0] % outer != 0) return;
    tensor.n_dims = 2;
    tensor.shape[0] /= outer;
    tensor.shape[1] = outer;
}

Format gguf_kept_format(const ModelFile& model, const Tensor& tensor, Format mix) {
    if (model.layout() == Layout::gguf) return tensor.format;
    const bool large = tensor.name.find("per_layer_model_proj") != std::string::npos;
    return large && mix != Format::f32 ? tensor.format : Format::f32;
}

void set_gguf_metadata(const ModelFile& model, std::vector<MetadataEntry>& entries) {
    if (model.layout() == Layout::gguf) return;
    std::erase_if(entries, [](const MetadataEntry& entry) { return entry.key.ends_with(kGrouped); });
}

}  // namespace agave
