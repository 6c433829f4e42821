#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>

#include "cli/line_editor.h"
#include "cli/output.h"

namespace agave::cli {

namespace {

constexpr size_t kMaxFile = size_t{8} << 20;

std::string escaped(std::string_view line) {
    std::string text;
    for (char c : line) {
        if (c == '\n')
            text += "\\n";
        else if (c == '\\')
            text += "\\\\";
        else
            text += c;
    }
    return text;
}

std::string unescaped(std::string_view text) {
    std::string line;
    for (size_t i = 0; i < text.size(); i++) {
        if (text[i] == '\\' && i + 1 < text.size())
            line += text[++i] == 'n' ? '\n' : text[i];
        else
            line += text[i];
    }
    return line;
}

/// What a file holds, up to a bound; empty when there is none.
std::string content_of(const std::string& path) {
    const int file = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
    if (file < 0) return {};
    struct stat status{};
    std::string text;
    if (::fstat(file, &status) == 0 && S_ISREG(status.st_mode)) {
        text.resize(std::min(static_cast<size_t>(status.st_size), kMaxFile));
        const ssize_t n = ::read(file, text.data(), text.size());
        text.resize(n > 0 ? static_cast<size_t>(n) : 0);
    }
    ::close(file);
    return text;
}

bool write_file(const std::string& path, int flags, std::string_view text) {
    const int file = ::open(path.c_str(), flags | O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
    if (file < 0) return false;
    const bool written = ::write(file, text.data(), text.size()) == static_cast<ssize_t>(text.size());
    return ::close(file) == 0 && written;
}

}  // namespace

std::string history_path() {
    const char* state = std::getenv("XDG_STATE_HOME");
    const char* home = std::getenv("HOME");
    if (state && *state) return std::string(state) + "/agave/history";
    return home && *home ? std::string(home) + "/.local/state/agave/history" : "";
}

History::History(std::string path) : path_(std::move(path)) {
    const std::string text = path_.empty() ? "" : content_of(path_);
    for (size_t begin = 0; begin < text.size();) {
        const size_t end = std::min(text.find('\n', begin), text.size());
        if (end > begin) lines_.push_back(unescaped(std::string_view(text).substr(begin, end - begin)));
        begin = end + 1;
    }
    if (lines_.size() <= kMaxLines) return;
    lines_.erase(lines_.begin(), lines_.end() - static_cast<ptrdiff_t>(kMaxLines / 2));
    std::string shorter;
    for (const std::string& line : lines_) shorter += escaped(line) + "\n";
    // Another agave may append meanwhile: the rename loses at most its last line, never the file.
    if (write_file(path_ + ".new", O_TRUNC, shorter)) (void)::rename((path_ + ".new").c_str(), path_.c_str());
}

void History::add(const std::string& line) {
    if (line.empty() || (!lines_.empty() && lines_.back() == line)) return;
    lines_.push_back(line);
    if (path_.empty()) return;
    for (size_t slash = path_.find('/', 1); slash != path_.npos; slash = path_.find('/', slash + 1))
        (void)::mkdir(path_.substr(0, slash).c_str(), 0700);
    if (!write_file(path_, O_APPEND, escaped(line) + "\n")) {
        print_message("the history cannot be kept in '" + path_ + "'");
        path_.clear();
    }
}

}  // namespace agave::cli
