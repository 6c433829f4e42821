#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "server/request_reader.h"

namespace agave::server {

/// Who may use the server.
struct AccessRules {
    std::vector<std::string> api_keys;      ///< none: anyone who reaches the port
    std::vector<std::string> cors_origins;  ///< pages of these origins may ask; "*": of any
    std::vector<std::string>
        allowed_hosts;                    ///< names that Host may hold, beside those of this machine itself
    std::vector<std::string> open_paths;  ///< need no key and are not counted, e.g. /health
    double rate_limit = 0;                ///< requests a minute for each client; 0: any number
};

/// Where a connection comes from, as sixteen bytes (IPv4 as ::ffff:a.b.c.d).
struct PeerAddress {
    uint8_t bytes[16] = {};
    bool operator==(const PeerAddress&) const = default;
    std::string text() const;
};

/// Decides about a request by its head. A web page elsewhere must not reach a server on this machine through
/// its user's browser: without keys, Host must name this machine (so that no foreign name that was rebound to
/// its address gets in), and an Origin must be the server's own or one of cors_origins.
class Access {
  public:
    explicit Access(const AccessRules& rules);

    struct Verdict {
        int status = 0;  ///< 0: go on
        const char* sentence = "";
        double retry_after = 0;     ///< seconds, where status is 429
        uint64_t client = 0;        ///< of the key, or of the address; the same in all runs of one process
        bool cross_origin = false;  ///< and allowed
    };
    /// `now`: on monotonic_seconds().
    Verdict check(const RequestReader& request, const PeerAddress& peer, double now);

  private:
    struct Bucket {
        double tokens;
        double at;
    };

    /// The index of the key that the request brings, or -1. Takes the same time for every wrong key.
    int find_key(const RequestReader& request) const;
    bool host_allowed(std::string_view host) const;
    bool origin_allowed(std::string_view origin) const;
    /// Seconds until the client may ask again; 0: now, and that is counted.
    double take_from_bucket(uint64_t client, double now);

    AccessRules rules_;
    std::unordered_map<uint64_t, Bucket> buckets_;
};

/// True when both are equal; takes a time that depends on the lengths alone.
bool equal_in_constant_time(std::string_view a, std::string_view b);

}  // namespace agave::server
