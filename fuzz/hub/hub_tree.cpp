#include "base/error.h"
#include "hub/repository.h"
#include "hub/selection.h"

namespace {

struct Silent final : agave::hub::Observer {
    void progress(const char*, uint64_t, uint64_t) override {}
    void notice(const std::string&) override {}
};

}  // namespace

/// The hub's list of files: whatever it says, only safe names come out, and the choice among them does not
/// fail.
extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
    Silent observer;
    agave::hub::Listing listing;
    try {
        agave::hub::read_tree_page({reinterpret_cast<const char*>(data), size}, "fuzz", listing, observer);
    } catch (const agave::Error&) {
    }
    std::vector<agave::hub::OfferedFile> files;
    for (const agave::hub::RemoteFile& file : listing.files) {
        if (!agave::hub::safe_relative_path(file.path)) __builtin_trap();
        files.push_back({file.path, file.size});
    }
    const std::vector<agave::hub::OfferedModel> models = agave::hub::offered_models(files);
    if (!models.empty() && !agave::hub::select_model(models, models.front().label)) __builtin_trap();
    return 0;
}
