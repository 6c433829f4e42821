#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <new>
#include <string>
#include <vector>

#include "backends/cpu/executor.h"
#include "base/cpu_features.h"
#include "base/error.h"
#include "cli/commands.h"
#include "cli/help.h"
#include "cli/output.h"
#if AGAVE_HUB
#include "cli/pull.h"
#endif

namespace agave::cli {

namespace {

/// A mapped file that became shorter raises SIGBUS where it is read: say so instead of dumping core.
void on_bus_error(int) {
    constexpr char message[] = "agave: a model file changed or became shorter while it was in use\n";
    (void)!::write(STDERR_FILENO, message, sizeof message - 1);
    ::_exit(1);
}

void set_signals() {
    struct sigaction action{};
    action.sa_handler = on_bus_error;
    ::sigaction(SIGBUS, &action, nullptr);
    action.sa_handler = SIG_IGN;
    ::sigaction(SIGPIPE, &action, nullptr);
}

[[noreturn]] void fail_unknown_command(const char* word) {
    std::vector<const char*> names;
    for (const CommandInfo& command : command_table()) names.push_back(command.name);
    const char* close = closest_name(word, names);
    if (close)
        fail(ErrorKind::usage, "'%s' is neither a command nor a file; did you mean 'agave %s'?",
             printable(word).c_str(), close);
    fail(ErrorKind::usage, "'%s' is neither a command nor a file; 'agave --help' lists the commands",
         printable(word).c_str());
}

/// The command that the words ask for; takes its name away. `agave MODEL ...` is `agave run MODEL ...`.
const CommandInfo& choose_command(std::vector<std::string>& words) {
    if (const CommandInfo* command = find_command(words[0])) {
        words.erase(words.begin());
        return *command;
    }
    struct stat status{};
    const std::string& word = words[0];
    const bool like_a_file = word.find('/') != std::string::npos || word.ends_with(".gguf");
    if (word[0] != '-' && !like_a_file && ::stat(word.c_str(), &status) != 0)
        fail_unknown_command(word.c_str());
    return *find_command("run");
}

#if AGAVE_CHAT
/// `agave run MODEL` at a terminal, without a prompt, is a conversation.
bool wants_chat(const CommandLine& line) {
    const Options& options = line.options;
    return line.arguments.size() == 1 && ::isatty(STDIN_FILENO) && ::isatty(STDOUT_FILENO) && !options.raw &&
           !options.json;
}
#endif

int execute(const CommandInfo& command, const CommandLine& line,
            [[maybe_unused]] const std::vector<std::string>& words) {
    set_color(line.options.color);
#if AGAVE_HUB
    set_pull_without_asking(line.options.pull);
#endif
    if (line.options.help) {
        print(command_help(command));
        return 0;
    }
    switch (command.command) {
        case kRun:
#if AGAVE_CHAT
            if (wants_chat(line)) return chat_command(line, words);
#endif
            return run_command(line);
#if AGAVE_CHAT
        case kChat:
            return chat_command(line, words);
#endif
        case kInspect:
            return inspect_command(line);
        case kTokenize:
            return tokenize_command(line);
        case kLogits:
            return logits_command(line);
        case kPerplexity:
            return perplexity_command(line);
        case kBench:
            return bench_command(line);
#if AGAVE_PLAN
        case kPlan:
            return plan_command(line);
        case kDoctor:
            return doctor_command(line);
#endif
#if AGAVE_QUANTIZE
        case kQuantize:
            return quantize_command(line);
        case kCalibrate:
            return calibrate_command(line);
#endif
#if AGAVE_SERVER
        case kServe:
            return serve_command(line);
#endif
#if AGAVE_HUB
        case kPull:
            return pull_command(line);
        case kList:
            return list_command(line);
        case kShow:
            return show_command(line);
        case kRemove:
            return rm_command(line);
#endif
        case kCompletion:
            return completion_command(line);
        default:
            return help_command(line);
    }
}

int dispatch(std::vector<std::string> words) {
    if (words.empty() || words[0] == "--help" || words[0] == "-h") {
        print(overview());
        return 0;
    }
    if (words[0] == "--version") {
        printf_out("agave %s (kernels: %s)\n", AGAVE_VERSION, cpu_level_name(cpu::best_level()));
        return 0;
    }
    const CommandInfo& command = choose_command(words);
    return execute(command, parse_command_line(command, words), words);
}

int report(const char* message, int status) {
    std::fflush(stdout);
    print_message(message);
    return status;
}

}  // namespace

int help_command(const CommandLine& line) {
    if (line.options.man) {
        print(manual_page());
        return 0;
    }
    if (line.options.markdown) {
        print(markdown_reference());
        return 0;
    }
    if (line.arguments.empty()) {
        print(overview());
        return 0;
    }
    const CommandInfo* command = find_command(line.arguments[0]);
    if (!command) fail_unknown_command(line.arguments[0].c_str());
    print(command_help(*command));
    return 0;
}

static int guarded_main(int argc, char** argv) {
    try {
        const int status = dispatch(std::vector<std::string>(argv + 1, argv + argc));
        flush_output();
        return status;
    } catch (const OutputClosed&) {
        return 0;
    } catch (const Error& error) {
        return report(error.what(), error.kind() == ErrorKind::runtime ? 1 : 2);
    } catch (const std::bad_alloc&) {
        return report("out of memory", 1);
    } catch (const std::exception& error) {
        return report(strprintf("internal error: %s", error.what()).c_str(), 1);
    }
}

}  // namespace agave::cli

int main(int argc, char** argv) {
    agave::cli::set_signals();
    return agave::cli::guarded_main(argc, argv);
}
