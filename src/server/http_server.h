#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "server/access.h"
#include "server/request_reader.h"

namespace agave::server {

/// A request whose head and body have come in whole. Views are valid during the call of the handler.
struct HttpRequest {
    std::string_view method;
    std::string_view path;   ///< percent-decoded, without the query
    std::string_view query;  ///< as it came, without the question mark
    std::vector<std::pair<std::string_view, std::string_view>> headers;  ///< names in lower case
    std::string_view body;
    std::string id;       ///< the request id, given out as x-request-id
    uint64_t client = 0;  ///< of the API key, or of the address: whose turn it is

    /// The header's value, or empty.
    std::string_view header(std::string_view lower_case_name) const;
};

/// The answer to one request. May be used by any thread; what is written after the client has gone is
/// dropped. Letting go of an answer that was not ended closes the connection.
class HttpResponse {
  public:
    virtual ~HttpResponse() = default;

    /// A whole answer.
    virtual void send(int status, std::string_view content_type, std::string body,
                      std::vector<std::pair<std::string, std::string>> headers = {}) = 0;
    /// Begins an answer of unknown length (chunked); then write() and end().
    virtual void begin(int status, std::string_view content_type,
                       std::vector<std::pair<std::string, std::string>> headers = {}) = 0;
    virtual void write(std::string data) = 0;
    virtual void end() = 0;
    /// Calls `closed` (on the event loop's thread) when the client goes away before the end; at once when it
    /// has gone already.
    virtual void on_close(std::function<void()> closed) = 0;
    /// Bytes that were written and that the client has not taken yet.
    virtual size_t n_unsent() const = 0;
};

/// Called on the event loop's thread for each request; must not block. A request by HEAD comes as GET, and
/// the body of its answer is dropped. An agave::Error that it throws becomes the answer: 400 for
/// Error(usage), 500 otherwise.
using HttpHandler = std::function<void(const HttpRequest&, std::shared_ptr<HttpResponse>)>;

/// What became of a request: for logs and metrics.
struct HttpOutcome {
    std::string_view id, method, path;  ///< path: empty when the request was none
    std::string peer;                   ///< its address
    uint64_t client;
    int status;        ///< 499: the client went away before the answer began
    bool complete;     ///< the client took the whole answer
    uint64_t n_bytes;  ///< of the answer, head included
    double seconds;    ///< from the first byte of the request to the last of the answer
};

struct HttpServerOptions {
    std::string host = "127.0.0.1";  ///< a name or an address; any but the loopback needs access.api_keys
    int port = 8080;                 ///< 0: a free one
    AccessRules access;
    RequestLimits limits;
    size_t max_connections = 4096;
    size_t max_unsent_bytes = 256 << 10;  ///< of a stream; a client that lags more is let go
    double idle_seconds = 75;             ///< between requests
    double head_seconds = 10;             ///< from the first byte of a head to its last
    double body_seconds = 30;             ///< for a body, and one second more for each 8 KiB that have come
    double write_seconds = 30;            ///< without one byte being taken
    double drain_seconds = 30;            ///< after stop(), for the answers that have begun

    /// The body (JSON) of an answer that refuses a request; empty: the sentence alone, as text.
    std::function<std::string(std::string_view path, int status, std::string_view sentence)> error_body;
    /// Called on the loop's thread at the end of each request.
    std::function<void(const HttpOutcome&)> finished;
    /// Called on the loop's thread when drain_seconds are over and answers have not ended: they have two
    /// seconds more.
    std::function<void()> grace_over;
};

/// An HTTP/1.1 server (RFC 9110, 9112): one event loop on one thread that holds thousands of connections.
/// Answers come from any thread; what a client does not take at once waits in its connection, up to
/// max_unsent_bytes. A client that ends its side of the connection before its answer has ended has gone.
class HttpServer {
  public:
    /// Binds and listens. Throws Error(usage) for a host that is not there, a port that is taken, and a host
    /// beyond the loopback without API keys.
    HttpServer(HttpServerOptions options, HttpHandler handler);
    ~HttpServer();
    HttpServer(const HttpServer&) = delete;
    HttpServer& operator=(const HttpServer&) = delete;

    int port() const;

    /// Serves until stop() and until the answers that have begun then have ended, or were cut off.
    void run();
    /// Ends run(): no new connection or request is taken any more. May be called by any thread and by a
    /// signal handler, any number of times.
    void stop();
    bool stopping() const;
    /// Connections at the moment.
    size_t n_connections() const;

  private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace agave::server
