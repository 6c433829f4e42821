#include "hub/transfer.h"

#include <algorithm>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <ctime>

#include "base/error.h"
#include "hub/cache.h"

namespace agave::hub {

namespace {

constexpr int kMaxRedirects = 10;
constexpr int kMaxFailures = 4;
constexpr double kMaxDelay = 300;  // seconds; a longer Retry-After ends the command instead

bool equal_ignoring_case(std::string_view a, std::string_view b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                      [](char x, char y) { return (x | 0x20) == (y | 0x20); });
}

std::string_view trim(std::string_view text) {
    while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
    while (!text.empty() && static_cast<unsigned char>(text.back()) <= ' ') text.remove_suffix(1);
    return text;
}

int64_t parse_size(std::string_view text) {
    int64_t value = -1;
    const auto [stop, code] = std::from_chars(text.data(), text.data() + text.size(), value);
    return code == std::errc{} && stop == text.data() + text.size() && value >= 0 ? value : -1;
}

std::string_view unquoted(std::string_view etag) {
    if (etag.starts_with("W/")) etag.remove_prefix(2);
    if (etag.size() >= 2 && etag.front() == '"' && etag.back() == '"') etag = etag.substr(1, etag.size() - 2);
    return etag;
}

/// The URL that a Link header calls "next", or empty.
std::string next_link(std::string_view value) {
    const size_t begin = value.find('<'), end = value.find('>');
    if (begin == value.npos || end == value.npos || end < begin) return {};
    if (value.find("rel=\"next\"", end) == value.npos) return {};
    return std::string(value.substr(begin + 1, end - begin - 1));
}

std::string environment(const char* name) {
    const char* value = std::getenv(name);
    return value ? value : "";
}

struct Body {
    std::string text;
    size_t max_bytes;
    bool too_long = false;
};

bool take_body(void* context, const std::byte* bytes, size_t n) {
    Body& body = *static_cast<Body*>(context);
    body.too_long = body.text.size() + n > body.max_bytes;
    if (!body.too_long) body.text.append(reinterpret_cast<const char*>(bytes), n);
    return !body.too_long;
}

void sleep_seconds(double seconds) {
    timespec time{};
    time.tv_sec = static_cast<time_t>(seconds);
    time.tv_nsec = static_cast<long>((seconds - static_cast<double>(time.tv_sec)) * 1e9);
    ::nanosleep(&time, nullptr);
}

}  // namespace

Endpoint endpoint_from_environment() {
    Endpoint endpoint{environment("HF_ENDPOINT"), environment("HF_TOKEN")};
    if (endpoint.url.empty()) endpoint.url = "https://huggingface.co";
    while (endpoint.url.ends_with('/')) endpoint.url.pop_back();
    if (!endpoint.url.starts_with("https://") && !endpoint.url.starts_with("http://"))
        fail(ErrorKind::usage, "HF_ENDPOINT is '%s', which begins with neither https:// nor http://",
             printable(endpoint.url).c_str());
    if (endpoint.token.empty()) endpoint.token = stored_token();
    endpoint.token = std::string(trim(endpoint.token));
    if (std::any_of(endpoint.token.begin(), endpoint.token.end(), [](char c) { return c <= ' ' || c > '~'; }))
        fail(ErrorKind::usage, "the Hugging Face token holds characters that no token has");
    return endpoint;
}

Transfer::Transfer(const Endpoint& endpoint) : endpoint_(endpoint), handle_(curl().easy_init()) {
    if (!handle_) fail(ErrorKind::runtime, "libcurl could not make a connection handle");
    const auto set = curl().easy_setopt;
    set(handle_, kCurlNoSignal, 1L);
    set(handle_, kCurlProtocols, 3L);
    set(handle_, kCurlConnectTimeout, 20L);
    set(handle_, kCurlLowSpeedLimit, 1L);
    set(handle_, kCurlLowSpeedTime, 30L);
    set(handle_, kCurlUserAgent, "agave/" AGAVE_VERSION);
    set(handle_, kCurlErrorBuffer, error_);
    set(handle_, kCurlPrivate, static_cast<void*>(this));
    set(handle_, kCurlHeaderFunction, &Transfer::on_header);
    set(handle_, kCurlHeaderData, static_cast<void*>(this));
    set(handle_, kCurlWriteFunction, &Transfer::on_body);
    set(handle_, kCurlWriteData, static_cast<void*>(this));
}

