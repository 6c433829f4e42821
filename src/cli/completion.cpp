#include <algorithm>
#include <cstring>

#include "base/error.h"
#include "cli/commands.h"
#include "cli/output.h"

namespace agave::cli {

namespace {

/// The words that an option's value must be one of ("a|b|c"), separated by spaces; empty for other values.
std::string choices_of(const OptionInfo& option) {
    std::string words = option.value_name && std::strchr(option.value_name, '|') ? option.value_name : "";
    std::replace(words.begin(), words.end(), '|', ' ');
    return words;
}

bool takes_model(const CommandInfo& command) {
    return std::string_view(command.arguments).find("MODEL") != std::string_view::npos;
}

std::string command_names() {
    std::string names;
    for (const CommandInfo& command : command_table())
        names += (names.empty() ? "" : " ") + std::string(command.name);
    return names;
}

/// Shell text: the words that may follow `--option` where those are known.
std::string bash_choices() {
    std::string text;
    for (const OptionInfo& option : option_table()) {
        const std::string choices = choices_of(option);
        const std::string line =
            strprintf("        --%s) COMPREPLY=($(compgen -W '%s' -- \"$word\")); return ;;\n", option.name,
                      choices.c_str());
        if (!choices.empty() && text.find(line) == text.npos) text += line;
    }
    return text;
}

std::string bash_script() {
    std::string text =
        "# Completion for agave: source <(agave completion bash)\n"
        "_agave() {\n"
        "    local word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]} options= models=\n"
        "    COMPREPLY=()\n"
        "    case $before in\n" +
        bash_choices() +
        "    esac\n"
        "    if [ \"$COMP_CWORD\" -eq 1 ]; then\n"
        "        COMPREPLY=($(compgen -W '" +
        command_names() +
        "' -- \"$word\") $(compgen -f -- \"$word\"))\n"
        "        return\n"
        "    fi\n"
        "    case ${COMP_WORDS[1]} in\n";
    for (const CommandInfo& command : command_table()) {
        text += strprintf("        %s) options='", command.name);
        for (const OptionInfo& option : option_table())
            if (option.commands & command.command) text += strprintf("--%s ", option.name);
        text.back() = '\'';
        text += takes_model(command) ? " models=1 ;;\n" : " ;;\n";
    }
    text +=
        "    esac\n"
        "    case $word in\n"
        "        -*) COMPREPLY=($(compgen -W \"$options\" -- \"$word\")) ;;\n"
        "        *) COMPREPLY=($(compgen -f -- \"$word\"))\n"
        "           [ -n \"$models\" ] && COMPREPLY+=($(compgen -W \"$(agave list 2>/dev/null | sed 's/.*  "
        "//')\" -- "
        "\"$word\"))\n"
        "           [ \"${COMP_WORDS[1]}\" = help ] && COMPREPLY=($(compgen -W '" +
        command_names() +
        "' -- \"$word\")) ;;\n"
        "    esac\n"
        "    # A colon ends a word for readline: what stands before it is on the line already.\n"
        "    type __ltrim_colon_completions >/dev/null 2>&1 && __ltrim_colon_completions \"$word\"\n"
        "}\n"
        "complete -o filenames -F _agave agave\n";
    return text;
}

/// Text between single quotes of fish.
std::string fish_quoted(std::string_view text) {
    std::string quoted = "'";
    for (char c : text) {
        if (c == '\'' || c == '\\') quoted += '\\';
        quoted += c;
    }
    return quoted + "'";
}

std::string fish_script() {
    std::string text =
        "# Completion for agave: agave completion fish > ~/.config/fish/completions/agave.fish\n"
        "set -l commands " +
        command_names() + "\n";
    for (const CommandInfo& command : command_table()) {
        text += strprintf("complete -c agave -n \"not __fish_seen_subcommand_from $commands\" -a %s -d %s\n",
                          command.name, fish_quoted(command.summary).c_str());
        const std::string condition = strprintf("-n '__fish_seen_subcommand_from %s'", command.name);
        if (takes_model(command))
            text += strprintf(
                "complete -c agave %s -a \"(agave list 2>/dev/null | string replace -r '.*  ' '')\"\n",
                condition.c_str());
        for (const OptionInfo& option : option_table()) {
            if (!(option.commands & command.command)) continue;
            text += strprintf("complete -c agave %s -l %s", condition.c_str(), option.name);
            if (option.short_name) text += strprintf(" -s %c", option.short_name);
            const std::string choices = choices_of(option);
            if (!choices.empty())
                text += strprintf(" -x -a %s", fish_quoted(choices).c_str());
            else if (option.value_name)
                text += " -r";
            text += " -d " + fish_quoted(option.help) + "\n";
        }
    }
    return text;
}

}  // namespace

int completion_command(const CommandLine& line) {
    const std::string& shell = line.arguments[0];
    if (shell == "bash")
        print(bash_script());
    else if (shell == "zsh")
        print(
            "#compdef agave\n# Completion for agave: source <(agave completion zsh)\n"
            "autoload -U +X bashcompinit && bashcompinit\n" +
            bash_script());
    else if (shell == "fish")
        print(fish_script());
    else
        fail(ErrorKind::usage, "there is no completion for '%s'; it is bash, zsh or fish",
             printable(shell).c_str());
    return 0;
}

}  // namespace agave::cli
