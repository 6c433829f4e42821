#pragma once

#include <string>

#include "cli/options.h"

namespace agave::cli {

/// The widest line of any help.
constexpr size_t kHelpColumns = 100;

/// What `agave` alone and `agave --help` print: the commands.
std::string overview();

/// What `agave COMMAND --help` prints.
std::string command_help(const CommandInfo& command);

/// The manual page agave(1), in roff.
std::string manual_page();

/// docs/cli.md: every command with every option, in Markdown.
std::string markdown_reference();

}  // namespace agave::cli
