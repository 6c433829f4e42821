#include "base/error.h"
#include "models/common.h"
#include "models/model.h"

namespace agave {

#if AGAVE_MODEL_LLAMA
void build_llama(const ModelFile& file, Model& model);
#endif
#if AGAVE_MODEL_QWEN3
void build_qwen3(const ModelFile& file, Model& model);
#endif
#if AGAVE_MODEL_GEMMA3
void build_gemma3(const ModelFile& file, Model& model);
#endif

namespace {

/// Every architecture that agave knows; build is nullptr where its option is off.
struct KnownArchitecture {
    const char* name;
    const char* option;
    void (*build)(const ModelFile& file, Model& model);
};

constexpr KnownArchitecture known_architectures[] = {
#if AGAVE_MODEL_LLAMA
    {"llama", "AGAVE_MODEL_LLAMA", build_llama},
#else
    {"llama", "AGAVE_MODEL_LLAMA", nullptr},
#endif
#if AGAVE_MODEL_QWEN3
    {"qwen3", "AGAVE_MODEL_QWEN3", build_qwen3},
#else
    {"qwen3", "AGAVE_MODEL_QWEN3", nullptr},
#endif
#if AGAVE_MODEL_GEMMA3
    {"gemma3", "AGAVE_MODEL_GEMMA3", build_gemma3},
#else
    {"gemma3", "AGAVE_MODEL_GEMMA3", nullptr},
#endif
};

}  // namespace

std::vector<std::string> architecture_names() {
    std::vector<std::string> names;
    for (const KnownArchitecture& known : known_architectures)
        if (known.build) names.push_back(known.name);
    return names;
}

Model build_model(const ModelFile& file) {
    const std::string_view name = file.metadata().text("general.architecture");
    for (const KnownArchitecture& known : known_architectures) {
        if (name != known.name) continue;
        if (!known.build)
            fail(ErrorKind::unsupported,
                 "'%s' is a '%s' model, which this build leaves out; build with -D%s=ON to run it",
                 file.path().c_str(), known.name, known.option);
        Model model;
        model.architecture = name;
        read_common(file, model);
        known.build(file, model);
        fuse(model.graph);
        return model;
    }
    std::string names;
    for (const std::string& built : architecture_names()) names += (names.empty() ? "" : ", ") + built;
    fail(ErrorKind::unsupported, "'%s' is a '%s' model; this build runs %s", file.path().c_str(),
         printable(name).c_str(), names.c_str());
}

}  // namespace agave
