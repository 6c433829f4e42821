#include "models/common.h"

#include <cmath>
#include <cstring>

#include "base/error.h"

namespace agave {

namespace {

constexpr int64_t kMaxLayers = 512;
constexpr int64_t kMaxHeads = 4096;
constexpr int64_t kMaxHeadDim = 4096;
constexpr int64_t kMaxEmbedding = 1 << 20;
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
    const int64_t kv_heads =
        metadata.integer_or(key(model, "attention.head_count_kv"), n_heads, 1, kMaxHeads);
    if (n_heads % kv_heads != 0)
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

float read_epsilon(const ModelFile& file, const Model& model) {
    const std::string name = key(model, "attention.layer_norm_rms_epsilon");
    const double epsilon = file.metadata().number(name);
    if (!(epsilon > 0 && epsilon < 1))
        fail(ErrorKind::bad_file, "'%s': %s is %g, expected a number between 0 and 1", file.path().c_str(),
             name.c_str(), epsilon);
    return static_cast<float>(epsilon);
}

RopeTable rope_table(double base, int64_t n_dims) {
    RopeTable table;
    for (int64_t i = 0; i < n_dims / 2; i++) {
        const float exponent = static_cast<float>(2 * i) / static_cast<float>(n_dims);
        table.inverse_frequencies.push_back(1.0f / std::pow(static_cast<float>(base), exponent));
    }
    return table;
}

RopeTable scaled_rope_table(const ModelFile& file, const Model& model, double base, int64_t n_dims) {
    const Metadata& metadata = file.metadata();
    RopeTable table = rope_table(base, n_dims);
    const std::string_view type = metadata.text_or(key(model, "rope.scaling.type"), "none");
    double factor = metadata.number_or(key(model, "rope.scale_linear"), 1.0);
    if (type == "linear")
        factor = metadata.number(key(model, "rope.scaling.factor"));
    else if (type != "none")
        fail(ErrorKind::unsupported, "'%s' scales RoPE by '%s'; this build knows none, linear and llama3",
             file.path().c_str(), printable(type).c_str());
    if (!(factor > 0))
        fail(ErrorKind::bad_file, "'%s': the RoPE scaling factor is %g, expected a number above 0",
             file.path().c_str(), factor);
    for (float& frequency : table.inverse_frequencies) frequency /= static_cast<float>(factor);

    if (const Tensor* divisors = file.find("rope_freqs.weight")) {
        if (divisors->format != Format::f32 || divisors->n_elements() != n_dims / 2)
            fail(ErrorKind::bad_file,
                 "'%s': tensor 'rope_freqs.weight' has %lld entries of %s, expected %lld of F32",
                 file.path().c_str(), static_cast<long long>(divisors->n_elements()),
                 format_info(divisors->format).name, static_cast<long long>(n_dims / 2));
        for (size_t i = 0; i < table.inverse_frequencies.size(); i++) {
            float divisor;
            std::memcpy(&divisor, divisors->data + i * sizeof divisor, sizeof divisor);
            if (!(divisor > 0))
                fail(ErrorKind::bad_file,
                     "'%s': entry %zu of 'rope_freqs.weight' is %g, expected a number above 0",
                     file.path().c_str(), i, static_cast<double>(divisor));
            table.inverse_frequencies[i] /= divisor;
        }
    }
    return table;
}

double read_rope_base(const ModelFile& file, const Model& model, const char* suffix, double fallback) {
    const std::string name = key(model, "rope.") + suffix;
    const double base = file.metadata().number_or(name, fallback);
    if (!(base > 0))
        fail(ErrorKind::bad_file, "'%s': %s is %g, expected a number above 0", file.path().c_str(),
             name.c_str(), base);
    return base;
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