Transfer::~Transfer() {
    curl().easy_cleanup(handle_);
    if (headers_) curl().slist_free_all(headers_);
}

void Transfer::prepare(const std::string& url, uint64_t begin, uint64_t end, Sink sink, void* context) {
    head_ = {};
    error_[0] = 0;
    sink_ = sink;
    context_ = context;
    if (headers_) curl().slist_free_all(headers_);
    headers_ = nullptr;
    // A redirect leads to other hosts, which have no business with the key.
    if (!endpoint_.token.empty() && origin_of(url) == origin_of(endpoint_.url))
        headers_ = curl().slist_append(headers_, ("Authorization: Bearer " + endpoint_.token).c_str());
    curl().easy_setopt(handle_, kCurlHttpHeader, headers_);
    curl().easy_setopt(handle_, kCurlUrl, url.c_str());
    const std::string range = strprintf("%llu-%llu", static_cast<unsigned long long>(begin),
                                        static_cast<unsigned long long>(end - 1));
    curl().easy_setopt(handle_, kCurlRange, end > 0 ? range.c_str() : static_cast<const char*>(nullptr));
}

std::string Transfer::redirect_url() const {
    const char* url = nullptr;
    curl().easy_getinfo(handle_, kCurlRedirectUrl, &url);
    return head_.status >= 300 && head_.status < 400 && url ? url : "";
}

std::string Transfer::problem(int result) const {
    return printable(error_[0] ? error_ : curl().easy_strerror(result), 200);
}

size_t Transfer::on_header(char* bytes, size_t size, size_t n, void* self) {
    static_cast<Transfer*>(self)->read_header({bytes, size * n});
    return size * n;
}

size_t Transfer::on_body(char* bytes, size_t size, size_t n, void* self) {
    const Transfer& transfer = *static_cast<Transfer*>(self);
    const size_t n_bytes = size * n;
    if (transfer.head_.status != 200 && transfer.head_.status != 206) return n_bytes;
    const bool taken = transfer.sink_(transfer.context_, reinterpret_cast<const std::byte*>(bytes), n_bytes);
    return taken ? n_bytes : 0;
}

void Transfer::read_header(std::string_view line) {
    if (line.starts_with("HTTP/")) {  // a new answer begins, perhaps after "100 Continue" or a proxy's
        head_ = {};
        const size_t space = line.find(' ');
        if (space != line.npos) head_.status = static_cast<int>(parse_size(line.substr(space + 1, 3)));
        return;
    }
    const size_t colon = line.find(':');
    if (colon == line.npos) return;
    const std::string_view name = line.substr(0, colon), value = trim(line.substr(colon + 1));
    const auto is = [&](std::string_view other) { return equal_ignoring_case(name, other); };
    if (is("content-length")) head_.content_length = parse_size(value);
    if (is("x-linked-size")) head_.linked_size = parse_size(value);
    if (is("x-linked-etag")) head_.linked_etag = unquoted(value);
    if (is("x-repo-commit")) head_.commit = value;
    if (is("x-error-message")) head_.error_message = printable(value, 200);
    if (is("link")) head_.next_url = next_link(value);
    if (is("retry-after")) head_.retry_after = static_cast<double>(parse_size(value));
    if (is("content-range") && value.starts_with("bytes ")) {
        const size_t dash = value.find('-'), slash = value.find('/');
        if (dash != value.npos && slash != value.npos) {
            head_.range_begin = parse_size(value.substr(6, dash - 6));
            head_.range_total = parse_size(value.substr(slash + 1));
        }
    }
}

