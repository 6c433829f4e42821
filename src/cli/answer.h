#pragma once

#include <memory>
#include <string>

#include "cli/options.h"
#include "cli/prompt.h"
#include "sampling/stop_matcher.h"
#include "tokenizer/tokenizer.h"

namespace agave::cli {

/// Where the text of an answer goes: to standard output as it comes, or into memory for --json. Reasoning is
/// dimmed on a terminal (or between <think> and </think> where there is no color), and left out elsewhere,
/// as --show-reasoning says.
class AnswerSink {
  public:
    explicit AnswerSink(const Options& options);

    void write_content(const std::string& text);
    void write_reasoning(const std::string& text);
    /// Ends the last line.
    void finish();

    const std::string& content() const { return content_; }      ///< kept for --json
    const std::string& reasoning() const { return reasoning_; }  ///< the same
    /// There was reasoning that was left out, and nothing else.
    bool hidden() const { return hidden_ && !wrote_; }

  private:
    void write(const std::string& text);
    void end_reasoning();

    bool keep_, show_reasoning_, terminal_, colored_;
    bool in_reasoning_ = false, hidden_ = false, wrote_ = false, ends_line_ = false;
    std::string content_, reasoning_;
};

/// From the tokens of an answer to its text: takes reasoning and markup out where the prompt came from a chat
/// template, and looks for stop strings in what remains.
class Answer {
  public:
    Answer(const Tokenizer& tokenizer, const Prompt& prompt, StopMatcher& stops, AnswerSink& sink);
    ~Answer();
    Answer(const Answer&) = delete;
    Answer& operator=(const Answer&) = delete;

    /// Returns true when a stop string has ended the answer.
    bool push(int32_t token);
    /// The answer has ended otherwise: gives out what was held back.
    void finish();

  private:
    struct Source;
    bool write(const std::string& text);

    std::unique_ptr<Source> source_;
    StopMatcher& stops_;
    AnswerSink& sink_;
};

}  // namespace agave::cli
