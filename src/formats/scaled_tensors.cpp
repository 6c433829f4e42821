#include "formats/scaled_tensors.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace agave {

namespace {

/// Scales of activations, keys and values, which agave keeps as they are: they change nothing.
constexpr std::string_view kUnused[] = {
    ".input_scale",      ".input_global_scale",
    ".input_zero_point", ".activation_scale",
    ".output_scale",     ".q_scale",
    ".k_scale",          ".v_scale",
    ".kv_scale",         ".k_zero_point",
    ".v_zero_point",
};

/// The type of a tensor's numbers as scales (or, where `bytes` is i8, as zero points), or nothing.
std::optional<NumberType> number_type(SafeType type, NumberType bytes) {
    switch (type) {
        case SafeType::f32:
            return NumberType::f32;
        case SafeType::f16:
            return NumberType::f16;
        case SafeType::bf16:
            return NumberType::bf16;
        case SafeType::f8_e4m3:
            return NumberType::e4m3;
        case SafeType::f8_e8m0:
            return NumberType::e8m0;
        case SafeType::u8:
            if (bytes == NumberType::e4m3 || bytes == NumberType::e8m0) return bytes;
            return {};
        case SafeType::i8:
            if (bytes == NumberType::i8) return bytes;
            return {};
        default:
            return {};
    }
}

}  // namespace

const SafeTensor* ScaledJoiner::take(const std::string& base, const char* suffix) {
    const SafeTensor* tensor = folder.find(base + suffix);
    if (tensor) used[static_cast<size_t>(tensor - folder.tensors.data())] = true;
    return tensor;
}

const SafeTensor& ScaledJoiner::need(const std::string& base, const char* suffix) {
    const SafeTensor* tensor = take(base, suffix);
    if (!tensor)
        fail(ErrorKind::bad_file, "'%s' has no tensor '%s'", folder.path.c_str(),
             printable(base + suffix).c_str());
    return *tensor;
}

void ScaledJoiner::fail_shape(const SafeTensor& tensor, const char* expected) const {
    std::string shape;
    for (int i = 0; i < tensor.n_dims; i++)
        shape += (i ? ", " : "") + std::to_string(tensor.shape[static_cast<size_t>(i)]);
    fail(ErrorKind::bad_file, "'%s': the tensor '%s' of %s [%s] does not fit: '%s' expects %s",
         folder.path.c_str(), printable(tensor.name).c_str(), safe_type_name(tensor.type), shape.c_str(),
         printable(config.method).c_str(), expected);
}

void ScaledJoiner::expect(const SafeTensor& tensor, SafeType type, int64_t n_elements,
                          const char* expected) const {
    if (tensor.type != type || tensor.n_elements() != n_elements) fail_shape(tensor, expected);
}

double ScaledJoiner::scalar(const SafeTensor& tensor) const {
    expect(tensor, SafeType::f32, 1, "one float32");
    return number_at(tensor.data, NumberType::f32, 0);
}

ScaledMatrix ScaledJoiner::matrix(const SafeTensor& weights, const ScaledFormat& format,
                                  int64_t n_columns) const {
    if (weights.n_dims < 2 || weights.n_elements() == 0 || n_columns == 0)
        fail_shape(weights, "a matrix that is not empty");
    const int64_t n_rows = weights.n_elements() / weights.shape[static_cast<size_t>(weights.n_dims - 1)];
    return {.format = &format, .n_rows = n_rows, .n_columns = n_columns, .weights = weights.data};
}

NumberGrid ScaledJoiner::grid(const SafeTensor& scales, const SafeTensor& weights, const ScaledMatrix& m,
                              NumberType bytes) const {
    const std::optional<NumberType> type = number_type(scales.type, bytes);
    if (!type || scales.n_elements() == 0) fail_shape(scales, "numbers for the blocks of a matrix");
    const auto dim = [&](int i) {
        return scales.n_dims >= i ? scales.shape[static_cast<size_t>(scales.n_dims - i)] : 1;
    };
    const int64_t each = weights.shape[static_cast<size_t>(weights.n_dims - 2)];
    NumberGrid grid{scales.data, *type, m.n_rows, m.n_columns, 1};
    if (scales.n_elements() == 1) return grid;
    const auto fits = [&](int64_t rows, int64_t columns) {
        grid.rows_each = rows ? rows : each;
        grid.columns_each = columns ? columns : m.n_columns;
        const int64_t below = (each + grid.rows_each - 1) / grid.rows_each;
        grid.stride = (m.n_columns + grid.columns_each - 1) / grid.columns_each;
        // Blocks may reach over the last row, but not into the next matrix.
        const bool whole = each == m.n_rows || each % grid.rows_each == 0;
        return whole && scales.n_elements() == m.n_rows / each * below * grid.stride &&
               (scales.n_dims == 1 ? grid.stride == 1 : dim(1) == grid.stride);
    };
    if (fits(1, 0) || fits(0, 0)) return grid;
    for (const ScaledConfig::Block block : config.blocks)
        if (fits(block.rows, block.columns)) return grid;
    const bool even = each % dim(2) == 0 && m.n_columns % dim(1) == 0;
    if (even && fits(each / dim(2), m.n_columns / dim(1))) return grid;
    fail_shape(scales, ("numbers for the blocks of '" + printable(weights.name) + "'").c_str());
}

