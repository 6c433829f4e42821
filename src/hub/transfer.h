#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "hub/curl.h"

namespace agave::hub {

/// Where models come from, and with whose key.
struct Endpoint {
    std::string url;    ///< without a slash at its end
    std::string token;  ///< empty: none; sent to the endpoint's own host alone
};

/// From HF_ENDPOINT (or huggingface.co), HF_TOKEN, HF_TOKEN_PATH and the token file that `hf auth login`
/// leaves. Throws Error(usage) for an endpoint that is not http or https, and a token with control
/// characters.
Endpoint endpoint_from_environment();

/// What the headers of an answer said.
struct ResponseHead {
    int status = 0;
    int64_t content_length = -1;  ///< bytes; -1: not said
    int64_t range_begin = -1;     ///< of Content-Range
    int64_t range_total = -1;     ///< size of the whole file, of Content-Range
    int64_t linked_size = -1;     ///< X-Linked-Size: the size of the file that a redirect leads to
    std::string linked_etag;      ///< X-Linked-ETag, without quotes
    std::string commit;           ///< X-Repo-Commit
    std::string error_message;    ///< X-Error-Message
    std::string next_url;         ///< Link: <...>; rel="next"
    double retry_after = -1;      ///< seconds; -1: not said
};

/// One request at a time over one connection that is kept for the next.
class Transfer {
  public:
    /// Takes bytes of a body whose status is 200 or 206; false ends the transfer.
    using Sink = bool (*)(void* context, const std::byte* bytes, size_t n);

    explicit Transfer(const Endpoint& endpoint);
    ~Transfer();
    Transfer(const Transfer&) = delete;
    Transfer& operator=(const Transfer&) = delete;

    /// Makes ready a GET of `url`; of the bytes [begin, end) where end > 0. Redirects are not followed.
    void prepare(const std::string& url, uint64_t begin, uint64_t end, Sink sink, void* context);
    Curl::Handle* handle() const { return handle_; }

    const ResponseHead& head() const { return head_; }
    /// Where a redirect leads, as an absolute URL; empty when the answer is none.
    std::string redirect_url() const;
    /// What went wrong with the connection, for a result of libcurl other than 0.
    std::string problem(int result) const;

  private:
    static size_t on_header(char* bytes, size_t size, size_t n, void* self);
    static size_t on_body(char* bytes, size_t size, size_t n, void* self);
    void read_header(std::string_view line);

    const Endpoint& endpoint_;
    Curl::Handle* handle_;
    Curl::List* headers_ = nullptr;
    ResponseHead head_;
    Sink sink_ = nullptr;
    void* context_ = nullptr;
    char error_[256] = "";
};

/// Hears what a long transfer does.
class Observer {
  public:
    virtual ~Observer() = default;
    virtual void progress(const char* what, uint64_t done_bytes, uint64_t total_bytes) = 0;
    virtual void notice(const std::string& sentence) = 0;
};

/// GETs a small document from the endpoint: follows up to ten redirects, waits as Retry-After says, tries
/// again after failures that may pass. Throws Error(usage) for what the hub refuses (401, 403, 404; `what`
/// names the thing asked for), Error(runtime) when it cannot be reached or answers with more than max_bytes.
std::string fetch(const Endpoint& endpoint, const std::string& url, const std::string& what, size_t max_bytes,
                  Observer& observer, ResponseHead* head = nullptr);

/// Throws Error for the statuses that no retry will change; returns for the others.
void fail_if_refused(const Endpoint& endpoint, const ResponseHead& head, const std::string& what);

/// How long to wait before try number `n_failures` (from 1), in seconds.
double retry_delay(const ResponseHead& head, int n_failures);

/// Scheme, host and port of a URL.
std::string_view origin_of(std::string_view url);

/// Text with everything but letters, digits and "-._~/" as %XX: a path in a URL.
std::string url_path(std::string_view text);

}  // namespace agave::hub
