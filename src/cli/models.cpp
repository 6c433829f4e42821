#include <algorithm>

#include "base/error.h"
#include "base/json_writer.h"
#include "cli/commands.h"
#include "cli/output.h"
#include "hub/cache.h"
#include "hub/selection.h"

namespace agave::cli {

namespace {

using hub::CachedFile;
using hub::CachedRepository;
using hub::OfferedModel;

/// A model of the cache, and the name that the other commands take for it.
struct CachedModel {
    std::string name;
    std::string path;  ///< of the file to open
    uint64_t size;
};

std::vector<CachedModel> models_of(const CachedRepository& repository) {
    const std::string commit = hub::cached_commit(repository, "main");
    std::vector<hub::OfferedFile> files;
    for (const CachedFile& file : hub::snapshot_files(repository, commit))
        files.push_back({file.path, file.size});
    std::vector<CachedModel> models;
    for (const OfferedModel& model : hub::offered_models(files)) {
        const std::string name = repository.repository + ":" + model.label;
        models.push_back({name, hub::find_cached_model(hub::parse_model_name(name)), model.size});
    }
    return models;
}

}  // namespace

int list_command(const CommandLine& line) {
    std::vector<CachedModel> models;
    for (const CachedRepository& repository : hub::cached_repositories())
        for (CachedModel& model : models_of(repository)) models.push_back(std::move(model));
    if (!line.options.json) {
        for (const CachedModel& model : models)
            printf_out("%10s  %s\n", bytes_text(static_cast<double>(model.size)).c_str(),
                       printable(model.name, 200).c_str());
        if (models.empty())
            print_status(strprintf("no models in '%s'; 'agave pull ORG/REPO' downloads one",
                                   hub::cache_directory().c_str()));
        return 0;
    }
    JsonWriter json;
    json.begin_array();
    for (const CachedModel& model : models) {
        json.begin_object();
        json.member("name", model.name);
        json.member("path", model.path);
        json.member("bytes", model.size);
        json.end_object();
    }
    json.end_array();
    print(json.text());
    print("\n");
    return 0;
}

int rm_command(const CommandLine& line) {
    const hub::ModelName name = hub::parse_model_name(line.arguments[0]);
    if (!name.selection.empty())
        fail(ErrorKind::usage, "'agave rm' removes whole repositories: give '%s'", name.repository.c_str());
    const CachedRepository repository = hub::cached_repository(name.repository);
    const std::vector<CachedRepository> cached = hub::cached_repositories();
    if (std::none_of(cached.begin(), cached.end(),
                     [&](const CachedRepository& other) { return other.repository == name.repository; }))
        fail(ErrorKind::usage, "'%s' is not in the cache '%s'", name.repository.c_str(),
             hub::cache_directory().c_str());
    const uint64_t freed = hub::remove_repository(repository);
    if (!line.options.quiet)
        print_status(strprintf("removed %s: %s are free again", name.repository.c_str(),
                               bytes_text(static_cast<double>(freed)).c_str()));
    return 0;
}

int show_command(const CommandLine& line) {
    const CachedRepository repository =
        hub::cached_repository(hub::parse_model_name(line.arguments[0]).repository);
    const std::string commit = hub::cached_commit(repository, "main");
    if (commit.empty())
        fail(ErrorKind::usage, "'%s' is not in the cache '%s'", repository.repository.c_str(),
             hub::cache_directory().c_str());
    printf_out("%s\n  folder    %s\n  revision  %s\n", repository.repository.c_str(), repository.path.c_str(),
               printable(commit).c_str());
    print("\nmodels\n");
    for (const CachedModel& model : models_of(repository))
        printf_out("  %10s  %s\n", bytes_text(static_cast<double>(model.size)).c_str(),
                   printable(model.name, 200).c_str());
    print("\nfiles\n");
    for (const CachedFile& file : hub::snapshot_files(repository, commit))
        printf_out("  %10s  %s\n", bytes_text(static_cast<double>(file.size)).c_str(),
                   printable(file.path, 200).c_str());
    return 0;
}

}  // namespace agave::cli
