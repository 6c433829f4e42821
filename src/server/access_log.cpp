#include "server/access_log.h"

#include <sys/time.h>

#include <ctime>

#include "base/error.h"
#include "base/json_writer.h"

namespace agave::server {

namespace {

/// RFC 3339 in UTC, with milliseconds.
std::string timestamp() {
    timeval now{};
    ::gettimeofday(&now, nullptr);
    std::tm t{};
    ::gmtime_r(&now.tv_sec, &t);
    return strprintf("%04d-%02d-%02dT%02d:%02d:%02d.%03dZ", t.tm_year + 1900, t.tm_mon + 1, t.tm_mday,
                     t.tm_hour, t.tm_min, t.tm_sec, static_cast<int>(now.tv_usec / 1000));
}

/// Quoted where logfmt wants it. Paths come without control characters.
std::string logfmt_value(std::string_view value) {
    const std::string text = printable(value, 200);
    if (!text.empty() && text.find_first_of(" \"=\\") == text.npos) return text;
    std::string quoted = "\"";
    for (const char c : text) {
        if (c == '"' || c == '\\') quoted += '\\';
        quoted += c;
    }
    return quoted + '"';
}

}  // namespace

std::string log_line(const HttpOutcome& outcome, bool json) {
    const std::string seconds = strprintf("%.3f", outcome.seconds);
    const std::string client = strprintf("%llx", static_cast<unsigned long long>(outcome.client));
    if (!json)
        return strprintf(
            "time=%s id=%s peer=%s client=%s method=%s path=%s status=%d complete=%d bytes=%llu seconds=%s",
            timestamp().c_str(), std::string(outcome.id).c_str(), outcome.peer.c_str(), client.c_str(),
            logfmt_value(outcome.method).c_str(), logfmt_value(outcome.path).c_str(), outcome.status,
            outcome.complete, static_cast<unsigned long long>(outcome.n_bytes), seconds.c_str());
    JsonWriter line = JsonWriter::compact();
    line.begin_object();
    line.member("time", std::string_view(timestamp()));
    line.member("id", outcome.id);
    line.member("peer", std::string_view(outcome.peer));
    line.member("client", std::string_view(client));
    line.member("method", outcome.method);
    line.member("path", outcome.path);
    line.member("status", outcome.status);
    line.member("complete", outcome.complete);
    line.member("bytes", outcome.n_bytes);
    line.key("seconds");
    line.json(seconds);
    line.end_object();
    return line.take();
}

}  // namespace agave::server
