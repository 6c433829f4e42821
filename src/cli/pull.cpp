#include "cli/pull.h"

#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <optional>

#include "base/error.h"
#include "base/system.h"
#include "cli/commands.h"
#include "cli/output.h"
#include "cli/progress_bar.h"
#include "hub/download.h"
#include "hub/selection.h"

namespace agave::cli {

namespace {

using hub::Listing;
using hub::OfferedFile;
using hub::OfferedModel;
using hub::RemoteFile;

/// Shows a download on the terminal; says nothing but notices in a pipe.
class PullObserver final : public hub::Observer {
  public:
    explicit PullObserver(bool quiet) : quiet_(quiet) {}
    void progress(const char* what, uint64_t done, uint64_t total) override {
        bar_.update(what, done, total);
    }
    void notice(const std::string& sentence) override {
        bar_.clear();
        if (!quiet_) print_status(sentence);
    }
    void done() { bar_.clear(); }

  private:
    bool quiet_;
    ProgressBar bar_{quiet_};
};

const RemoteFile& remote_file(const Listing& listing, const std::string& path) {
    return *std::find_if(listing.files.begin(), listing.files.end(),
                         [&](const RemoteFile& file) { return file.path == path; });
}

const char* fit_text(uint64_t size) {
    // Weights are read in place; what a conversation needs beside them is small against this margin.
    const auto available = static_cast<double>(available_memory_bytes());
    const auto needed = static_cast<double>(size);
    return needed * 1.1 < available ? "fits in memory" : needed < available ? "a tight fit" : "too large";
}

void print_models(const Listing& listing, const std::vector<OfferedModel>& models,
                  const OfferedFile* projector) {
    printf_out("%s at %.12s\n", listing.repository.c_str(), listing.commit.c_str());
    for (const OfferedModel& model : models)
        printf_out("  %-14s %10s  %-14s  %s%s\n", printable(model.label, 40).c_str(),
                   bytes_text(static_cast<double>(model.size)).c_str(), fit_text(model.size),
                   model.label == "safetensors" ? "" : printable(model.paths.front(), 120).c_str(),
                   model.paths.size() > 1 ? strprintf(" (%zu files)", model.paths.size()).c_str() : "");
    if (projector)
        printf_out("  %-14s %10s  %-14s  %s\n", "images",
                   bytes_text(static_cast<double>(projector->size)).c_str(), "",
                   printable(projector->path, 120).c_str());
}

[[noreturn]] void fail_selection(const hub::ModelName& name, const std::vector<OfferedModel>& models) {
    if (models.empty())
        fail(ErrorKind::usage, "'%s' holds no GGUF file and no SafeTensors model", name.repository.c_str());
    std::string labels;
    for (const OfferedModel& model : models)
        labels += (labels.empty() ? "" : ", ") + printable(model.label, 60);
    fail(ErrorKind::usage, "'%s' holds no '%s'; it has %s", name.repository.c_str(),
         printable(name.selection).c_str(), labels.c_str());
}

/// Throws Error(usage) unless the disk has room for what is still missing.
void check_disk(const Listing& listing, const std::vector<std::string>& paths) {
    uint64_t missing = 0;
    for (const std::string& path : paths) {
        const RemoteFile& file = remote_file(listing, path);
        missing += file.size - hub::downloaded_bytes(listing, file);
    }
    const std::string directory = hub::cache_directory();
    hub::make_directories(directory);
    struct statvfs status{};
    if (::statvfs(directory.c_str(), &status) != 0) return;
    const uint64_t available = static_cast<uint64_t>(status.f_bavail) * status.f_frsize;
    if (missing > available)
        fail(ErrorKind::usage, "the download needs %s more in '%s', but only %s are free",
             bytes_text(static_cast<double>(missing)).c_str(), directory.c_str(),
             bytes_text(static_cast<double>(available)).c_str());
}

/// What of a repository a name stands for.
struct Choice {
    hub::Endpoint endpoint;
    Listing listing;
    std::vector<OfferedModel> models;
    std::optional<OfferedFile> projector;

