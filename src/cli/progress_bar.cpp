#include "cli/progress_bar.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <string>

#include "base/error.h"
#include "base/system.h"
#include "cli/output.h"

namespace agave::cli {

namespace {

constexpr double kInterval = 0.1;  // seconds

int terminal_columns() {
    winsize size{};
    return ::ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0 ? size.ws_col : 80;
}

/// 75 seconds as "1:15", 4000 as "1:06:40".
std::string time_text(double seconds) {
    const auto s = static_cast<long>(std::min(seconds, 359999.0) + 0.5);
    return s < 3600 ? strprintf("%ld:%02ld", s / 60, s % 60)
                    : strprintf("%ld:%02ld:%02ld", s / 3600, s / 60 % 60, s % 60);
}

}  // namespace

ProgressBar::ProgressBar(bool quiet) : enabled_(!quiet && ::isatty(STDERR_FILENO)) {}

void ProgressBar::update(const char* what, uint64_t done_bytes, uint64_t total_bytes) {
    if (!enabled_) return;
    const double now = monotonic_seconds();
    if (what != what_) {
        what_ = what;
        started_at_ = now;
        started_bytes_ = done_bytes;
        drawn_at_ = 0;
    }
    if (now - drawn_at_ < kInterval && done_bytes < total_bytes) return;
    drawn_at_ = now;
    const double rate = static_cast<double>(done_bytes - std::min(done_bytes, started_bytes_)) /
                        std::max(now - started_at_, 1e-3);
    const auto done = static_cast<double>(done_bytes), total = static_cast<double>(total_bytes);
    std::string tail =
        strprintf(" %3.0f %%  %s of %s  %s/s", 100 * done / std::max(total, 1.0), bytes_text(done).c_str(),
                  bytes_text(total).c_str(), bytes_text(rate).c_str());
    if (rate > 0 && done_bytes < total_bytes) tail += "  " + time_text((total - done) / rate) + " left";

    const int columns = terminal_columns() - 1;
    std::string text = printable(what, static_cast<size_t>(std::max(8, columns / 3)));
    const int bar = columns - static_cast<int>(text.size() + tail.size()) - 3;
    if (bar >= 8) {
        const auto filled = static_cast<size_t>(done / std::max(total, 1.0) * bar);
        text += " [" + std::string(filled, '#') + std::string(static_cast<size_t>(bar) - filled, '.') + "]";
    }
    text += tail;
    std::fprintf(stderr, "\r\x1b[K%s", text.substr(0, static_cast<size_t>(columns)).c_str());
    std::fflush(stderr);
    shown_ = true;
}

void ProgressBar::clear() {
    if (shown_) std::fputs("\r\x1b[K", stderr);
    shown_ = false;
    what_ = nullptr;
}

}  // namespace agave::cli
