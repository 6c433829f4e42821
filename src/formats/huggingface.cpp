#include "formats/huggingface.h"

#include <dirent.h>
#include <sys/stat.h>

#include <algorithm>
#include <numeric>

#include "base/error.h"

namespace agave {

namespace {

constexpr size_t kMaxConfigBytes = 16 << 20;
constexpr size_t kMaxIndexBytes = 128 << 20;
constexpr size_t kMaxWeightFiles = 10000;
constexpr std::string_view kIndexSuffix = ".safetensors.index.json";
constexpr std::string_view kWeightSuffix = ".safetensors";

bool is_folder(const std::string& path) {
    struct stat status{};
    return ::stat(path.c_str(), &status) == 0 && S_ISDIR(status.st_mode);
}
bool exists(const std::string& path) {
    struct stat status{};
    return ::stat(path.c_str(), &status) == 0;
}

std::string_view file_name(std::string_view path) {
    return path.substr(path.rfind('/') + 1);
}
std::string folder_of(const std::string& path) {
    const size_t slash = path.rfind('/');
    if (slash == std::string::npos) return ".";
    return slash == 0 ? "/" : path.substr(0, slash);
}

/// The files of the folder that end in .safetensors, sorted.
std::vector<std::string> list_weight_files(const std::string& folder) {
    std::vector<std::string> names;
    DIR* directory = ::opendir(folder.c_str());
    if (!directory) return names;
    while (const dirent* entry = ::readdir(directory))
        if (std::string_view(entry->d_name).ends_with(kWeightSuffix)) names.push_back(entry->d_name);
    ::closedir(directory);
    std::sort(names.begin(), names.end());
    return names;
}

/// Names that lead out of the folder, or that no file can have, are refused.
void check_file_name(const std::string& index_path, std::string_view name) {
    const bool plain = name.ends_with(kWeightSuffix) && name.size() <= 255 && !name.starts_with('.') &&
                       name.find_first_of(std::string_view("/\\\0", 3)) == std::string_view::npos;
    if (!plain)
        fail(ErrorKind::bad_file, "'%s' names the file '%s', which is no SafeTensors file of its own folder",
             index_path.c_str(), printable(name).c_str());
}

struct Index {
    std::shared_ptr<const JsonFile> file;
    std::vector<std::string_view> file_names;  ///< sorted, each once