    Choice(const std::string& repository, const std::string& revision, PullObserver& observer)
        : endpoint(hub::endpoint_from_environment()),
          listing(hub::list_repository(endpoint, repository, revision, observer)) {
        std::vector<OfferedFile> files;
        for (const RemoteFile& file : listing.files) files.push_back({file.path, file.size});
        models = hub::offered_models(files);
        if (const OfferedFile* offered = hub::offered_projector(files)) projector = *offered;
    }
    const OfferedModel& select(const hub::ModelName& name) const {
        const OfferedModel* model = hub::select_model(models, name.selection);
        if (!model) fail_selection(name, models);
        return *model;
    }
    /// Downloads the model and what belongs to it; returns the path to open.
    std::string fetch(const OfferedModel& model, const std::string& revision, int64_t n_connections,
                      PullObserver& observer) const {
        std::vector<std::string> paths = model.paths;
        if (projector && model.label != "safetensors") paths.push_back(projector->path);
        check_disk(listing, paths);
        for (const std::string& path : paths)
            hub::download(endpoint, listing, remote_file(listing, path),
                          {.n_connections = static_cast<int>(n_connections)}, observer);
        observer.done();
        const hub::CachedRepository repository = hub::cached_repository(listing.repository);
        hub::install_ref(repository, revision, listing.commit);
        const std::string root = repository.path + "/snapshots/" + listing.commit;
        return model.label == "safetensors" ? root : root + "/" + model.paths.front();
    }
};

bool pull_without_asking = false;

/// The answer of the terminal; what is no answer counts as no.
bool says_yes(const std::string& question) {
    std::fprintf(stderr, "%s [Y/n] ", question.c_str());
    std::fflush(stderr);
    char answer[16];
    if (!std::fgets(answer, sizeof answer, stdin)) return false;
    return answer[0] == '\n' || answer[0] == 'y' || answer[0] == 'Y';
}

}  // namespace

void set_pull_without_asking(bool on) {
    pull_without_asking = on;
}

std::string pull_if_wanted(const hub::ModelName& name) {
    const std::string text =
        printable(name.repository + (name.selection.empty() ? "" : ":" + name.selection));
    const bool terminal = ::isatty(STDIN_FILENO) && ::isatty(STDERR_FILENO);
    if (!pull_without_asking && !terminal)
        fail(ErrorKind::usage,
             "'%s' is neither a file nor a model in the cache; 'agave pull %s' downloads it, and so does "
             "--pull",
             text.c_str(), text.c_str());
    PullObserver observer(false);
    const Choice choice(name.repository, "main", observer);
    const OfferedModel& model = choice.select(name);
    if (!pull_without_asking &&
        !says_yes(strprintf("pull %s:%s (%s, %s)?", name.repository.c_str(), printable(model.label).c_str(),
                            bytes_text(static_cast<double>(model.size)).c_str(), fit_text(model.size))))
        fail(ErrorKind::usage, "'%s' is not in the cache", text.c_str());
    return choice.fetch(model, "main", Options{}.connections, observer);
}

int pull_command(const CommandLine& line) {
    const Options& options = line.options;
    const hub::ModelName name = hub::parse_model_name(line.arguments[0]);
    PullObserver observer(options.quiet);
    const Choice choice(name.repository, options.revision, observer);
    if (options.list) {
        print_models(choice.listing, choice.models, choice.projector ? &*choice.projector : nullptr);
        return 0;
    }
    const OfferedModel& model = choice.select(name);
    if (!options.quiet)
        print_status(strprintf("%s %s: %s in %zu %s, %s", name.repository.c_str(),
                               printable(model.label).c_str(),
                               bytes_text(static_cast<double>(model.size)).c_str(), model.paths.size(),
                               model.paths.size() == 1 ? "file" : "files", fit_text(model.size)));
    printf_out("%s\n", choice.fetch(model, options.revision, options.connections, observer).c_str());
    return 0;
}

}  // namespace agave::cli
