#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <cstdio>

#include "base/error.h"
#include "cli/chat_commands.h"
#include "cli/chat_session.h"
#include "cli/commands.h"
#include "cli/line_editor.h"
#include "cli/markdown.h"
#include "cli/output.h"
#include "cli/prompt.h"

namespace agave::cli {

namespace {

std::atomic<bool> interrupted{false};
static_assert(std::atomic<bool>::is_always_lock_free);

void catch_interrupts() {
    struct sigaction action{};
    action.sa_handler = [](int) { interrupted.store(true, std::memory_order_relaxed); };
    action.sa_flags = SA_RESTART;
    ::sigaction(SIGINT, &action, nullptr);
}

/// Prints an answer as it comes: on a terminal the reasoning dimmed and Markdown styled, elsewhere the plain
/// answer.
class ReplyPrinter final : public ReplyListener {
  public:
    ReplyPrinter() : terminal_(output_is_terminal()), styled_(terminal_ && use_color()) {}

    void hear(const chat::ReplyEvent& event) override {
        if (event.text.empty()) return;
        switch (event.kind) {
            case chat::ReplyEvent::reasoning:
                if (terminal_) write(event.text, "\x1b[2m");
                return;
            case chat::ReplyEvent::call_begin:
                write("\ncall " + event.text + " ", "\x1b[35m");
                return;
            case chat::ReplyEvent::call_arguments:
                write(event.text, "\x1b[35m");
                return;
            default:
                write_content(event.text);
        }
    }
    void finish() {
        if (styled_) put(markdown_.finish());
        if (!ends_line_) put("\n");
        flush_output();
    }

  private:
    void put(const std::string& text) {
        if (text.empty()) return;
        print(text);
        ends_line_ = text.back() == '\n';
    }
    void write(const std::string& text, const char* style) {
        put(styled_     ? style + neutralize_controls(text) + "\x1b[0m"
            : terminal_ ? neutralize_controls(text)
                        : text);
        after_reasoning_ = true;
        flush_output();
    }
    void write_content(const std::string& text) {
        if (after_reasoning_) put("\n\n");
        after_reasoning_ = false;
        const std::string clean = terminal_ ? neutralize_controls(text) : text;
        put(styled_ ? markdown_.push(clean) : clean);
        flush_output();
    }

    bool terminal_, styled_;
    bool ends_line_ = false, after_reasoning_ = false;
    MarkdownStyler markdown_;
};

void print_banner(ChatSession& session) {
    ChatModel& model = session.model();
    const SamplingParameters sampling =
        sampling_parameters(session.line, model.file.metadata(), *model.tokenizer);
    print_status(strprintf("%s (%s), context %lld tokens, %d threads, %s kernels",
                           model.engine.model().name.empty() ? printable(model.name, 200).c_str()
                                                             : model.engine.model().name.c_str(),
                           model.engine.model().architecture.c_str(),
                           static_cast<long long>(model.engine.context_size()), model.engine.n_threads(),
                           cpu_level_name(model.engine.cpu_level())));
    print_status("sampling: " + describe_sampling(session.line, model.file.metadata(), sampling));
    print_status("/help lists the commands");
}

void answer(ChatState& state) {
    interrupted = false;
    ReplyPrinter printer;
    TurnStatistics statistics;
    try {
        statistics = state.session.answer(printer, interrupted);
    } catch (...) {
        printer.finish();
        throw;
    }
    printer.finish();
    if (statistics.dropped_turns > 0)
        print_message(strprintf("the context was full: the oldest %lld turns were dropped",
                                static_cast<long long>(statistics.dropped_turns)));
    const std::string_view reason = statistics.finish_reason;
    if (reason == "context") print_message("the context is full, so the answer ends here");
    if (reason == "interrupted") print_status("(stopped)");
}

/// One entry: a command, or a message to answer. An error is said, and the conversation goes on.
void take_entry(ChatState& state, const std::string& entry) {
    const size_t n_messages = state.session.messages.size();
    const bool is_command = entry.starts_with('/') && entry.find('\n') == entry.npos;
    try {
        if (is_command) {
            execute_chat_command(state, entry);
            if (!state.retry) return;
            state.retry = false;
        } else {
            chat::Message message;
            message.role = "user";
            message.content = state.attached + entry;
            state.session.messages.push_back(std::move(message));
        }
        answer(state);
        state.attached.clear();
    } catch (const Error& error) {
        // A message that could not be answered is no part of the conversation.
        if (!is_command && state.session.messages.size() > n_messages)
            state.session.messages.resize(n_messages);
        print_message(error.what());
    }
}

/// A line of standard input that is no terminal; false at its end.
bool read_line(std::string& line) {
    line.clear();
    for (int c = std::getchar(); c != EOF; c = std::getchar()) {
        if (c == '\n') return true;
        line += static_cast<char>(c);
    }
    return !line.empty();
}

/// The next entry; false when the user leaves.
bool read_entry(LineEditor* editor, History& history, std::string& entry) {
    if (!editor) return read_line(entry);
    for (;;) {
        switch (editor->read("> ", entry)) {
            case LineEditor::Result::end_of_input:
                return false;
            case LineEditor::Result::interrupted:
                print_status("Ctrl-D or /quit leaves");
                break;
            case LineEditor::Result::line:
                if (entry.find_first_not_of(" \n") == entry.npos) break;
                history.add(entry);
                return true;
        }
    }
}

}  // namespace

int chat_command(const CommandLine& line, const std::vector<std::string>& words) {
    ChatSession session(line);
    ChatState state{session, words, {}};
    const bool terminal = ::isatty(STDIN_FILENO) && ::isatty(STDOUT_FILENO);
    History history(terminal && !line.options.no_history ? history_path() : "");
    LineEditor editor(history, complete_chat_line);
    catch_interrupts();
    if (terminal && !line.options.quiet) print_banner(session);
    std::string entry;
    while (!state.quit && read_entry(terminal ? &editor : nullptr, history, entry))
        if (!entry.empty()) take_entry(state, entry);
    flush_output();
    return 0;
}

}  // namespace agave::cli
