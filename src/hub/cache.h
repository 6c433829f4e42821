#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace agave::hub {

/// A model on the hub as the user names it: ORG/REPO, and behind a colon a quantisation or a file.
struct ModelName {
    std::string repository;  ///< "org/repo"
    std::string selection;   ///< "Q4_K_M", "sub/file.gguf" or empty
};

/// Reads ORG/REPO[:SELECTION]. Throws Error(usage) for anything that is no such name.
ModelName parse_model_name(const std::string& text);
/// True when `text` could be such a name (one slash, no dot or slash at its beginning).
bool like_model_name(std::string_view text);

/// True for a relative path without empty, "." and ".." parts, control characters, backslashes and parts
/// beyond 255 bytes: what may be made inside the cache from a name that came over the network.
bool safe_relative_path(std::string_view path);

/// The cache that Hugging Face's own tools use: HF_HUB_CACHE, else HF_HOME/hub, else
/// XDG_CACHE_HOME/huggingface/hub, else ~/.cache/huggingface/hub. Layout: huggingface_hub's documentation,
/// "Understand caching".
std::string cache_directory();
/// The token that `hf auth login` stored (HF_TOKEN_PATH or HF_HOME/token), or empty.
std::string stored_token();

/// The folder of one repository in the cache: blobs/, refs/, snapshots/.
struct CachedRepository {
    std::string repository;  ///< "org/repo"
    std::string path;
};
CachedRepository cached_repository(const std::string& repository);
/// All repositories of models in the cache, by name.
std::vector<CachedRepository> cached_repositories();

/// A file of a snapshot.
struct CachedFile {
    std::string path;  ///< inside the repository
    std::string full_path;
    uint64_t size;
};
/// The commit that refs/<revision> holds; empty when there is none.
std::string cached_commit(const CachedRepository& repository, const std::string& revision);
/// The files of a snapshot whose blobs are there, by path.
std::vector<CachedFile> snapshot_files(const CachedRepository& repository, const std::string& commit);

/// Makes the folder and those above it. Throws Error(runtime).
void make_directories(const std::string& path);

/// Links snapshots/<commit>/<path> to blobs/<blob>, in place of what was there.
void install_file(const CachedRepository& repository, const std::string& commit, const std::string& path,
                  const std::string& blob);
/// Writes refs/<revision>.
void install_ref(const CachedRepository& repository, const std::string& revision, const std::string& commit);

/// Removes a repository from the cache and returns the bytes that this freed. Throws Error(runtime).
uint64_t remove_repository(const CachedRepository& repository);

/// The file to open for a model in the cache (the first part of a split model; the folder of a snapshot that
/// holds SafeTensors); empty when it is not there.
std::string find_cached_model(const ModelName& name);

}  // namespace agave::hub
