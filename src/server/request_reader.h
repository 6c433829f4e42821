#pragma once

#include <http_parser.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace agave::server {

/// What one request may weigh.
struct RequestLimits {
    size_t target_bytes = 8 << 10;
    size_t head_bytes = 32 << 10;  ///< the lines of the head, and those of a chunked body's trailer
    size_t n_headers = 100;
    size_t body_bytes = 64 << 20;
};

/// Puts one HTTP/1.x request (RFC 9112) together from the bytes of a connection, however they are cut.
/// Stricter than its parser where a proxy in front could read a request another way: no request with both
/// Content-Length and Transfer-Encoding, no coding but chunked, exactly one Host in HTTP/1.1, no control
/// characters anywhere in the head.
class RequestReader {
  public:
    enum class State : uint8_t {
        head,           ///< more bytes are wanted
        head_complete,  ///< told once, before the first byte of the body is taken: feed() goes on
        body,
        complete,
        failed  ///< see status() and sentence(); the connection is of no further use
    };

    explicit RequestReader(const RequestLimits& limits);
    RequestReader(const RequestReader&) = delete;
    RequestReader& operator=(const RequestReader&) = delete;

    /// Takes bytes up to the next change of state and returns how many; none when complete or failed.
    size_t feed(std::string_view bytes);

    State state() const { return state_; }
    int status() const { return status_; }  ///< the HTTP status that a failure means
    const char* sentence() const { return sentence_; }

    // From head_complete on. The views live as long as the reader.
    std::string_view method() const { return http_method_str(static_cast<http_method>(parser_.method)); }
    std::string_view path() const { return path_; }
    std::string_view query() const { return query_; }
    std::vector<std::pair<std::string_view, std::string_view>> headers() const;
    std::string_view header(std::string_view lower_case_name) const;
    bool http_1_0() const { return parser_.http_minor == 0; }
    bool keep_alive() const { return keep_alive_; }
    bool expects_continue() const { return expects_continue_; }
    /// What has come of the body.
    const std::string& body() const { return body_; }

  private:
    struct Header {
        uint32_t name, name_length, value, value_length;  ///< places in head_
    };
    /// Callbacks of the parser: one for each kind of event, with `this` in parser->data.
    struct Callbacks;

    int refuse(int status, const char* sentence);
    int take_header_byte_count(size_t bytes);
    int check_head();
    int check_target();

    const RequestLimits& limits_;
    http_parser parser_;
    State state_ = State::head;
    bool in_value_ = false;
    bool keep_alive_ = false;
    bool expects_continue_ = false;
    int status_ = 0;
    const char* sentence_ = "";
    size_t head_bytes_ = 0;
    std::string target_, path_, query_;
    std::string head_;  ///< names in lower case and values, one after the other
    std::vector<Header> headers_;
    std::string body_;
};

}  // namespace agave::server
