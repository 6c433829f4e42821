#pragma once

#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <vector>

#include "engine/scheduler.h"
#include "kv/prefix_tree.h"

namespace agave {

/// A request on its way through the scheduler.
struct Request {
    /// Throws Error(usage) for sampling parameters out of range.
    Request(GenerationRequest given, GenerationSink& to, int32_t n_vocab);

    GenerationRequest request;  ///< but for the prompt
    GenerationSink& sink;
    Sampler sampler;
    Scheduler::Id id = 0;
    std::vector<int32_t> tokens;  ///< the prompt, then what was generated
    int64_t n_prompt;
    int64_t n_cached = 0;
    int n_preemptions = 0;
    int64_t n_generated = 0;
    int64_t n_told = 0;  ///< of the prompt's tokens, those that the sink has heard of
    int64_t turn = 0;    ///< see WaitingLine
    double submitted, started = 0, first_token = 0, last_token = 0;

    bool running = false;
    Sequence sequence;          ///< while running
    int64_t branch = 0;         ///< where this prompt parts from one that came before; 0: nowhere
    int64_t reply_end = 0;      ///< the last page end in its reply that others may begin from; 0: none
    uint64_t tree_version = 0;  ///< of the tree when it was searched last
    int64_t piece = 0;          ///< tokens that it takes part with in this step
    int64_t n_outputs = 0;      ///< of the piece's rows
    bool done = false;          ///< its sink has heard finished()

    int64_t n_tokens() const { return static_cast<int64_t>(tokens.size()); }
    /// Tokens of which nothing is stored yet.
    int64_t n_pending() const { return n_tokens() - sequence.n_tokens(); }
    /// The last page end in the prompt that the same prompt can begin from.
    int64_t prompt_end() const { return (n_prompt - 1) / kPageTokens * kPageTokens; }
    /// Whether its next step gives the token that comes next, without a prompt before it.
    bool decodes() const { return n_pending() == 1 && sequence.n_tokens() > 0; }
    bool wants_token() const { return request.max_tokens != 0; }
    bool wants_prompt_logprobs() const { return request.prompt_logprobs >= 0; }
};

/// Requests that wait. The highest priority comes first; among equals one that ran before and was preempted;
/// among these, clients take turns (start-time fair queueing, Goyal et al. 1996, with requests of one size:
/// a request begins when the client's last one ends, or now, in a time that goes on by one with each request
/// that begins); then the earlier comes first.
class WaitingLine {
  public:
    void push(std::unique_ptr<Request> request);
    /// The request whose turn it is; nullptr where none waits.
    Request* next() const;
    std::unique_ptr<Request> take(const Request& request);

    size_t size() const { return requests_.size(); }
    const std::vector<std::unique_ptr<Request>>& requests() const { return requests_; }

  private:
    struct Client {
        uint64_t id;
        int64_t next_turn;
    };
    std::vector<std::unique_ptr<Request>> requests_;
    std::vector<Client> clients_;  ///< those whose next turn is not over yet
    int64_t now_ = 0;
};

/// A row of logits of the present step, and what comes of it.
struct OutputRow {
    Request* request;
    std::span<const float> logits;
    int32_t target;  ///< the prompt's token whose logarithm of probability is wanted; -1: choose a token

    int32_t id;
    float logprob;
    std::vector<TokenLogprob> top;
    std::string error;  ///< empty: none
};

struct Scheduler::State {
    State(Engine& engine, const SchedulerOptions& options);

    // What step() does, in this order.
    void take_inbox();
    void end_late();
    void admit();
    void plan();
    bool compute();
    void publish();

    /// Ends all requests as cancelled.
    void end_all();

    Engine& engine;
    const SchedulerOptions options;

    /// Guards the members up to the blank line.
    mutable std::mutex mutex;
    std::condition_variable changed;
    std::vector<std::unique_ptr<Request>> inbox;
    std::vector<Id> cancelled;
    SchedulerStatistics statistics;  ///< as it was at the end of the last step, save n_requests
    Id last_id = 0;
    bool woken = false;

    // Those of the thread that calls step().
    WaitingLine waiting;
    std::vector<std::unique_ptr<Request>> running;  ///< by rank: the last one is preempted first
    SchedulerStatistics counters;

  private:
    bool fits(const Request& request) const;
    int64_t piece_length(const Request& request, int64_t budget, int64_t rows, int64_t outputs) const;
    int64_t most_reusable(const Request& request) const;
    int64_t next_mark(const Request& request) const;
    void begin_at_prefix(Request& request);
    void store_prefix(Request& request, int64_t before);
    void reserve();
    void preempt_last();
    void list_outputs(std::span<const float> logits);
    void evaluate(OutputRow& row, LogProbabilities& log_probabilities) const;
    void deliver(OutputRow& row);
    void deliver_token(Request& request, const OutputRow& row);
    void finish(Request& request, FinishReason reason, const char* error = "");
    void drop_done();
    bool ends_generation(const Request& request, int32_t token) const;

    /// What is computed already; where a model has windows or recurrent layers, only marks can be begun from.
    PrefixTree tree_;
    const bool has_marks_, has_state_;
    std::vector<int32_t> end_tokens_;  ///< ascending
    std::vector<StepSlice> slices_;
    std::vector<OutputRow> outputs_;
    size_t n_outputs_ = 0;                     ///< of outputs_, those of this step
    std::vector<LogProbabilities> by_thread_;  ///< working memory
    std::vector<Id> to_cancel_;
};

}  // namespace agave
