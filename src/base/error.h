#pragma once

#include <cstdarg>
#include <exception>
#include <string>
#include <string_view>

namespace agave {

/// What went wrong, as far as the exit status and an HTTP status need to know.
enum class ErrorKind {
    usage,        ///< the caller's words: flags, values, a missing file (exit 2, HTTP 400)
    bad_file,     ///< a file that is damaged, hostile or disagrees with itself (exit 2)
    unsupported,  ///< well-formed, but not something that this build runs (exit 2)
    runtime       ///< memory, input/output, interruption (exit 1)
};

/// The exception of agave: a kind and one sentence that names the file, tensor or flag, what was found and
/// what was expected. Thrown while loading and for bad requests, never on the hot path.
class Error : public std::exception {
  public:
    Error(ErrorKind kind, std::string message) : kind_(kind), message_(std::move(message)) {}
    ErrorKind kind() const noexcept { return kind_; }
    const char* what() const noexcept override { return message_.c_str(); }

  private:
    ErrorKind kind_;
    std::string message_;
};

/// printf into a std::string.
[[gnu::format(printf, 1, 2)]] std::string strprintf(const char* format, ...);

/// Throws Error(kind, printf(format, ...)).
[[noreturn, gnu::format(printf, 2, 3)]] void fail(ErrorKind kind, const char* format, ...);

/// Text from outside made safe for one line of a terminal: control characters and invalid UTF-8 become '?',
/// and it is cut to `max_bytes` (with "..." in place of what was cut).
std::string printable(std::string_view text, size_t max_bytes = 80);

}  // namespace agave
