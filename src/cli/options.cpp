#include "cli/options.h"

#include <getopt.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cmath>
#include <cstdlib>
#include <cstring>

#include "base/error.h"

namespace agave::cli {

namespace {

/// getopt_long's value of the table's first option; below lie the short names.
constexpr int kFirstOption = 256;

std::string spelled(const OptionInfo& option) {
    return option.short_name ? strprintf("-%c/--%s", option.short_name, option.name)
                             : strprintf("--%s", option.name);
}

/// Numbers as people write them: 2147483647 rather than 2.14748e+09.
std::string number_text(double value) {
    return value == std::floor(value) && std::fabs(value) < 1e15 ? strprintf("%.0f", value)
                                                                 : strprintf("%g", value);
}

[[noreturn]] void out_of_range(const OptionInfo& option, const std::string& value, const char* kind) {
    fail(ErrorKind::usage, "%s: '%s' is not %s from %s to %s", spelled(option).c_str(),
         printable(value).c_str(), kind, number_text(option.minimum).c_str(),
         number_text(option.maximum).c_str());
}

int64_t checked_integer(const OptionInfo& option, const std::string& value) {
    const std::optional<int64_t> number = parse_integer(value);
    if (!number || static_cast<double>(*number) < option.minimum ||
        static_cast<double>(*number) > option.maximum)
        out_of_range(option, value, "an integer");
    return *number;
}

std::vector<int64_t> checked_integers(const OptionInfo& option, const std::string& value) {
    std::vector<int64_t> numbers;
    for (size_t begin = 0; begin <= value.size();) {
        const size_t end = std::min(value.find(',', begin), value.size());
        numbers.push_back(checked_integer(option, value.substr(begin, end - begin)));
        begin = end + 1;
    }
    return numbers;
}

void check_choice(const OptionInfo& option, const std::string& value) {
    if (!std::strchr(option.value_name, '|')) return;
    const std::string_view choices = option.value_name;
    for (size_t begin = 0; begin <= choices.size();) {
        const size_t end = std::min(choices.find('|', begin), choices.size());
        if (choices.substr(begin, end - begin) == value) return;
        begin = end + 1;
    }
    fail(ErrorKind::usage, "%s: '%s' is not one of %s", spelled(option).c_str(), printable(value).c_str(),
         option.value_name);
}

/// Stores the value where the option's target says.
struct Assign {
    const OptionInfo& option;
    const std::string& value;
    Options& options;

