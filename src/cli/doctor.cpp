#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>

#include "backends/cpu/executor.h"
#include "backends/cpu/limits.h"
#include "base/error.h"
#include "base/json_writer.h"
#include "base/system.h"
#include "cli/commands.h"
#include "cli/engine_options.h"
#include "cli/output.h"
#include "models/model.h"
#if AGAVE_HUB
#include "hub/cache.h"
#include "hub/curl.h"
#endif

namespace agave::cli {

namespace {

enum class State { ok, note, broken };
constexpr const char* state_names[] = {"ok", "note", "broken"};

struct Check {
    const char* name;
    State state;
    std::string text;
    std::string remedy;  ///< empty: there is nothing to mend
};

std::string environment(const char* name) {
    const char* value = std::getenv(name);
    return value ? value : "";
}

/// The first line of a file of /proc or /sys, or empty.
std::string first_line(const char* path) {
    char line[256] = "";
    if (std::FILE* file = std::fopen(path, "r")) {
        if (!std::fgets(line, sizeof line, file)) line[0] = 0;
        std::fclose(file);
    }
    line[std::strcspn(line, "\n")] = 0;
    return line;
}

Check check_processor() {
    const CpuLevel best = cpu::best_level();
    Check check{"processor", State::ok,
                strprintf("%s, %s kernels", printable(cpu_model_name(), 80).c_str(), cpu_level_name(best)),
                ""};
    if (best == CpuLevel::portable) {
        check.state = State::note;
        check.remedy =
            "without AVX2 (x86-64) or NEON (ARM) everything runs several times slower; in a virtual machine, "
            "let the "
            "guest see the host's CPU features";
    }
    return check;
}

/// Hardware threads that are the second of their core among those of this process count as none.
int physical_cores(int n_processors) {
    int n = 0;
    for (int cpu = 0; cpu < 4096 && n < n_processors; cpu++) {
        const std::string path =
            strprintf("/sys/devices/system/cpu/cpu%d/topology/thread_siblings_list", cpu);
        const std::string siblings = first_line(path.c_str());
        if (siblings.empty()) break;
        n += std::atoi(siblings.c_str()) == cpu;
    }
    return n > 0 ? n : n_processors;
}

Check check_threads() {
    const int n = available_processors();
    const auto configured = static_cast<int>(::sysconf(_SC_NPROCESSORS_ONLN));
    Check check{"threads", State::ok,
                strprintf("%d of %d processors may be used, on %d cores", n, std::max(n, configured),
                          std::min(n, physical_cores(configured))),
                ""};
    double quota = 0, period = 0;
    if (std::sscanf(first_line("/sys/fs/cgroup/cpu.max").c_str(), "%lf %lf", &quota, &period) == 2 &&
        period > 0 && quota < n * period) {
        check.state = State::note;
        check.text += strprintf(", but the container gets the time of only %.1f", quota / period);
        check.remedy = strprintf("--threads %d, or give the container more processor time",
                                 std::max(1, static_cast<int>(quota / period)));
        return check;
    }
    const double load = std::atof(first_line("/proc/loadavg").c_str());
    check.text += strprintf(", load %.1f", load);
    if (load > 0.5 * n) {
        check.state = State::note;
        check.remedy = "other programs are computing: speed will be lower, and figures measured now too";
    }
    return check;
}

Check check_memory() {
    const auto total =
        static_cast<double>(::sysconf(_SC_PHYS_PAGES)) * static_cast<double>(::sysconf(_SC_PAGESIZE));
    const auto available = static_cast<double>(available_memory_bytes());
    Check check{
        "memory", State::ok,
        strprintf("%s, of which %s are available", bytes_text(total).c_str(), bytes_text(available).c_str()),
        ""};
    if (available < 1e9) {
        check.state = available < 2e8 ? State::broken : State::note;
        check.remedy = "end other programs, or raise the container's limit: small models need about 1 GB";
    }
    return check;
}

Check check_huge_pages() {
    const std::string mode = first_line("/sys/kernel/mm/transparent_hugepage/enabled");
    const size_t begin = mode.find('['), end = mode.find(']');
    if (begin == mode.npos || end == mode.npos)
        return {"huge pages", State::note, "this kernel has none, which costs a few percent of speed", ""};
    const std::string chosen = mode.substr(begin + 1, end - begin - 1);
    if (chosen != "never") return {"huge pages", State::ok, "transparent huge pages: " + chosen, ""};
    return {"huge pages", State::note, "transparent huge pages are off, which costs a few percent of speed",
            "as root: echo madvise > /sys/kernel/mm/transparent_hugepage/enabled"};
}

Check check_build() {
    std::string text = "backends: cpu; architectures:";
    for (const std::string& name : architecture_names()) text += " " + name;
    return {"build", State::ok, text, ""};
}

#if AGAVE_HUB
Check check_downloads() {
    try {
        return {"downloads", State::ok, "agave pull works with " + std::string(hub::curl_kind()), ""};
    } catch (const Error& error) {
        return {"downloads", State::broken, error.what(),
                "install it; without it only 'agave pull' is missing"};
    }
}

/// The deepest folder of `path` that is there.
std::string existing_folder(std::string path) {
    while (path.size() > 1 && ::access(path.c_str(), F_OK) != 0)
        path.resize(std::max<size_t>(path.rfind('/'), 1));
    return path;
}

Check check_cache() {
    std::string directory;
    try {
        directory = hub::cache_directory();
    } catch (const Error& error) {
        return {"cache", State::broken, error.what(), "set HOME or HF_HOME"};
    }
    const std::string folder = existing_folder(directory);
    struct statvfs status{};
    if (::access((folder + "/.").c_str(), W_OK) != 0 || ::statvfs(folder.c_str(), &status) != 0)
        return {"cache", State::broken, "the folder '" + printable(directory, 200) + "' cannot be written",
                "set HF_HOME to a folder of your own, or change who may write there"};
    const double available = static_cast<double>(status.f_bavail) * static_cast<double>(status.f_frsize);
    Check check{"cache", State::ok,
                strprintf("%s: %zu repositories, %s are free", printable(directory, 200).c_str(),
                          hub::cached_repositories().size(), bytes_text(available).c_str()),
                ""};
    if (available < 5e9) {
        check.state = State::note;
        check.remedy = "'agave list' and 'agave rm' make room, or set HF_HOME to a folder on a larger disk";
    }
    return check;
}
#endif

Check check_terminal() {
    if (!::isatty(STDOUT_FILENO)) return {"terminal", State::ok, "standard output is no terminal", ""};
    std::string locale;
    for (const char* name : {"LC_ALL", "LC_CTYPE", "LANG"})
        if (locale.empty()) locale = environment(name);
    const std::string kind = environment("TERM");
    std::string upper = locale;
    for (char& c : upper) c = static_cast<char>(c & ~0x20);
    const bool utf8 = upper.find("UTF") != upper.npos;
    Check check{"terminal", State::ok,
                strprintf("%s, locale %s", kind.empty() ? "unknown" : printable(kind, 40).c_str(),
                          locale.empty() ? "not set" : printable(locale, 40).c_str()),
                ""};
    if (kind.empty() || kind == "dumb") {
        check.state = State::note;
        check.remedy = "set TERM to what the terminal is: editing keys and color need it";
    } else if (!utf8) {
        check.state = State::note;
        check.remedy = "agave writes UTF-8: export LANG=C.UTF-8";
    }
    return check;
}

Check check_speed(const cpu::MachineLimits& limits, int n_threads) {
    return {
        "speed", State::ok,
        strprintf("with %d threads: memory %.1f GB/s, int8 %.0f GOP/s, bf16 %.0f GFLOP/s, f32 %.0f GFLOP/s",
                  n_threads, limits.read_bytes_per_second / 1e9, limits.int8_ops_per_second / 1e9,
                  limits.bf16_flops_per_second / 1e9, limits.f32_flops_per_second / 1e9),
        ""};
}

void print_check(const Check& check) {
    constexpr const char* colors[] = {"\x1b[32m", "\x1b[33m", "\x1b[31m"};
    const auto state = static_cast<size_t>(check.state);
    const bool colored = use_output_color();
    printf_out("%s%-6s%s  %-10s  %s\n", colored ? colors[state] : "", state_names[state],
               colored ? "\x1b[0m" : "", check.name, check.text.c_str());
    if (!check.remedy.empty()) printf_out("%20s-> %s\n", "", check.remedy.c_str());
}

}  // namespace

int doctor_command(const CommandLine& line) {
    const Options& options = line.options;
    // Before the measurement, which is a load by itself.
    const Check threads = check_threads();
    ThreadTeam team(options.n_threads > 0 ? static_cast<int>(options.n_threads) : available_processors());
    const cpu::MachineLimits limits = cpu::measure_limits(team, cpu::best_level());
    const Check checks[] = {check_processor(),
                            threads,
                            check_memory(),
                            check_huge_pages(),
                            check_speed(limits, team.n_threads()),
                            check_build(),
#if AGAVE_HUB
                            check_downloads(),
                            check_cache(),
#endif
                            check_terminal()};
    const bool broken = std::any_of(std::begin(checks), std::end(checks),
                                    [](const Check& check) { return check.state == State::broken; });
    if (!options.json) {
        for (const Check& check : checks) print_check(check);
        return broken ? 1 : 0;
    }
    JsonWriter json;
    json.begin_object();
    json.member("ok", !broken);
    json.key("checks");
    json.begin_array();
    for (const Check& check : checks) {
        json.begin_object();
        json.member("name", check.name);
        json.member("state", state_names[static_cast<size_t>(check.state)]);
        json.member("text", check.text);
        if (!check.remedy.empty()) json.member("remedy", check.remedy);
        json.end_object();
    }
    json.end_array();
    write_limits(json, limits);
    json.end_object();
    print(json.text());
    print("\n");
    return broken ? 1 : 0;
}

}  // namespace agave::cli
