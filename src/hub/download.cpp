#include "hub/download.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <optional>
#include <vector>

#include "base/error.h"
#include "base/system.h"
#include "hub/hash.h"
#include "hub/journal.h"

namespace agave::hub {

namespace {

constexpr int kMaxRedirects = 10;
/// Failures of all connections without a byte gained in between, after which the hub counts as gone.
constexpr int kMaxFailures = 20;

std::string blob_path(const Listing& listing, const RemoteFile& file) {
    return cached_repository(listing.repository).path + "/blobs/" + file.id;
}

uint64_t size_on_disk(const std::string& path) {
    struct stat status{};
    return ::stat(path.c_str(), &status) == 0 ? static_cast<uint64_t>(status.st_size) : UINT64_MAX;
}

/// The file that a download is written to; locked, so that two processes do not write it at once.
class PartialFile {
  public:
    explicit PartialFile(const std::string& path) : path_(path) {
        file_ = ::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0666);
        if (file_ < 0) fail(ErrorKind::runtime, "cannot write '%s': %s", path.c_str(), std::strerror(errno));
        if (::flock(file_, LOCK_EX | LOCK_NB) != 0) {
            ::close(file_);
            fail(ErrorKind::runtime, "another agave is downloading '%s' at this moment", path.c_str());
        }
    }
    ~PartialFile() { ::close(file_); }
    PartialFile(const PartialFile&) = delete;
    PartialFile& operator=(const PartialFile&) = delete;

    const std::string& path() const { return path_; }
    /// 0, or the error number.
    int write(uint64_t offset, const std::byte* bytes, size_t n) const {
        while (n > 0) {
            const ssize_t written = ::pwrite(file_, bytes, n, static_cast<off_t>(offset));
            if (written < 0 && errno == EINTR) continue;
            if (written <= 0) return written < 0 ? errno : EIO;
            bytes += written, offset += static_cast<uint64_t>(written), n -= static_cast<size_t>(written);
        }
        return 0;
    }
    int resize(uint64_t size) const { return ::ftruncate(file_, static_cast<off_t>(size)) == 0 ? 0 : errno; }
    int sync() const { return ::fsync(file_) == 0 ? 0 : errno; }

  private:
    std::string path_;
    int file_;
};

/// One file's transfer over several connections.
class Download {
  public:
    Download(const Endpoint& endpoint, const Listing& listing, const RemoteFile& file,
             const PartialFile& partial, const std::string& journal_path, bool in_parts, Observer& observer)
        : endpoint_(endpoint),
          file_(file),
          hub_url_(file_url(endpoint, listing, file)),
          what_("'" + file.path + "' of '" + listing.repository + "'"),
          partial_(partial),
          in_parts_(in_parts),
          journal_(journal_path, file.size,
                   in_parts ? Journal::kPartBytes : std::max<uint64_t>(file.size, 1)),
          observer_(observer),
          multi_(curl().multi_init()) {}
    ~Download() {
        for (const std::unique_ptr<Connection>& c : connections_)
            if (c->running) curl().multi_remove_handle(multi_, c->transfer.handle());
        connections_.clear();
        curl().multi_cleanup(multi_);
    }
    Download(const Download&) = delete;
    Download& operator=(const Download&) = delete;

    /// False when the server does not serve ranges, so that the file must come in one piece.
    bool run(int n_connections);

  private:
    struct Connection {
        Connection(Download& owner, const Endpoint& endpoint) : download(owner), transfer(endpoint) {}
        Download& download;
        Transfer transfer;
        std::optional<size_t> part;
        uint64_t offset = 0;  ///< in the file, of the next byte
        bool direct = false;  ///< asked where the hub's redirect led, not the hub
        bool running = false;
        bool checked = false;  ///< the head of the answer agrees with what was asked
        int n_redirects = 0;
        double start_at = 0;  ///< on the monotonic clock
    };

    bool take_part(Connection& connection);
    void start(Connection& connection);
    void finish(Connection& connection, int result);
    void retry(Connection& connection, const std::string& problem);
    bool check_head(const Connection& connection);
    bool accept(Connection& connection, const std::byte* bytes, size_t n);
    static bool on_bytes(void* connection, const std::byte* bytes, size_t n);
    bool complete() const { return journal_.total_done() == file_.size; }

