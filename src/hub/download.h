#pragma once

#include <string>

#include "hub/repository.h"

namespace agave::hub {

struct DownloadOptions {
    int n_connections = 4;
};

/// Brings a file of the listing into the cache's blobs/ (where it may be already) and links it into the
/// snapshot. It is fetched in parts over several connections; what is there survives an interruption of any
/// kind, and the next call goes on from it. Before it is installed its hash is compared with the hub's.
/// Throws Error(usage) for what the hub refuses, Error(runtime) for a full disk, a lost connection, an answer
/// that contradicts the listing, and a hash that differs (what was fetched is then thrown away).
void download(const Endpoint& endpoint, const Listing& listing, const RemoteFile& file,
              const DownloadOptions& options, Observer& observer);

/// Bytes of the file that are in the cache already, whole or in part.
uint64_t downloaded_bytes(const Listing& listing, const RemoteFile& file);

}  // namespace agave::hub
