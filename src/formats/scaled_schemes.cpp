#include <algorithm>
#include <cstring>

#include "base/error.h"
#include "formats/scaled_tensors.h"

namespace agave {

namespace {

[[noreturn]] void refuse(const HuggingFaceFolder& folder, const ScaledConfig& config, const char* name,
                         std::string_view what) {
    fail(ErrorKind::unsupported, "'%s': '%s' of the method '%s' is '%s', which agave does not run",
         folder.config->path().c_str(), name, printable(config.method).c_str(), printable(what).c_str());
}

[[noreturn]] void fail_entry(const HuggingFaceFolder& folder, const ScaledConfig& config, const char* name,
                             const char* expected) {
    fail(ErrorKind::bad_file, "'%s': '%s' of the quantisation '%s' is missing or wrong; expected %s",
         folder.config->path().c_str(), name, printable(config.method).c_str(), expected);
}

/// An integer of the configuration in [minimum, maximum].
int64_t integer(const HuggingFaceFolder& folder, const ScaledConfig& config, JsonValue from, const char* name,
                int64_t minimum, int64_t maximum) {
    const JsonValue value = from[name];
    if (!value.is(JsonKind::integer) || value.as_integer() < minimum || value.as_integer() > maximum)
        fail_entry(folder, config, name,
                   strprintf("an integer from %lld to %lld", static_cast<long long>(minimum),
                             static_cast<long long>(maximum))
                       .c_str());
    return value.as_integer();
}

/// A text of the configuration in lower case, or the fallback where there is none; one of `known`.
std::string text(const HuggingFaceFolder& folder, const ScaledConfig& config, const char* name,
                 std::string_view fallback, std::initializer_list<std::string_view> known) {
    const JsonValue value = config.json[name];
    if (value && !value.is(JsonKind::null) && !value.is(JsonKind::text))
        fail_entry(folder, config, name, "a text");
    std::string word(value.is(JsonKind::text) ? value.as_text() : fallback);
    for (char& c : word)
        if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
    if (std::find(known.begin(), known.end(), word) == known.end()) refuse(folder, config, name, word);
    return word;
}

constexpr int64_t kMaxGroup = 1 << 24;

int64_t last_dim(const SafeTensor& tensor) {
    return tensor.n_dims ? tensor.shape[static_cast<size_t>(tensor.n_dims - 1)] : 0;
}

bool is_float(SafeType type) {
    return type == SafeType::f32 || type == SafeType::f16 || type == SafeType::bf16;
}
NumberType float_type(SafeType type) {
    return type == SafeType::f32   ? NumberType::f32
           : type == SafeType::f16 ? NumberType::f16
                                   : NumberType::bf16;
}

/// Adds a block of a configuration: a group size, or rows and columns; null and -1 say that there is none.
void add_block(const HuggingFaceFolder& folder, ScaledConfig& config, JsonValue from, const char* name) {
    const JsonValue value = from[name];
    if (!value || value.is(JsonKind::null)) return;
    if (value.is(JsonKind::integer)) {
        if (const int64_t size = integer(folder, config, from, name, -1, kMaxGroup); size > 0)
            config.blocks.push_back({1, size});
        return;
    }
    const JsonValue rows = value.at(0), columns = value.at(1);
    const auto fine = [](JsonValue size) {
        return size.is(JsonKind::integer) && size.as_integer() > 0 && size.as_integer() <= kMaxGroup;
    };
    if (value.size() != 2 || !fine(rows) || !fine(columns)) fail_entry(folder, config, name, "two sizes");
    config.blocks.push_back({rows.as_integer(), columns.as_integer()});
}

void read_nothing(const HuggingFaceFolder&, ScaledConfig&) {}

void read_fp8(const HuggingFaceFolder& folder, ScaledConfig& config) {
    add_block(folder, config, config.json, "weight_block_size");
}

/// https://github.com/vllm-project/compressed-tensors, QuantizationConfig. Which layers a group of the
/// configuration is for, the tensors say themselves.
void read_compressed_tensors(const HuggingFaceFolder& folder, ScaledConfig& config) {
    const auto check_format = [&](JsonValue from) {
        const ScaledConfig part{from, config.method};
        text(folder, part, "format", "dense",
             {"dense", "int-quantized", "float-quantized", "naive-quantized", "pack-quantized",
              "mixed-precision", "nvfp4-pack-quantized", "mxfp4-pack-quantized", "mxfp8-quantized"});
    };
    check_format(config.json);
    if (const JsonValue sparsity = config.json["sparsity_config"]; sparsity.size() > 0)
        text(folder, {sparsity, config.method}, "format", "", {"dense"});
    if (config.json["transform_config"].size() > 0) refuse(folder, config, "transform_config", "a rotation");
    for (const JsonValue group : config.json["config_groups"]) {
        check_format(group);
        const JsonValue weights = group["weights"];
        if (!weights.is(JsonKind::object)) continue;
        config.bits.push_back(static_cast<int>(integer(folder, config, weights, "num_bits", 1, 16)));
        add_block(folder, config, weights, "group_size");
        add_block(folder, config, weights, "block_structure");
    }
}

/// NVIDIA ModelOpt's names of its algorithms. Layers that its AWQ or a mixture stores in other ways are
/// refused by their tensors.
void read_modelopt(const HuggingFaceFolder& folder, ScaledConfig& config) {
    text(folder, config, "quant_algo", "",
         {"fp8", "nvfp4", "mxfp8", "fp8_pb_wo", "fp8_per_channel_per_token", "mixed_precision"});
    config.blocks.push_back({128, 128});
}

void read_gptq(const HuggingFaceFolder& folder, ScaledConfig& config) {
    const int64_t bits = integer(folder, config, config.json, "bits", 2, 8);
    if (bits != 2 && bits != 4 && bits != 8) refuse(folder, config, "bits", std::to_string(bits));
    config.bits.push_back(static_cast<int>(bits));
    add_block(folder, config, config.json, "group_size");
    // The first version stores zero points less one, by words.
    if (text(folder, config, "checkpoint_format", "gptq", {"gptq", "gptq_v2"}) == "gptq")
        config.zero_offset = 1;
}

void read_awq(const HuggingFaceFolder& folder, ScaledConfig& config) {
    integer(folder, config, config.json, "bits", 4, 4);
    add_block(folder, config, config.json, "group_size");
    text(folder, config, "version", "gemm", {"gemm"});
}

/// GPT-OSS: NAME_blocks [..., rows, groups, 16] and NAME_scales [..., rows, groups].
void join_mxfp4(ScaledJoiner& joiner, const SafeTensor& blocks, const std::string& base) {
    if (blocks.n_dims < 3) return;
    joiner.take(blocks.name, "");
    const SafeTensor& scales = joiner.need(base, "_scales");
    const size_t last = static_cast<size_t>(blocks.n_dims - 1);
    if (blocks.shape[last] != 16) joiner.fail_shape(blocks, "blocks of 16 bytes");
    SafeTensor rows = blocks;
    rows.n_dims--;
    rows.shape[last - 1] *= 16;
    ScaledMatrix matrix = joiner.matrix(rows, kScaledE2M1, rows.shape[last - 1] * 2);
    joiner.expect(scales, SafeType::u8, blocks.n_elements() / 16, "one byte for each block");
    matrix.scales = {scales.data, NumberType::e8m0, 1, 32, matrix.n_columns / 32};
    joiner.add_like(rows, base, matrix);
}

/// NAME and NAME_scale_inv, or NAME_scale: both are multiplied. Without them it is no scheme's.
void join_float8(ScaledJoiner& joiner, const SafeTensor& weights, const std::string& name) {
    const SafeTensor* scales = joiner.take(name, "_scale_inv");
    if (!scales) scales = joiner.take(name, "_scale");
    if (!scales) return;
    joiner.take(name, "");
    const ScaledFormat& format = weights.type == SafeType::f8_e4m3 ? kScaledE4M3 : kScaledE5M2;
    const int64_t n_columns = last_dim(weights);
    ScaledMatrix matrix = joiner.matrix(weights, format, n_columns);
    matrix.scales = joiner.grid(*scales, weights, matrix, NumberType::e8m0);
    joiner.add_like(weights, name, matrix);
}

/// Two FP4 in a byte, and scales E4M3 for 16 (NVFP4) or E8M0 for 32 (MXFP4).
ScaledMatrix fp4_matrix(const ScaledJoiner& joiner, const SafeTensor& weights, const SafeTensor& scales) {
    const int64_t n_bytes = last_dim(weights);
    ScaledMatrix matrix = joiner.matrix(weights, kScaledE2M1, n_bytes * 2);
    const bool nvidia = scales.type == SafeType::f8_e4m3;
    const int64_t group = nvidia ? 16 : 32;
    if (!nvidia && scales.type != SafeType::u8 && scales.type != SafeType::f8_e8m0)
        joiner.fail_shape(scales, "scales of FP4: F8_E4M3, or U8 for E8M0");
    if (matrix.n_columns % group != 0 || scales.n_elements() != matrix.n_rows * matrix.n_columns / group)
        joiner.fail_shape(scales, nvidia ? "a scale for each 16 weights" : "a scale for each 32 weights");
    matrix.scales = {scales.data, nvidia ? NumberType::e4m3 : NumberType::e8m0, 1, group,
                     matrix.n_columns / group};
    return matrix;
}

/// ModelOpt: NAME.weight, .weight_scale, and .weight_scale_2, which is multiplied.
void join_fp4_modelopt(ScaledJoiner& joiner, const SafeTensor& weights, const std::string& base) {
    joiner.take(weights.name, "");
    ScaledMatrix matrix = fp4_matrix(joiner, weights, joiner.need(base, ".weight_scale"));
    if (matrix.scales.type == NumberType::e4m3)
        matrix.scale = joiner.scalar(joiner.need(base, ".weight_scale_2"));
    joiner.add_like(weights, weights.name, matrix);
}

/// compressed-tensors: NAME.weight_packed, .weight_scale, and .weight_global_scale, which divides.
void join_fp4_packed(ScaledJoiner& joiner, const SafeTensor& weights, const std::string& base) {
    joiner.take(weights.name, "");
    ScaledMatrix matrix = fp4_matrix(joiner, weights, joiner.need(base, ".weight_scale"));
    if (matrix.scales.type == NumberType::e4m3)
        matrix.scale = 1.0 / joiner.scalar(joiner.need(base, ".weight_global_scale"));
    joiner.add_like(weights, base + ".weight", matrix);
}

/// compressed-tensors: NAME.weight, .weight_scale, .weight_zero_point where the codes are asymmetric.
void join_int8(ScaledJoiner& joiner, const SafeTensor& weights, const std::string& base) {
    joiner.take(weights.name, "");
    const int64_t n_columns = last_dim(weights);
    ScaledMatrix matrix = joiner.matrix(weights, kScaledInt8, n_columns);
    matrix.scales = joiner.grid(joiner.need(base, ".weight_scale"), weights, matrix, NumberType::u8);
    if (const SafeTensor* zeros = joiner.take(base, ".weight_zero_point"))
        matrix.zeros = joiner.grid(*zeros, weights, matrix, NumberType::i8);
    joiner.add_like(weights, weights.name, matrix);
}

/// The groups of columns that lie apart: int32 for each column. An entry of -1 says that the file has none.
const std::byte* read_group_index(const ScaledJoiner& joiner, const SafeTensor* index, int64_t n_columns,
                                  int64_t n_groups) {
    if (!index) return nullptr;
    joiner.expect(*index, SafeType::i32, n_columns, "the group of each column");
    for (int64_t i = 0; i < n_columns; i++) {
        const int32_t group = integer_at(index->data, i);
        if (group == -1) return nullptr;
        if (group < 0 || group >= n_groups) joiner.fail_shape(*index, "groups that there are scales of");
    }
    return index->data;
}

/// compressed-tensors: NAME.weight_packed, .weight_shape, .weight_scale; .weight_zero_point, packed along the
/// rows for scales of groups or rows; .weight_g_idx in older files.
void join_packed(ScaledJoiner& joiner, const SafeTensor& words, const std::string& base) {
    joiner.take(words.name, "");
    const SafeTensor& shape = joiner.need(base, ".weight_shape");
    joiner.expect(shape, SafeType::i64, 2, "the matrix's two dimensions");
    int64_t dims[2];
    std::memcpy(dims, shape.data, sizeof dims);
    if (words.n_dims != 2 || dims[0] != words.shape[0] || dims[1] < 1 || dims[1] > kMaxGroup)
        joiner.fail_shape(words, "rows as many as weight_shape says");
    SafeTensor weights = words;
    weights.shape[1] = dims[1];
    ScaledMatrix matrix = joiner.matrix(weights, kScaledPacked, dims[1]);
    for (const int bits : joiner.config.bits)
        if (bits <= 8 && (dims[1] * bits + 31) / 32 == words.shape[1]) matrix.bits = bits;
    if ((dims[1] * matrix.bits + 31) / 32 != words.shape[1])
        joiner.fail_shape(words, "rows of weight_shape's columns in num_bits");
    const SafeTensor& scales = joiner.need(base, ".weight_scale");
    matrix.scales = joiner.grid(scales, weights, matrix, NumberType::u8);
    if (const SafeTensor* zeros = joiner.take(base, ".weight_zero_point")) {
        if (zeros->type == SafeType::i32) {
            if (matrix.scales.rows_each != 1) joiner.fail_shape(scales, "scales for each row");
            joiner.expect(*zeros, SafeType::i32, (dims[0] * matrix.bits + 31) / 32 * matrix.scales.stride,
                          "zero points packed like the weights");
            matrix.packed_zeros = zeros->data;
        } else {
            matrix.zeros = joiner.grid(*zeros, weights, matrix, NumberType::i8);
            if (matrix.zeros.columns_each != matrix.scales.columns_each)
                joiner.fail_shape(*zeros, "a zero point for each scale");
        }
    }
    matrix.group_of_column =
        read_group_index(joiner, joiner.take(base, ".weight_g_idx"), dims[1], matrix.scales.stride);
    joiner.add(words, base + ".weight", matrix);
}

/// The scales [groups, rows] of a matrix that is stored transposed, and the groups of its columns.
void add_transposed_scales(ScaledJoiner& joiner, ScaledMatrix& matrix, const std::string& base,
                           int64_t zero_words) {
    const SafeTensor& scales = joiner.need(base, ".scales");
    if (!is_float(scales.type) || scales.n_dims != 2 || scales.shape[1] != matrix.n_rows ||
        scales.n_elements() == 0)
        joiner.fail_shape(scales, "a scale for each group and row");
    const int64_t n_groups = scales.shape[0];
    const SafeTensor& zeros = joiner.need(base, ".qzeros");
    joiner.expect(zeros, SafeType::i32, n_groups * zero_words, "packed zero points for each group and row");
    matrix.packed_zeros = zeros.data;
    const int64_t group = joiner.config.blocks.empty() ? matrix.n_columns : joiner.config.blocks[0].columns;
    matrix.scales = {scales.data, float_type(scales.type), 1, group, 1};
    matrix.group_of_column =
        read_group_index(joiner, joiner.take(base, ".g_idx"), matrix.n_columns, n_groups);
    if (!matrix.group_of_column && n_groups != (matrix.n_columns + group - 1) / group)
        joiner.fail_shape(scales, "groups of the configuration's group_size");
}

/// NAME.qweight [columns * bits / 32, rows], .qzeros [groups, rows * bits / 32], .scales [groups, rows],
/// .g_idx. The width may differ by layer (GPTQModel's `dynamic`); g_idx, as long as the row, tells it.
void join_gptq(ScaledJoiner& joiner, const SafeTensor& words, const std::string& base) {
    joiner.take(words.name, "");
    if (words.n_dims != 2 || words.n_elements() == 0) joiner.fail_shape(words, "a matrix that is not empty");
    int bits = joiner.config.bits[0];
    const SafeTensor* index = joiner.folder.find(base + ".g_idx");
    if (index && index->n_elements() > 0)
        for (const int other : {2, 4, 8})
            if (words.shape[0] * 32 == index->n_elements() * other) bits = other;
    const int64_t n_rows = words.shape[1];
    if (n_rows * bits % 32 != 0) joiner.fail_shape(words, "rows whose zero points fill whole words");
    ScaledMatrix matrix{.format = &kScaledGptq,
                        .n_rows = n_rows,
                        .n_columns = words.shape[0] * 32 / bits,
                        .weights = words.data,
                        .bits = bits};
    // A one in each field of a word.
    matrix.zero_offset = joiner.config.zero_offset * (0xFFFFFFFFu / ((1u << bits) - 1));
    add_transposed_scales(joiner, matrix, base, n_rows * bits / 32);
    joiner.add(words, base + ".weight", matrix);
}

/// NAME.qweight [columns, rows / 8], .qzeros [groups, rows / 8], .scales [groups, rows].
void join_awq(ScaledJoiner& joiner, const SafeTensor& words, const std::string& base) {
    joiner.take(words.name, "");
    if (words.n_dims != 2 || words.n_elements() == 0) joiner.fail_shape(words, "a matrix that is not empty");
    ScaledMatrix matrix{.format = &kScaledAwq,
                        .n_rows = words.shape[1] * 8,
                        .n_columns = words.shape[0],
                        .weights = words.data,
                        .bits = 4};
    add_transposed_scales(joiner, matrix, base, words.shape[1]);
    joiner.add(words, base + ".weight", matrix);
}

/// MLX: NAME.weight, words of one row; .scales; .biases of its affine mode. The configuration may have an
/// entry for the layer by its name.
void join_mlx(ScaledJoiner& joiner, const SafeTensor& words, const std::string& base) {
    const SafeTensor* scales = joiner.take(base, ".scales");
    if (!scales) return;
    joiner.take(words.name, "");
    const HuggingFaceFolder& folder = joiner.folder;
    ScaledConfig config{joiner.config.json, joiner.config.method};
    const JsonValue own = config.json[base];
    if (own.is(JsonKind::object)) config.json = own;
    const std::string mode = text(folder, config, "mode", "affine", {"affine", "mxfp4", "nvfp4", "mxfp8"});
    const int bits = static_cast<int>(integer(folder, config, config.json, "bits", 2, 8));
    const int64_t group = integer(folder, config, config.json, "group_size", 16, 128);
    const int64_t n_words = last_dim(words);
    const ScaledFormat& format = mode == "affine"  ? kScaledAffine
                                 : mode == "mxfp8" ? kScaledE4M3
                                                   : kScaledE2M1;
    ScaledMatrix matrix = joiner.matrix(words, format, n_words * 32 / bits);
    matrix.bits = bits;
    const bool fits = mode == "affine" ? bits != 7 && group % 32 == 0 : bits == (mode == "mxfp8" ? 8 : 4);
    if (!fits || n_words * 32 % bits != 0 || matrix.n_columns % group != 0)
        joiner.fail_shape(words, ("rows of whole groups of " + std::to_string(group) + " weights in " +
                                  std::to_string(bits) + " bits")
                                     .c_str());
    const int64_t n_groups = matrix.n_rows * (matrix.n_columns / group);
    const auto grid = [&](const SafeTensor& numbers) -> NumberGrid {
        const bool affine = mode == "affine";
        if ((affine ? !is_float(numbers.type) : numbers.type != SafeType::u8) ||
            numbers.n_elements() != n_groups)
            joiner.fail_shape(numbers, "a number for each group");
        const NumberType type = affine            ? float_type(numbers.type)
                                : mode == "nvfp4" ? NumberType::e4m3
                                                  : NumberType::e8m0;
        return {numbers.data, type, 1, group, matrix.n_columns / group};
    };
    matrix.scales = grid(*scales);
    if (mode == "affine") matrix.zeros = grid(joiner.need(base, ".biases"));
    joiner.add_like(words, base + ".weight", matrix);
}

constexpr ScaledScheme mxfp4_schemes[] = {{"_blocks", SafeType::u8, join_mxfp4}};
constexpr ScaledScheme fp8_schemes[] = {
    {"", SafeType::f8_e4m3, join_float8},
    {"", SafeType::f8_e5m2, join_float8},
};
constexpr ScaledScheme compressed_schemes[] = {
    {"", SafeType::f8_e4m3, join_float8},
    {"", SafeType::f8_e5m2, join_float8},
    {".weight_packed", SafeType::u8, join_fp4_packed},
    {".weight_packed", SafeType::i32, join_packed},
    {".weight", SafeType::i8, join_int8},
};
constexpr ScaledScheme modelopt_schemes[] = {
    {"", SafeType::f8_e4m3, join_float8},
    {".weight", SafeType::u8, join_fp4_modelopt},
};
constexpr ScaledScheme gptq_schemes[] = {{".qweight", SafeType::i32, join_gptq}};
constexpr ScaledScheme awq_schemes[] = {{".qweight", SafeType::i32, join_awq}};
constexpr ScaledScheme mlx_schemes[] = {{".weight", SafeType::u32, join_mlx}};
constexpr ScaledMethod methods[] = {
    {"mxfp4", read_nothing, mxfp4_schemes},
    {"fp8", read_fp8, fp8_schemes},
    {"fbgemm_fp8", read_nothing, fp8_schemes},
    {"compressed-tensors", read_compressed_tensors, compressed_schemes},
    {"modelopt", read_modelopt, modelopt_schemes},
    {"gptq", read_gptq, gptq_schemes},
    {"awq", read_awq, awq_schemes},
    {"MLX", read_nothing, mlx_schemes},
};

}  // namespace

const std::span<const ScaledMethod> kScaledMethods = methods;

}  // namespace agave
