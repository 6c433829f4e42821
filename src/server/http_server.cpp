#include "server/http_server.h"

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>
#ifdef __APPLE__
#include <sys/random.h>
#endif

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <limits>

#include "base/error.h"
#include "base/system.h"
#include "server/exchange.h"

namespace agave::server {

namespace {

#ifndef MSG_NOSIGNAL
constexpr int MSG_NOSIGNAL = 0;  // SIGPIPE is ignored by the program
#endif

constexpr size_t kReadBytes = 64 << 10;
/// What a client may send ahead of the answer that it waits for.
constexpr size_t kMaxPendingBytes = 16 << 10;
/// Buffers of more than this go back to the allocator when they are empty.
constexpr size_t kKeptBytes = 4 << 10;
constexpr double kNever = std::numeric_limits<double>::infinity();
constexpr double kLingerSeconds = 1;
constexpr double kLastSeconds = 2;
constexpr int kGone = 499;  ///< what nginx logs for a client that went away

struct Connection {
    int fd;
    PeerAddress peer;
    std::unique_ptr<RequestReader> reader;  ///< only while a request comes in
    std::string pending;                    ///< came behind the request that is being answered
    std::shared_ptr<Exchange> exchange;     ///< of that request
    std::string sending;                    ///< taken from the exchange
    size_t sent = 0;
    double deadline = kNever;
    double started = 0;  ///< when the request's first byte came
    std::string_view method;
    std::string path;
    uint64_t client = 0;
    uint64_t n_bytes = 0;
    bool reading = true, writing = false;
    bool input_ended = false;
    bool cross_origin = false;  ///< the request comes from a page of another origin, which may ask
    bool lingering = false;     ///< answered and shut down; only waits for the client to take it
};

PeerAddress peer_address(const sockaddr_storage& address) {
    PeerAddress peer;
    if (address.ss_family == AF_INET6) {
        std::memcpy(peer.bytes, &reinterpret_cast<const sockaddr_in6&>(address).sin6_addr, 16);
    } else if (address.ss_family == AF_INET) {
        peer.bytes[10] = peer.bytes[11] = 0xFF;
        std::memcpy(peer.bytes + 12, &reinterpret_cast<const sockaddr_in&>(address).sin_addr, 4);
    }
    return peer;
}

bool is_loopback(const sockaddr_storage& address) {
    const PeerAddress peer = peer_address(address);
    if (address.ss_family == AF_INET) return peer.bytes[12] == 127;
    return address.ss_family == AF_INET6 &&
           IN6_IS_ADDR_LOOPBACK(reinterpret_cast<const in6_addr*>(peer.bytes));
}

uint16_t& port_of(sockaddr_storage& address) {
    return address.ss_family == AF_INET6 ? reinterpret_cast<sockaddr_in6&>(address).sin6_port
                                         : reinterpret_cast<sockaddr_in&>(address).sin_port;
}

/// The addresses that a host name means, without a port.
std::vector<sockaddr_storage> resolve(const std::string& host) {
    addrinfo hints{}, *found = nullptr;
    hints.ai_socktype = SOCK_STREAM;
    hints.ai_flags = AI_PASSIVE;
    if (const int error = ::getaddrinfo(host.c_str(), nullptr, &hints, &found))
        fail(ErrorKind::usage, "--host: '%s' is no address of this machine: %s", printable(host).c_str(),
             ::gai_strerror(error));
    std::vector<sockaddr_storage> addresses;
    for (const addrinfo* info = found; info; info = info->ai_next) {
        sockaddr_storage address{};
        std::memcpy(&address, info->ai_addr, info->ai_addrlen);
        addresses.push_back(address);
    }
    ::freeaddrinfo(found);
    return addresses;
}

/// A listening socket, or -1 with errno set. Fills in the port when it is 0.
int listen_at(sockaddr_storage& address) {
    const int fd = ::socket(address.ss_family, SOCK_STREAM, 0);
    if (fd < 0) return -1;
    set_nonblocking(fd);
    const int on = 1, off = 0;
    ::setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (address.ss_family == AF_INET6) ::setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
    socklen_t length = address.ss_family == AF_INET6 ? sizeof(sockaddr_in6) : sizeof(sockaddr_in);
    if (::bind(fd, reinterpret_cast<sockaddr*>(&address), length) != 0 || ::listen(fd, 1024) != 0) {
        const int saved = errno;
        ::close(fd);
        errno = saved;
        return -1;
    }
    ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &length);
    return fd;
}

/// As many descriptors as this process may have, of which it keeps some for files.
size_t most_connections(size_t wanted) {
    rlimit limit{};
    if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return wanted;
    if (limit.rlim_cur < wanted + 64 && limit.rlim_cur < limit.rlim_max) {
        limit.rlim_cur = std::min<rlim_t>(limit.rlim_max, wanted + 64);
        ::setrlimit(RLIMIT_NOFILE, &limit);
        ::getrlimit(RLIMIT_NOFILE, &limit);
    }
    return limit.rlim_cur == RLIM_INFINITY
               ? wanted
               : std::min<size_t>(wanted, std::max<size_t>(limit.rlim_cur, 65) - 64);
}

bool is_request_id(std::string_view text) {
    return !text.empty() && text.size() <= 64 && std::all_of(text.begin(), text.end(), [](char c) {
        return (c >= '0' && c <= '9') || ((c | 32) >= 'a' && (c | 32) <= 'z') || c == '-' || c == '_' ||
               c == '.';
    });
}

}  // namespace

