#include "engine/scheduler.h"

#include <algorithm>

#include "base/error.h"
#include "base/system.h"
#include "engine/scheduler_state.h"

namespace agave {

EngineOptions with_room_for(const SchedulerOptions& options, EngineOptions engine) {
    engine.max_sequences = std::max(engine.max_sequences, options.max_running);
    // Rows whose logits are wanted: one for each sequence, and a piece of a prompt (GenerationRequest's
    // prompt_logprobs) that is as long as the scan chunk of recurrent layers may be.
    engine.max_outputs = std::max(engine.max_outputs, options.max_running + kScanChunk);
    engine.prefill_chunk = std::max(engine.prefill_chunk, options.max_running + kScanChunk);
    engine.max_snapshots = options.prefix_cache ? -1 : 0;
    engine.snapshot_bytes = options.snapshot_bytes;
    return engine;
}

static void check_options(const Engine& engine, const SchedulerOptions& options) {
    if (options.max_running < 1 || options.max_running > engine.max_sequences())
        fail(ErrorKind::usage, "max_running is %d, but must be from 1 to the engine's %d sequences",
             options.max_running, engine.max_sequences());
    const int room = std::min(engine.max_outputs(), engine.max_rows()) - options.max_running;
    if (room < engine.model().graph.scan_chunk)
        fail(ErrorKind::usage,
             "an engine with %d rows and %d outputs in a step is too small for %d sequences",
             engine.max_rows(), engine.max_outputs(), options.max_running);
    if (options.max_waiting < 0)
        fail(ErrorKind::usage, "max_waiting is %d, but must be 0 or more", options.max_waiting);
    if (options.prefill_budget < 1)
        fail(ErrorKind::usage, "prefill_budget is %d, but must be 1 or more", options.prefill_budget);
}

Scheduler::Scheduler(Engine& engine, const SchedulerOptions& options) {
    check_options(engine, options);
    state_ = std::make_unique<State>(engine, options);
}

Scheduler::~Scheduler() {
    state_->end_all();
}

static void check_request(const Engine& engine, const GenerationRequest& request) {
    if (request.prompt.empty()) fail(ErrorKind::usage, "the prompt is empty: it needs one token or more");
    const int64_t n_prompt = static_cast<int64_t>(request.prompt.size());
    if (n_prompt > engine.context_size())
        fail(ErrorKind::usage, "the prompt has %lld tokens, but the context holds %lld",
             static_cast<long long>(n_prompt), static_cast<long long>(engine.context_size()));
    for (int32_t token : request.prompt)
        if (token < 0 || token >= engine.n_vocab())
            fail(ErrorKind::usage, "token id %d is outside the vocabulary of %lld", token,
                 static_cast<long long>(engine.n_vocab()));
    if (request.max_tokens < -1)
        fail(ErrorKind::usage, "max_tokens is %lld, but must be 0 or more, or -1 for no limit",
             static_cast<long long>(request.max_tokens));
}

Scheduler::Id Scheduler::submit(GenerationRequest request, GenerationSink& sink) {
    State& s = *state_;
    check_request(s.engine, request);
    auto entry =
        std::make_unique<Request>(std::move(request), sink, static_cast<int32_t>(s.engine.n_vocab()));
    Id id;
    {
        const std::lock_guard lock(s.mutex);
        const size_t n_waiting = s.inbox.size() + static_cast<size_t>(s.statistics.n_waiting);
        if (n_waiting >= static_cast<size_t>(s.options.max_waiting))
            fail(ErrorKind::runtime, "%zu requests wait already; try again later", n_waiting);
        id = entry->id = ++s.last_id;
        s.inbox.push_back(std::move(entry));
        s.statistics.n_requests++;
    }
    s.changed.notify_all();
    return id;
}

void Scheduler::cancel(Id id) {
    {
        const std::lock_guard lock(state_->mutex);
        state_->cancelled.push_back(id);
    }
    state_->changed.notify_all();
}

bool Scheduler::step() {
    State& s = *state_;
    s.take_inbox();
    s.end_late();
    s.admit();
    s.plan();
    const bool any = s.compute();
    s.publish();
    return any;
}

void Scheduler::wait() {
    State& s = *state_;
    std::unique_lock lock(s.mutex);
    s.changed.wait(lock, [&] {
        return s.woken || !s.inbox.empty() || !s.cancelled.empty() || s.statistics.n_waiting > 0 ||
               s.statistics.n_running > 0;
    });
    s.woken = false;
}

void Scheduler::wake() {
    {
        const std::lock_guard lock(state_->mutex);
        state_->woken = true;
    }
    state_->changed.notify_all();
}

SchedulerStatistics Scheduler::statistics() const {
    const std::lock_guard lock(state_->mutex);
    SchedulerStatistics result = state_->statistics;
    result.n_waiting += static_cast<int64_t>(state_->inbox.size());
    return result;
}

}  // namespace agave
