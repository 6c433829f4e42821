#include "server/metrics.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/json.h"
#include "server/access_log.h"

namespace agave::server {
namespace {

bool has(const std::string& text, std::string_view part) {
    return text.find(part) != text.npos;
}

HttpOutcome outcome(std::string_view path, int status) {
    return {"id-1", "POST", path, "127.0.0.1", 3, status, true, 1234, 0.25};
}

TEST(Histogram, CountsCumulatively) {
    Histogram histogram;
    histogram.add(0.0005);
    histogram.add(0.001);
    histogram.add(0.3);
    histogram.add(1000);
    std::string text;
    histogram.append_to(text, "x_seconds", "Help.");
    EXPECT_TRUE(text.starts_with("# HELP x_seconds Help.\n# TYPE x_seconds histogram\n")) << text;
    EXPECT_TRUE(has(text, "x_seconds_bucket{le=\"0.001\"} 2\n")) << text;
    EXPECT_TRUE(has(text, "x_seconds_bucket{le=\"0.25\"} 2\n"));
    EXPECT_TRUE(has(text, "x_seconds_bucket{le=\"0.5\"} 3\n"));
    EXPECT_TRUE(has(text, "x_seconds_bucket{le=\"120\"} 3\n"));
    EXPECT_TRUE(has(text, "x_seconds_bucket{le=\"+Inf\"} 4\n"));
    EXPECT_TRUE(has(text, "x_seconds_count 4\n"));
    EXPECT_TRUE(has(text, "x_seconds_sum 1000.3015\n")) << text;
}

TEST(Metrics, TellsWhatHappened) {
    Metrics metrics;
    metrics.request(outcome("/v1/chat/completions", 200));
    metrics.request(outcome("/v1/chat/completions", 200));
    metrics.request(outcome("/v1/chat/completions", 429));
    metrics.request(outcome("/made/up\"}", 404));
    metrics.request(outcome("/v1/models/some", 200));
    metrics.token(0.2, true);
    metrics.token(0.02, false);
    metrics.token(0.02, false);
    GenerationResult result{};
    result.reason = FinishReason::length;
    result.queue_seconds = 3;
    metrics.finished("/v1/chat/completions", result);
    const std::string text = metrics.text({}, 7);
    for (const char* line :
         {"agave_http_requests_total{route=\"/v1/chat/completions\",status=\"200\"} 2\n",
          "agave_http_requests_total{route=\"/v1/chat/completions\",status=\"429\"} 1\n",
          "agave_http_requests_total{route=\"other\",status=\"404\"} 1\n",
          "agave_http_requests_total{route=\"/v1/models/*\",status=\"200\"} 1\n",
          "agave_generations_total{reason=\"length\"} 1\n", "agave_generations_total{reason=\"failed\"} 0\n",
          "agave_time_to_first_token_seconds_count 1\n", "agave_inter_token_seconds_count 2\n",
          "agave_queue_seconds_bucket{le=\"5\"} 1\n", "agave_queue_seconds_bucket{le=\"2.5\"} 0\n",
          "agave_http_connections 7\n"})
        EXPECT_TRUE(has(text, line)) << line << text;
    EXPECT_FALSE(has(text, "made"));
}

TEST(AccessLog, WritesOneLine) {
    HttpOutcome request = outcome("/a b\"c", 200);
    EXPECT_TRUE(has(log_line(request, false),
                    " id=id-1 peer=127.0.0.1 client=3 method=POST path=\"/a b\\\"c\" status=200 complete=1 "
                    "bytes=1234 seconds=0.250"))
        << log_line(request, false);
    const std::string path = "/\xff\xc2\x85 \"\\";
    request.path = path;
    const std::string line = log_line(request, true);
    EXPECT_FALSE(has(line, "\n"));
    const Json json(line, "log", JsonSource::request);
    EXPECT_EQ(json.root()["status"].as_integer(), 200);
    EXPECT_EQ(json.root()["method"].as_text(), "POST");
    EXPECT_EQ(json.root()["path"].as_text(), "/\xef\xbf\xbd\xc2\x85 \"\\");
    EXPECT_EQ(json.root()["seconds"].as_number(), 0.25);
    EXPECT_EQ(json.root()["time"].as_text().size(), std::string_view("2026-11-24T17:05:34.123Z").size());
    EXPECT_TRUE(has(log_line(outcome("", 400), false), " path=\"\" "));
}

}  // namespace
}  // namespace agave::server
