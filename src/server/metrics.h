#pragma once

#include <array>
#include <mutex>
#include <string>
#include <string_view>
#include <vector>

#include "server/api.h"

namespace agave::server {

/// Counts durations in buckets, as a Prometheus histogram.
class Histogram {
  public:
    /// Upper ends of the buckets in seconds; what is longer falls into one more.
    static constexpr std::array<double, 16> kBounds = {0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25,
                                                       0.5,   1,      2.5,   5,    10,    25,   60,  120};

    void add(double seconds);
    void append_to(std::string& text, const char* name, const char* help) const;

  private:
    std::array<uint64_t, kBounds.size() + 1> counts_{};
    double sum_ = 0;
};

/// What the server did, in Prometheus' text format (version 0.0.4). Safe to use from several threads.
class Metrics final : public ApiObserver {
  public:
    void token(double seconds, bool first) override;
    void finished(std::string_view path, const GenerationResult& result) override;
    void request(const HttpOutcome& outcome);

    /// All metrics at this moment; `n_connections`: of the HTTP server.
    std::string text(const std::vector<ServedModel>& models, size_t n_connections) const;

  private:
    struct RequestCount {
        const char* route;
        int status;
        uint64_t n;
    };
    static constexpr size_t kReasons = static_cast<size_t>(FinishReason::failed) + 1;

    mutable std::mutex mutex_;
    std::vector<RequestCount> requests_;
    std::array<uint64_t, kReasons> reasons_{};
    Histogram queue_, first_token_, between_tokens_, answer_;
};

}  // namespace agave::server
