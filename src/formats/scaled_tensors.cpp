#include <algorithm>

#include "base/error.h"
#include "formats/huggingface.h"
#include "quant/scaled.h"

namespace agave {

namespace {

/// Takes the tensors of a folder apart into those that stay and those that belong to a matrix with scales.
struct Joiner {
    HuggingFaceFolder& folder;
    std::vector<bool> used = std::vector<bool>(folder.tensors.size());
    std::vector<SafeTensor> joined = {};

    /// The tensor of this name, which stays none of its own; nullptr where there is none.
    const SafeTensor* take(const std::string& name) {
        const SafeTensor* tensor = folder.find(name);
        if (tensor) used[static_cast<size_t>(tensor - folder.tensors.data())] = true;
        return tensor;
    }
    const SafeTensor& take(const std::string& base, const char* suffix) {
        const SafeTensor* tensor = take(base + suffix);
        if (!tensor)
            fail(ErrorKind::bad_file, "'%s' has no tensor '%s'", folder.path.c_str(),
                 printable(base + suffix).c_str());
        return *tensor;
    }

    [[noreturn]] void fail_shape(const SafeTensor& tensor, const char* expected) const {
        fail(ErrorKind::bad_file, "'%s': the tensor '%s' of %lld entries of %s does not fit: expected %s",
             folder.path.c_str(), printable(tensor.name).c_str(), static_cast<long long>(tensor.n_elements()),
             safe_type_name(tensor.type), expected);
    }
    void expect(const SafeTensor& tensor, SafeType type, int64_t n_elements, const char* expected) const {
        if (tensor.type != type || tensor.n_elements() != n_elements) fail_shape(tensor, expected);
    }

    /// Puts the matrix in the place of its parts. `shape` is outermost first, its product n_rows * n_columns.
    void add(const SafeTensor& weights, std::string name, ScaledMatrix matrix,
             std::span<const int64_t> shape) {
        auto kept = std::make_shared<const ScaledMatrix>(matrix);
        SafeTensor tensor;
        tensor.name = std::move(name);
        tensor.file = weights.file;
        tensor.n_dims = static_cast<int>(shape.size());
        std::copy(shape.begin(), shape.end(), tensor.shape.begin());
        tensor.n_bytes = weights.n_bytes;
        tensor.scaled = kept.get();
        folder.scaled.push_back(std::move(kept));
        joined.push_back(std::move(tensor));
    }

    void finish() {
        for (size_t i = 0; i < folder.tensors.size(); i++)
            if (!used[i]) joined.push_back(std::move(folder.tensors[i]));
        folder.tensors = std::move(joined);
        index_tensors(folder);
    }
};

/// GPT-OSS: NAME_blocks [..., rows, groups, 16] and NAME_scales [..., rows, groups].
void join_mxfp4(Joiner& joiner) {
    constexpr std::string_view suffix = "_blocks";
    for (const SafeTensor& blocks : joiner.folder.tensors) {
        if (!blocks.name.ends_with(suffix) || blocks.n_dims < 3) continue;
        const std::string base = blocks.name.substr(0, blocks.name.size() - suffix.size());
        joiner.take(blocks.name);
        const SafeTensor& scales = joiner.take(base, "_scales");
        const size_t last = static_cast<size_t>(blocks.n_dims - 1);
        const int64_t n_groups = blocks.shape[last - 1];
        if (blocks.type != SafeType::u8 || blocks.shape[last] != 16 || blocks.n_elements() == 0)
            joiner.fail_shape(blocks, "blocks of 16 bytes");
        joiner.expect(scales, SafeType::u8, blocks.n_elements() / 16, "one byte for each block");
        const int64_t n_columns = n_groups * 32, n_rows = blocks.n_elements() / (n_groups * 16);
        std::vector<int64_t> shape(blocks.shape.begin(), blocks.shape.begin() + blocks.n_dims - 2);
        shape.push_back(n_columns);
        joiner.add(blocks, base,
                   {.format = &kScaledE2M1,
                    .n_rows = n_rows,
                    .n_columns = n_columns,
                    .weights = blocks.data,
                    .scales = {scales.data, NumberType::e8m0, 1, 32, n_groups}},
                   shape);
    }
}

struct Method {
    const char* name;
    void (*join)(Joiner& joiner);
};
constexpr Method kMethods[] = {{"mxfp4", join_mxfp4}};

}  // namespace

void join_scaled_tensors(HuggingFaceFolder& folder) {
    const JsonValue root = folder.config->root();
    JsonValue config = root["quantization_config"];
    if (!config.is(JsonKind::object)) config = root["text_config"]["quantization_config"];
    if (!config.is(JsonKind::object)) return;
    const JsonValue name = config["quant_method"];
    for (const Method& method : kMethods) {
        if (!name.is(JsonKind::text) || name.as_text() != method.name) continue;
        Joiner joiner{folder};
        method.join(joiner);
        joiner.finish();
        return;
    }
    fail(ErrorKind::unsupported,
         "'%s': the weights are quantised by the method '%s', which agave does not know",
         folder.config->path().c_str(), name.is(JsonKind::text) ? printable(name.as_text()).c_str() : "");
}

}  // namespace agave
