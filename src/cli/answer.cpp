#include "cli/answer.h"

#include "cli/output.h"
#if AGAVE_CHAT
#include "chat/reply/stream.h"
#endif

namespace agave::cli {

AnswerSink::AnswerSink(const Options& options)
    : keep_(options.json),
      show_reasoning_(options.show_reasoning == "always" ||
                      (options.show_reasoning == "auto" && output_is_terminal())),
      terminal_(output_is_terminal()),
      colored_(use_output_color()) {}

void AnswerSink::write(const std::string& text) {
    wrote_ = true;
    ends_line_ = text.back() == '\n';
    print(terminal_ ? neutralize_controls(text) : text);
}

void AnswerSink::write_content(const std::string& text) {
    if (text.empty()) return;
    if (keep_) {
        content_ += text;
        return;
    }
    if (in_reasoning_) {
        end_reasoning();
        print("\n");
    }
    write(text);
    flush_output();
}

void AnswerSink::write_reasoning(const std::string& text) {
    if (text.empty()) return;
    if (keep_) {
        reasoning_ += text;
        return;
    }
    hidden_ = !show_reasoning_;
    if (hidden_) return;
    if (!in_reasoning_ && !colored_) print("<think>\n");
    in_reasoning_ = true;
    // Color is set and reset with each piece, so that no interruption leaves the terminal dim.
    if (colored_) print("\x1b[2m");
    write(text);
    if (colored_) print("\x1b[0m");
    flush_output();
}

void AnswerSink::end_reasoning() {
    if (!ends_line_) print("\n");
    if (!colored_) print("</think>\n");
    ends_line_ = true;
    in_reasoning_ = false;
}

void AnswerSink::finish() {
    if (keep_) return;
    if (in_reasoning_) end_reasoning();
    if (!ends_line_ && !hidden()) print("\n");
    flush_output();
}

struct Answer::Source {
    Source(const Tokenizer& tokenizer, [[maybe_unused]] const Prompt& prompt)
        : decoder(tokenizer)
#if AGAVE_CHAT
          ,
          reply(tokenizer, prompt.syntax, {{}, prompt.text, {}, 0}),
          from_template(prompt.from_template)
#endif
    {
    }
    StreamDecoder decoder;
#if AGAVE_CHAT
    chat::ReplyStream reply;
    bool from_template;
#endif
};

Answer::Answer(const Tokenizer& tokenizer, const Prompt& prompt, StopMatcher& stops, AnswerSink& sink)
    : source_(std::make_unique<Source>(tokenizer, prompt)), stops_(stops), sink_(sink) {}

Answer::~Answer() = default;

bool Answer::write(const std::string& text) {
    const StopMatcher::Output output = stops_.push(text);
    sink_.write_content(output.text);
    return output.stopped;
}

bool Answer::push(int32_t token) {
#if AGAVE_CHAT
    if (source_->from_template) {
        bool stopped = false;
        for (const chat::ReplyEvent& event : source_->reply.push(token)) {
            if (event.kind == chat::ReplyEvent::reasoning) sink_.write_reasoning(event.text);
            if (event.kind == chat::ReplyEvent::content) stopped = stopped || write(event.text);
        }
        return stopped;
    }
#endif
    return write(source_->decoder.push(token));
}

void Answer::finish() {
#if AGAVE_CHAT
    if (source_->from_template)
        for (const chat::ReplyEvent& event : source_->reply.finish()) {
            if (event.kind == chat::ReplyEvent::reasoning) sink_.write_reasoning(event.text);
            if (event.kind == chat::ReplyEvent::content) write(event.text);
        }
#endif
    write(source_->decoder.finish());
    sink_.write_content(stops_.finish());
}

}  // namespace agave::cli
