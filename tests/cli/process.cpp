#include "process.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdio>

extern char** environ;

namespace agave::test {

namespace {

using Clock = std::chrono::steady_clock;

struct Pipe {
    int read_end = -1, write_end = -1;
    Pipe() {
        int ends[2];
        if (::pipe2(ends, O_CLOEXEC) != 0) throw std::runtime_error("pipe");
        read_end = ends[0];
        write_end = ends[1];
    }
};

/// The two ends of a pseudo-terminal that passes bytes on as they are.
Pipe open_terminal() {
    Pipe ends;
    ::close(ends.read_end);
    ::close(ends.write_end);
    ends.read_end = ::posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
    if (ends.read_end < 0 || ::grantpt(ends.read_end) != 0 || ::unlockpt(ends.read_end) != 0)
        throw std::runtime_error("posix_openpt");
    ends.write_end = ::open(::ptsname(ends.read_end), O_RDWR | O_NOCTTY | O_CLOEXEC);
    termios settings{};
    ::tcgetattr(ends.write_end, &settings);
    ::cfmakeraw(&settings);
    ::tcsetattr(ends.write_end, TCSANOW, &settings);
    return ends;
}

void close_if_open(int& descriptor) {
    if (descriptor >= 0) ::close(descriptor);
    descriptor = -1;
}

/// Appends what can be read; closes the descriptor at its end.
void read_some(int& descriptor, std::string& text) {
    char buffer[4096];
    const ssize_t n = ::read(descriptor, buffer, sizeof buffer);
    if (n > 0)
        text.append(buffer, static_cast<size_t>(n));
    else if (n == 0 || errno != EINTR)
        close_if_open(descriptor);
}

}  // namespace

Process::Process(std::vector<std::string> arguments, std::string_view input, const Options& options)
    : input_(input) {
    ::signal(SIGPIPE, SIG_IGN);
    Pipe in, err;
    Pipe out = options.terminal ? open_terminal() : Pipe();
    if (options.pipe_bytes) ::fcntl(out.write_end, F_SETPIPE_SZ, options.pipe_bytes);

    std::vector<std::string> words;
    words.push_back(AGAVE_BINARY);
    words.insert(words.end(), arguments.begin(), arguments.end());
    std::vector<char*> argv;
    for (std::string& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);

    posix_spawn_file_actions_t actions;
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawn_file_actions_adddup2(&actions, in.read_end, 0);
    ::posix_spawn_file_actions_adddup2(&actions, out.write_end, 1);
    ::posix_spawn_file_actions_adddup2(&actions, err.write_end, 2);
    if (*options.directory) ::posix_spawn_file_actions_addchdir_np(&actions, options.directory);
    posix_spawnattr_t attributes;
    ::posix_spawnattr_init(&attributes);
    sigset_t defaults;
    ::sigemptyset(&defaults);
    ::sigaddset(&defaults, SIGPIPE);
    ::posix_spawnattr_setsigdefault(&attributes, &defaults);
    ::posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGDEF);
    const int failure = ::posix_spawnp(&pid_, argv[0], &actions, &attributes, argv.data(), environ);
    ::posix_spawn_file_actions_destroy(&actions);
    ::posix_spawnattr_destroy(&attributes);
    ::close(in.read_end);
    ::close(out.write_end);
    ::close(err.write_end);
    if (failure != 0) throw std::runtime_error(std::string("cannot start ") + argv[0]);
    in_ = in.write_end;
    out_ = out.read_end;
    err_ = err.read_end;
    ::fcntl(in_, F_SETFL, O_NONBLOCK);
    if (input_.empty()) close_if_open(in_);
}

Process::~Process() {
    close_if_open(in_);
    close_if_open(out_);
    close_if_open(err_);
    if (pid_ <= 0) return;
    ::kill(pid_, SIGKILL);
    ::waitpid(pid_, nullptr, 0);
}

void Process::pump(int timeout_ms) {
    pollfd polled[3] = {{out_, POLLIN, 0}, {err_, POLLIN, 0}, {in_, POLLOUT, 0}};
    if (::poll(polled, 3, timeout_ms) <= 0) return;
    if (polled[0].revents) read_some(out_, outcome_.out);
    if (polled[1].revents) read_some(err_, outcome_.err);
    if (!polled[2].revents) return;
    const ssize_t n = ::write(in_, input_.data(), input_.size());
    if (n > 0) input_.erase(0, static_cast<size_t>(n));
    if ((n < 0 && errno != EAGAIN && errno != EINTR) || input_.empty()) close_if_open(in_);
}

void Process::wait_for_output(size_t n) {
    const auto deadline = Clock::now() + std::chrono::seconds(60);
    while (outcome_.out.size() < n && out_ >= 0 && Clock::now() < deadline) pump(100);
}

void Process::wait_for_unread_output(int n) const {
    const auto deadline = Clock::now() + std::chrono::seconds(60);
    for (int unread = 0; unread < n && Clock::now() < deadline; ::usleep(10000))
        ::ioctl(out_, FIONREAD, &unread);
}

void Process::close_output() {
    close_if_open(out_);
}

void Process::send_signal(int signal) const {
    ::kill(pid_, signal);
}

Outcome Process::finish() {
    const auto deadline = Clock::now() + std::chrono::seconds(60);
    while ((out_ >= 0 || err_ >= 0) && Clock::now() < deadline) pump(100);
    if (Clock::now() >= deadline) {
        ADD_FAILURE() << "the program did not end within a minute";
        ::kill(pid_, SIGKILL);
    }
    int status = 0;
    ::waitpid(pid_, &status, 0);
    pid_ = -1;
    outcome_.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
    return outcome_;
}

Outcome agave(std::vector<std::string> arguments, std::string_view input) {
    return Process(std::move(arguments), input).finish();
}

std::string test_model(const char* name) {
    return std::string(AGAVE_TEST_DATA "/models/") + name;
}

std::string temporary_path(const std::string& name) {
    static const std::string folder = [] {
        std::string pattern = testing::TempDir() + "agave-cli-XXXXXX";
        if (!::mkdtemp(pattern.data())) throw std::runtime_error("mkdtemp");
        return pattern;
    }();
    return folder + "/" + name;
}

std::string read_whole(const std::string& path) {
    std::string text;
    std::FILE* file = std::fopen(path.c_str(), "rb");
    EXPECT_NE(file, nullptr) << path;
    if (!file) return text;
    char buffer[1 << 16];
    for (size_t n; (n = std::fread(buffer, 1, sizeof buffer, file)) > 0;) text.append(buffer, n);
    std::fclose(file);
    return text;
}

void write_whole(const std::string& path, std::string_view content) {
    std::FILE* file = std::fopen(path.c_str(), "wb");
    ASSERT_NE(file, nullptr) << path;
    EXPECT_EQ(std::fwrite(content.data(), 1, content.size(), file), content.size());
    std::fclose(file);
}

}  // namespace agave::test