std::string_view HttpRequest::header(std::string_view lower_case_name) const {
    for (const auto& [name, value] : headers) {
        if (name == lower_case_name) return value;
    }
    return {};
}

struct HttpServer::State {
    HttpServerOptions options;
    HttpHandler handler;
    Access access;
    std::shared_ptr<Mailbox> mailbox = std::make_shared<Mailbox>();
    Poller poller;
    std::vector<int> listeners;
    int port = 0;
    size_t max_connections;
    bool listening = false;                                ///< whether the poller looks at the listeners
    std::vector<std::unique_ptr<Connection>> connections;  ///< by descriptor
    std::vector<std::unique_ptr<Connection>> closed;       ///< in this turn of the loop
    std::atomic<size_t> n_connections{0};
    double now = 0;
    uint64_t next_id = 0;
    std::unique_ptr<char[]> buffer = std::make_unique<char[]>(kReadBytes);

    State(HttpServerOptions o, HttpHandler h)
        : options(std::move(o)), handler(std::move(h)), access(options.access) {
        max_connections = most_connections(options.max_connections);
        if (::getentropy(&next_id, sizeof next_id) != 0)
            fail(ErrorKind::runtime, "getentropy: %s", std::strerror(errno));
        poller.add(mailbox->wakeup.fd());
        poller.want(mailbox->wakeup.fd(), true, false);
        listen();
    }

    ~State() {
        for (const int fd : listeners) ::close(fd);
        for (const std::unique_ptr<Connection>& connection : connections) {
            if (!connection) continue;
            if (connection->exchange) connection->exchange->client_gone();
            ::close(connection->fd);
        }
        mailbox->close();
    }

    void listen() {
        std::vector<sockaddr_storage> addresses = resolve(options.host);
        port = options.port;
        int error = 0;
        for (sockaddr_storage& address : addresses) {
            if (!is_loopback(address) && options.access.api_keys.empty())
                fail(ErrorKind::usage,
                     "--host %s lets other machines in, which needs --api-key or --api-key-file",
                     printable(options.host).c_str());
            port_of(address) = htons(static_cast<uint16_t>(port));
            const int fd = listen_at(address);
            if (fd < 0) {
                error = errno;
                continue;
            }
            port = ntohs(port_of(address));
            listeners.push_back(fd);
            poller.add(fd);
        }
        if (listeners.empty())
            fail(ErrorKind::usage, "cannot listen on %s, port %d: %s", printable(options.host).c_str(),
                 options.port, std::strerror(error));
        look_at_listeners(true);
    }

