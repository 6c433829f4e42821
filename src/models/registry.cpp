#include "base/error.h"
#include "models/common.h"
#include "models/model.h"

namespace agave {

struct KnownArchitecture {
    const char* name;    ///< as GGUF spells it
    const char* option;  ///< of CMake
    void (*build)(const ModelFile& file, Model& model);
};

#include "models/architectures.inc"

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