std::string_view origin_of(std::string_view url) {
    const size_t scheme = url.find("://");
    if (scheme == url.npos) return url;
    const size_t end = url.find_first_of("/?#", scheme + 3);
    return url.substr(0, end);
}

std::string url_path(std::string_view text) {
    std::string path;
    for (char c : text) {
        const bool plain = (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
                           std::string_view("-._~/").find(c) != std::string_view::npos;
        if (plain)
            path += c;
        else
            path += strprintf("%%%02X", static_cast<unsigned char>(c));
    }
    return path;
}

void fail_if_refused(const Endpoint& endpoint, const ResponseHead& head, const std::string& what) {
    const std::string host(origin_of(endpoint.url));
    const std::string reason = head.error_message.empty() ? "" : " (" + head.error_message + ")";
    if (head.status == 401 || head.status == 403)
        fail(ErrorKind::usage, "%s does not give %s to %s%s; %s", host.c_str(), what.c_str(),
             endpoint.token.empty() ? "callers without a token" : "the holder of this token", reason.c_str(),
             endpoint.token.empty() ? "set HF_TOKEN, and accept the model's terms on its page if it has any"
                                    : "accept the model's terms on its page, or use another HF_TOKEN");
    if (head.status == 404)
        fail(ErrorKind::usage, "%s has no %s%s", host.c_str(), what.c_str(), reason.c_str());
    if (head.status >= 400 && head.status < 500 && head.status != 408 && head.status != 429)
        fail(ErrorKind::runtime, "%s answered %d for %s%s", host.c_str(), head.status, what.c_str(),
             reason.c_str());
    if (head.retry_after > kMaxDelay)
        fail(ErrorKind::runtime, "%s asks to come back in %.0f seconds for %s", host.c_str(),
             head.retry_after, what.c_str());
}

double retry_delay(const ResponseHead& head, int n_failures) {
    if (head.retry_after >= 0) return head.retry_after;
    return std::min(30.0, 0.25 * static_cast<double>(1 << std::min(n_failures, 8)));
}

std::string fetch(const Endpoint& endpoint, const std::string& url, const std::string& what, size_t max_bytes,
                  Observer& observer, ResponseHead* head) {
    Transfer transfer(endpoint);
    std::string target = url;
    int n_redirects = 0;
    for (int n_failures = 1;; n_failures++) {
        Body body{{}, max_bytes};
        transfer.prepare(target, 0, 0, take_body, &body);
        const int result = curl().easy_perform(transfer.handle());
        if (body.too_long)
            fail(ErrorKind::runtime, "the answer for %s is longer than %zu MB", what.c_str(),
                 max_bytes >> 20);
        if (head) *head = transfer.head();
        if (result == 0 && transfer.head().status == 200) return std::move(body.text);
        if (result == 0 && !transfer.redirect_url().empty()) {
            if (++n_redirects > kMaxRedirects)
                fail(ErrorKind::runtime, "%s leads in a circle of redirects", what.c_str());
            target = transfer.redirect_url();
            n_failures--;
            continue;
        }
        std::string problem = strprintf("status %d", transfer.head().status);
        if (result == 0)
            fail_if_refused(endpoint, transfer.head(), what);
        else
            problem = transfer.problem(result);
        if (n_failures == kMaxFailures)
            fail(ErrorKind::runtime, "%s cannot be had from %s: %s", what.c_str(),
                 std::string(origin_of(target)).c_str(), problem.c_str());
        const double delay = retry_delay(transfer.head(), n_failures);
        observer.notice(strprintf("%s; trying again in %.1f s", problem.c_str(), delay));
        sleep_seconds(delay);
    }
}

}  // namespace agave::hub
