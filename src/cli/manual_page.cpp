#include "base/error.h"
#include "cli/help.h"

namespace agave::cli {

namespace {

/// Text that roff takes literally.
std::string roff(std::string_view text) {
    std::string out;
    for (char c : text) {
        if (c == '\\')
            out += "\\e";
        else if (c == '-')
            out += "\\-";
        else
            out += c;
        if (c == '\n') out += "\\&";
    }
    return out.starts_with('.') || out.starts_with('\'') ? "\\&" + out : out;
}

std::string option_entry(const OptionInfo& option) {
    std::string usage = option.short_name ? strprintf("\\fB\\-%c\\fR, ", option.short_name) : "";
    usage += strprintf("\\fB\\-\\-%s\\fR", roff(option.name).c_str());
    if (option.value_name) usage += strprintf(" \\fI%s\\fR", roff(option.value_name).c_str());
    std::string text = ".TP\n" + usage + "\n" + roff(option.help);
    const std::string value = default_of(option);
    return text + (value.empty() ? "" : " (default: " + roff(value) + ")") + "\n";
}

}  // namespace

std::string manual_page() {
    std::string text =
        ".TH AGAVE 1\n.SH NAME\nagave \\- run large language models on this machine\n.SH SYNOPSIS\n"
        ".B agave\n.I COMMAND\n[\\fIOPTIONS\\fR] ...\n.br\n.B agave\n.I MODEL\n[\\fIPROMPT\\fR]\n.SH "
        "DESCRIPTION\n"
        "MODEL is a GGUF file, a Hugging Face folder, or the name of a downloaded model, ORG/REPO[:QUANT].\n"
        "Results go to standard output, everything else to standard error.\n.SH COMMANDS\n";
    for (const CommandInfo& command : command_table()) {
        text += strprintf(".SS agave %s %s\n%s\n", command.name, roff(command.arguments).c_str(),
                          roff(command.description).c_str());
        for (const OptionInfo& option : option_table())
            if (option.commands & command.command) text += option_entry(option);
    }
    text +=
        ".SH EXIT STATUS\n.TP\n0\ndone\n.TP\n1\nfailed while running\n.TP\n2\na bad command line, or a model "
        "that is "
        "missing, damaged or not supported\n.TP\n130\nstopped by Ctrl\\-C\n";
    return text;
}

}  // namespace agave::cli