    JsonValue weight_map() const { return file->root()["weight_map"]; }
};

Index read_index(const std::string& path) {
    Index index{open_json_file(path, kMaxIndexBytes), {}};
    if (!index.weight_map().is(JsonKind::object) || index.weight_map().size() == 0)
        fail(ErrorKind::bad_file, "'%s' has no weight_map", path.c_str());
    for (const JsonValue file : index.weight_map()) {
        if (!file.is(JsonKind::text))
            fail(ErrorKind::bad_file, "'%s': its weight_map holds something other than names", path.c_str());
        index.file_names.push_back(file.as_text());
    }
    std::sort(index.file_names.begin(), index.file_names.end());
    index.file_names.erase(std::unique(index.file_names.begin(), index.file_names.end()),
                           index.file_names.end());
    if (index.file_names.size() > kMaxWeightFiles)
        fail(ErrorKind::bad_file, "'%s' names %zu files; at most %zu are allowed", path.c_str(),
             index.file_names.size(), kMaxWeightFiles);
    for (const std::string_view name : index.file_names) check_file_name(path, name);
    return index;
}

/// Every tensor of the index must be in the file that the index names.
void check_index(const HuggingFaceFolder& folder, const Index& index) {
    const JsonValue map = index.weight_map();
    for (auto member = map.begin(); member != map.end(); ++member) {
        const SafeTensor* tensor = folder.find(member.name());
        const std::string_view name = (*member).as_text();
        if (!tensor || file_name(folder.weight_files[tensor->file].path()) != name)
            fail(ErrorKind::bad_file, "'%s' has no tensor '%s', which '%s' places there",
                 (folder.path + "/" + std::string(name)).c_str(), printable(member.name()).c_str(),
                 index.file->path().c_str());
    }
}

void add_weight_file(HuggingFaceFolder& folder, const std::string& name) {
    folder.weight_files.emplace_back(folder.path + "/" + name);
    const MappedFile& file = folder.weight_files.back();
    for (SafeTensor& tensor : parse_safetensors(file.bytes(), file.path())) {
        tensor.file = static_cast<uint32_t>(folder.weight_files.size() - 1);
        folder.tensors.push_back(std::move(tensor));
    }
}

/// Which index or which single file holds the weights; either may be empty.
struct WeightChoice {
    std::string index, file;
};

WeightChoice choose_weights(const std::string& folder, const std::string& opened) {
    if (opened.ends_with(kIndexSuffix)) return {opened, ""};
    const std::string index = "model.safetensors.index.json";
    if (opened.ends_with(kWeightSuffix)) {
        if (!exists(folder + "/" + index)) return {"", opened};
        const Index read = read_index(folder + "/" + index);
        const bool named = std::binary_search(read.file_names.begin(), read.file_names.end(), opened);
        return named ? WeightChoice{index, ""} : WeightChoice{"", opened};
    }
    if (exists(folder + "/model.safetensors")) return {"", "model.safetensors"};
    if (exists(folder + "/" + index)) return {index, ""};
    const std::vector<std::string> names = list_weight_files(folder);
    if (names.size() == 1) return {"", names[0]};
    if (names.empty())
        fail(ErrorKind::usage, "'%s' has a config.json, but no SafeTensors file with weights",
             folder.c_str());
    fail(ErrorKind::usage,
         "'%s' has %zu SafeTensors files and no model.safetensors.index.json that says which belong together;"
         " name one of them",
         folder.c_str(), names.size());
}

}  // namespace

JsonFile::JsonFile(const std::string& path)
    : file(path),
      json({reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size()}, file.path()) {}

std::shared_ptr<const JsonFile> open_json_file(const std::string& path, size_t max_bytes) {
    struct stat status{};
    if (::stat(path.c_str(), &status) != 0) return nullptr;
    if (static_cast<uint64_t>(status.st_size) > max_bytes)
        fail(ErrorKind::bad_file, "'%s' has %lld bytes; at most %zu are allowed", path.c_str(),
             static_cast<long long>(status.st_size), max_bytes);
    return std::make_shared<const JsonFile>(path);
}

const SafeTensor* HuggingFaceFolder::find(std::string_view name) const {
    const auto at = std::lower_bound(by_name.begin(), by_name.end(), name,
                                     [this](uint32_t i, std::string_view n) { return tensors[i].name < n; });
    if (at == by_name.end() || tensors[*at].name != name) return nullptr;
    return &tensors[*at];
}

void index_tensors(HuggingFaceFolder& folder) {
    folder.by_name.resize(folder.tensors.size());
    std::iota(folder.by_name.begin(), folder.by_name.end(), 0u);
    std::sort(folder.by_name.begin(), folder.by_name.end(),
              [&](uint32_t a, uint32_t b) { return folder.tensors[a].name < folder.tensors[b].name; });
    for (size_t i = 1; i < folder.by_name.size(); i++) {
        const SafeTensor& tensor = folder.tensors[folder.by_name[i]];
        if (tensor.name == folder.tensors[folder.by_name[i - 1]].name)
            fail(ErrorKind::bad_file, "'%s': the tensor '%s' comes twice", folder.path.c_str(),
                 printable(tensor.name).c_str());
    }
}

bool is_huggingface_path(const std::string& path) {
    return is_folder(path) || path.ends_with(kWeightSuffix) || path.ends_with(kIndexSuffix) ||
           file_name(path) == "config.json";
}

HuggingFaceFolder open_huggingface(const std::string& path) {
    HuggingFaceFolder folder;
    const bool whole_folder = is_folder(path);
    folder.path = whole_folder ? path : folder_of(path);
    while (folder.path.size() > 1 && folder.path.back() == '/') folder.path.pop_back();
    if (!whole_folder && !exists(path)) MappedFile missing(path);
    folder.config = open_json_file(folder.path + "/config.json", kMaxConfigBytes);
    if (!folder.config)
        fail(ErrorKind::usage,
             "'%s' holds no config.json, so it is no model of Hugging Face; expected a GGUF file or such a "
             "folder",
             folder.path.c_str());
    folder.generation_config = open_json_file(folder.path + "/generation_config.json", kMaxConfigBytes);

    const WeightChoice choice = choose_weights(folder.path, whole_folder ? "" : std::string(file_name(path)));
    if (!choice.file.empty()) {
        add_weight_file(folder, choice.file);
        index_tensors(folder);
        return folder;
    }
    const Index index = read_index(folder.path + "/" + choice.index);
    for (const std::string_view name : index.file_names) add_weight_file(folder, std::string(name));
    index_tensors(folder);
    check_index(folder, index);
    return folder;
}

}  // namespace agave