    void operator()(bool Options::* target) const { options.*target = true; }
    void operator()(int64_t Options::* target) const { options.*target = checked_integer(option, value); }
    void operator()(double Options::* target) const {
        const std::optional<double> number = parse_number(value);
        if (!number || *number < option.minimum || *number > option.maximum)
            out_of_range(option, value, "a number");
        options.*target = *number;
    }
    void operator()(std::string Options::* target) const {
        check_choice(option, value);
        if (value.empty() && target != &Options::system)
            fail(ErrorKind::usage, "%s: the value is empty", spelled(option).c_str());
        options.*target = value;
    }
    void operator()(std::optional<uint64_t> Options::* target) const {
        uint64_t number = 0;
        const char* end = value.data() + value.size();
        const auto [stop, code] = std::from_chars(value.data(), end, number);
        if (code != std::errc{} || stop != end)
            fail(ErrorKind::usage, "%s: '%s' is not an integer from 0 to 18446744073709551615",
                 spelled(option).c_str(), printable(value).c_str());
        options.*target = number;
    }
    void operator()(std::vector<int64_t> Options::* target) const {
        options.*target = checked_integers(option, value);
    }
    void operator()(std::vector<std::string> Options::* target) const { (options.*target).push_back(value); }
};

/// Explains an option that the command does not have; `word` begins with "--", and "=VALUE" may follow.
[[noreturn]] void fail_unknown_long(const CommandInfo& command, std::string_view word) {
    const std::string name(word.substr(2, word.find('=') - 2));
    std::vector<const char*> names;
    std::string matching;
    for (const OptionInfo& option : option_table()) {
        if (!(option.commands & command.command)) continue;
        names.push_back(option.name);
        if (std::string_view(option.name).starts_with(name)) matching += strprintf(" --%s", option.name);
    }
    if (!matching.empty())
        fail(ErrorKind::usage, "'--%s' may be any of%s", printable(name).c_str(), matching.c_str());
    for (const OptionInfo& option : option_table())
        for (const CommandInfo& other : command_table())
            if (name == option.name && (option.commands & other.command))
                fail(ErrorKind::usage, "'--%s' is an option of 'agave %s', not of 'agave %s'", name.c_str(),
                     other.name, command.name);
    const char* close = closest_name(name, names);
    if (close)
        fail(ErrorKind::usage, "'agave %s' has no option '--%s'; did you mean '--%s'?", command.name,
             printable(name).c_str(), close);
    fail(ErrorKind::usage, "'agave %s' has no option '--%s'; 'agave %s --help' lists them", command.name,
         printable(name).c_str(), command.name);
}

/// The tables that getopt_long wants, for the options of one command.
struct Parser {
    explicit Parser(const CommandInfo& of) : command(of) {
        for (const OptionInfo& option : option_table()) {
            const int value = kFirstOption + static_cast<int>(&option - option_table().data());
            if (!(option.commands & command.command)) continue;
            long_options.push_back(
                {option.name, option.value_name ? required_argument : no_argument, nullptr, value});
            if (!option.short_name) continue;
            short_options += option.short_name;
            if (option.value_name) short_options += ':';
        }
        long_options.push_back({nullptr, 0, nullptr, 0});
    }

    /// The option of a value that getopt_long gives or leaves in optopt; nullptr when there is none.
    const OptionInfo* find(int value) const {
        if (value >= kFirstOption) return &option_table()[static_cast<size_t>(value - kFirstOption)];
        for (const OptionInfo& option : option_table())
            if ((option.commands & command.command) && option.short_name && option.short_name == value)
                return &option;
        return nullptr;
    }

    [[noreturn]] void fail_at(int result, const char* word) const {
        const OptionInfo* option = optopt ? find(optopt) : nullptr;
        if (result == ':' && option)
            fail(ErrorKind::usage, "%s needs a value: %s", spelled(*option).c_str(), option->value_name);
        if (option) fail(ErrorKind::usage, "--%s takes no value", option->name);
        if (optopt == 0) fail_unknown_long(command, word);
        fail(ErrorKind::usage, "'agave %s' has no option '-%s'; 'agave %s --help' lists them", command.name,
             printable({reinterpret_cast<const char*>(&optopt), 1}).c_str(), command.name);
    }

