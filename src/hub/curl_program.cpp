#include "hub/curl_program.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdarg>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

extern char** environ;

namespace agave::hub {

namespace {

// Results, numbered as in libcurl, whose numbers are also the program's exit statuses.
constexpr int kFailedToStart = 2, kBadUrl = 3, kWriteError = 23;
constexpr size_t kErrorBytes = 256;  ///< of the error buffer
constexpr size_t kMaxHeadBytes = 256 << 10;

/// One transfer at a time: its settings, and the program while it runs.
struct Program {
    using Write = size_t (*)(char*, size_t, size_t, void*);

    std::string url, range, user_agent;
    std::vector<std::string>* headers = nullptr;
    long connect_timeout = 0, low_speed_limit = 0, low_speed_time = 0;
    char* error = nullptr;
    void* private_data = nullptr;
    Write on_header = nullptr, on_body = nullptr;
    void *header_data = nullptr, *body_data = nullptr;

    pid_t pid = -1;
    int out = -1, err = -1;
    bool in_body = false;
    int aborted = 0;      ///< the result when a callback has ended the transfer
    std::string head;     ///< of which no whole line has come
    std::string message;  ///< what the program says on standard error
    long status = 0;
    std::string location, redirect;
};

struct ProgramMulti {
    std::vector<Program*> running;
    std::vector<Curl::Message> done;
    Curl::Message given{};
};

void close_descriptor(int& fd) {
    if (fd >= 0) ::close(fd);
    fd = -1;
}

/// Ends the program, if it runs, and returns its result.
int stop(Program& program, bool kill) {
    if (program.pid < 0) return kFailedToStart;
    if (kill) ::kill(program.pid, SIGKILL);
    int status = 0;
    while (::waitpid(program.pid, &status, 0) < 0 && errno == EINTR) {
    }
    program.pid = -1;
    close_descriptor(program.out);
    close_descriptor(program.err);
    if (program.aborted) return program.aborted;
    return WIFEXITED(status) ? WEXITSTATUS(status) : kFailedToStart;
}

void set_error(const Program& program, std::string_view text) {
    if (!program.error) return;
    const size_t n = std::min(text.size(), kErrorBytes - 1);
    std::memcpy(program.error, text.data(), n);
    program.error[n] = 0;
}

/// A line of the program's configuration; see "--config" in its manual. False for a value that cannot stand
/// in one.
bool add_setting(std::string& config, std::string_view name, std::string_view value) {
    if (std::any_of(value.begin(), value.end(), [](char c) { return static_cast<unsigned char>(c) < ' '; }))
        return false;
    config += name;
    config += " = \"";
    for (const char c : value) {
        if (c == '"' || c == '\\') config += '\\';
        config += c;
    }
    config += "\"\n";
    return true;
}

/// What the program reads from standard input, so that no other user sees the address and the token in a list
/// of processes. Empty when a setting holds control characters.
std::string configuration(const Program& program) {
    std::string config =
        "silent\nshow-error\ninclude\ngloboff\nsuppress-connect-headers\nproto = \"=http,https\"\n";
    bool valid =
        add_setting(config, "url", program.url) && add_setting(config, "user-agent", program.user_agent);
    if (!program.range.empty()) valid &= add_setting(config, "range", program.range);
    if (program.headers)
        for (const std::string& header : *program.headers) valid &= add_setting(config, "header", header);
    config += strprintf("connect-timeout = %ld\nspeed-limit = %ld\nspeed-time = %ld\n",
                        program.connect_timeout, program.low_speed_limit, program.low_speed_time);
    return valid ? config : "";
}

/// A pipe, neither of whose ends goes to other programs.
bool make_pipe(int ends[2]) {
    if (::pipe(ends) != 0) return false;
    for (int i = 0; i < 2; i++) ::fcntl(ends[i], F_SETFD, FD_CLOEXEC);
    return true;
}

/// Starts the program; returns 0 or a result.
int start(Program& program) {
    program.in_body = false;
    program.aborted = 0;
    program.head.clear();
    program.message.clear();
    program.status = 0;
    program.location.clear();
    program.redirect.clear();
    const std::string config = configuration(program);
    // All of it must fit into the pipe, because it is written before there is a reader.
    if (config.empty() || config.size() > 60000) return kBadUrl;
    int in[2] = {-1, -1}, out[2] = {-1, -1}, err[2] = {-1, -1};
    const bool piped = make_pipe(in) && make_pipe(out) && make_pipe(err) &&
                       ::write(in[1], config.data(), config.size()) == static_cast<ssize_t>(config.size());
    close_descriptor(in[1]);
    int problem = errno;
    if (piped) {
        posix_spawn_file_actions_t actions;
        ::posix_spawn_file_actions_init(&actions);
        ::posix_spawn_file_actions_adddup2(&actions, in[0], 0);
        ::posix_spawn_file_actions_adddup2(&actions, out[1], 1);
        ::posix_spawn_file_actions_adddup2(&actions, err[1], 2);
        char name[] = "curl", disable[] = "--disable", option[] = "--config", from_stdin[] = "-";
        char* const arguments[] = {name, disable, option, from_stdin, nullptr};
        problem = ::posix_spawnp(&program.pid, "curl", &actions, nullptr, arguments, environ);
        ::posix_spawn_file_actions_destroy(&actions);
    }
    close_descriptor(in[0]);
    close_descriptor(out[1]);
    close_descriptor(err[1]);
    program.out = out[0];
    program.err = err[0];
    if (!piped || problem != 0) {
        program.pid = -1;
        close_descriptor(program.out);
        close_descriptor(program.err);
        set_error(program, strprintf("curl cannot be started: %s", std::strerror(problem)));
        return kFailedToStart;
    }
    ::fcntl(program.out, F_SETFL, O_NONBLOCK);
    ::fcntl(program.err, F_SETFL, O_NONBLOCK);
    return 0;
}

void take_header(Program& program, std::string line) {
    if (line.starts_with("HTTP/")) {
        const size_t space = line.find(' ');
        program.status = space == line.npos ? 0 : std::strtol(line.c_str() + space, nullptr, 10);
        program.location.clear();
    }
    const std::string_view name = "location:";
    const bool is_location =
        line.size() > name.size() && std::equal(name.begin(), name.end(), line.begin(), [](char a, char b) {
            return a == (b >= 'A' && b <= 'Z' ? b | 32 : b);
        });
    if (is_location) {
        const size_t begin = line.find_first_not_of(" \t", name.size());
        const size_t end = line.find_last_not_of(" \t\r\n");
        if (begin != line.npos && end >= begin) program.location = line.substr(begin, end + 1 - begin);
    }
    if (program.on_header) program.on_header(line.data(), 1, line.size(), program.header_data);
}

/// Gives bytes of the program's output to the callbacks: heads line by line, then the body.
void take_output(Program& program, char* bytes, size_t n) {
    while (n > 0 && !program.in_body) {
        const char* newline = static_cast<const char*>(std::memchr(bytes, '\n', n));
        const size_t taken = newline ? static_cast<size_t>(newline - bytes) + 1 : n;
        program.head.append(bytes, taken);
        bytes += taken;
        n -= taken;
        if (program.head.size() > kMaxHeadBytes) {
            program.aborted = kWriteError;
            return;
        }
        if (!newline) return;
        std::string line;
        line.swap(program.head);
        // A head of 100 to 199 comes before that of the answer.
        if (line == "\r\n" || line == "\n") program.in_body = program.status >= 200;
        take_header(program, std::move(line));
    }
    if (n > 0 && program.on_body(bytes, 1, n, program.body_data) != n) program.aborted = kWriteError;
}

/// Reads what has come; true at the end.
bool read_output(Program& program) {
    char bytes[64 << 10];
    for (ssize_t n; program.err >= 0 && (n = ::read(program.err, bytes, sizeof bytes)) > 0;)
        if (program.message.size() < 4096) program.message.append(bytes, static_cast<size_t>(n));
    // So much at once and no more, so that other transfers get their turn.
    for (int i = 0; i < 16 && !program.aborted; i++) {
        const ssize_t n = ::read(program.out, bytes, sizeof bytes);
        if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) return false;
        if (n <= 0) return true;
        take_output(program, bytes, static_cast<size_t>(n));
    }
    return program.aborted != 0;
}

/// Where a Location leads (RFC 3986, section 5.2, without dot segments).
std::string resolve(const std::string& base, const std::string& location) {
    if (location.starts_with("https://") || location.starts_with("http://")) return location;
    const size_t scheme = base.find("://");
    if (location.empty() || scheme == base.npos) return "";
    if (location.starts_with("//")) return base.substr(0, scheme + 1) + location;
    const size_t path = std::min(base.find_first_of("/?#", scheme + 3), base.size());
    if (location.starts_with('/')) return base.substr(0, path) + location;
    const size_t query = std::min(base.find_first_of("?#", path), base.size());
    const size_t slash = base.rfind('/', query);
    return slash == base.npos || slash < path ? base.substr(0, path) + "/" + location
                                              : base.substr(0, slash + 1) + location;
}

int finish(Program& program) {
    // The last words can come behind the end of the output.
    char bytes[4096];
    for (ssize_t n; !program.aborted && program.message.size() < 4096;) {
        pollfd polled{program.err, POLLIN, 0};
        if (::poll(&polled, 1, 1000) <= 0 || (n = ::read(program.err, bytes, sizeof bytes)) <= 0) break;
        program.message.append(bytes, static_cast<size_t>(n));
    }
    const int result = stop(program, program.aborted != 0);
    if (result == 0 && program.status >= 300 && program.status < 400)
        program.redirect = resolve(program.url, program.location);
    if (result != 0) {
        // "curl: (7) Failed to connect ..."
        std::string_view message = program.message;
        if (const size_t bracket = message.find(") ");
            message.starts_with("curl: (") && bracket != message.npos)
            message.remove_prefix(bracket + 2);
        message = message.substr(0, message.find('\n'));
        set_error(program, message);
    }
    return result;
}

Program& program_of(Curl::Handle* handle) {
    return *static_cast<Program*>(handle);
}

Curl::Handle* easy_init() {
    return new Program;
}

int easy_setopt(Curl::Handle* handle, int option, ...) {
    Program& program = program_of(handle);
    va_list arguments;
    va_start(arguments, option);
    const auto number = [&] { return va_arg(arguments, long); };
    const auto pointer = [&] { return va_arg(arguments, void*); };
    const auto text = [&]() -> std::string {
        const char* value = va_arg(arguments, const char*);
        return value ? value : "";
    };
    int result = 0;
    switch (option) {
        case kCurlLowSpeedLimit:
            program.low_speed_limit = number();
            break;
        case kCurlLowSpeedTime:
            program.low_speed_time = number();
            break;
        case kCurlConnectTimeout:
            program.connect_timeout = number();
            break;
        case kCurlNoSignal:
        case kCurlProtocols:
            number();
            break;  // always so
        case kCurlWriteData:
            program.body_data = pointer();
            break;
        case kCurlHeaderData:
            program.header_data = pointer();
            break;
        case kCurlPrivate:
            program.private_data = pointer();
            break;
        case kCurlErrorBuffer:
            program.error = static_cast<char*>(pointer());
            break;
        case kCurlHttpHeader:
            program.headers = static_cast<std::vector<std::string>*>(pointer());
            break;
        case kCurlUrl:
            program.url = text();
            break;
        case kCurlRange:
            program.range = text();
            break;
        case kCurlUserAgent:
            program.user_agent = text();
            break;
        case kCurlWriteFunction:
            program.on_body = va_arg(arguments, Program::Write);
            break;
        case kCurlHeaderFunction:
            program.on_header = va_arg(arguments, Program::Write);
            break;
        default:
            result = 48;  // CURLE_UNKNOWN_OPTION
    }
    va_end(arguments);
    return result;
}

int easy_perform(Curl::Handle* handle) {
    Program& program = program_of(handle);
    if (const int result = start(program)) return result;
    while (!read_output(program)) {
        pollfd polled{program.out, POLLIN, 0};
        ::poll(&polled, 1, 1000);
    }
    return finish(program);
}

int easy_getinfo(Curl::Handle* handle, int info, ...) {
    Program& program = program_of(handle);
    va_list arguments;
    va_start(arguments, info);
    int result = 0;
    if (info == kCurlResponseCode)
        *va_arg(arguments, long*) = program.status;
    else if (info == kCurlPrivateInfo)
        *va_arg(arguments, void**) = program.private_data;
    else if (info == kCurlRedirectUrl)
        *va_arg(arguments, const char**) = program.redirect.empty() ? nullptr : program.redirect.c_str();
    else
        result = 48;
    va_end(arguments);
    return result;
}

void easy_cleanup(Curl::Handle* handle) {
    stop(program_of(handle), true);
    delete static_cast<Program*>(handle);
}

const char* easy_strerror(int code) {
    return code == kFailedToStart ? "the curl program failed"
           : code == kBadUrl      ? "the address holds characters that no address has"
           : code == kWriteError  ? "the transfer was ended"
                                  : "the curl program ended with an error";
}

Curl::List* slist_append(Curl::List* list, const char* text) {
    auto* headers = list ? static_cast<std::vector<std::string>*>(list) : new std::vector<std::string>;
    headers->emplace_back(text);
    return headers;
}
void slist_free_all(Curl::List* list) {
    delete static_cast<std::vector<std::string>*>(list);
}

ProgramMulti& multi_of(Curl::Multi* multi) {
    return *static_cast<ProgramMulti*>(multi);
}

Curl::Multi* multi_init() {
    return new ProgramMulti;
}

int multi_add_handle(Curl::Multi* multi, Curl::Handle* handle) {
    if (const int result = start(program_of(handle)))
        multi_of(multi).done.push_back({1, handle, {.result = result}});
    else
        multi_of(multi).running.push_back(&program_of(handle));
    return 0;
}

int multi_remove_handle(Curl::Multi* multi, Curl::Handle* handle) {
    std::erase(multi_of(multi).running, &program_of(handle));
    std::erase_if(multi_of(multi).done, [&](const Curl::Message& m) { return m.handle == handle; });
    stop(program_of(handle), true);
    return 0;
}

int multi_perform(Curl::Multi* multi, int* n_running) {
    ProgramMulti& m = multi_of(multi);
    for (size_t i = 0; i < m.running.size();) {
        Program& program = *m.running[i];
        if (!read_output(program)) {
            i++;
            continue;
        }
        m.running.erase(m.running.begin() + static_cast<ptrdiff_t>(i));
        const int result = finish(program);
        m.done.push_back({1, &program, {.result = result}});
    }
    *n_running = static_cast<int>(m.running.size());
    return 0;
}

int multi_poll(Curl::Multi* multi, void*, unsigned, int timeout_ms, int*) {
    std::vector<pollfd> polled;
    for (const Program* program : multi_of(multi).running) polled.push_back({program->out, POLLIN, 0});
    ::poll(polled.data(), static_cast<nfds_t>(polled.size()), timeout_ms);
    return 0;
}

Curl::Message* multi_info_read(Curl::Multi* multi, int* n_left) {
    ProgramMulti& m = multi_of(multi);
    if (m.done.empty()) return nullptr;
    m.given = m.done.front();
    m.done.erase(m.done.begin());
    *n_left = static_cast<int>(m.done.size());
    return &m.given;
}

int multi_cleanup(Curl::Multi* multi) {
    delete &multi_of(multi);
    return 0;
}

}  // namespace

bool has_curl_program() {
    const char* path = std::getenv("PATH");
    std::string_view rest = path ? path : "/usr/local/bin:/usr/bin:/bin";
    while (!rest.empty()) {
        const std::string_view folder = rest.substr(0, rest.find(':'));
        rest.remove_prefix(std::min(folder.size() + 1, rest.size()));
        if (::access((std::string(folder) + "/curl").c_str(), X_OK) == 0) return true;
    }
    return false;
}

Curl curl_program() {
    return {easy_init,           easy_setopt,   easy_perform,   easy_getinfo,    easy_cleanup,
            easy_strerror,       slist_append,  slist_free_all, multi_init,      multi_add_handle,
            multi_remove_handle, multi_perform, multi_poll,     multi_info_read, multi_cleanup};
}

}  // namespace agave::hub
