#include "server/generation.h"

#include <algorithm>
#include <ctime>
#include <utility>

#include "base/system.h"

namespace agave::server {

namespace {

/// A client that has not taken this many bytes gets no more until it has: the pieces then wait as text.
constexpr size_t kMaxUnsent = 64 * 1024;

TokenRecord record_of(const GeneratedToken& token) {
    return {token.id, token.logprob, {token.top.begin(), token.top.end()}};
}

}  // namespace

Choice::Choice(Job& job, const GenerationPlan& plan, int number, std::vector<int32_t> tokens)
    : index(number),
      prompt(std::move(tokens)),
      job_(job),
      decoder_(plan.model->tokenizer()),
      matcher_(plan.stops),
      stops_(plan.stops),
      one_call_(plan.one_call),
      last_token_(monotonic_seconds()) {
    if (plan.chat)
        parser_.emplace(
            plan.model->tokenizer(), plan.syntax,
            chat::ReplyOptions{plan.tools_json, plan.rendered, {}, std::hash<std::string>()(make_id(""))});
}

const std::string* Choice::stop() const {
    return matcher_.found() < 0 ? nullptr : &stops_[static_cast<size_t>(matcher_.found())];
}

const char* Choice::finish_reason() const {
    if (result.reason == FinishReason::length || result.reason == FinishReason::context) return "length";
    return n_calls_complete && matcher_.found() < 0 ? "tool_calls" : "stop";
}

void Choice::add(chat::ReplyEvent event) {
    const bool call_part =
        event.kind != chat::ReplyEvent::content && event.kind != chat::ReplyEvent::reasoning;
    if (!call_part && event.text.empty()) return;
    if (event.kind == chat::ReplyEvent::call_end) n_calls_complete++;
    if (event.kind == chat::ReplyEvent::reasoning) n_records_before_content = records.size();
    reply.add(event);
    if (!job_.stream) return;
    const bool mergeable =
        event.kind != chat::ReplyEvent::call_begin && event.kind != chat::ReplyEvent::call_end;
    if (mergeable && !pending_.empty() && pending_.back().kind == event.kind &&
        pending_.back().call == event.call)
        pending_.back().text += event.text;
    else
        pending_.push_back(std::move(event));
}

void Choice::take(std::vector<chat::ReplyEvent> events) {
    for (chat::ReplyEvent& event : events) {
        if (stopped_) return;
        if (event.kind == chat::ReplyEvent::content) {
            StopMatcher::Output safe = matcher_.push(event.text);
            stopped_ = safe.stopped;
            add({chat::ReplyEvent::content, 0, std::move(safe.text), {}});
            continue;
        }
        if (event.kind == chat::ReplyEvent::call_begin) {
            add({chat::ReplyEvent::content, 0, matcher_.finish(), {}});
            matcher_ = StopMatcher(stops_);
        }
        stopped_ = one_call_ && event.kind == chat::ReplyEvent::call_end;
        add(std::move(event));
    }
}

void Choice::end_text() {
    if (!stopped_) {
        if (parser_)
            take(parser_->finish());
        else
            take({{chat::ReplyEvent::content, 0, decoder_.finish(), {}}});
    }
    if (!stopped_) add({chat::ReplyEvent::content, 0, matcher_.finish(), {}});
}

void Choice::flush() {
    if (!job_.stream || (!ended && job_.response_->n_unsent() > kMaxUnsent)) return;
    job_.ensure_begun();
    for (const chat::ReplyEvent& event : pending_) job_.piece(*this, event);
    pending_.clear();
}

void Choice::prompt_token(const GeneratedToken& token) {
    const std::lock_guard lock(job_.mutex_);
    prompt_records.push_back(record_of(token));
}

bool Choice::token(const GeneratedToken& token) {
    const std::lock_guard lock(job_.mutex_);
    if (job_.dead_) return false;
    if (ApiObserver* observer = job_.service_.observer) {
        const double now = monotonic_seconds();
        observer->token(now - std::exchange(last_token_, now), result.n_generated_tokens++ == 0);
    }
    if (job_.plan.top_logprobs >= 0) records.push_back(record_of(token));
    if (parser_) {
        std::vector<chat::ReplyEvent> events = parser_->push(token.id);
        n_reasoning_tokens += !events.empty() && events[0].kind == chat::ReplyEvent::reasoning;
        take(std::move(events));
    } else {
        take({{chat::ReplyEvent::content, 0, decoder_.push(token.id), {}}});
    }
    flush();
    job_.deliver(false);
    return !stopped_;
}

void Choice::finished(const GenerationResult& outcome) {
    const std::shared_ptr<Job> keep = job_.shared_from_this();
    bool last = false;
    {
        const std::lock_guard lock(job_.mutex_);
        result = outcome;
        ended = true;
        if (ApiObserver* observer = job_.service_.observer) observer->finished(job_.path_, outcome);
        const bool cancelled = outcome.reason == FinishReason::cancelled;
        if (job_.dead_) {
        } else if (outcome.reason == FinishReason::failed || outcome.reason == FinishReason::deadline) {
            job_.fail_all(500, outcome.error.empty() ? "the time for this request is over" : outcome.error);
        } else if (cancelled) {
            job_.fail_all(503, "the server is shutting down");
        } else {
            end_text();
            flush();
            if (job_.stream) job_.choice_ended(*this);
        }
        last = --job_.n_open_ == 0;
        if (!job_.dead_) {
            if (last) job_.finish();
            job_.deliver(last);
        }
    }
    if (last) job_.leave();
}

Job::Job(const ApiCall& call, GenerationPlan what, bool streams)
    : plan(std::move(what)),
      stream(streams),
      created(std::time(nullptr)),
      path_(call.request.path),
      request_id_(call.request.id),
      service_(call.service),
      response_(call.response),
      client_(call.request.client) {}

Job::~Job() = default;

void Job::leave() {
    const std::lock_guard lock(service_.mutex);
    std::erase_if(service_.jobs, [this](const std::shared_ptr<Job>& job) { return job.get() == this; });
}

void Job::start(const std::vector<std::vector<int32_t>>& prompts, int n) {
    for (const std::vector<int32_t>& prompt : prompts)
        for (int i = 0; i < n; i++)
            choices_.push_back(
                std::make_unique<Choice>(*this, plan, static_cast<int>(choices_.size()), prompt));
    n_open_ = choices_.size();
    n_per_prompt_ = static_cast<size_t>(n);
    {
        const std::lock_guard lock(service_.mutex);
        if (service_.stopping) throw ApiError(503, nullptr, {}, "the server is shutting down");
        service_.jobs.push_back(shared_from_this());
    }
    for (size_t i = 0; i < choices_.size(); i++) {
        try {
            submit(*choices_[i], i % n_per_prompt_);
        } catch (const Error& error) {
            const size_t n_left = choices_.size() - i;
            bool nobody = false;
            {
                const std::lock_guard lock(mutex_);
                if (i > 0 && !dead_) fail_all(status_of(error), error.what());
                dead_ = true;
                n_open_ -= n_left;
                nobody = n_open_ == 0;
            }
            cancel();
            if (nobody) leave();
            if (i == 0) throw;
            return;
        }
    }
    response_->on_close([job = weak_from_this()] {
        if (const std::shared_ptr<Job> alive = job.lock()) alive->cancel();
    });
}

void Job::submit(Choice& choice, size_t number) {
    GenerationRequest request;
    request.prompt = choice.prompt;
    request.sampling = plan.sampling;
    // The choices of one request must differ, also with a seed.
    if (request.sampling.seed) *request.sampling.seed += number;
    if (plan.grammar) request.constraint = constrain(plan.grammar, plan.model->trie(), plan.grammar_after);
    request.max_tokens = plan.max_tokens;
    request.top_logprobs = plan.top_logprobs;
    request.prompt_logprobs = plan.prompt_logprobs;
    request.ignore_end = plan.ignore_end;
    request.client = client_;
    const Scheduler::Id id = plan.model->served.scheduler->submit(std::move(request), choice);
    bool too_late = false;
    {
        const std::lock_guard lock(mutex_);
        ids_.push_back(id);
        too_late = dead_ || shut_down_;
    }
    if (too_late) plan.model->served.scheduler->cancel(id);
}

void Job::cancel() {
    std::vector<Scheduler::Id> ids;
    {
        const std::lock_guard lock(mutex_);
        dead_ = true;
        ids = ids_;
    }
    for (const Scheduler::Id id : ids) plan.model->served.scheduler->cancel(id);
}

void Job::shut_down() {
    std::vector<Scheduler::Id> ids;
    {
        const std::lock_guard lock(mutex_);
        shut_down_ = true;
        ids = ids_;
    }
    for (const Scheduler::Id id : ids) plan.model->served.scheduler->cancel(id);
}

void Job::ensure_begun() {
    if (std::exchange(begun_, true)) return;
    response_->begin(200, stream_type(), {{"cache-control", "no-cache"}});
    begin();
}

void Job::deliver(bool last) {
    if (!stream) {
        if (last) response_->send(200, "application/json", std::move(out));
        return;
    }
    if (!out.empty()) response_->write(std::exchange(out, {}));
    if (last) response_->end();
}

void Job::fail_all(int status, const std::string& message) {
    dead_ = true;
    if (!begun_) {
        std::vector<std::pair<std::string, std::string>> headers;
        if (status == 503) headers.emplace_back("retry-after", "1");
        response_->send(status, "application/json",
                        error_body(path_, status, nullptr, {}, message, request_id_), std::move(headers));
        return;
    }
    write_error(status, message);
    deliver(true);
}

void Job::event(std::string_view json, const char* name) {
    if (name) ((out += "event: ") += name) += '\n';
    ((out += "data: ") += json) += "\n\n";
}

int64_t Job::n_prompt_tokens() const {
    int64_t n = 0;
    for (size_t i = 0; i < choices_.size(); i += n_per_prompt_)
        n += static_cast<int64_t>(choices_[i]->prompt.size());
    return n;
}

int64_t Job::n_cached_tokens() const {
    int64_t n = 0;
    for (size_t i = 0; i < choices_.size(); i += n_per_prompt_) n += choices_[i]->result.n_cached_tokens;
    return n;
}

int64_t Job::n_generated_tokens() const {
    int64_t n = 0;
    for (const std::unique_ptr<Choice>& choice : choices_) n += choice->result.n_generated_tokens;
    return n;
}

int64_t Job::n_reasoning_tokens() const {
    int64_t n = 0;
    for (const std::unique_ptr<Choice>& choice : choices_) n += choice->n_reasoning_tokens;
    return n;
}

}  // namespace agave::server
