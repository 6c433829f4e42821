#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "engine/engine.h"
#include "sampling/constraint.h"
#include "sampling/log_probabilities.h"
#include "sampling/sampler.h"

namespace agave {

/// A token that was generated, or one of the prompt where GenerationRequest::prompt_logprobs asks for them.
struct GeneratedToken {
    int32_t id;
    float logprob;                      ///< NaN unless asked for, and for the first token of a prompt
    std::span<const TokenLogprob> top;  ///< the likeliest in descending order, as many as asked for
};

enum class FinishReason : uint8_t {
    end_of_generation,  ///< the model ended its text
    stopped,            ///< the sink wanted no more
    length,             ///< max_tokens
    context,            ///< the context of the engine is full
    cancelled,
    deadline,
    failed  ///< see GenerationResult::error
};

struct GenerationResult {
    FinishReason reason;
    std::string error;  ///< one sentence, where `failed`
    int64_t n_prompt_tokens = 0;
    int64_t n_cached_tokens = 0;  ///< of the prompt, those that were not computed again
    int64_t n_generated_tokens = 0;
    uint64_t seed = 0;           ///< in use
    double queue_seconds = 0;    ///< from submit() to the first step
    double prefill_seconds = 0;  ///< from the first step to the first token
    double decode_seconds = 0;   ///< from the first token to the last
};

/// Where the tokens of a request go. Called by the thread that calls Scheduler::step(), never after
/// finished().
class GenerationSink {
  public:
    virtual ~GenerationSink() = default;
    /// The prompt's tokens in order, before any token(); only where prompt_logprobs asks for them.
    virtual void prompt_token(const GeneratedToken&) {}
    /// A token, never one that ends a generation. Returns false to end the generation after it.
    virtual bool token(const GeneratedToken& token) = 0;
    virtual void finished(const GenerationResult& result) = 0;
};

struct GenerationRequest {
    std::vector<int32_t> prompt;  ///< at least one token
    SamplingParameters sampling;
    std::unique_ptr<TokenConstraint> constraint;  ///< none: any token may come
    int64_t max_tokens = -1;                      ///< -1: until the context is full; 0: only the prompt
    int top_logprobs = -1;  ///< -1: no logprobs; n: of each generated token, and the n likeliest with theirs
    int prompt_logprobs = -1;  ///< the same for the prompt's tokens
    bool ignore_end = false;   ///< go on after a token that ends a generation, which then is one like others
    int priority = 0;          ///< higher comes first
    uint64_t client = 0;       ///< requests of different clients take turns
    double deadline = 0;       ///< on monotonic_seconds(); 0: none
};

struct SchedulerOptions {
    int max_running = 32;      ///< sequences that take part in a step
    int max_waiting = 256;     ///< requests that may wait for their turn
    int prefill_budget = 128;  ///< rows of prompts in a step that also decodes
    bool prefix_cache = true;  ///< keep what was computed, to begin later requests with it
    size_t snapshot_bytes =
        0;  ///< for copies of recurrent state and windows; 0: an eighth of the free memory
    std::vector<int32_t> end_tokens;  ///< that end a generation (Tokenizer::end_of_generation)
};

/// `engine` with room for all that a scheduler with these options does: sequences, outputs and snapshots.
EngineOptions with_room_for(const SchedulerOptions& options, EngineOptions engine);

/// Counters since the start, and gauges of this moment.
struct SchedulerStatistics {
    int64_t n_running = 0, n_waiting = 0;
    int64_t n_requests = 0, n_finished = 0, n_cancelled = 0, n_failed = 0, n_preemptions = 0;
    int64_t n_prompt_tokens = 0, n_cached_tokens = 0, n_generated_tokens = 0, n_steps = 0;
    int64_t pages_used = 0, pages_total = 0,
            pages_cached = 0;  ///< cached: held by nobody but the prefix tree
};

/// Serves any number of requests on one engine: each step takes one token of every running sequence that
/// decodes and fills up with pieces of prompts. A request's tokens are the same bits whatever else runs.
/// submit(), cancel() and statistics() may be called by any thread; step() by one.
class Scheduler {
  public:
    using Id = uint64_t;

    /// The engine, whose options come from with_room_for(), must outlive the scheduler and belongs to it
    /// alone meanwhile. Throws Error(usage) for options out of range.
    Scheduler(Engine& engine, const SchedulerOptions& options);
    ~Scheduler();
    Scheduler(const Scheduler&) = delete;
    Scheduler& operator=(const Scheduler&) = delete;

    /// Queues a request; the sink must live until its finished(). Throws Error(usage) for a prompt that is
    /// empty, has tokens outside the vocabulary or does not fit the context, and for sampling parameters out
    /// of range; Error(runtime) when max_waiting requests wait already.
    Id submit(GenerationRequest request, GenerationSink& sink);
    /// Ends a request within one step, if it has not ended yet; its sink still gets finished().
    void cancel(Id id);

    /// Computes one step; false when there was nothing to do.
    bool step();
    /// Sleeps until there is something to do, or wake() was called.
    void wait();
    void wake();

    SchedulerStatistics statistics() const;

  private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace agave