    const CommandInfo& command;
    std::string short_options = ":";
    std::vector<option> long_options;
};

}  // namespace

const CommandInfo* find_command(std::string_view name) {
    for (const CommandInfo& command : command_table())
        if (name == command.name) return &command;
    return nullptr;
}

bool CommandLine::is_given(std::string_view option) const {
    return std::find(given.begin(), given.end(), option) != given.end();
}

CommandLine parse_command_line(const CommandInfo& command, std::vector<std::string> words) {
    const Parser parser(command);
    std::string program = "agave";
    std::vector<char*> argv{program.data()};
    for (std::string& word : words) argv.push_back(word.data());
    argv.push_back(nullptr);

    CommandLine line;
    optind = 0;  // glibc starts anew
    opterr = 0;
    const int argc = static_cast<int>(argv.size()) - 1;
    for (;;) {
        const int at = std::max(optind, 1);
        const int result = ::getopt_long(argc, argv.data(), parser.short_options.c_str(),
                                         parser.long_options.data(), nullptr);
        if (result == -1) break;
        if (result == '?' || result == ':')
            parser.fail_at(result, argv[static_cast<size_t>(std::max(optind - 1, at))]);
        const OptionInfo* option = parser.find(result);
        const std::string value = optarg ? optarg : "";
        std::visit(Assign{*option, value, line.options}, option->target);
        line.given.push_back(option->name);
    }
    for (int i = optind; i < argc; i++) line.arguments.emplace_back(argv[static_cast<size_t>(i)]);
    if (line.options.help) return line;
    const int n = static_cast<int>(line.arguments.size());
    if (n < command.min_arguments)
        fail(ErrorKind::usage, "'agave %s' needs %s; 'agave %s --help' explains it", command.name,
             command.arguments, command.name);
    if (n > command.max_arguments)
        fail(ErrorKind::usage, "'agave %s' takes %s, so '%s' is one word too many; put text in quotes",
             command.name, command.arguments,
             printable(line.arguments[static_cast<size_t>(command.max_arguments)]).c_str());
    return line;
}

/// Optimal string alignment distance: insertions, deletions, substitutions and swaps of neighbours.
static size_t edit_distance(std::string_view a, std::string_view b) {
    std::vector<std::vector<size_t>> d(a.size() + 1, std::vector<size_t>(b.size() + 1));
    for (size_t i = 0; i <= a.size(); i++) {
        for (size_t j = 0; j <= b.size(); j++) {
            if (i == 0 || j == 0) {
                d[i][j] = i + j;
                continue;
            }
            d[i][j] = std::min({d[i - 1][j] + 1, d[i][j - 1] + 1, d[i - 1][j - 1] + (a[i - 1] != b[j - 1])});
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
                d[i][j] = std::min(d[i][j], d[i - 2][j - 2] + 1);
        }
    }
    return d[a.size()][b.size()];
}

const char* closest_name(std::string_view word, std::span<const char* const> names) {
    if (word.size() < 2 || word.size() > 40) return nullptr;
    const char* best = nullptr;
    size_t best_distance = word.size() < 5 ? 2 : 3;
    for (const char* name : names) {
        const size_t distance = edit_distance(word, name);
        if (distance >= best_distance) continue;
        best = name;
        best_distance = distance;
    }
    return best;
}

std::string default_of(const OptionInfo& option) {
    if (option.default_text) return option.default_text;
    const Options defaults;
    if (const auto* integer = std::get_if<int64_t Options::*>(&option.target)) {
        const auto value = static_cast<double>(defaults.**integer);
        return value < option.minimum ? "" : number_text(value);
    }
    if (const auto* number = std::get_if<double Options::*>(&option.target))
        return strprintf("%g", defaults.**number);
    if (const auto* text = std::get_if<std::string Options::*>(&option.target)) return defaults.**text;
    if (const auto* list = std::get_if<std::vector<int64_t> Options::*>(&option.target)) {
        std::string joined;
        for (int64_t value : defaults.**list)
            joined += (joined.empty() ? "" : ",") + number_text(static_cast<double>(value));
        return joined;
    }
    return "";
}

std::optional<int64_t> parse_integer(std::string_view text) {
    int64_t number = 0;
    const auto [stop, code] = std::from_chars(text.data(), text.data() + text.size(), number);
    if (code != std::errc{} || stop != text.data() + text.size()) return std::nullopt;
    return number;
}

std::optional<double> parse_number(const std::string& text, bool allow_infinity) {
    if (text.empty() || text.find_first_of("xXpP \t\n\r\v\f") != std::string::npos) return std::nullopt;
    char* end = nullptr;
    const double number = std::strtod(text.c_str(), &end);
    if (end != text.c_str() + text.size() || std::isnan(number)) return std::nullopt;
    if (std::isinf(number) && !(allow_infinity && text.find_first_of("nN") != std::string::npos))
        return std::nullopt;
    return number;
}

}  // namespace agave::cli
