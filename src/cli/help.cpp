#include "cli/help.h"

#include <algorithm>
#include <cstring>
#include <string_view>

#include "base/error.h"

namespace agave::cli {

namespace {

/// Appends `text` from column `column` on, broken between words at kHelpColumns and indented by `indent`.
void append_wrapped(std::string& out, std::string_view text, size_t indent, size_t column) {
    bool first = true;
    while (!text.empty()) {
        const size_t length = std::min(text.find(' '), text.size());
        if (!first && column + 1 + length > kHelpColumns) {
            out += '\n';
            out.append(indent, ' ');
            column = indent;
        } else if (!first) {
            out += ' ';
            column++;
        }
        out += text.substr(0, length);
        column += length;
        first = false;
        text.remove_prefix(std::min(length + 1, text.size()));
    }
    out += '\n';
}

/// "-n, --max-tokens N"
std::string option_usage(const OptionInfo& option) {
    std::string text = option.short_name ? strprintf("-%c, ", option.short_name) : "    ";
    text += strprintf("--%s", option.name);
    if (option.value_name) text += strprintf(" %s", option.value_name);
    return text;
}

std::string help_with_default(const OptionInfo& option) {
    const std::string default_text = default_of(option);
    return default_text.empty() ? option.help
                                : strprintf("%s (default: %s)", option.help, default_text.c_str());
}

/// The groups of a command's options, in the table's order.
std::vector<const char*> groups_of(const CommandInfo& command) {
    std::vector<const char*> groups;
    for (const OptionInfo& option : option_table()) {
        const auto same = [&](const char* group) { return std::strcmp(group, option.group) == 0; };
        if ((option.commands & command.command) && std::none_of(groups.begin(), groups.end(), same))
            groups.push_back(option.group);
    }
    return groups;
}

bool belongs(const OptionInfo& option, const CommandInfo& command, const char* group) {
    return (option.commands & command.command) && std::strcmp(option.group, group) == 0;
}

}  // namespace

std::string overview() {
    std::string text =
        "agave runs large language models on this machine.\n\n"
        "usage: agave COMMAND [OPTIONS] ...\n"
        "       agave MODEL [PROMPT]\n\n";
    for (const CommandInfo& command : command_table()) {
        const std::string usage = strprintf("  %s %s", command.name, command.arguments);
        text += usage;
        text.append(usage.size() < 28 ? 28 - usage.size() : 1, ' ');
        text += command.summary;
        text += '\n';
    }
    text += '\n';
    append_wrapped(
        text,
        "MODEL is a GGUF file, a Hugging Face folder, or the name of a downloaded model. 'agave COMMAND "
        "--help' explains a command, 'agave --version' names the version.",
        0, 0);
    return text;
}

std::string command_help(const CommandInfo& command) {
    constexpr size_t indent = 34;
    std::string text = strprintf("usage: agave %s [OPTIONS] %s\n\n", command.name, command.arguments);
    append_wrapped(text, command.description, 0, 0);
    for (const char* group : groups_of(command)) {
        text += strprintf("\n%s:\n", group);
        for (const OptionInfo& option : option_table()) {
            if (!belongs(option, command, group)) continue;
            const std::string usage = "  " + option_usage(option);
            text += usage;
            if (usage.size() + 2 > indent)
                text += '\n' + std::string(indent, ' ');
            else
                text.append(indent - usage.size(), ' ');
            append_wrapped(text, help_with_default(option), indent, indent);
        }
    }
    return text;
}

std::string markdown_reference() {
    std::string text =
        "# The command line\n\n"
        "Made from the program's table of options: `agave help --markdown > docs/cli.md`.\n\n"
        "    agave COMMAND [OPTIONS] ...\n"
        "    agave MODEL [PROMPT]\n\n"
        "MODEL is a GGUF file (of a split one, any part), a Hugging Face folder with config.json and "
        "SafeTensors "
        "files, or the name of a downloaded model, ORG/REPO[:QUANT]. A long option may be shortened as long "
        "as one "
        "option fits, "
        "`--name=value` and\n`--name value` are the same, and `--` ends the options. Numbers out of range "
        "are refused.\n\n"
        "| exit status | meaning |\n|---|---|\n"
        "| 0 | done; also when the reader of standard output went away |\n"
        "| 1 | failed while running: memory, input/output, a file that changed while in use |\n"
        "| 2 | a bad command line, a missing or damaged file, a model that this build does not run |\n"
        "| 130 | stopped by Ctrl-C; what was generated until then is printed, statistics too |\n\n"
        "Errors are one sentence on standard error. Results go to standard output, everything else to "
        "standard "
        "error.\n";
    for (const CommandInfo& command : command_table()) {
        text += strprintf("\n## agave %s %s\n\n%s\n\n| option | default | |\n|---|---|---|\n", command.name,
                          command.arguments, command.description);
        for (const char* group : groups_of(command)) {
            for (const OptionInfo& option : option_table()) {
                if (!belongs(option, command, group)) continue;
                std::string usage = option.short_name ? strprintf("`-%c`, ", option.short_name) : "";
                usage += strprintf("`--%s", option.name);
                if (option.value_name) usage += strprintf(" %s", option.value_name);
                usage += '`';
                std::string escaped;
                for (char c : usage) escaped += c == '|' ? std::string("\\|") : std::string(1, c);
                text +=
                    strprintf("| %s | %s | %s |\n", escaped.c_str(), default_of(option).c_str(), option.help);
            }
        }
        if (command.json) text += strprintf("\n`--json` prints %s.\n", command.json);
    }
    return text;
}

}  // namespace agave::cli