    void look_at_listeners(bool look) {
        listening = look;
        for (const int fd : listeners) poller.want(fd, look, false);
    }

    std::string new_request_id() {
        // Weyl's sequence: never the same twice, and nothing that tells how many there were.
        next_id += 0x9E3779B97F4A7C15;
        return strprintf("req_%016llx", static_cast<unsigned long long>(next_id));
    }

    void accept_all(int listener) {
        for (int i = 0; i < 256; i++) {
            sockaddr_storage address{};
            socklen_t length = sizeof address;
            const int fd = ::accept(listener, reinterpret_cast<sockaddr*>(&address), &length);
            if (fd < 0) {
                // Out of descriptors: wait for the next tick instead of spinning.
                if (errno != EAGAIN && errno != EWOULDBLOCK && errno != EINTR && errno != ECONNABORTED)
                    look_at_listeners(false);
                return;
            }
            set_nonblocking(fd);
            if (n_connections >= max_connections || !poller.add(fd)) {
                turn_away(fd);
                continue;
            }
            const int on = 1;
            ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
            ::setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
            if (connections.size() <= static_cast<size_t>(fd))
                connections.resize(static_cast<size_t>(fd) + 1);
            auto connection = std::make_unique<Connection>();
            connection->fd = fd;
            connection->peer = peer_address(address);
            connection->deadline = now + options.idle_seconds;
            connections[static_cast<size_t>(fd)] = std::move(connection);
            n_connections++;
            poller.want(fd, true, false);
        }
    }

    void turn_away(int fd) {
        static constexpr char answer[] =
            "HTTP/1.1 503 Service Unavailable\r\nretry-after: 1\r\ncontent-length: 0\r\nconnection: "
            "close\r\n\r\n";
        // What has been read cannot turn the close into a reset that overtakes the answer.
        (void)!::recv(fd, buffer.get(), kReadBytes, 0);
        (void)!::send(fd, answer, sizeof answer - 1, MSG_NOSIGNAL);
        ::close(fd);
    }

    void close_connection(Connection& connection) {
        if (connection.fd < 0) return;
        const size_t place = static_cast<size_t>(connection.fd);
        poller.remove(connection.fd);
        ::close(connection.fd);
        connection.fd = -1;
        closed.push_back(std::move(connections[place]));
        n_connections--;
    }

    void report(Connection& connection, int status, bool complete) {
        if (!options.finished) return;
        options.finished({connection.exchange->id(), connection.method, connection.path,
                          connection.peer.text(), connection.client, status, complete, connection.n_bytes,
                          monotonic_seconds() - connection.started});
    }

    /// The client went away, or is let go, before its answer has ended.
    void lose(Connection& connection) {
        if (connection.exchange) {
            std::string dropped;
            const Exchange::Progress progress = connection.exchange->take(dropped);
            connection.exchange->client_gone();
            report(connection, progress.begun ? progress.status : kGone, false);
        }
        close_connection(connection);
    }

    void update_interest(Connection& connection) {
        const bool read = !connection.input_ended && connection.pending.size() < kMaxPendingBytes;
        const bool write = connection.sent < connection.sending.size();
        if (read == connection.reading && write == connection.writing) return;
        connection.reading = read;
        connection.writing = write;
        poller.want(connection.fd, read, write);
    }

