#include "server/access.h"

#include <arpa/inet.h>

#include <algorithm>

namespace agave::server {

namespace {

/// More clients than this are not told apart for long: those that have not asked for a minute are forgotten.
constexpr size_t kMaxBuckets = 10000;

/// FNV-1a (Fowler, Noll, Vo).
uint64_t hash_bytes(const uint8_t* bytes, size_t n) {
    uint64_t hash = 0xCBF29CE484222325;
    for (size_t i = 0; i < n; i++) hash = (hash ^ bytes[i]) * 0x100000001B3;
    return hash;
}

/// Without ":port"; an IPv6 address comes out without its brackets.
std::string_view without_port(std::string_view host) {
    if (host.starts_with('[')) return host.substr(1, host.find(']') - 1);
    return host.substr(0, host.rfind(':'));
}

bool is_address(std::string_view host) {
    const std::string text(host);
    uint8_t bytes[16];
    return ::inet_pton(AF_INET, text.c_str(), bytes) == 1 || ::inet_pton(AF_INET6, text.c_str(), bytes) == 1;
}

bool equals_ignoring_case(std::string_view a, std::string_view b) {
    return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                      [](char x, char y) { return (x | 32) == (y | 32); });
}

}  // namespace

std::string PeerAddress::text() const {
    char out[INET6_ADDRSTRLEN] = "";
    static constexpr uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF};
    if (std::equal(mapped, mapped + 12, bytes))
        ::inet_ntop(AF_INET, bytes + 12, out, sizeof out);
    else
        ::inet_ntop(AF_INET6, bytes, out, sizeof out);
    return out;
}

bool equal_in_constant_time(std::string_view a, std::string_view b) {
    // volatile, so that no compiler ends the loop at the first difference.
    volatile size_t difference = a.size() ^ b.size();
    for (size_t i = 0; i < a.size() && !b.empty(); i++)
        difference = difference | static_cast<unsigned char>(a[i] ^ b[i % b.size()]);
    return difference == 0;
}

Access::Access(const AccessRules& rules) : rules_(rules) {}

int Access::find_key(const RequestReader& request) const {
    std::string_view given = request.header("authorization");
    if (given.size() > 7 && equals_ignoring_case(given.substr(0, 7), "bearer "))
        given.remove_prefix(7);
    else
        given = request.header("x-api-key");
    if (given.empty()) given = request.header("api-key");
    int found = -1;
    for (size_t i = 0; i < rules_.api_keys.size(); i++) {
        if (equal_in_constant_time(rules_.api_keys[i], given)) found = static_cast<int>(i);
    }
    return found;
}

bool Access::host_allowed(std::string_view host) const {
    const std::string_view name = without_port(host);
    if (equals_ignoring_case(name, "localhost") || name.ends_with(".localhost") || is_address(name))
        return true;
    return std::any_of(rules_.allowed_hosts.begin(), rules_.allowed_hosts.end(),
                       [&](const std::string& allowed) { return equals_ignoring_case(name, allowed); });
}

bool Access::origin_allowed(std::string_view origin) const {
    return std::any_of(
        rules_.cors_origins.begin(), rules_.cors_origins.end(),
        [&](const std::string& allowed) { return allowed == "*" || equals_ignoring_case(origin, allowed); });
}

double Access::take_from_bucket(uint64_t client, double now) {
    if (rules_.rate_limit <= 0) return 0;
    if (buckets_.size() > kMaxBuckets)
        std::erase_if(buckets_, [&](const auto& entry) { return now - entry.second.at > 60; });
    const double rate = rules_.rate_limit / 60, most = std::max(rules_.rate_limit, 1.0);
    Bucket& bucket = buckets_.try_emplace(client, Bucket{most, now}).first->second;
    bucket.tokens = std::min(most, bucket.tokens + (now - bucket.at) * rate);
    bucket.at = now;
    if (bucket.tokens < 1) return (1 - bucket.tokens) / rate;
    bucket.tokens -= 1;
    return 0;
}

Access::Verdict Access::check(const RequestReader& request, const PeerAddress& peer, double now) {
    Verdict verdict;
    const std::string_view host = request.header("host"), origin = request.header("origin");
    if (rules_.api_keys.empty() && !host.empty() && !host_allowed(host)) {
        verdict.status = 403;
        verdict.sentence = "the Host of the request is not a name of this machine; see --allowed-host";
        return verdict;
    }
    if (!origin.empty()) {
        const size_t slashes = origin.find("://");
        const bool own = slashes != origin.npos && equals_ignoring_case(origin.substr(slashes + 3), host);
        if (!own && !origin_allowed(origin)) {
            verdict.status = 403;
            verdict.sentence = "pages of other origins may not ask this server; see --cors-origin";
            return verdict;
        }
        verdict.cross_origin = !own;
    }
    // One client is one IPv6 network, or one IPv4 address.
    const bool v4 = std::all_of(peer.bytes, peer.bytes + 10, [](uint8_t byte) { return byte == 0; });
    verdict.client = hash_bytes(peer.bytes, v4 ? 16 : 8);
    // The browser asks before it sends a key.
    const bool preflight = verdict.cross_origin && request.method() == "OPTIONS";
    const bool open = preflight || std::find(rules_.open_paths.begin(), rules_.open_paths.end(),
                                             request.path()) != rules_.open_paths.end();
    if (open) return verdict;
    if (!rules_.api_keys.empty()) {
        const int key = find_key(request);
        if (key < 0) {
            verdict.status = 401;
            verdict.sentence = "this server wants an API key, as 'Authorization: Bearer KEY'";
            return verdict;
        }
        verdict.client = static_cast<uint64_t>(key) + 1;
    }
    verdict.retry_after = take_from_bucket(verdict.client, now);
    if (verdict.retry_after > 0) {
        verdict.status = 429;
        verdict.sentence = "too many requests from this client in the last minute";
    }
    return verdict;
}

}  // namespace agave::server
