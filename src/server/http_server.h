#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

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

/// Called on the event loop's thread for each request; must not block. An agave::Error that it throws becomes
/// an answer by HttpServerOptions::on_error.
using HttpHandler = std::function<void(const HttpRequest&, std::shared_ptr<HttpResponse>)>;

}  // namespace agave::server
