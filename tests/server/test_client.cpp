#include "test_client.h"

#include <arpa/inet.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <chrono>
#include <csignal>

#include "base/error.h"
#include "base/system.h"

namespace agave::server {

TestClient::TestClient(int port, int receive_bytes) : fd_(::socket(AF_INET, SOCK_STREAM, 0)) {
    if (receive_bytes) ::setsockopt(fd_, SOL_SOCKET, SO_RCVBUF, &receive_bytes, sizeof receive_bytes);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(static_cast<uint16_t>(port));
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    if (::connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0)
        fail(ErrorKind::runtime, "connect failed");
}

TestClient::~TestClient() {
    close();
}

bool TestClient::send(std::string_view bytes) {
    while (!bytes.empty()) {
        const ssize_t n = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
        if (n <= 0) return false;
        bytes.remove_prefix(static_cast<size_t>(n));
    }
    return true;
}

bool TestClient::receive(double until) {
    pollfd entry{fd_, POLLIN, 0};
    const double left = until - monotonic_seconds();
    if (left <= 0 || ::poll(&entry, 1, static_cast<int>(left * 1000) + 1) <= 0) return false;
    char bytes[65536];
    const ssize_t n = ::recv(fd_, bytes, sizeof bytes, 0);
    if (n > 0) buffer_.append(bytes, static_cast<size_t>(n));
    return n > 0;
}

std::string TestClient::read_until(std::string_view end) {
    const double until = monotonic_seconds() + 5;
    for (;;) {
        const size_t place = end.empty() ? buffer_.npos : buffer_.find(end);
        if (place != buffer_.npos) return take(place + end.size());
        if (!receive(until)) return take(buffer_.size());
    }
}

std::string TestClient::read_answer() {
    std::string answer = read_until("\r\n\r\n");
    if (answer.find("transfer-encoding: chunked") != answer.npos) return answer + read_until("0\r\n\r\n");
    const size_t place = answer.find("content-length: ");
    if (place == answer.npos) return answer;
    const size_t length = std::stoul(answer.substr(place + 16));
    const double until = monotonic_seconds() + 5;
    while (buffer_.size() < length && receive(until)) {
    }
    return answer + take(length);
}

std::string TestClient::take(size_t n_bytes) {
    std::string result = buffer_.substr(0, n_bytes);
    buffer_.erase(0, n_bytes);
    return result;
}

bool TestClient::at_end() {
    pollfd entry{fd_, POLLIN, 0};
    char byte;
    return ::poll(&entry, 1, 5000) > 0 && ::recv(fd_, &byte, 1, MSG_PEEK) <= 0;
}

void TestClient::end_input() {
    ::shutdown(fd_, SHUT_WR);
}

void TestClient::close() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
}

void TestClient::reset() {
    const linger at_once{1, 0};
    ::setsockopt(fd_, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    close();
}

static HttpServerOptions on_free_port(HttpServerOptions options) {
    options.port = 0;
    return options;
}

TestServer::TestServer(HttpHandler handler, HttpServerOptions options)
    : server_(std::make_unique<HttpServer>(on_free_port(std::move(options)), std::move(handler))),
      thread_([this] { server_->run(); }) {}

TestServer::~TestServer() {
    stop();
}

void TestServer::stop() {
    server_->stop();
    if (thread_.joinable()) thread_.join();
}

std::string ask(int port, std::string_view request) {
    TestClient client(port);
    client.send(request);
    return client.read_answer();
}

std::string get(std::string_view path, std::string_view headers) {
    return std::string("GET ").append(path).append(" HTTP/1.1\r\nHost: localhost\r\n").append(headers) +
           "\r\n";
}

std::string post(std::string_view path, std::string_view body, std::string_view headers) {
    return strprintf("POST %.*s HTTP/1.1\r\nHost: localhost\r\nContent-Length: %zu\r\n%.*s\r\n",
                     static_cast<int>(path.size()), path.data(), body.size(),
                     static_cast<int>(headers.size()), headers.data())
        .append(body);
}

bool eventually(const std::function<bool()>& condition) {
    const double until = monotonic_seconds() + 5;
    while (!condition()) {
        if (monotonic_seconds() > until) return false;
        std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    return true;
}

}  // namespace agave::server
