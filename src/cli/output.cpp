#include "cli/output.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdarg>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <optional>

#include "base/error.h"

namespace agave::cli {

namespace {

std::optional<bool> colored;         ///< standard error
std::optional<bool> output_colored;  ///< standard output

[[noreturn]] void fail_output() {
    if (errno == EPIPE) throw OutputClosed{};
    fail(ErrorKind::runtime, "cannot write to standard output: %s", std::strerror(errno));
}

/// Reads to the end of a descriptor; `what` names it in the message.
std::string read_all(int descriptor, const char* what) {
    std::string text;
    constexpr size_t step = 1 << 16;
    for (;;) {
        const size_t size = text.size();
        text.resize(size + step);
        const ssize_t n = ::read(descriptor, text.data() + size, step);
        text.resize(size + (n > 0 ? static_cast<size_t>(n) : 0));
        if (n == 0) return text;
        if (n < 0 && errno != EINTR)
            fail(ErrorKind::runtime, "cannot read %s: %s", what, std::strerror(errno));
    }
}

}  // namespace

void print(std::string_view text) {
    if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size()) fail_output();
}

void printf_out(const char* format, ...) {
    va_list args;
    va_start(args, format);
    const int written = std::vprintf(format, args);
    va_end(args);
    if (written < 0) fail_output();
}

void flush_output() {
    if (std::fflush(stdout) != 0) fail_output();
}

void set_color(std::string_view mode) {
    const char* no_color = std::getenv("NO_COLOR");
    const bool wanted = mode == "auto" && !(no_color && *no_color);
    colored = mode == "always" || (wanted && ::isatty(STDERR_FILENO));
    output_colored = mode == "always" || (wanted && ::isatty(STDOUT_FILENO));
}

bool use_color() {
    if (!colored) set_color("auto");
    return *colored;
}

bool use_output_color() {
    if (!output_colored) set_color("auto");
    return *output_colored;
}

void print_status(const std::string& line) {
    std::fprintf(stderr, use_color() ? "\x1b[2m%s\x1b[0m\n" : "%s\n", line.c_str());
}

void print_message(const std::string& sentence) {
    std::fprintf(stderr, use_color() ? "\x1b[1;31magave:\x1b[0m %s\n" : "agave: %s\n",
                 neutralize_controls(sentence).c_str());
}

bool output_is_terminal() {
    return ::isatty(STDOUT_FILENO) != 0;
}

std::string neutralize_controls(std::string_view text) {
    std::string out;
    for (size_t i = 0; i < text.size(); i++) {
        const auto byte = static_cast<unsigned char>(text[i]);
        if ((byte < 0x20 && byte != '\n' && byte != '\t') || byte == 0x7F) {
            out += "\xE2\x90";
            out += static_cast<char>(byte == 0x7F ? 0xA1 : 0x80 + byte);
        } else if (byte == 0xC2 && i + 1 < text.size() && static_cast<unsigned char>(text[i + 1]) < 0xA0) {
            out += "\xEF\xBF\xBD";
            i++;
        } else {
            out += text[i];
        }
    }
    return out;
}

std::string read_standard_input() {
    return read_all(STDIN_FILENO, "standard input");
}

std::string read_file(const std::string& path) {
    const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (descriptor < 0) fail(ErrorKind::usage, "cannot open '%s': %s", path.c_str(), std::strerror(errno));
    struct stat status{};
    if (::fstat(descriptor, &status) == 0 && S_ISDIR(status.st_mode)) {
        ::close(descriptor);
        fail(ErrorKind::usage, "cannot read '%s': it is a directory", path.c_str());
    }
    std::string text;
    try {
        text = read_all(descriptor, strprintf("'%s'", path.c_str()).c_str());
    } catch (...) {
        ::close(descriptor);
        throw;
    }
    ::close(descriptor);
    return text;
}

std::string bytes_text(double bytes) {
    if (bytes >= 1e9) return strprintf("%.2f GB", bytes / 1e9);
    if (bytes >= 1e6) return strprintf("%.1f MB", bytes / 1e6);
    if (bytes >= 1e3) return strprintf("%.1f kB", bytes / 1e3);
    return strprintf("%.0f bytes", bytes);
}

}  // namespace agave::cli
