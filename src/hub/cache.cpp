#include "hub/cache.h"

#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "base/error.h"
#include "hub/selection.h"

namespace agave::hub {

namespace {

constexpr size_t kMaxSmallFile = 4096;  // refs and tokens

struct DirectoryCloser {
    void operator()(DIR* directory) const { ::closedir(directory); }
};

std::string environment(const char* name) {
    const char* value = std::getenv(name);
    return value ? value : "";
}

std::string hugging_face_home() {
    std::string home = environment("HF_HOME");
    if (!home.empty()) return home;
    home = environment("XDG_CACHE_HOME");
    if (!home.empty()) return home + "/huggingface";
    home = environment("HOME");
    if (home.empty()) fail(ErrorKind::usage, "neither HF_HOME nor HOME is set: there is no place for models");
    return home + "/.cache/huggingface";
}

/// The content of a small file, or empty.
std::string small_file(const std::string& path) {
    std::FILE* file = std::fopen(path.c_str(), "rb");
    if (!file) return {};
    std::string text(kMaxSmallFile, 0);
    text.resize(std::fread(text.data(), 1, text.size(), file));
    std::fclose(file);
    while (!text.empty() && static_cast<unsigned char>(text.back()) <= ' ') text.pop_back();
    return text;
}

/// The names in a folder, sorted, without "." and "..".
std::vector<std::string> names_in(const std::string& path) {
    std::vector<std::string> names;
    const std::unique_ptr<DIR, DirectoryCloser> directory(::opendir(path.c_str()));
    while (directory) {
        const dirent* entry = ::readdir(directory.get());
        if (!entry) break;
        const std::string_view name = entry->d_name;
        if (name != "." && name != "..") names.emplace_back(name);
    }
    std::sort(names.begin(), names.end());
    return names;
}

void collect_files(const std::string& root, const std::string& prefix, int depth,
                   std::vector<CachedFile>& files) {
    for (const std::string& name : names_in(root + "/" + prefix)) {
        const std::string path = prefix.empty() ? name : prefix + "/" + name;
        struct stat status{};
        if (::stat((root + "/" + path).c_str(), &status) != 0) continue;
        if (S_ISDIR(status.st_mode) && depth > 0) collect_files(root, path, depth - 1, files);
        if (S_ISREG(status.st_mode))
            files.push_back({path, root + "/" + path, static_cast<uint64_t>(status.st_size)});
    }
}

bool valid_name_part(std::string_view part) {
    return !part.empty() && part.size() <= 96 && part.front() != '.' && part.front() != '-' &&
           std::all_of(part.begin(), part.end(), [](char c) {
               return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
                      c == '-' || c == '_' || c == '.';
           });
}

/// Bytes that removing everything under `path` frees, which it does.
uint64_t remove_tree(const std::string& path) {
    struct stat status{};
    if (::lstat(path.c_str(), &status) != 0) return 0;
    uint64_t freed = S_ISREG(status.st_mode) ? static_cast<uint64_t>(status.st_blocks) * 512 : 0;
    if (S_ISDIR(status.st_mode)) {
        for (const std::string& name : names_in(path)) freed += remove_tree(path + "/" + name);
        if (::rmdir(path.c_str()) != 0)
            fail(ErrorKind::runtime, "cannot remove '%s': %s", path.c_str(), std::strerror(errno));
    } else if (::unlink(path.c_str()) != 0) {
        fail(ErrorKind::runtime, "cannot remove '%s': %s", path.c_str(), std::strerror(errno));
    }
    return freed;
}

}  // namespace

bool like_model_name(std::string_view text) {
    text = text.substr(0, text.find(':'));
    const size_t slash = text.find('/');
    return slash != text.npos && valid_name_part(text.substr(0, slash)) &&
           valid_name_part(text.substr(slash + 1));
}

ModelName parse_model_name(const std::string& text) {
    if (!like_model_name(text))
        fail(ErrorKind::usage,
             "'%s' is not the name of a model: expected ORG/REPO, ORG/REPO:QUANT or ORG/REPO:FILE",
             printable(text).c_str());
    const size_t colon = text.find(':');
    ModelName name{text.substr(0, colon), colon == text.npos ? "" : text.substr(colon + 1)};
    if (colon != text.npos && !safe_relative_path(name.selection))
        fail(ErrorKind::usage, "'%s' names no quantisation or file behind the colon",
             printable(text).c_str());
    return name;
}

bool safe_relative_path(std::string_view path) {
    if (path.empty() || path.size() > 1024) return false;
    for (char c : path)
        if (static_cast<unsigned char>(c) < ' ' || c == 0x7f || c == '\\') return false;
    for (;;) {
        const size_t slash = path.find('/');
        const std::string_view part = path.substr(0, slash);
        if (part.empty() || part == "." || part == ".." || part.size() > 255) return false;
        if (slash == path.npos) return true;
        path.remove_prefix(slash + 1);
    }
}

std::string cache_directory() {
    const std::string directory = environment("HF_HUB_CACHE");
    return directory.empty() ? hugging_face_home() + "/hub" : directory;
}

std::string stored_token() {
    const std::string path = environment("HF_TOKEN_PATH");
    return small_file(path.empty() ? hugging_face_home() + "/token" : path);
}

CachedRepository cached_repository(const std::string& repository) {
    std::string folder = "models--" + repository;
    folder.replace(folder.find('/', 8), 1, "--");
    return {repository, cache_directory() + "/" + folder};
}

std::vector<CachedRepository> cached_repositories() {
    std::vector<CachedRepository> repositories;
    for (std::string name : names_in(cache_directory())) {
        if (!name.starts_with("models--")) continue;
        name.erase(0, 8);
        const size_t dashes = name.find("--");
        if (dashes == name.npos) continue;
        name.replace(dashes, 2, "/");
        if (like_model_name(name)) repositories.push_back(cached_repository(name));
    }
    return repositories;
}

std::string cached_commit(const CachedRepository& repository, const std::string& revision) {
    const std::string commit = small_file(repository.path + "/refs/" + revision);
    return safe_relative_path(commit) && commit.find('/') == commit.npos ? commit : "";
}

std::vector<CachedFile> snapshot_files(const CachedRepository& repository, const std::string& commit) {
    std::vector<CachedFile> files;
    if (!commit.empty()) collect_files(repository.path + "/snapshots/" + commit, "", 4, files);
    return files;
}

void make_directories(const std::string& path) {
    for (size_t slash = path.find('/', 1);; slash = path.find('/', slash + 1)) {
        const std::string part = path.substr(0, slash);
        if (::mkdir(part.c_str(), 0777) != 0 && errno != EEXIST)
            fail(ErrorKind::runtime, "cannot make the folder '%s': %s", part.c_str(), std::strerror(errno));
        if (slash == path.npos) return;
    }
}

void install_file(const CachedRepository& repository, const std::string& commit, const std::string& path,
                  const std::string& blob) {
    const std::string link = repository.path + "/snapshots/" + commit + "/" + path;
    make_directories(link.substr(0, link.rfind('/')));
    std::string target = "../../";
    for (char c : path)
        if (c == '/') target += "../";
    target += "blobs/" + blob;
    const std::string temporary = link + strprintf(".%d", static_cast<int>(::getpid()));
    ::unlink(temporary.c_str());
    if (::symlink(target.c_str(), temporary.c_str()) != 0 || ::rename(temporary.c_str(), link.c_str()) != 0)
        fail(ErrorKind::runtime, "cannot make the link '%s': %s", link.c_str(), std::strerror(errno));
}

void install_ref(const CachedRepository& repository, const std::string& revision, const std::string& commit) {
    const std::string path = repository.path + "/refs/" + revision;
    make_directories(path.substr(0, path.rfind('/')));
    const std::string temporary = path + strprintf(".%d", static_cast<int>(::getpid()));
    std::FILE* file = std::fopen(temporary.c_str(), "wb");
    const bool written = file && std::fwrite(commit.data(), 1, commit.size(), file) == commit.size();
    if ((file && std::fclose(file) != 0) || !written || ::rename(temporary.c_str(), path.c_str()) != 0)
        fail(ErrorKind::runtime, "cannot write '%s': %s", path.c_str(), std::strerror(errno));
}

uint64_t remove_repository(const CachedRepository& repository) {
    return remove_tree(repository.path);
}

std::string find_cached_model(const ModelName& name) {
    const CachedRepository repository = cached_repository(name.repository);
    const std::vector<CachedFile> files = snapshot_files(repository, cached_commit(repository, "main"));
    std::vector<OfferedFile> offered;
    for (const CachedFile& file : files) offered.push_back({file.path, file.size});
    const std::vector<OfferedModel> models = offered_models(offered);
    const OfferedModel* model = select_model(models, name.selection);
    if (!model) return {};
    const auto is_first = [&](const CachedFile& file) { return file.path == model->paths.front(); };
    const std::string& path = std::find_if(files.begin(), files.end(), is_first)->full_path;
    return model->label == "safetensors" ? path.substr(0, path.rfind('/')) : path;
}

}  // namespace agave::hub
