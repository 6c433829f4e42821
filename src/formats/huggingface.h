#pragma once

#include <memory>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/mapped_file.h"
#include "formats/safetensors.h"

namespace agave {

/// A JSON file of a folder, and what it says. Texts of it view the mapped file or the document.
struct JsonFile {
    MappedFile file;
    Json json;

    explicit JsonFile(const std::string& path);
    JsonValue root() const { return json.root(); }
    const std::string& path() const { return file.path(); }
};

/// A model as Hugging Face keeps it: a folder with config.json and the weights in SafeTensors files, in their
/// own spelling.
struct HuggingFaceFolder {
    std::string path;     ///< of the folder, without a slash at the end
    bool on_disk = true;  ///< false: put together in memory, without files beside config and weights
    std::vector<MappedFile> weight_files;
    std::vector<SafeTensor> tensors;  ///< of all files, file after file
    std::shared_ptr<const JsonFile> config;
    std::shared_ptr<const JsonFile> generation_config;  ///< generation_config.json, or nullptr

    /// The tensor of this name, or nullptr. Logarithmic.
    const SafeTensor* find(std::string_view name) const;
    std::vector<uint32_t> by_name;                            ///< indices into tensors, sorted by name
    std::vector<std::shared_ptr<const ScaledMatrix>> scaled;  ///< what the tensors point to
};

/// Whether `path` names such a folder, or its config.json, its model.safetensors.index.json or one of its
/// SafeTensors files.
bool is_huggingface_path(const std::string& path);

/// Opens it: config.json and either model.safetensors, or the files that model.safetensors.index.json names,
/// or the only SafeTensors file of the folder; where `path` is a SafeTensors file that no index names, that
/// file. The index may name only files in the folder itself. Throws like ModelFile::open.
HuggingFaceFolder open_huggingface(const std::string& path);

/// A file of the folder, or nullptr where there is none. Throws Error(bad_file) for one that is no JSON or
/// larger than `max_bytes`.
std::shared_ptr<const JsonFile> open_json_file(const std::string& path, size_t max_bytes);

/// Makes one tensor, of the name that an ordinary one would have, of each weight matrix whose scales lie
/// apart, by quantization_config (or MLX's `quantization`) of config.json. Throws Error(unsupported) for a
/// method that agave does not know, and Error(bad_file) for parts that are missing or do not fit together.
void join_scaled_tensors(HuggingFaceFolder& folder);

/// Sorts the tensors' names into by_name; throws Error(bad_file) when one comes twice.
void index_tensors(HuggingFaceFolder& folder);

}  // namespace agave
