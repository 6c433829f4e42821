#pragma once

#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "chat/reply/stream.h"
#include "sampling/stop_matcher.h"
#include "server/json_pattern.h"
#include "server/service.h"

namespace agave::server {

/// What a request wants of the model, whatever its surface.
struct GenerationPlan {
    LoadedModel* model = nullptr;
    std::vector<int32_t> prompt;
    SamplingParameters sampling;
    int64_t max_tokens = -1;
    int top_logprobs = -1, prompt_logprobs = -1;
    std::vector<std::string> stops;
    std::shared_ptr<const Grammar> grammar;  ///< what the text must belong to; nullptr: nothing
    std::string grammar_after;               ///< see constrain()

    bool chat = false;  ///< take the text apart by `syntax`; else all of it is content
    chat::ReplySyntax syntax;
    std::string tools_json;   ///< of the reply's syntax
    std::string rendered;     ///< the prompt's text
    bool one_call = false;    ///< end behind the first call
    bool ignore_end = false;  ///< see GenerationRequest
};

/// A token with the probabilities that were asked for.
struct TokenRecord {
    int32_t id;
    float logprob;
    std::vector<TokenLogprob> top;
};

/// One of the texts that answer a request: from the tokens to its pieces.
class Choice final : public GenerationSink {
  public:
    Choice(Job& job, const GenerationPlan& plan, int number, std::vector<int32_t> prompt);

    const int index;
    const std::vector<int32_t> prompt;
    chat::Reply reply;  ///< all of it, as far as it has come
    std::vector<TokenRecord> prompt_records, records;
    size_t n_records_used = 0;            ///< of `records`, by whoever streams them
    size_t n_records_before_content = 0;  ///< those of the reasoning
    size_t n_calls_complete = 0;
    int64_t n_reasoning_tokens = 0;
    bool ended = false;
    GenerationResult result{};
    /// The text that stopped it, or nullptr.
    const std::string* stop() const;
    /// Why it ended: "stop", "length" or "tool_calls".
    const char* finish_reason() const;

    void prompt_token(const GeneratedToken& token) override;
    bool token(const GeneratedToken& token) override;
    void finished(const GenerationResult& outcome) override;

  private:
    friend class Job;
    void take(std::vector<chat::ReplyEvent> events);
    void add(chat::ReplyEvent event);
    void flush();
    void end_text();

    Job& job_;
    std::optional<chat::ReplyStream> parser_;
    StreamDecoder decoder_;
    StopMatcher matcher_;
    const std::vector<std::string>& stops_;
    const bool one_call_;
    bool stopped_ = false;
    double last_token_ = 0;
    std::vector<chat::ReplyEvent> pending_;  ///< has not been given to the job yet
};

/// The answer to one request, of one or more choices: what the surfaces derive from. All its virtual
/// functions are called under its lock; they append to `out` what the client is to get, which is sent when
/// they return.
class Job : public std::enable_shared_from_this<Job> {
  public:
    Job(const ApiCall& call, GenerationPlan what, bool streams);
    virtual ~Job();

    /// Submits `n` choices for each prompt and lets go of the request: the answer then comes by itself.
    /// Throws what Scheduler::submit throws for the first.
    void start(const std::vector<std::vector<int32_t>>& prompts, int n);
    /// The same for plan.prompt.
    void start(int n) { start({plan.prompt}, n); }
    void cancel();
    void shut_down();

    const GenerationPlan plan;
    const bool stream;
    const int64_t created;

  protected:
    /// Of a stream: before anything else.
    virtual void begin() {}
    /// Of a stream: a piece of a choice.
    virtual void piece(Choice&, const chat::ReplyEvent&) {}
    /// Of a stream: a choice has ended.
    virtual void choice_ended(Choice&) {}
    /// All choices have ended: the whole answer, or the end of the stream.
    virtual void finish() = 0;
    /// The answer goes wrong after its beginning: an event that says so.
    virtual void write_error(int status, std::string_view message) = 0;
    /// When the pieces of a stream are read as JSON lines.
    virtual const char* stream_type() const { return "text/event-stream"; }

    /// Appends "data: <json>\n\n", with "event: <name>\n" before it if there is a name.
    void event(std::string_view json, const char* name = nullptr);
    const Tokenizer& tokenizer() const { return plan.model->tokenizer(); }
    int64_t n_prompt_tokens() const;
    int64_t n_cached_tokens() const;
    int64_t n_generated_tokens() const;
    int64_t n_reasoning_tokens() const;

    std::vector<std::unique_ptr<Choice>> choices_;
    size_t n_per_prompt_ = 1;
    std::string out;
    const std::string path_, request_id_;

  private:
    friend class Choice;
    void submit(Choice& choice, size_t number);
    void leave();
    void deliver(bool last);
    void ensure_begun();
    void fail_all(int status, const std::string& message);

    Service& service_;
    std::shared_ptr<HttpResponse> response_;
    std::mutex mutex_;
    std::vector<Scheduler::Id> ids_;
    size_t n_open_ = 0;  ///< choices that have not ended
    bool begun_ = false, dead_ = false, shut_down_ = false;
    const uint64_t client_;
};

}  // namespace agave::server
