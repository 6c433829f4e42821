#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>
#include <vector>

namespace agave::test {

/// How a program ended.
struct Outcome {
    int status = -1;  ///< exit status; 128 + the signal when one ended it
    std::string out, err;
};

/// A running `agave`, with pipes (or a terminal) on its three streams.
class Process {
  public:
    struct Options {
        bool terminal = false;       ///< standard output is a pseudo-terminal
        int pipe_bytes = 0;          ///< capacity of the pipe on standard output; 0: the system's
        const char* directory = "";  ///< where it runs; "": here
    };
    Process(std::vector<std::string> arguments, std::string_view input, const Options& options);
    Process(std::vector<std::string> arguments, std::string_view input = {})
        : Process(std::move(arguments), input, Options()) {}
    ~Process();
    Process(const Process&) = delete;
    Process& operator=(const Process&) = delete;

    /// Waits until standard output has given `n` bytes (or ended), without taking more than comes.
    void wait_for_output(size_t n);
    /// Waits until `n` bytes of standard output lie in the pipe, and leaves them there.
    void wait_for_unread_output(int n) const;
    void close_output();
    void send_signal(int signal) const;
    /// Reads both streams to their end and reaps the process; kills it after a minute.
    Outcome finish();

  private:
    void pump(int timeout_ms);

    pid_t pid_ = -1;
    int in_ = -1, out_ = -1, err_ = -1;
    std::string input_;
    Outcome outcome_;
};

/// Runs `agave ARGUMENTS...` to its end.
Outcome agave(std::vector<std::string> arguments, std::string_view input = {});

/// tests/data/models/NAME
std::string test_model(const char* name);

/// A file name in the test's own temporary folder.
std::string temporary_path(const std::string& name);

std::string read_whole(const std::string& path);
void write_whole(const std::string& path, std::string_view content);

}  // namespace agave::test
