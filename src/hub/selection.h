#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace agave::hub {

/// A file that a repository offers.
struct OfferedFile {
    std::string path;
    uint64_t size;
};

/// A model among them: one GGUF file, the parts of a split one, or a SafeTensors model with all that belongs
/// to it.
struct OfferedModel {
    std::string label;               ///< "Q4_K_M", "safetensors", or the file's name where it tells no format
    std::vector<std::string> paths;  ///< what to fetch, the file to open first
    uint64_t size = 0;               ///< bytes of all of them
};

/// The models in a list of files, the one that people expect first (Q4_K_M, then its neighbours), and
/// SafeTensors last. Projectors for images (mmproj) are none.
std::vector<OfferedModel> offered_models(std::span<const OfferedFile> files);

/// The model that a selection names (a quantisation, without regard to case, or a file's path), the first one
/// for an empty selection; nullptr when there is none.
const OfferedModel* select_model(std::span<const OfferedModel> models, std::string_view selection);

/// The projector for images that goes with the GGUF models of a repository (float16 first), or nullptr.
const OfferedFile* offered_projector(std::span<const OfferedFile> files);

}  // namespace agave::hub
