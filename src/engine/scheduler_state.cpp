#include "engine/scheduler_state.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <exception>
#include <limits>

#include "base/error.h"
#include "base/system.h"

namespace agave {

/// The sampling parameters but for logprobs, which LogProbabilities gives.
static const SamplingParameters& without_logprobs(SamplingParameters& parameters) {
    parameters.logprobs = false;
    return parameters;
}

Request::Request(GenerationRequest given, GenerationSink& to, int32_t n_vocab)
    : request(std::move(given)),
      sink(to),
      sampler(without_logprobs(request.sampling), n_vocab),
      tokens(std::move(request.prompt)),
      n_prompt(static_cast<int64_t>(tokens.size())),
      submitted(monotonic_seconds()) {
    for (int32_t token : tokens) sampler.accept(token);
}

static bool needs_marks(const Graph& graph) {
    return !graph.state_layers.empty() || std::any_of(graph.kv_layers.begin(), graph.kv_layers.end(),
                                                      [](const KvLayer& layer) { return layer.window != 0; });
}

Scheduler::State::State(Engine& e, const SchedulerOptions& o)
    : engine(e),
      options(o),
      tree_(e.cache()),
      has_marks_(needs_marks(e.model().graph)),
      has_state_(!e.model().graph.state_layers.empty()),
      end_tokens_(o.end_tokens),
      by_thread_(static_cast<size_t>(e.n_threads())) {
    std::sort(end_tokens_.begin(), end_tokens_.end());
}

void Scheduler::State::take_inbox() {
    std::vector<std::unique_ptr<Request>> arrived;
    {
        const std::lock_guard lock(mutex);
        arrived.swap(inbox);
        to_cancel_.swap(cancelled);
        cancelled.clear();
    }
    for (std::unique_ptr<Request>& request : arrived) waiting.push(std::move(request));
}

/// Ends what was cancelled, and what is past its deadline.
void Scheduler::State::end_late() {
    std::sort(to_cancel_.begin(), to_cancel_.end());
    const double now = monotonic_seconds();
    const auto end = [&](Request& request) {
        if (std::binary_search(to_cancel_.begin(), to_cancel_.end(), request.id))
            finish(request, FinishReason::cancelled);
        else if (request.request.deadline != 0 && now >= request.request.deadline)
            finish(request, FinishReason::deadline);
    };
    for (const std::unique_ptr<Request>& request : running) end(*request);
    drop_done();
    std::vector<Request*> late;
    for (const std::unique_ptr<Request>& request : waiting.requests()) {
        end(*request);
        if (request->done) late.push_back(request.get());
    }
    for (const Request* request : late) waiting.take(*request);
    to_cancel_.clear();
}

/// Those that may be preempted first come last.
static bool ranks_before(const Request& a, const Request& b) {
    return a.request.priority != b.request.priority ? a.request.priority > b.request.priority : a.id < b.id;
}

static int64_t pages_for(int64_t n_tokens) {
    return (n_tokens + kPageTokens - 1) / kPageTokens;
}

/// Whether there are pages for the request's tokens and one more, beside what those that run still need for
/// theirs.
bool Scheduler::State::fits(const Request& request) const {
    const PrefixTree::Found found = tree_.find(request.tokens, most_reusable(request));
    int64_t needed = pages_for(std::min(request.n_tokens() + 1, engine.context_size())) -
                     found.n_tokens / kPageTokens + found.n_idle;
    for (const std::unique_ptr<Request>& r : running)
        needed += std::max<int64_t>(0, pages_for(r->n_tokens()) - pages_for(r->sequence.n_tokens()));
    return engine.cache().n_pages() == 0 ||
           needed <= engine.cache().n_available_pages() + engine.cache().n_cached_pages();
}

void Scheduler::State::admit() {
    while (static_cast<int>(running.size()) < options.max_running) {
        Request* next = waiting.next();
        if (!next || (!running.empty() && !fits(*next))) return;
        std::unique_ptr<Request> request = waiting.take(*next);
        request->sequence = engine.new_sequence();
        request->running = true;
        begin_at_prefix(*request);
        if (request->started == 0) request->started = monotonic_seconds();
        const auto at = std::find_if(running.begin(), running.end(), [&](const std::unique_ptr<Request>& r) {
            return ranks_before(*request, *r);
        });
        running.insert(at, std::move(request));
    }
}

/// Tokens that a request can take over from others: not the last one, whose logits are wanted, and where
/// recurrent layers compute in chunks only those of the prompt, since others come one by one.
int64_t Scheduler::State::most_reusable(const Request& request) const {
    if (!options.prefix_cache || (request.wants_prompt_logprobs() && request.n_told < request.n_prompt))
        return 0;
    const bool chunks = engine.model().graph.scan_chunk > 1;
    return std::min(request.n_tokens(), chunks ? request.n_prompt : request.n_tokens()) - 1;
}

/// The page end to come where the request leaves what others need to begin there, in models where that is not
/// so everywhere: where it parts from an earlier prompt, and the prompt's own end.
int64_t Scheduler::State::next_mark(const Request& request) const {
    const int64_t at = request.sequence.n_tokens();
    int64_t mark = INT64_MAX;
    if (!options.prefix_cache || !has_marks_) return mark;
    for (const int64_t candidate : {request.branch, request.prompt_end()})
        if (candidate > at) mark = std::min(mark, candidate);
    return mark;
}

/// Takes over what is stored of the request's tokens, where that is more than it has.
void Scheduler::State::begin_at_prefix(Request& request) {
    const int64_t most = most_reusable(request);
    if (most <= 0) return;
    request.tree_version = tree_.version();
    const PrefixTree::Found found = tree_.find(request.tokens, most);
    request.branch = std::min(found.n_known, request.prompt_end());
    if (found.n_tokens <= request.sequence.n_tokens()) return;
    // What comes back after a preemption was counted before.
    if (request.n_preemptions == 0) request.n_cached += found.n_tokens - request.sequence.n_tokens();
    engine.release(request.sequence);
    request.sequence = engine.new_sequence();
    tree_.begin(request.sequence.kv, request.tokens, found.n_tokens);
}

/// Lets others begin with what the request has computed in this step, since position `before`.
void Scheduler::State::store_prefix(Request& r, int64_t before) {
    const int64_t now = r.sequence.n_tokens();
    const int64_t page_end = now / kPageTokens * kPageTokens;
    if (!options.prefix_cache || page_end <= before) return;
    const bool in_reply = page_end > r.prompt_end();
    if (in_reply && page_end > r.n_prompt && engine.model().graph.scan_chunk > 1) return;
    int64_t mark = 0;
    for (const int64_t candidate : {r.branch, r.prompt_end()})
        if (has_marks_ && candidate > before && candidate <= now) {
            tree_.insert(r.sequence.kv, r.tokens, candidate, true);
            mark = candidate;
        }
    if (mark > 0) {
        r.sequence.kv.keep_position = INT64_MAX;
        engine.cache().commit(r.sequence.kv, 0);
    }
    if (mark == page_end) return;
    const bool marks_reply = in_reply && has_marks_;
    if (!tree_.insert(r.sequence.kv, r.tokens, page_end, marks_reply)) return;
    // Only the reply's last page end is worth its memory.
    if (r.reply_end > 0) tree_.forget_resume(r.tokens, r.reply_end);
    r.reply_end = page_end;
}

/// How many of its pending tokens a request computes in the next step, when prompts have `budget` rows left,
/// all sequences `rows`, and `outputs` rows may give logits; 0: none. Pieces end at multiples of the scan
/// chunk, and behind the prompt's end, where recurrent layers compute in chunks, tokens come one by one, as
/// they did when they were generated: so the bits do not depend on the pieces.
int64_t Scheduler::State::piece_length(const Request& request, int64_t budget, int64_t rows,
                                       int64_t outputs) const {
    const int64_t scan = engine.model().graph.scan_chunk, begin = request.sequence.n_tokens();
    if (scan > 1 && begin >= request.n_prompt) return rows > 0 ? 1 : 0;
    int64_t left = (scan > 1 ? request.n_prompt : request.n_tokens()) - begin;
    if (has_state_) left = std::min(left, next_mark(request) - begin);
    if (request.wants_prompt_logprobs()) budget = std::min(budget, outputs), rows = std::min(rows, outputs);
    if (left <= budget) return left;
    // Whole pages are what other requests can take over.
    const int64_t unit = std::max<int64_t>(scan, kPageTokens);
    const int64_t end = (begin + budget) / unit * unit;
    if (end > begin) return end - begin;
    if (scan == 1) return budget;
    const int64_t one_chunk = std::min(left, scan - begin % scan);
    return budget > 0 && one_chunk <= rows ? one_chunk : 0;
}

/// Decides who takes part in the step, and with how many tokens.
void Scheduler::State::plan() {
    int64_t rows = engine.max_rows(), outputs = engine.max_outputs();
    bool any_decodes = false;
    for (const std::unique_ptr<Request>& r : running) {
        r->piece = 0;
        if (!r->decodes()) continue;
        r->piece = 1;
        any_decodes = true;
        rows--;
        outputs--;
    }
    int64_t budget = any_decodes ? std::min<int64_t>(rows, options.prefill_budget) : rows;
    // Each may give a token at its piece's end.
    for (const std::unique_ptr<Request>& r : running) outputs -= r->decodes() ? 0 : 1;
    for (const std::unique_ptr<Request>& r : running) {
        if (r->piece > 0) continue;
        // Another one may have computed the same meanwhile.
        if (budget > 0 && r->tree_version != tree_.version()) begin_at_prefix(*r);
        r->piece = piece_length(*r, budget, rows, outputs + 1);
        if (r->wants_prompt_logprobs()) outputs -= std::max<int64_t>(0, r->piece - 1);
        rows -= r->piece;
        budget = std::max<int64_t>(0, budget - r->piece);
    }
    reserve();
}

/// Takes the pages for all pieces. When they run out, those of the lowest rank give theirs back and wait.
void Scheduler::State::reserve() {
    for (size_t i = 0; i < running.size(); i++)
        while (i < running.size() && !engine.reserve(running[i]->sequence, running[i]->piece))
            if (!tree_.make_room(running[i]->sequence.kv, running[i]->piece)) preempt_last();
}

void Scheduler::State::preempt_last() {
    std::unique_ptr<Request> request = std::move(running.back());
    running.pop_back();
    engine.release(request->sequence);
    request->running = false;
    request->n_preemptions++;
    counters.n_preemptions++;
    waiting.push(std::move(request));
}

/// The prompt's first token, which no row of logits tells of.
static void tell_first_token(Request& r) {
    if (!r.wants_prompt_logprobs() || r.n_told > 0) return;
    r.sink.prompt_token({r.tokens[0], std::numeric_limits<float>::quiet_NaN(), {}});
    r.n_told = 1;
}

bool Scheduler::State::compute() {
    slices_.clear();
    for (const std::unique_ptr<Request>& r : running) {
        if (r->piece == 0) continue;
        const int64_t begin = r->sequence.n_tokens(), end = begin + r->piece;
        const bool last = end == r->n_tokens() && r->wants_token();
        r->n_outputs = last ? 1 : 0;
        // Windows keep what is needed at the marks until they are stored.
        const int64_t mark = next_mark(*r);
        r->sequence.kv.keep_position = mark <= end ? mark
                                       : options.prefix_cache && begin >= r->n_prompt
                                           ? begin / kPageTokens * kPageTokens
                                           : INT64_MAX;
        if (r->wants_prompt_logprobs() && begin < r->n_prompt) r->n_outputs = r->piece;
        slices_.push_back(
            {&r->sequence,
             std::span(r->tokens).subspan(static_cast<size_t>(begin), static_cast<size_t>(r->piece)),
             static_cast<int>(r->n_outputs)});
    }
    if (slices_.empty()) return false;
    try {
        const std::span<const float> logits = engine.step(slices_);
        counters.n_steps++;
        list_outputs(logits);
        for (const std::unique_ptr<Request>& r : running)
            if (r->piece > 0) store_prefix(*r, r->sequence.n_tokens() - r->piece);
    } catch (const std::exception& error) {
        for (const std::unique_ptr<Request>& r : running)
            if (r->piece > 0) finish(*r, FinishReason::failed, error.what());
        drop_done();
        return true;
    }
    // Whatever is asked of a row of logits takes passes over the vocabulary.
    std::atomic<size_t> next{0};
    auto evaluate_rows = [&](int thread) {
        for (size_t i; (i = next.fetch_add(1, std::memory_order_relaxed)) < n_outputs_;)
            evaluate(outputs_[i], by_thread_[static_cast<size_t>(thread)]);
    };
    if (n_outputs_ > 1)
        engine.team().run(evaluate_rows);
    else
        evaluate_rows(0);
    for (size_t i = 0; i < n_outputs_; i++) deliver(outputs_[i]);
    for (const std::unique_ptr<Request>& r : running)
        if (!r->done && r->n_pending() == 0) {
            tell_first_token(*r);
            finish(*r, FinishReason::length);
        }
    drop_done();
    return true;
}

/// Lists the rows of logits of the step with what is asked of them.
void Scheduler::State::list_outputs(std::span<const float> logits) {
    n_outputs_ = 0;
    const size_t n_vocab = static_cast<size_t>(engine.n_vocab());
    size_t row = 0;
    for (const std::unique_ptr<Request>& r : running) {
        if (r->piece == 0) continue;
        for (int64_t i = 0; i < r->n_outputs; i++, row++) {
            // The row of position p tells of the token at p + 1.
            const int64_t position = r->sequence.n_tokens() - r->n_outputs + i;
            const bool of_prompt = position + 1 < r->n_prompt;
            const bool chooses = position + 1 == r->n_tokens() && r->wants_token();
            if ((!of_prompt || position < r->n_told - 1) && !chooses) continue;
            if (outputs_.size() == n_outputs_) outputs_.emplace_back();
            OutputRow& output = outputs_[n_outputs_++];
            output.request = r.get();
            output.logits = logits.subspan(row * n_vocab, n_vocab);
            output.target = of_prompt ? r->tokens[static_cast<size_t>(position + 1)] : -1;
        }
    }
}

/// Called by any thread of the team.
void Scheduler::State::evaluate(OutputRow& row, LogProbabilities& log_probabilities) const {
    Request& r = *row.request;
    row.error.clear();
    row.top.clear();
    row.id = row.target;
    row.logprob = std::numeric_limits<float>::quiet_NaN();
    try {
        if (row.target < 0) {
            TokenConstraint* constraint = r.request.constraint.get();
            row.id =
                r.sampler.sample(row.logits, constraint ? constraint->allowed() : std::span<const uint32_t>())
                    .id;
        }
        const int n_top = row.target < 0 ? r.request.top_logprobs : r.request.prompt_logprobs;
        if (n_top < 0) return;
        log_probabilities.reset(row.logits);
        row.logprob = log_probabilities.of(row.id);
        log_probabilities.top(n_top, row.top);
    } catch (const std::exception& error) {
        row.error = error.what();
    }
}

void Scheduler::State::deliver(OutputRow& row) {
    Request& r = *row.request;
    if (r.done) return;
    if (!row.error.empty()) return finish(r, FinishReason::failed, row.error.c_str());
    if (row.target < 0) return deliver_token(r, row);
    tell_first_token(r);
    r.sink.prompt_token({row.id, row.logprob, row.top});
    r.n_told++;
}

bool Scheduler::State::ends_generation(const Request& request, int32_t token) const {
    return !request.request.ignore_end && std::binary_search(end_tokens_.begin(), end_tokens_.end(), token);
}

void Scheduler::State::deliver_token(Request& r, const OutputRow& row) {
    tell_first_token(r);
    r.last_token = monotonic_seconds();
    if (r.first_token == 0) r.first_token = r.last_token;
    if (ends_generation(r, row.id)) return finish(r, FinishReason::end_of_generation);
    try {
        r.sampler.accept(row.id);
        if (r.request.constraint) r.request.constraint->accept(row.id);
    } catch (const std::exception& error) {
        return finish(r, FinishReason::failed, error.what());
    }
    r.tokens.push_back(row.id);
    r.n_generated++;
    counters.n_generated_tokens++;
    if (!r.sink.token({row.id, row.logprob, row.top})) return finish(r, FinishReason::stopped);
    if (r.n_generated == r.request.max_tokens) return finish(r, FinishReason::length);
    if (r.n_tokens() > engine.context_size()) finish(r, FinishReason::context);
}

void Scheduler::State::finish(Request& r, FinishReason reason, const char* error) {
    GenerationResult result;
    result.reason = reason;
    result.error = error;
    result.n_prompt_tokens = r.n_prompt;
    result.n_cached_tokens = r.n_cached;
    result.n_generated_tokens = r.n_generated;
    result.seed = r.sampler.seed();
    const double now = monotonic_seconds();
    result.queue_seconds = (r.started != 0 ? r.started : now) - r.submitted;
    if (r.started != 0) result.prefill_seconds = (r.first_token != 0 ? r.first_token : now) - r.started;
    if (r.first_token != 0) result.decode_seconds = r.last_token - r.first_token;
    if (r.running) engine.release(r.sequence);
    r.running = false;
    r.done = true;
    counters.n_finished += reason != FinishReason::cancelled && reason != FinishReason::failed;
    counters.n_cancelled += reason == FinishReason::cancelled;
    counters.n_failed += reason == FinishReason::failed;
    counters.n_prompt_tokens += r.n_prompt;
    counters.n_cached_tokens += r.n_cached;
    r.sink.finished(result);
}

void Scheduler::State::drop_done() {
    std::erase_if(running, [](const std::unique_ptr<Request>& r) { return r->done; });
}

void Scheduler::State::publish() {
    counters.n_running = static_cast<int64_t>(running.size());
    counters.n_waiting = static_cast<int64_t>(waiting.size());
    const KvCache& cache = engine.cache();
    counters.pages_total = cache.n_pages();
    counters.pages_cached = cache.n_cached_pages();
    counters.pages_used = cache.n_pages() - cache.n_available_pages();
    const std::lock_guard lock(mutex);
    counters.n_requests = statistics.n_requests;
    statistics = counters;
}

void Scheduler::State::end_all() {
    take_inbox();
    for (const std::unique_ptr<Request>& r : running) finish(*r, FinishReason::cancelled);
    drop_done();
    while (Request* next = waiting.next()) {
        const std::unique_ptr<Request> request = waiting.take(*next);
        finish(*request, FinishReason::cancelled);
    }
}

}  // namespace agave
