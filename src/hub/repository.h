#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "hub/cache.h"
#include "hub/transfer.h"

namespace agave::hub {

/// A file of a repository as the hub describes it.
struct RemoteFile {
    std::string path;
    uint64_t size;
    std::string id;  ///< the blob's name in the cache: SHA-256 where `large`, else git's id (SHA-1)
    bool large;      ///< kept in LFS or Xet
};

/// One revision of a repository.
struct Listing {
    std::string repository;  ///< "org/repo"
    std::string commit;
    std::vector<RemoteFile> files;
};

/// Asks the hub what a repository holds at a revision (a branch, a tag or a commit). Files whose names would
/// be unsafe in the cache are left out with a notice. Throws Error as fetch() does, and Error(runtime) for an
/// answer that makes no sense.
Listing list_repository(const Endpoint& endpoint, const std::string& repository, const std::string& revision,
                        Observer& observer);

/// The address of a file of the listing.
std::string file_url(const Endpoint& endpoint, const Listing& listing, const RemoteFile& file);

/// Reads one page of the hub's answer to api/models/<repository>/tree: appends its files to the listing.
/// `path` names the answer in messages.
void read_tree_page(std::string_view json, const std::string& path, Listing& listing, Observer& observer);

}  // namespace agave::hub