void ScaledJoiner::add(const SafeTensor& weights, std::string name, const ScaledMatrix& matrix) {
    auto kept = std::make_shared<const ScaledMatrix>(matrix);
    SafeTensor tensor;
    tensor.name = std::move(name);
    tensor.file = weights.file;
    tensor.n_dims = 2;
    tensor.shape = {matrix.n_rows, matrix.n_columns};
    tensor.n_bytes = weights.n_bytes;
    tensor.scaled = kept.get();
    folder.scaled.push_back(std::move(kept));
    joined.push_back(std::move(tensor));
}

void ScaledJoiner::add_like(const SafeTensor& weights, std::string name, const ScaledMatrix& matrix) {
    add(weights, std::move(name), matrix);
    SafeTensor& tensor = joined.back();
    tensor.n_dims = weights.n_dims;
    tensor.shape = weights.shape;
    tensor.shape[static_cast<size_t>(weights.n_dims - 1)] = matrix.n_columns;
}

/// Puts the matrices in the place of their parts.
static void finish(ScaledJoiner& joiner) {
    std::vector<SafeTensor>& tensors = joiner.folder.tensors;
    for (size_t i = 0; i < tensors.size(); i++) {
        const std::string_view name = tensors[i].name;
        const auto ends = [&](std::string_view suffix) { return name.ends_with(suffix); };
        if (joiner.used[i] || std::any_of(std::begin(kUnused), std::end(kUnused), ends)) continue;
        joiner.joined.push_back(std::move(tensors[i]));
    }
    tensors = std::move(joiner.joined);
    index_tensors(joiner.folder);
}

/// The configuration that tells how the weights are stored; absent where they are plain.
static JsonValue find_config(const HuggingFaceFolder& folder, std::string_view& method,
                             std::shared_ptr<const JsonFile>& own_file) {
    const JsonValue root = folder.config->root();
    const JsonValue mlx = root["quantization"];
    method = "MLX";
    if (mlx.is(JsonKind::object) && mlx["group_size"]) return mlx;
    JsonValue config = root["quantization_config"];
    if (!config.is(JsonKind::object)) config = root["text_config"]["quantization_config"];
    if (!config.is(JsonKind::object)) config = root["compression_config"];
    if (config.is(JsonKind::object)) {
        const JsonValue name = config["quant_method"];
        if (!name && config["group_size"] && config["bits"]) return config;
        method = name.is(JsonKind::text) ? name.as_text() : "";
        return config;
    }
    // ModelOpt's own file beside config.json.
    constexpr size_t kMaxBytes = 16 << 20;
    method = "modelopt";
    if (folder.on_disk) own_file = open_json_file(folder.path + "/hf_quant_config.json", kMaxBytes);
    return own_file ? own_file->root()["quantization"] : JsonValue();
}

void join_scaled_tensors(HuggingFaceFolder& folder) {
    std::string_view name;
    std::shared_ptr<const JsonFile> own_file;
    const JsonValue json = find_config(folder, name, own_file);
    if (!json) return;
    for (const ScaledMethod& method : kScaledMethods) {
        if (name != method.name) continue;
        ScaledJoiner joiner{folder, {json, name}};
        method.read(folder, joiner.config);
        for (const SafeTensor& tensor : folder.tensors)
            for (const ScaledScheme& scheme : method.schemes)
                if (tensor.type == scheme.type && tensor.name.ends_with(scheme.suffix))
                    scheme.join(joiner, tensor,
                                tensor.name.substr(0, tensor.name.size() - scheme.suffix.size()));
        finish(joiner);
        return;
    }
    fail(ErrorKind::unsupported,
         "'%s': the weights are quantised by the method '%s', which agave does not know",
         folder.config->path().c_str(), printable(name).c_str());
}

}  // namespace agave
