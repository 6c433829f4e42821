#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "cli/chat_session.h"
#include "cli/line_editor.h"

namespace agave::cli {

/// What the loop of `agave chat` and its commands share.
struct ChatState {
    ChatSession& session;
    std::vector<std::string> words;  ///< of the command line, to which /set adds
    std::string attached;            ///< text of /file, to stand before the next message
    bool retry = false;              ///< the last question is to be answered again
    bool quit = false;
};

/// A command that begins with a slash.
struct ChatCommand {
    const char* name;       ///< with the slash
    const char* arguments;  ///< as /help shows them
    const char* help;
    void (*execute)(ChatState& state, const std::string& argument);
};
std::span<const ChatCommand> chat_commands();

/// Executes "/name argument". Throws Error(usage) for a command that is unknown or cannot be done.
void execute_chat_command(ChatState& state, std::string_view line);

/// Completes commands, and the file names behind those that take one.
Completion complete_chat_line(std::string_view text);

}  // namespace agave::cli