    /// Sends what can be sent. When that was all of an answer that has ended, the connection is free for the
    /// next request, or closed.
    void flush(Connection& connection) {
        for (;;) {
            Exchange& exchange = *connection.exchange;
            if (connection.sent == connection.sending.size()) {
                connection.sending.clear();
                connection.sent = 0;
                if (connection.sending.capacity() > kKeptBytes) connection.sending = {};
                const Exchange::Progress progress = exchange.take(connection.sending);
                if (progress.lost) return lose(connection);
                if (connection.sending.empty()) {
                    connection.deadline = kNever;
                    if (progress.ended) return finish(connection, progress.status);
                    break;
                }
                connection.deadline = now + options.write_seconds;
            }
            const ssize_t n = ::send(connection.fd, connection.sending.data() + connection.sent,
                                     connection.sending.size() - connection.sent, MSG_NOSIGNAL);
            if (n < 0 && errno == EINTR) continue;
            if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) break;
            if (n < 0) return lose(connection);
            connection.sent += static_cast<size_t>(n);
            connection.n_bytes += static_cast<size_t>(n);
            connection.deadline = now + options.write_seconds;
            exchange.set_in_flight(connection.sending.size() - connection.sent);
        }
        update_interest(connection);
    }

    void finish(Connection& connection, int status) {
        report(connection, status, true);
        const bool keep = connection.exchange->keep_alive() && !connection.input_ended && !mailbox->stopping;
        connection.exchange = nullptr;
        connection.sending = {};
        connection.path = {};
        connection.n_bytes = 0;
        if (!keep) {
            // Bytes that nobody reads would make the close a reset, which can overtake the answer.
            ::shutdown(connection.fd, SHUT_WR);
            connection.lingering = true;
            connection.reader = nullptr;
            connection.pending = {};
            connection.deadline = now + kLingerSeconds;
            if (connection.input_ended) return close_connection(connection);
        } else {
            connection.deadline = now + options.idle_seconds;
        }
        update_interest(connection);
    }

    std::string extra_headers(const RequestReader& reader, bool cross_origin) const {
        if (!cross_origin) return {};
        std::string lines = "access-control-allow-origin: ";
        lines += reader.header("origin");
        lines += "\r\nvary: origin\r\naccess-control-expose-headers: x-request-id, retry-after\r\n";
        return lines;
    }

    /// The exchange of a request whose head is there, as far as it is.
    void begin_exchange(Connection& connection, bool keep_alive) {
        const RequestReader& reader = *connection.reader;
        const std::string_view wanted = reader.header("x-request-id");
        Exchange::Setup setup{connection.fd,
                              is_request_id(wanted) ? std::string(wanted) : new_request_id(),
                              extra_headers(reader, connection.cross_origin),
                              reader.method() == "HEAD",
                              reader.http_1_0(),
                              keep_alive && reader.keep_alive(),
                              options.max_unsent_bytes};
        connection.exchange = std::make_shared<Exchange>(mailbox, std::move(setup));
        connection.method = reader.method();
        connection.path = reader.path();
    }

    std::string error_body(std::string_view path, int status, std::string_view sentence) const {
        return options.error_body ? options.error_body(path, status, sentence) : std::string(sentence);
    }
    const char* error_type() const {
        return options.error_body ? "application/json" : "text/plain; charset=utf-8";
    }

    void refuse(Connection& connection, int status, const char* sentence, double retry_after = 0) {
        begin_exchange(connection, false);
        if (connection.path.empty()) connection.method = {};
        std::vector<std::pair<std::string, std::string>> headers;
        if (retry_after > 0)
            headers.emplace_back("retry-after", strprintf("%d", static_cast<int>(retry_after) + 1));
        if (status == 401) headers.emplace_back("www-authenticate", "Bearer");
        connection.exchange->send(status, error_type(), error_body(connection.path, status, sentence),
                                  headers);
        connection.reader = nullptr;
        flush(connection);
    }

    /// Decides by the head whether the rest of the request is wanted.
    void take_head(Connection& connection) {
        const RequestReader& reader = *connection.reader;
        if (mailbox->stopping) return refuse(connection, 503, "this server is shutting down", 1);
        const Access::Verdict verdict = access.check(reader, connection.peer, now);
        connection.client = verdict.client;
        connection.cross_origin = verdict.cross_origin;
        if (verdict.status) return refuse(connection, verdict.status, verdict.sentence, verdict.retry_after);
        connection.deadline = now + options.body_seconds;
        if (reader.expects_continue()) {
            static constexpr char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";
            (void)!::send(connection.fd, go_on, sizeof go_on - 1, MSG_NOSIGNAL);
        }
    }

    void answer_preflight(Connection& connection) {
        const std::string_view asked = connection.reader->header("access-control-request-headers");
        connection.exchange->send(204, "", "",
                                  {{"access-control-allow-methods", "GET, POST, DELETE, OPTIONS"},
                                   {"access-control-allow-headers", std::string(asked)},
                                   {"access-control-max-age", "600"}});
    }

    void dispatch(Connection& connection) {
        begin_exchange(connection, true);
        const RequestReader& reader = *connection.reader;
        const std::shared_ptr<Exchange> exchange = connection.exchange;
        if (connection.cross_origin && reader.method() == "OPTIONS") {
            answer_preflight(connection);
        } else {
            HttpRequest request{reader.method(), reader.path(),  reader.query(),   reader.headers(),
                                reader.body(),   exchange->id(), connection.client};
            if (request.method == "HEAD") request.method = "GET";
            call_handler(request, exchange);
        }
        connection.reader = nullptr;
        flush(connection);
    }

    void call_handler(const HttpRequest& request, const std::shared_ptr<Exchange>& exchange) {
        const auto response = std::make_shared<ExchangeResponse>(exchange);
        const auto fail_with = [&](int status, const std::string& sentence) {
            response->send(status, error_type(), error_body(request.path, status, sentence), {});
        };
        try {
            handler(request, response);
        } catch (const Error& error) {
            fail_with(error.kind() == ErrorKind::usage ? 400 : 500, error.what());
        } catch (const std::exception& error) {
            fail_with(500, strprintf("internal error: %s", error.what()));
        }
    }

    /// Takes bytes of the client: as many requests as they hold, up to one whose answer is not there at once.
    void take_bytes(Connection& connection, std::string_view bytes) {
        while (!bytes.empty() && !connection.exchange && !connection.lingering && connection.fd >= 0) {
            if (!connection.reader) {
                // Empty lines in front of a request are to be overlooked (RFC 9112, 2.2).
                bytes.remove_prefix(std::min(bytes.find_first_not_of("\r\n"), bytes.size()));
                if (bytes.empty()) break;
                connection.reader = std::make_unique<RequestReader>(options.limits);
                connection.cross_origin = false;
                connection.client = 0;
                connection.started = now;
                connection.deadline = now + options.head_seconds;
            }
            RequestReader& reader = *connection.reader;
            bytes.remove_prefix(reader.feed(bytes));
            if (reader.state() == RequestReader::State::head_complete) {
                take_head(connection);
            } else if (reader.state() == RequestReader::State::complete) {
                dispatch(connection);
            } else if (reader.state() == RequestReader::State::failed) {
                return refuse(connection, reader.status(), reader.sentence());
            }
        }
        if (connection.exchange && !bytes.empty()) connection.pending.append(bytes);
    }

    /// Goes on with what had come behind the answered request.
    void resume(Connection& connection) {
        if (connection.fd < 0 || connection.exchange || connection.pending.empty()) return;
        const std::string pending = std::exchange(connection.pending, {});
        take_bytes(connection, pending);
        if (connection.fd >= 0) update_interest(connection);
    }

    void read(Connection& connection) {
        const ssize_t n = ::recv(connection.fd, buffer.get(), kReadBytes, 0);
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) return;
        if (n <= 0) {
            // An answer that has ended is still brought to a client that said all it had to say.
            const bool whole = n == 0 && connection.exchange && connection.exchange->ended();
            if (!whole) return lose(connection);
            connection.input_ended = true;
            return update_interest(connection);
        }
        if (connection.lingering) return;
        take_bytes(connection, {buffer.get(), static_cast<size_t>(n)});
        if (connection.fd < 0) return;
        if (connection.reader && connection.reader->state() == RequestReader::State::body)
            connection.deadline = connection.started + options.head_seconds + options.body_seconds +
                                  static_cast<double>(connection.reader->body().size()) / 8192;
        update_interest(connection);
    }

    void check_deadlines() {
        for (size_t i = 0; i < connections.size(); i++) {
            if (!connections[i] || now < connections[i]->deadline) continue;
            Connection& connection = *connections[i];
            if (connection.reader && !connection.exchange)
                refuse(connection, 408, "the request came too slowly");
            else
                lose(connection);
        }
    }

    /// Serves one round of events; `until`: a moment to come back at.
    void turn(double until) {
        std::vector<std::shared_ptr<Exchange>> ready = mailbox->take();
        const double wait = std::min(until - now, n_connections || !listening ? 0.5 : kNever);
        const int wait_ms = !ready.empty()   ? 0
                            : wait == kNever ? -1
                                             : static_cast<int>(std::max(wait, 0.0) * 1000) + 1;
        const std::span<const Poller::Event> events = poller.wait(wait_ms);
        mailbox->loop_awake();
        now = monotonic_seconds();
        for (const Poller::Event& event : events) {
            Connection* connection = static_cast<size_t>(event.fd) < connections.size()
                                         ? connections[static_cast<size_t>(event.fd)].get()
                                         : nullptr;
            if (!connection) continue;
            if (event.writable && connection->exchange && connection->writing) {
                flush(*connection);
                resume(*connection);
            }
            if (event.readable && connection->fd >= 0) read(*connection);
        }
        for (const std::shared_ptr<Exchange>& exchange : ready) {
            const size_t place = static_cast<size_t>(exchange->fd());
            Connection* connection = place < connections.size() ? connections[place].get() : nullptr;
            if (!connection || connection->exchange != exchange) continue;
            flush(*connection);
            resume(*connection);
        }
        // Last, so that a descriptor that was closed above is not taken again while events of it are left.
        for (const Poller::Event& event : events) {
            if (event.fd == mailbox->wakeup.fd()) mailbox->wakeup.clear();
            if (std::find(listeners.begin(), listeners.end(), event.fd) != listeners.end())
                accept_all(event.fd);
        }
        closed.clear();
    }

    void run() {
        now = monotonic_seconds();
        double next_check = now;
        while (!mailbox->stopping) {
            turn(kNever);
            if (now < next_check) continue;
            next_check = now + 0.5;
            check_deadlines();
            closed.clear();
            if (!listening) look_at_listeners(true);
        }
        drain();
    }

    void drain() {
        for (const int fd : listeners) accept_all(fd);
        for (const int fd : listeners) {
            poller.remove(fd);
            ::close(fd);
        }
        listeners.clear();
        for (size_t i = 0; i < connections.size(); i++) {
            Connection* connection = connections[i].get();
            if (connection && !connection->exchange && !connection->reader) close_connection(*connection);
        }
        closed.clear();
        double end = now + options.drain_seconds;
        bool over = false;
        while (n_connections) {
            turn(end);
            check_deadlines();
            closed.clear();
            if (now < end) continue;
            if (over) break;
            over = true;
            end = now + kLastSeconds;
            if (options.grace_over) options.grace_over();
        }
        for (size_t i = 0; i < connections.size(); i++) {
            if (connections[i]) lose(*connections[i]);
        }
        closed.clear();
    }
};

HttpServer::HttpServer(HttpServerOptions options, HttpHandler handler)
    : state_(std::make_unique<State>(std::move(options), std::move(handler))) {}

HttpServer::~HttpServer() = default;

int HttpServer::port() const {
    return state_->port;
}

void HttpServer::run() {
    state_->run();
}

void HttpServer::stop() {
    state_->mailbox->stopping = true;
    state_->mailbox->wakeup.notify();
}

bool HttpServer::stopping() const {
    return state_->mailbox->stopping;
}

size_t HttpServer::n_connections() const {
    return state_->n_connections;
}

}  // namespace agave::server
