#include "cli/chat_commands.h"

#include <dirent.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include "base/error.h"
#include "base/json.h"
#include "base/json_writer.h"
#include "base/utf8.h"
#include "cli/output.h"
#include "cli/prompt.h"

namespace agave::cli {

namespace {

constexpr size_t kMaxFile = size_t{64} << 20;

void clear_conversation(ChatState& state, const std::string&) {
    state.session.messages.clear();
    state.attached.clear();
    print_status("the conversation is empty");
}

void set_system(ChatState& state, const std::string& text) {
    if (!text.empty()) state.session.line.options.system = text == "none" ? "" : text;
    const std::string& system = state.session.line.options.system;
    print_status(system.empty() ? "there is no system message"
                                : "system message: " + neutralize_controls(system));
}

std::string statistics_line(const char* what, const TurnStatistics& statistics) {
    const auto rate = [](int64_t n, double seconds) {
        return seconds > 0 ? static_cast<double>(n) / seconds : 0;
    };
    const int64_t computed = statistics.prompt_tokens - statistics.reused_tokens;
    return strprintf(
        "%s prefill %lld tokens (%lld more reused), %.1f tokens/s; decode %lld tokens, %.1f tokens/s", what,
        static_cast<long long>(computed), static_cast<long long>(statistics.reused_tokens),
        rate(computed, statistics.prefill_seconds), static_cast<long long>(statistics.generated_tokens),
        rate(statistics.generated_tokens, statistics.decode_seconds));
}

void show_statistics(ChatState& state, const std::string&) {
    print_status(statistics_line("last answer:", state.session.last()));
    print_status(statistics_line("all answers:", state.session.total()));
}

void show_context(ChatState& state, const std::string&) {
    ChatModel& model = state.session.model();
    const auto used = static_cast<double>(model.sequence.tokens().size());
    const auto size = static_cast<double>(model.engine.context_size());
    print_status(strprintf("%.0f of %.0f tokens of context are in use (%.0f %%), %s of K/V and state", used,
                           size, 100 * used / size,
                           bytes_text(static_cast<double>(model.engine.cache().used_bytes())).c_str()));
}

void change_model(ChatState& state, const std::string& name) {
    if (!name.empty()) state.session.change_model(name);
    print_status("model " + printable(state.session.model().name, 200));
}

void save(ChatState& state, const std::string& path) {
    if (path.empty()) fail(ErrorKind::usage, "/save needs the name of a file");
    JsonWriter json;
    json.begin_object();
    json.member("model", state.session.model().name);
    json.key("messages");
    json.begin_array();
    const auto write = [&](const char* role, const std::string& content, const std::string* reasoning) {
        json.begin_object();
        json.member("role", role);
        json.member("content", content);
        if (reasoning) json.member("reasoning_content", *reasoning);
        json.end_object();
    };
    if (!state.session.line.options.system.empty())
        write("system", state.session.line.options.system, nullptr);
    for (const chat::Message& message : state.session.messages)
        write(message.role.c_str(), message.content, message.reasoning ? &*message.reasoning : nullptr);
    json.end_array();
    json.end_object();

    const std::string temporary = path + ".part";
    std::FILE* file = std::fopen(temporary.c_str(), "wb");
    bool written = file && std::fwrite(json.text().data(), 1, json.text().size(), file) == json.text().size();
    if (file) written = std::fclose(file) == 0 && written;
    if (!written || std::rename(temporary.c_str(), path.c_str()) != 0)
        fail(ErrorKind::runtime, "cannot write '%s': %s", printable(path).c_str(), std::strerror(errno));
    print_status(
        strprintf("saved %zu messages to '%s'", state.session.messages.size(), printable(path, 200).c_str()));
}

/// Reads what save() writes; nothing changes when the file is no such thing.
void load(ChatState& state, const std::string& path) {
    if (path.empty()) fail(ErrorKind::usage, "/load needs the name of a file");
    const std::string text = read_file(path);
    const Json document(text, path);
    const JsonValue list =
        document.root().is(JsonKind::array) ? document.root() : document.root()["messages"];
    if (!list.is(JsonKind::array))
        fail(ErrorKind::usage, "'%s' holds no conversation: there is no list of messages",
             printable(path).c_str());
    std::vector<chat::Message> messages;
    std::string system;
    for (const JsonValue entry : list) {
        const JsonValue role = entry["role"], content = entry["content"],
                        reasoning = entry["reasoning_content"];
        if (!role.is(JsonKind::text) || !content.is(JsonKind::text))
            fail(ErrorKind::usage, "'%s' holds a message without a role or a content",
                 printable(path).c_str());
        if (role.as_text() == "system" && messages.empty()) {
            system = content.as_text();
            continue;
        }
        chat::Message message;
        message.role = role.as_text();
        message.content = content.as_text();
        if (reasoning.is(JsonKind::text)) message.reasoning = std::string(reasoning.as_text());
        messages.push_back(std::move(message));
    }
    state.session.messages = std::move(messages);
    state.session.line.options.system = std::move(system);
    print_status(strprintf("loaded %zu messages", state.session.messages.size()));
}

void undo(ChatState& state, const std::string&) {
    if (!state.session.undo()) fail(ErrorKind::usage, "there is nothing to undo");
    print_status(strprintf("the last question and its answer are gone; %zu messages are left",
                           state.session.messages.size()));
}

void retry(ChatState& state, const std::string&) {
    std::vector<chat::Message>& messages = state.session.messages;
    while (!messages.empty() && messages.back().role != "user") messages.pop_back();
    if (messages.empty()) fail(ErrorKind::usage, "there is no question to answer again");
    state.retry = true;
}

void set_option(ChatState& state, const std::string& argument) {
    const size_t space = argument.find(' ');
    const std::string name = argument.substr(0, space);
    const auto settable = [](const OptionInfo& option) {
        const std::string_view group = option.group;
        return (option.commands & kChat) && option.value_name &&
               (group == "Sampling" || group == "Generation") && std::string_view(option.name) != "ctx-size";
    };
    const std::span<const OptionInfo> table = option_table();
    if (std::none_of(table.begin(), table.end(),
                     [&](const OptionInfo& option) { return settable(option) && name == option.name; })) {
        std::string names;
        for (const OptionInfo& option : table)
            if (settable(option)) names += (names.empty() ? "" : ", ") + std::string(option.name);
        fail(ErrorKind::usage, "/set NAME VALUE: NAME is one of %s", names.c_str());
    }
    if (space == argument.npos) fail(ErrorKind::usage, "/set %s needs a value", name.c_str());
    std::vector<std::string> words = state.words;
    words.push_back("--" + name + "=" + argument.substr(space + 1));
    CommandLine changed = parse_command_line(*find_command("chat"), words);
    (void)sampling_parameters(changed, state.session.model().file.metadata(),
                              *state.session.model().tokenizer);
    changed.options.system = state.session.line.options.system;
    changed.options.reasoning = state.session.line.options.reasoning;
    state.session.line = std::move(changed);
    state.words = std::move(words);
    print_status(name + " is " + argument.substr(space + 1));
}

void attach_file(ChatState& state, const std::string& path) {
    if (path.empty()) fail(ErrorKind::usage, "/file needs the name of a file");
    struct stat status{};
    if (::stat(path.c_str(), &status) == 0 && static_cast<size_t>(status.st_size) > kMaxFile)
        fail(ErrorKind::usage, "'%s' is larger than %zu MB", printable(path).c_str(), kMaxFile >> 20);
    const std::string text = read_file(path);
    if (valid_utf8_prefix(text) != text.size() || text.find('\0') != text.npos)
        fail(ErrorKind::usage, "'%s' is not a text in UTF-8", printable(path).c_str());
    state.attached += "File " + path.substr(path.rfind('/') + 1) + ":\n```\n" + text +
                      (text.ends_with('\n') ? "" : "\n") + "```\n\n";
    print_status(strprintf("'%s' (%s) stands before your next message", printable(path, 200).c_str(),
                           bytes_text(static_cast<double>(text.size())).c_str()));
}

void set_reasoning(ChatState& state, const std::string& argument) {
    Options changed = state.session.line.options;
    const std::string before = changed.reasoning;
    if (!argument.empty()) {
        std::vector<std::string> words = state.words;
        words.push_back("--reasoning=" + argument);
        changed.reasoning = parse_command_line(*find_command("chat"), words).options.reasoning;
        // Throws where the template has no means for it.
        std::vector<chat::Message> trial(1);
        trial[0].role = "user";
        trial[0].content = "x";
        (void)state.session.model().chat_template.render(
            trial, render_options(changed, *state.session.model().tokenizer));
        state.session.line.options.reasoning = changed.reasoning;
    }
    print_status("reasoning is " + state.session.line.options.reasoning);
}

void show_help(ChatState&, const std::string&) {
    for (const ChatCommand& command : chat_commands())
        print_status(strprintf("%-9s %-12s %s", command.name, command.arguments, command.help));
    print_status(
        "Alt-Enter, or \\ at its end, continues a line; Ctrl-C stops an answer; Ctrl-D leaves; Ctrl-R "
        "searches");
}

void quit(ChatState& state, const std::string&) {
    state.quit = true;
}

constexpr ChatCommand commands[] = {
    {"/clear", "", "forget the conversation, but not the system message", clear_conversation},
    {"/context", "", "how full the context is", show_context},
    {"/file", "PATH", "put a text file before the next message", attach_file},
    {"/help", "", "this list", show_help},
    {"/load", "PATH", "go on with a conversation that /save wrote", load},
    {"/model", "[MODEL]", "go on with another model", change_model},
    {"/quit", "", "leave", quit},
    {"/retry", "", "answer the last question again", retry},
    {"/save", "PATH", "write the conversation as JSON", save},
    {"/set", "NAME VALUE", "change a sampling option, e.g. /set temperature 0.2", set_option},
    {"/stats", "", "tokens per second, and tokens that were not computed again", show_statistics},
    {"/system", "[TEXT]", "show or set the system message; 'none' takes it away", set_system},
    {"/think", "[WORD]", "reasoning: on, off, low, medium, high or auto, as far as the model can",
     set_reasoning},
    {"/undo", "", "take the last question and its answer back", undo},
};

std::vector<std::string> matching_files(const std::string& prefix) {
    const size_t slash = prefix.rfind('/');
    const std::string directory = slash == prefix.npos ? "" : prefix.substr(0, slash + 1);
    const std::string start = prefix.substr(directory.size());
    std::vector<std::string> words;
    DIR* entries = ::opendir(directory.empty() ? "." : directory.c_str());
    if (!entries) return words;
    while (const dirent* entry = ::readdir(entries)) {
        const std::string name = entry->d_name;
        if (!name.starts_with(start) || (start.empty() && name[0] == '.')) continue;
        struct stat status{};
        const bool folder = ::stat((directory + name).c_str(), &status) == 0 && S_ISDIR(status.st_mode);
        words.push_back(directory + name + (folder ? "/" : ""));
    }
    ::closedir(entries);
    std::sort(words.begin(), words.end());
    return words;
}

}  // namespace

std::span<const ChatCommand> chat_commands() {
    return commands;
}

void execute_chat_command(ChatState& state, std::string_view line) {
    const size_t space = std::min(line.find(' '), line.size());
    const std::string_view name = line.substr(0, space);
    std::string_view argument = line.substr(space);
    while (argument.starts_with(' ')) argument.remove_prefix(1);
    while (argument.ends_with(' ')) argument.remove_suffix(1);
    for (const ChatCommand& command : commands) {
        if (name != command.name) continue;
        if (*command.arguments == 0 && !argument.empty())
            fail(ErrorKind::usage, "%s takes nothing behind it", command.name);
        command.execute(state, std::string(argument));
        return;
    }
    fail(ErrorKind::usage, "'%s' is no command; /help lists them", printable(name).c_str());
}

Completion complete_chat_line(std::string_view text) {
    Completion completion;
    if (!text.starts_with('/')) return completion;
    const size_t space = text.find(' ');
    if (space == text.npos) {
        for (const ChatCommand& command : commands)
            if (std::string_view(command.name).starts_with(text))
                completion.words.push_back(command.name + std::string(*command.arguments ? " " : ""));
        return completion;
    }
    const std::string_view name = text.substr(0, space);
    if (name != "/file" && name != "/load" && name != "/save" && name != "/model") return completion;
    completion.word_begin = space + 1;
    completion.words = matching_files(std::string(text.substr(space + 1)));
    return completion;
}

}  // namespace agave::cli
