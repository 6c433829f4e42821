#pragma once

#include <cstdint>

namespace agave::cli {

/// One line on the terminal of standard error that says how far a long transfer is, at which rate, and how
/// long it will take; nothing where standard error is no terminal.
class ProgressBar {
  public:
    explicit ProgressBar(bool quiet);
    /// Draws at most ten times a second, and always at the end.
    void update(const char* what, uint64_t done_bytes, uint64_t total_bytes);
    /// Takes the line away.
    void clear();

  private:
    bool shown_ = false;
    bool enabled_;
    const char* what_ = nullptr;
    double started_at_ = 0, drawn_at_ = 0;
    uint64_t started_bytes_ = 0;
};

}  // namespace agave::cli
