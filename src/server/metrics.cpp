#include "server/metrics.h"

#include <algorithm>

#include "base/error.h"
#include "base/system.h"

namespace agave::server {

namespace {

/// The paths that are told apart: a label must not take what clients make up.
constexpr const char* routes[] = {"/",
                                  "/api/chat",
                                  "/api/embed",
                                  "/api/generate",
                                  "/api/show",
                                  "/api/tags",
                                  "/api/version",
                                  "/detokenize",
                                  "/health",
                                  "/metrics",
                                  "/openapi.json",
                                  "/ready",
                                  "/tokenize",
                                  "/v1/chat/completions",
                                  "/v1/completions",
                                  "/v1/embeddings",
                                  "/v1/messages",
                                  "/v1/messages/count_tokens",
                                  "/v1/models",
                                  "/v1/responses"};

constexpr const char* reasons[] = {"end", "stop", "length", "context", "cancelled", "deadline", "failed"};

const char* route_of(std::string_view path) {
    for (const char* route : routes) {
        if (path == route) return route;
    }
    return path.starts_with("/v1/models/") ? "/v1/models/*" : "other";
}

/// One value of each model.
struct ModelMetric {
    const char* name;
    const char* type;
    const char* help;
    int64_t SchedulerStatistics::* value;
};
constexpr ModelMetric model_metrics[] = {
    {"agave_requests_running", "gauge", "Sequences that take part in steps.",
     &SchedulerStatistics::n_running},
    {"agave_requests_waiting", "gauge", "Generations that wait for their turn.",
     &SchedulerStatistics::n_waiting},
    {"agave_requests_total", "counter", "Generations that were accepted.", &SchedulerStatistics::n_requests},
    {"agave_preemptions_total", "counter", "Sequences that gave up their pages and began again.",
     &SchedulerStatistics::n_preemptions},
    {"agave_prompt_tokens_total", "counter", "Tokens of prompts, cached ones included.",
     &SchedulerStatistics::n_prompt_tokens},
    {"agave_prompt_tokens_cached_total", "counter", "Tokens of prompts that were not computed again.",
     &SchedulerStatistics::n_cached_tokens},
    {"agave_generated_tokens_total", "counter", "Tokens that were generated.",
     &SchedulerStatistics::n_generated_tokens},
    {"agave_steps_total", "counter", "Steps of the engine.", &SchedulerStatistics::n_steps},
    {"agave_kv_pages", "gauge", "Pages of the K/V cache.", &SchedulerStatistics::pages_total},
    {"agave_kv_pages_used", "gauge", "Pages that running sequences or the prefix cache hold.",
     &SchedulerStatistics::pages_used},
    {"agave_kv_pages_cached", "gauge", "Pages that only the prefix cache holds.",
     &SchedulerStatistics::pages_cached},
};

void append_header(std::string& text, const char* name, const char* type, const char* help) {
    text += strprintf("# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

/// A label's value: backslash, quote and newline are escaped.
std::string label(std::string_view value) {
    std::string out;
    for (const char c : value) {
        if (c == '\\' || c == '"') out += '\\';
        if (c == '\n')
            out += "\\n";
        else
            out += c;
    }
    return out;
}

void append_value(std::string& text, const char* name, const char* type, const char* help, double value) {
    append_header(text, name, type, help);
    text += strprintf("%s %.15g\n", name, value);
}

}  // namespace

void Histogram::add(double seconds) {
    counts_[static_cast<size_t>(std::lower_bound(kBounds.begin(), kBounds.end(), seconds) -
                                kBounds.begin())]++;
    sum_ += seconds;
}

void Histogram::append_to(std::string& text, const char* name, const char* help) const {
    append_header(text, name, "histogram", help);
    uint64_t total = 0;
    for (size_t i = 0; i < counts_.size(); i++) {
        total += counts_[i];
        const std::string bound = i < kBounds.size() ? strprintf("%g", kBounds[i]) : "+Inf";
        text += strprintf("%s_bucket{le=\"%s\"} %llu\n", name, bound.c_str(),
                          static_cast<unsigned long long>(total));
    }
    text +=
        strprintf("%s_sum %.9g\n%s_count %llu\n", name, sum_, name, static_cast<unsigned long long>(total));
}

void Metrics::token(double seconds, bool first) {
    std::lock_guard lock(mutex_);
    (first ? first_token_ : between_tokens_).add(seconds);
}

void Metrics::finished(std::string_view, const GenerationResult& result) {
    std::lock_guard lock(mutex_);
    reasons_[static_cast<size_t>(result.reason)]++;
    queue_.add(result.queue_seconds);
}

void Metrics::request(const HttpOutcome& outcome) {
    const char* route = route_of(outcome.path);
    std::lock_guard lock(mutex_);
    answer_.add(outcome.seconds);
    const auto found = std::find_if(requests_.begin(), requests_.end(), [&](const RequestCount& count) {
        return count.route == route && count.status == outcome.status;
    });
    if (found == requests_.end())
        requests_.push_back({route, outcome.status, 1});
    else
        found->n++;
}

std::string Metrics::text(const std::vector<ServedModel>& models, size_t n_connections) const {
    std::string text;
    std::vector<SchedulerStatistics> statistics;
    for (const ServedModel& model : models) statistics.push_back(model.scheduler->statistics());
    for (const ModelMetric& metric : model_metrics) {
        append_header(text, metric.name, metric.type, metric.help);
        for (size_t i = 0; i < models.size(); i++)
            text += strprintf("%s{model=\"%s\"} %lld\n", metric.name, label(models[i].name).c_str(),
                              static_cast<long long>(statistics[i].*metric.value));
    }
    append_header(text, "agave_kv_usage_ratio", "gauge",
                  "Share of the K/V cache that running sequences hold, from 0 to 1.");
    for (size_t i = 0; i < models.size(); i++) {
        const SchedulerStatistics& s = statistics[i];
        const double used = static_cast<double>(s.pages_used - s.pages_cached);
        text += strprintf("agave_kv_usage_ratio{model=\"%s\"} %.6g\n", label(models[i].name).c_str(),
                          s.pages_total ? used / static_cast<double>(s.pages_total) : 0.0);
    }
    append_header(text, "agave_kv_info", "gauge", "Always 1; block_size: tokens of a page.");
    for (size_t i = 0; i < models.size(); i++)
        text += strprintf("agave_kv_info{model=\"%s\",block_size=\"%d\",num_gpu_blocks=\"%lld\"} 1\n",
                          label(models[i].name).c_str(), static_cast<int>(kPageTokens),
                          static_cast<long long>(statistics[i].pages_total));

    std::lock_guard lock(mutex_);
    append_header(text, "agave_http_requests_total", "counter",
                  "HTTP requests; status 499: the client went away before the answer began.");
    for (const RequestCount& count : requests_)
        text += strprintf("agave_http_requests_total{route=\"%s\",status=\"%d\"} %llu\n", count.route,
                          count.status, static_cast<unsigned long long>(count.n));
    append_header(text, "agave_generations_total", "counter", "Generations that have ended.");
    for (size_t i = 0; i < kReasons; i++)
        text += strprintf("agave_generations_total{reason=\"%s\"} %llu\n", reasons[i],
                          static_cast<unsigned long long>(reasons_[i]));
    answer_.append_to(text, "agave_http_request_seconds",
                      "From the first byte of a request to the last of its answer.");
    queue_.append_to(text, "agave_queue_seconds", "From the acceptance of a generation to its first step.");
    first_token_.append_to(text, "agave_time_to_first_token_seconds", "From the request to the first token.");
    between_tokens_.append_to(text, "agave_inter_token_seconds", "Between two tokens of one generation.");
    append_value(text, "agave_http_connections", "gauge", "Open connections.",
                 static_cast<double>(n_connections));
    append_value(text, "process_resident_memory_bytes", "gauge", "Resident memory.",
                 static_cast<double>(resident_bytes()));
    return text;
}

}  // namespace agave::server