    const Endpoint& endpoint_;
    const RemoteFile& file_;
    const std::string hub_url_, what_;
    const PartialFile& partial_;
    const bool in_parts_;
    Journal journal_;
    Observer& observer_;
    Curl::Multi* multi_;
    std::vector<std::unique_ptr<Connection>> connections_;
    std::string direct_url_;  ///< where the hub sends to; empty: ask it
    int n_failures_ = 0;
    std::string fatal_;  ///< found inside a callback of libcurl, which must not throw
    bool ranges_ignored_ = false;
};

bool Download::take_part(Connection& connection) {
    for (size_t part = 0; part < journal_.n_parts(); part++) {
        if (journal_.part_begin(part) + journal_.done(part) == journal_.part_end(part)) continue;
        const bool taken = std::any_of(connections_.begin(), connections_.end(),
                                       [&](const std::unique_ptr<Connection>& c) { return c->part == part; });
        if (taken) continue;
        connection.part = part;
        return true;
    }
    return false;
}

void Download::start(Connection& connection) {
    const size_t part = *connection.part;
    // A server that knows no ranges begins at the beginning every time.
    if (!in_parts_) journal_.set_done(part, 0);
    connection.offset = journal_.part_begin(part) + journal_.done(part);
    connection.direct = !direct_url_.empty();
    connection.checked = false;
    connection.running = true;
    connection.transfer.prepare(connection.direct ? direct_url_ : hub_url_, in_parts_ ? connection.offset : 0,
                                in_parts_ ? journal_.part_end(part) : 0, &Download::on_bytes, &connection);
    curl().multi_add_handle(multi_, connection.transfer.handle());
}

bool Download::check_head(const Connection& connection) {
    const ResponseHead& head = connection.transfer.head();
    const auto contradicts = [&](int64_t size) {
        return size >= 0 && static_cast<uint64_t>(size) != file_.size;
    };
    if (head.status == 200 && in_parts_ && connection.offset > 0) {
        ranges_ignored_ = true;
        return false;
    }
    const bool wrong_size =
        head.status == 206 ? contradicts(head.range_total) : contradicts(head.content_length);
    if (wrong_size)
        fatal_ =
            strprintf("%s has %lld bytes where it is served, but the hub's list says %llu", what_.c_str(),
                      static_cast<long long>(head.status == 206 ? head.range_total : head.content_length),
                      static_cast<unsigned long long>(file_.size));
    else if (head.status == 206 && head.range_begin != static_cast<int64_t>(connection.offset))
        fatal_ = strprintf("the server sent other bytes of %s than it was asked for", what_.c_str());
    return fatal_.empty();
}

bool Download::accept(Connection& connection, const std::byte* bytes, size_t n) {
    if (!connection.checked && !check_head(connection)) return false;
    connection.checked = true;
    const size_t part = *connection.part;
    const uint64_t end = journal_.part_end(part);
    const bool whole_file = connection.transfer.head().status == 200 && in_parts_;
    if (n > end - connection.offset) {
        if (!whole_file) {
            fatal_ = strprintf("the server sent more bytes of %s than it was asked for", what_.c_str());
            return false;
        }
        // It sends the whole file for its first part: keep the part, and take the rest in one piece.
        n = static_cast<size_t>(end - connection.offset);
        ranges_ignored_ = true;
    }
    if (const int problem = partial_.write(connection.offset, bytes, n)) {
        fatal_ = strprintf(
            "cannot write %s to '%s': %s; what is there stays, and the same command goes on from it",
            what_.c_str(), partial_.path().c_str(), std::strerror(problem));
        return false;
    }
    connection.offset += n;
    journal_.set_done(part, connection.offset - journal_.part_begin(part));
    n_failures_ = 0;
    return !ranges_ignored_;
}

bool Download::on_bytes(void* connection, const std::byte* bytes, size_t n) {
    Connection& c = *static_cast<Connection*>(connection);
    return c.download.accept(c, bytes, n);
}

void Download::retry(Connection& connection, const std::string& problem) {
    connection.part.reset();
    if (++n_failures_ > kMaxFailures)
        fail(ErrorKind::runtime,
             "%s cannot be had: %s; what is there stays, and the same command goes on from it", what_.c_str(),
             problem.c_str());
    const double delay = retry_delay(connection.transfer.head(), (n_failures_ + 3) / 4);
    if (delay >= 1) observer_.notice(strprintf("%s; trying again in %.0f s", problem.c_str(), delay));
    connection.start_at = monotonic_seconds() + delay;
}

void Download::finish(Connection& connection, int result) {
    curl().multi_remove_handle(multi_, connection.transfer.handle());
    connection.running = false;
    if (!fatal_.empty()) fail(ErrorKind::runtime, "%s", fatal_.c_str());
    if (ranges_ignored_) return;
    const ResponseHead& head = connection.transfer.head();
    if (!connection.direct && head.linked_size >= 0 && static_cast<uint64_t>(head.linked_size) != file_.size)
        fail(ErrorKind::runtime, "%s has changed on the hub: it has %lld bytes now, its list said %llu",
             what_.c_str(), static_cast<long long>(head.linked_size),
             static_cast<unsigned long long>(file_.size));
    if (!connection.direct && file_.large && !head.linked_etag.empty() && head.linked_etag != file_.id)
        fail(ErrorKind::runtime,
             "%s has changed on the hub since its list was made; the same command begins anew",
             what_.c_str());
    if (result != 0) {
        retry(connection, connection.transfer.problem(result));
        return;
    }
    const std::string redirect = connection.transfer.redirect_url();
    if (!redirect.empty()) {
        if (++connection.n_redirects > kMaxRedirects)
            fail(ErrorKind::runtime, "%s leads in a circle of redirects", what_.c_str());
        direct_url_ = redirect;
        connection.part.reset();
        return;
    }
    connection.n_redirects = 0;
    if (head.status == 200 || head.status == 206) {
        const size_t part = *connection.part;
        if (connection.offset < journal_.part_end(part))
            retry(connection, "the connection ended early");
        else
            connection.part.reset();
        return;
    }
    if (head.status == 416)
        fail(ErrorKind::runtime, "%s is shorter where it is served than the hub's list says", what_.c_str());
    // The address that a redirect gave is good for a while only.
    if (connection.direct && head.status >= 400 && head.status < 500 && head.status != 429)
        direct_url_.clear();
    else
        fail_if_refused(endpoint_, head, what_);
    retry(connection, strprintf("status %d", head.status));
}

bool Download::run(int n_connections) {
    if (const int problem = partial_.resize(file_.size))
        fail(ErrorKind::runtime, "cannot make room in '%s': %s", partial_.path().c_str(),
             std::strerror(problem));
    n_connections = in_parts_ ? std::min(n_connections, static_cast<int>(journal_.n_parts())) : 1;
    for (int i = 0; i < n_connections; i++)
        connections_.push_back(std::make_unique<Connection>(*this, endpoint_));
    while (!complete()) {
        const double now = monotonic_seconds();
        for (const std::unique_ptr<Connection>& c : connections_)
            if (!c->running && c->start_at <= now && (c->part || take_part(*c))) start(*c);
        int n_running = 0, n_left = 0;
        curl().multi_perform(multi_, &n_running);
        while (const Curl::Message* message = curl().multi_info_read(multi_, &n_left)) {
            if (message->kind != 1) continue;
            const int result = message->data.result;
            for (const std::unique_ptr<Connection>& c : connections_)
                if (c->transfer.handle() == message->handle) {
                    finish(*c, result);
                    break;
                }
        }
        if (ranges_ignored_) return false;
        observer_.progress(file_.path.c_str(), journal_.total_done(), file_.size);
        if (!complete()) curl().multi_poll(multi_, nullptr, 0, 50, nullptr);
    }
    return true;
}

/// Throws, and removes the partial file, unless its hash is the hub's.
void verify(const RemoteFile& file, const PartialFile& partial, const std::string& journal_path,
            Observer& observer) {
    struct Context {
        Observer& observer;
        uint64_t size;
    } context{observer, file.size};
    const auto progress = [](void* pointer, uint64_t done) {
        const Context& c = *static_cast<Context*>(pointer);
        c.observer.progress("checking the hash", done, c.size);
    };
    const std::string found =
        file.large ? file_sha256(partial.path(), progress, &context) : git_blob_id(partial.path(), file.size);
    if (found == file.id) return;
    ::unlink(journal_path.c_str());
    ::unlink(partial.path().c_str());
    fail(ErrorKind::runtime,
         "'%s' came with the hash %s, but the hub's list says %s: it is thrown away, not installed",
         file.path.c_str(), found.c_str(), file.id.c_str());
}

}  // namespace

