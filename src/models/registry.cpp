#include <algorithm>
#include <charconv>

#include "base/error.h"
#include "models/common.h"
#include "models/model.h"
#include "models/translation.h"

namespace agave {

struct KnownArchitecture {
    const char* name;         ///< as GGUF spells it
    const char* model_types;  ///< as config.json spells it, separated by spaces
    const char* option;       ///< of CMake
    void (*build)(const ModelFile& file, Model& model);
    void (*translate)(Translation& t);  ///< nullptr where no model_type is known
};

#include "models/architectures.inc"

std::vector<std::string> architecture_names() {
    std::vector<std::string> names;
    for (const KnownArchitecture& known : known_architectures)
        if (known.build) names.push_back(known.name);
    return names;
}

namespace {

bool has_word(std::string_view words, std::string_view word) {
    while (!words.empty()) {
        const size_t end = std::min(words.find(' '), words.size());
        if (words.substr(0, end) == word) return true;
        words.remove_prefix(std::min(end + 1, words.size()));
    }
    return false;
}

[[noreturn]] void fail_left_out(const std::string& path, const KnownArchitecture& known) {
    fail(ErrorKind::unsupported,
         "'%s' is a '%s' model, which this build leaves out; build with -D%s=ON to run it", path.c_str(),
         known.name, known.option);
}

[[noreturn]] void fail_unknown(const std::string& path, std::string_view name) {
    std::string names;
    for (const std::string& built : architecture_names()) names += (names.empty() ? "" : ", ") + built;
    fail(ErrorKind::unsupported, "'%s' is a '%s' model; this build runs %s", path.c_str(),
         printable(name).c_str(), names.c_str());
}

/// Refuses a file with a bias of attention or MLP that no operation adds: every number behind it would be
/// wrong.
void check_biases(const ModelFile& file, const Model& model) {
    std::vector<const Tensor*> added;
    for (const Operation& operation : model.graph.operations) {
        if (const auto* linear = std::get_if<op::Linear>(&operation)) added.push_back(linear->bias);
        if (const auto* experts = std::get_if<op::Experts>(&operation))
            added.insert(added.end(),
                         {experts->gate_bias, experts->up_bias, experts->down_bias, experts->choice_bias});
    }
    std::sort(added.begin(), added.end());
    for (const Tensor& tensor : file.tensors()) {
        const std::string_view name = tensor.name;
        const bool bias = name.starts_with("blk.") && name.ends_with(".bias") &&
                          (name.find(".attn_") != name.npos || name.find(".ffn_") != name.npos);
        if (!bias || std::binary_search(added.begin(), added.end(), &tensor)) continue;
        int64_t layer = -1;
        std::from_chars(name.data() + 4, name.data() + name.size(), layer);
        if (layer < 0 || layer >= model.n_layers) continue;  // a block behind the model's, not run
        fail(ErrorKind::unsupported,
             "'%s' has the tensor '%s', a bias that agave does not add in a '%s' model", file.path().c_str(),
             printable(name).c_str(), model.architecture.c_str());
    }
}

}  // namespace

ModelFile translate_folder(HuggingFaceFolder folder) {
    const JsonValue config = folder.config->root();
    const JsonValue model_type = config["model_type"];
    if (!model_type.is(JsonKind::text))
        fail(ErrorKind::bad_file, "'%s': 'model_type' is missing or no text", folder.config->path().c_str());
    for (const KnownArchitecture& known : known_architectures) {
        if (!has_word(known.model_types, model_type.as_text())) continue;
        if (!known.build) fail_left_out(folder.path, known);
        join_scaled_tensors(folder);
        Translation translation(std::move(folder), known.name);
        known.translate(translation);
        return translation.finish();
    }
    fail_unknown(folder.path, model_type.as_text());
}

ModelFile open_model_file(const std::string& path) {
    if (is_huggingface_path(path)) {
#if AGAVE_HUGGINGFACE
        return translate_folder(open_huggingface(path));
#else
        fail(ErrorKind::unsupported,
             "'%s' is a Hugging Face model, which this build leaves out; build with -DAGAVE_HUGGINGFACE=ON "
             "to run it",
             path.c_str());
#endif
    }
    return ModelFile::open(path);
}

Model build_model(const ModelFile& file) {
    const std::string_view name = file.metadata().text("general.architecture");
    for (const KnownArchitecture& known : known_architectures) {
        if (name != known.name) continue;
        if (!known.build) fail_left_out(file.path(), known);
        Model model;
        model.architecture = name;
        read_common(file, model);
        known.build(file, model);
        check_biases(file, model);
        fuse(model.graph);
        return model;
    }
    fail_unknown(file.path(), name);
}

}  // namespace agave
