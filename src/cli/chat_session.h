#pragma once

#include <atomic>
#include <memory>
#include <string>
#include <vector>

#include "chat/chat_template.h"
#include "chat/reply/reply.h"
#include "cli/grammar_options.h"
#include "cli/options.h"
#include "engine/prompt_sequence.h"
#include "formats/model_file.h"
#include "tokenizer/tokenizer.h"

namespace agave::cli {

/// What one answer took.
struct TurnStatistics {
    int64_t prompt_tokens = 0, reused_tokens = 0, generated_tokens = 0;
    double prefill_seconds = 0, decode_seconds = 0;
    int64_t dropped_turns = 0;
    const char* finish_reason = "stop";  ///< or "length", "context", "interrupted"
};

/// A model made ready to talk to.
struct ChatModel {
    /// Throws Error as loading does, and Error(unsupported) for a model without a chat template.
    ChatModel(const std::string& name, const Options& options);

    std::string name;
    ModelFile file;
    std::unique_ptr<Tokenizer> tokenizer;
    chat::Template chat_template;
    Engine engine;
    PromptSequence sequence;
};

/// Hears an answer while it comes.
class ReplyListener {
  public:
    virtual ~ReplyListener() = default;
    virtual void hear(const chat::ReplyEvent& event) = 0;
};

/// A conversation with a model: its messages, and the answers to them over one cache.
class ChatSession {
  public:
    /// `line`: the command's options, with the model as the argument.
    explicit ChatSession(const CommandLine& line);

    CommandLine line;  ///< sampling, system message, reasoning; may be changed between turns
    std::vector<chat::Message> messages;

    /// Answers the conversation, whose last message is the user's, and appends the answer. Once *interrupted
    /// is set the answer ends, and what there is of it is kept. When the context has no room left, the oldest
    /// turns are dropped if line.options.on_overflow says so; else throws Error(usage) with both numbers, and
    /// nothing has changed.
    TurnStatistics answer(ReplyListener& listener, const std::atomic<bool>& interrupted);

    /// Takes the last question and its answer away; false when there is none.
    bool undo();
    void change_model(const std::string& name);
    ChatModel& model() { return *model_; }
    const TurnStatistics& last() const { return last_; }
    const TurnStatistics& total() const { return total_; }

  private:
    std::vector<int32_t> render() const;
    std::vector<int32_t> fit(TurnStatistics& statistics);
    bool drop_oldest_turn();
    void generate(std::span<const int32_t> prompt, ReplyListener& listener,
                  const std::atomic<bool>& interrupted, TurnStatistics& statistics, chat::Reply& reply);

    AnswerGrammar grammar_;
    std::unique_ptr<ChatModel> model_;
    TurnStatistics last_, total_;
    uint64_t n_answers_ = 0;
};

}  // namespace agave::cli
