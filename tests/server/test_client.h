#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "server/http_server.h"

namespace agave::server {

/// A TCP connection that sends bytes as they are.
class TestClient {
  public:
    /// `receive_bytes`: of the system's receive buffer; 0: as it comes.
    explicit TestClient(int port, int receive_bytes = 0);
    TestClient(TestClient&& other) noexcept : fd_(other.fd_) { other.fd_ = -1; }
    ~TestClient();

    /// False when the server has closed the connection.
    bool send(std::string_view bytes);
    /// Reads until `end` has come, the connection ends, or five seconds are over; all that came since the
    /// last call.
    std::string read_until(std::string_view end);
    std::string read_all() { return read_until({}); }
    /// A whole answer with Content-Length, or chunked.
    std::string read_answer();
    bool at_end();
    void end_input();
    void close();
    /// Closes with a reset.
    void reset();

  private:
    bool receive(double until);
    std::string take(size_t n_bytes);

    int fd_;
    std::string buffer_;
};

/// A server on a free port, run by a thread of its own.
class TestServer {
  public:
    explicit TestServer(HttpHandler handler, HttpServerOptions options = {});
    ~TestServer();

    int port() const { return server_->port(); }
    HttpServer& server() { return *server_; }
    /// Stops, and waits until run() has come back.
    void stop();

  private:
    std::unique_ptr<HttpServer> server_;
    std::thread thread_;
};

/// The answer to one request on a connection of its own.
std::string ask(int port, std::string_view request);

/// A GET with a proper Host and what else is given (whole lines).
std::string get(std::string_view path, std::string_view headers = {});
std::string post(std::string_view path, std::string_view body, std::string_view headers = {});

/// Waits up to five seconds for `condition`.
bool eventually(const std::function<bool()>& condition);

}  // namespace agave::server