void download(const Endpoint& endpoint, const Listing& listing, const RemoteFile& file,
              const DownloadOptions& options, Observer& observer) {
    const CachedRepository repository = cached_repository(listing.repository);
    const std::string blob = blob_path(listing, file);
    if (size_on_disk(blob) != file.size) {
        make_directories(repository.path + "/blobs");
        const std::string journal = blob + ".agave-parts";
        const PartialFile partial(blob + ".agave-incomplete");
        bool in_parts = file.size > 0;
        if (!Download(endpoint, listing, file, partial, journal, in_parts, observer)
                 .run(options.n_connections)) {
            in_parts = false;
            Download(endpoint, listing, file, partial, journal, in_parts, observer).run(1);
        }
        if (const int problem = partial.sync())
            fail(ErrorKind::runtime, "cannot write '%s': %s", partial.path().c_str(), std::strerror(problem));
        verify(file, partial, journal, observer);
        if (::rename(partial.path().c_str(), blob.c_str()) != 0)
            fail(ErrorKind::runtime, "cannot rename '%s': %s", partial.path().c_str(), std::strerror(errno));
        ::unlink(journal.c_str());
    }
    install_file(repository, listing.commit, file.path, file.id);
}

uint64_t downloaded_bytes(const Listing& listing, const RemoteFile& file) {
    const std::string blob = blob_path(listing, file);
    if (size_on_disk(blob) == file.size) return file.size;
    struct stat status{};
    if (::stat((blob + ".agave-incomplete").c_str(), &status) != 0) return 0;
    return std::min(file.size, static_cast<uint64_t>(status.st_blocks) * 512);
}

}  // namespace agave::hub
