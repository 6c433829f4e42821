#include "engine/scheduler.h"

#include <gtest/gtest.h>

#include <chrono>
#include <cmath>
#include <cstring>
#include <map>
#include <random>
#include <thread>

#include "base/error.h"
#include "base/system.h"
#include "fixtures.h"

namespace agave {
namespace {

/// What a request got.
struct Collector final : GenerationSink {
    struct Token {
        int32_t id;
        float logprob;
        std::vector<TokenLogprob> top;
    };
    std::vector<Token> prompt, tokens;
    std::optional<GenerationResult> result;
    int64_t stop_after = -1;
    std::vector<int>* order = nullptr;  ///< gets `number` when the first token comes
    int number = 0;

    static Token copy(const GeneratedToken& token) {
        return {token.id, token.logprob, {token.top.begin(), token.top.end()}};
    }
    void prompt_token(const GeneratedToken& token) override {
        EXPECT_TRUE(tokens.empty() && !result);
        prompt.push_back(copy(token));
    }
    bool token(const GeneratedToken& token) override {
        EXPECT_FALSE(result);
        if (tokens.empty() && order) order->push_back(number);
        tokens.push_back(copy(token));
        return static_cast<int64_t>(tokens.size()) != stop_after;
    }
    void finished(const GenerationResult& r) override {
        EXPECT_FALSE(result);
        result = r;
    }
    std::vector<int32_t> ids() const {
        std::vector<int32_t> ids;
        for (const Token& token : tokens) ids.push_back(token.id);
        return ids;
    }
};

class SchedulerTest : public testing::TestWithParam<const char*> {
  protected:
    ModelFile file_ = ModelFile::open(AGAVE_TEST_DATA "/oracle/" + std::string(GetParam()) + ".gguf");
    std::mt19937 random_{11};

    size_t below(size_t n) { return random_() % n; }

    EngineOptions engine_options(const SchedulerOptions& options, int64_t context_size) {
        EngineOptions engine;
        engine.n_threads = 2;
        engine.context_size = context_size;
        engine.prefill_chunk = 160;
        return with_room_for(options, engine);
    }

    GenerationRequest make_request(size_t n_prompt, int64_t max_tokens) {
        GenerationRequest request;
        for (size_t i = 0; i < n_prompt; i++) request.prompt.push_back(static_cast<int32_t>(below(500)));
        request.sampling.seed = below(1000);
        request.sampling.temperature = 1.5f;
        request.sampling.presence_penalty = 0.5f;
        request.max_tokens = max_tokens;
        return request;
    }
    static GenerationRequest copy(const GenerationRequest& r) {
        GenerationRequest copied;
        copied.prompt = r.prompt;
        copied.sampling = r.sampling;
        copied.max_tokens = r.max_tokens;
        copied.client = r.client;
        copied.priority = r.priority;
        copied.top_logprobs = r.top_logprobs;
        copied.prompt_logprobs = r.prompt_logprobs;
        return copied;
    }

    /// The request's tokens from an engine of its own, without a scheduler.
    std::vector<int32_t> solo(const GenerationRequest& request) {
        if (!solo_) {
            EngineOptions options;
            options.n_threads = 1;
            options.context_size = 1024;
            solo_.emplace(file_, options);
        }
        Sequence sequence = solo_->new_sequence();
        Sampler sampler(request.sampling, static_cast<int32_t>(solo_->n_vocab()));
        for (int32_t token : request.prompt) sampler.accept(token);
        std::vector<int32_t> ids;
        std::span<const float> logits = solo_->prefill(sequence, request.prompt);
        while (static_cast<int64_t>(ids.size()) < request.max_tokens) {
            ids.push_back(sampler.sample(logits).id);
            sampler.accept(ids.back());
            logits = solo_->prefill(sequence, {&ids.back(), 1});
        }
        solo_->release(sequence);
        return ids;
    }

    std::optional<Engine> solo_;
};

void expect_everything_returned(const Engine& engine, const Scheduler& scheduler) {
    const SchedulerStatistics statistics = scheduler.statistics();
    EXPECT_EQ(statistics.n_running, 0);
    EXPECT_EQ(statistics.n_waiting, 0);
    EXPECT_EQ(statistics.pages_used, statistics.pages_cached);
    EXPECT_EQ(statistics.n_requests, statistics.n_finished + statistics.n_cancelled + statistics.n_failed);
    EXPECT_TRUE(statistics.pages_cached > 0 || engine.cache().used_bytes() == 0 ||
                engine.cache().n_pages() == 0);
}

/// Requests of all lengths come at random steps, some with a common beginning, some are cancelled, with pages
/// for all and with too few. The tokens of each are those that it gets alone.
TEST_P(SchedulerTest, EveryOutputIsThatOfTheRequestAlone) {
    for (const bool small : {false, true}) {
        SchedulerOptions options;
        options.max_running = 5;
        options.prefill_budget = 100;
        options.snapshot_bytes = small ? 1 : 0;  // two snapshots
        Engine engine(file_, engine_options(options, small ? 500 : 2048));
        {
            Scheduler scheduler(engine, options);
            const GenerationRequest common = make_request(150, 1);
            struct Entry {
                GenerationRequest request;
                std::unique_ptr<Collector> sink;
                std::vector<int32_t> expected;
                Scheduler::Id id;
                bool cancelled;
            };
            std::vector<Entry> entries;
            for (int i = 0; i < 18; i++) {
                Entry& entry = entries.emplace_back();
                entry.request =
                    make_request(1 + below(i % 3 == 0 ? 220 : 90), static_cast<int64_t>(below(90)));
                if (i % 3 == 1)
                    entry.request.prompt.insert(entry.request.prompt.begin(), common.prompt.begin(),
                                                common.prompt.begin() + 70 + static_cast<int64_t>(below(80)));
                if (i % 6 == 5) {  // goes on where an earlier one ended
                    const Entry& earlier = entries[static_cast<size_t>(i) - 5];
                    std::vector<int32_t> prompt = earlier.request.prompt;
                    prompt.insert(prompt.end(), earlier.expected.begin(), earlier.expected.end());
                    entry.request.prompt.insert(entry.request.prompt.begin(), prompt.begin(), prompt.end());
                    while (entry.request.prompt.size() > 400) entry.request.prompt.pop_back();
                }
                entry.request.priority = static_cast<int>(below(2));
                entry.request.client = below(3);
                entry.expected = solo(entry.request);
                entry.sink = std::make_unique<Collector>();
                entry.id = scheduler.submit(copy(entry.request), *entry.sink);
                entry.cancelled = i % 7 == 6;
                for (size_t steps = below(8); steps > 0; steps--) scheduler.step();
                if (entry.cancelled) scheduler.cancel(entry.id);
            }
            while (scheduler.step()) {
            }
            for (size_t i = 0; i < entries.size(); i++) {
                const Entry& entry = entries[i];
                ASSERT_TRUE(entry.sink->result) << i;
                std::vector<int32_t> expected = entry.expected;
                if (entry.sink->result->reason == FinishReason::cancelled) {
                    EXPECT_TRUE(entry.cancelled);
                    expected.resize(entry.sink->tokens.size());
                } else {
                    EXPECT_EQ(entry.sink->result->reason, FinishReason::length) << entry.sink->result->error;
                }
                EXPECT_EQ(entry.sink->ids(), expected) << "request " << i << (small ? ", few pages" : "");
            }
            expect_everything_returned(engine, scheduler);
            if (small && engine.cache().n_pages() > 0) {
                EXPECT_GT(scheduler.statistics().n_preemptions, 0);
            }
        }
        EXPECT_EQ(engine.cache().used_bytes(), 0u);
    }
}

TEST_P(SchedulerTest, LogprobsOfPromptAndTokens) {
    SchedulerOptions options;
    options.max_running = 3;
    Engine engine(file_, engine_options(options, 2048));
    Scheduler scheduler(engine, options);
    Collector sinks[3], other;
    GenerationRequest request = make_request(200, 4);
    request.top_logprobs = 3;
    request.prompt_logprobs = 2;
    scheduler.submit(make_request(5, 30), other);
    for (Collector& sink : sinks) scheduler.submit(copy(request), sink);
    while (scheduler.step()) {
    }
    std::vector<std::vector<float>> rows;
    Sequence sequence = solo(request).empty() ? Sequence{} : solo_->new_sequence();
    solo_->prefill_with_logits(sequence, request.prompt, 200, [&](int64_t, std::span<const float> logits) {
        rows.emplace_back(logits.begin(), logits.end());
    });
    solo_->release(sequence);
    for (const Collector& sink : sinks) {
        ASSERT_EQ(sink.prompt.size(), 200u);
        ASSERT_EQ(sink.tokens.size(), 4u);
        EXPECT_TRUE(std::isnan(sink.prompt[0].logprob));
        for (size_t i = 1; i < 200; i++) {
            EXPECT_EQ(sink.prompt[i].id, request.prompt[i]);
            ASSERT_EQ(sink.prompt[i].logprob, log_probability(rows[i - 1], request.prompt[i])) << i;
            ASSERT_EQ(sink.prompt[i].top.size(), 2u);
            EXPECT_EQ(sink.prompt[i].top[0].id,
                      std::max_element(rows[i - 1].begin(), rows[i - 1].end()) - rows[i - 1].begin());
        }
        EXPECT_EQ(sink.ids(), solo(request));
        EXPECT_EQ(sink.tokens[0].logprob, log_probability(rows[199], sink.tokens[0].id));
        EXPECT_EQ(sink.tokens[0].top.size(), 3u);
    }
    // Only the prompt.
    Collector prompt_only;
    request.max_tokens = 0;
    scheduler.submit(copy(request), prompt_only);
    while (scheduler.step()) {
    }
    EXPECT_EQ(prompt_only.prompt.size(), 200u);
    EXPECT_TRUE(prompt_only.tokens.empty());
    EXPECT_EQ(prompt_only.result->reason, FinishReason::length);
}

/// Of each turn of a conversation, what came before it is not computed again.
TEST_P(SchedulerTest, TurnsOfAChatBeginWhereTheLastOneEnded) {
    SchedulerOptions options;
    options.max_running = 2;
    Engine engine(file_, engine_options(options, 2048));
    const bool chunks = engine.model().graph.scan_chunk > 1;
    Scheduler scheduler(engine, options);
    GenerationRequest request = make_request(30, 40);
    int64_t stored = 0;
    for (int turn = 0; turn < 8; turn++) {
        Collector sink;
        scheduler.submit(copy(request), sink);
        while (scheduler.step()) {
        }
        ASSERT_TRUE(sink.result);
        EXPECT_EQ(sink.ids(), solo(request)) << "turn " << turn;
        const int64_t n_prompt = static_cast<int64_t>(request.prompt.size());
        EXPECT_EQ(sink.result->n_cached_tokens, stored) << "turn " << turn;
        // Recurrent layers that compute in chunks begin from the prompt's chunks alone.
        stored = (chunks ? n_prompt - 1 : n_prompt + 39) / kPageTokens * kPageTokens;
        for (int32_t id : sink.ids()) request.prompt.push_back(id);
        for (int i = 0; i < 20; i++) request.prompt.push_back(static_cast<int32_t>(below(500)));
    }
    EXPECT_GT(scheduler.statistics().n_cached_tokens, 0);
}

/// A common beginning is taken over as soon as it is known to be common: by the second request where every
/// page's end will do, by the third where the second one leaves a mark.
TEST_P(SchedulerTest, ACommonBeginningIsComputedOnce) {
    SchedulerOptions options;
    options.max_running = 2;
    Engine engine(file_, engine_options(options, 2048));
    Scheduler scheduler(engine, options);
    const GenerationRequest common = make_request(200, 4);
    std::vector<int64_t> cached;
    for (int i = 0; i < 4; i++) {
        GenerationRequest request = copy(common);
        for (int j = 0; j < 150; j++) request.prompt.push_back(static_cast<int32_t>(below(500)));
        Collector sink;
        scheduler.submit(copy(request), sink);
        while (scheduler.step()) {
        }
        EXPECT_EQ(sink.ids(), solo(request));
        cached.push_back(sink.result->n_cached_tokens);
    }
    EXPECT_EQ(cached[0], 0);
    EXPECT_EQ(cached[2], 192);
    EXPECT_EQ(cached[3], 192);
    // Two at once: the later one goes on where the earlier one is ahead, or computes for itself.
    Collector sinks[2];
    const GenerationRequest twin = make_request(500, 4);
    for (Collector& sink : sinks) scheduler.submit(copy(twin), sink);
    while (scheduler.step()) {
    }
    for (const Collector& sink : sinks) EXPECT_EQ(sink.ids(), solo(twin));
}

INSTANTIATE_TEST_SUITE_P(Models, SchedulerTest,
                         testing::Values("llama-nano", "qwen3-nano", "gemma2-nano", "gemma3-nano",
                                         "gemma4e-nano", "glm4moe-nano", "deepseek3-nano", "glm47flash-nano",
                                         "gptoss-nano", "nemotronh-nano", "qwen35-nano", "qwen35moe-nano"),
                         [](const auto& name) {
                             std::string text = name.param;
                             for (char& c : text)
                                 if (c == '-') c = '_';
                             return text;
                         });

class OneModel : public SchedulerTest {};
INSTANTIATE_TEST_SUITE_P(Models, OneModel, testing::Values("llama-nano"));

TEST_P(OneModel, EndsAtStopsLimitsAndDeadlines) {
    SchedulerOptions options;
    options.max_running = 2;
    GenerationRequest request = make_request(20, 60);
    const std::vector<int32_t> expected = solo(request);
    options.end_tokens = {expected[30]};
    const int64_t end = std::find(expected.begin(), expected.end(), expected[30]) - expected.begin();
    Engine engine(file_, engine_options(options, 96));
    Scheduler scheduler(engine, options);
    Collector sinks[6];
    scheduler.submit(copy(request), sinks[0]);
    sinks[1].stop_after = 3;
    scheduler.submit(copy(request), sinks[1]);
    GenerationRequest endless = copy(request);
    endless.ignore_end = true;
    endless.max_tokens = -1;
    scheduler.submit(std::move(endless), sinks[2]);
    GenerationRequest late = copy(request);
    late.deadline = monotonic_seconds() - 1;
    scheduler.submit(std::move(late), sinks[3]);
    GenerationRequest biased = copy(request);
    for (int32_t token = 0; token < engine.n_vocab(); token++)
        biased.sampling.logit_bias.push_back({token, -INFINITY});
    scheduler.submit(std::move(biased), sinks[4]);
    while (scheduler.step()) {
    }
    EXPECT_EQ(sinks[0].result->reason, FinishReason::end_of_generation);
    EXPECT_EQ(sinks[0].ids(), std::vector<int32_t>(expected.begin(), expected.begin() + end));
    EXPECT_EQ(sinks[0].result->seed, *request.sampling.seed);
    EXPECT_EQ(sinks[1].result->reason, FinishReason::stopped);
    EXPECT_EQ(sinks[1].tokens.size(), 3u);
    EXPECT_EQ(sinks[2].result->reason, FinishReason::context);
    EXPECT_EQ(sinks[2].tokens.size(), 96u - 20u + 1u);
    EXPECT_EQ(sinks[3].result->reason, FinishReason::deadline);
    EXPECT_EQ(sinks[4].result->reason, FinishReason::failed);
    EXPECT_NE(sinks[4].result->error.find("bias"), std::string::npos);
    // A deadline in the middle.
    GenerationRequest short_lived = copy(request);
    short_lived.deadline = monotonic_seconds() + 0.1;
    scheduler.submit(std::move(short_lived), sinks[5]);
    scheduler.step();
    EXPECT_EQ(sinks[5].tokens.size(), 1u);
    std::this_thread::sleep_for(std::chrono::milliseconds(110));
    EXPECT_FALSE(scheduler.step());
    EXPECT_EQ(sinks[5].result->reason, FinishReason::deadline);
    EXPECT_EQ(sinks[5].tokens.size(), 1u);
    expect_everything_returned(engine, scheduler);
}

TEST_P(OneModel, RefusesWhatCannotBeServed) {
    SchedulerOptions options;
    options.max_running = 1;
    options.max_waiting = 2;
    Engine engine(file_, engine_options(options, 96));
    Scheduler scheduler(engine, options);
    Collector sinks[4];
    const auto message = [&](GenerationRequest request) {
        try {
            scheduler.submit(std::move(request), sinks[3]);
        } catch (const Error& error) {
            return std::string(error.what());
        }
        return std::string();
    };
    GenerationRequest outside = make_request(3, 1);
    outside.prompt[1] = static_cast<int32_t>(engine.n_vocab());
    EXPECT_NE(message(std::move(outside)).find("outside the vocabulary"), std::string::npos);
    EXPECT_NE(message(make_request(0, 1)).find("empty"), std::string::npos);
    EXPECT_NE(message(make_request(97, 1)).find("the context holds 96"), std::string::npos);
    EXPECT_NE(message(make_request(5, -2)).find("max_tokens"), std::string::npos);
    GenerationRequest hot = make_request(5, 1);
    hot.sampling.temperature = -1;
    EXPECT_NE(message(std::move(hot)).find("temperature"), std::string::npos);
    scheduler.submit(make_request(96, 5), sinks[0]);
    scheduler.submit(make_request(5, 5), sinks[1]);
    EXPECT_NE(message(make_request(5, 5)).find("2 requests wait"), std::string::npos);
    while (scheduler.step()) {
    }
    EXPECT_EQ(sinks[0].result->reason, FinishReason::context);
    EXPECT_EQ(sinks[0].tokens.size(), 1u);
    EXPECT_EQ(sinks[1].result->reason, FinishReason::length);

    options.max_running = 2;
    EXPECT_THROW(Scheduler(engine, options), Error);
}

/// A client with many requests does not hold up one with few, and a higher priority comes first.
TEST_P(OneModel, ClientsTakeTurns) {
    SchedulerOptions options;
    options.max_running = 1;
    Engine engine(file_, engine_options(options, 256));
    Scheduler scheduler(engine, options);
    std::vector<int> order;
    Collector sinks[9];
    const auto submit = [&](int number, uint64_t client, int priority) {
        GenerationRequest request = make_request(4, 2);
        request.client = client;
        request.priority = priority;
        sinks[number].number = number;
        sinks[number].order = &order;
        scheduler.submit(std::move(request), sinks[number]);
    };
    for (int i = 0; i < 4; i++) submit(i, 1, 0);
    submit(4, 2, 0);
    submit(5, 2, 0);
    scheduler.step();
    submit(6, 3, 0);
    submit(7, 1, 1);
    while (scheduler.step()) {
    }
    EXPECT_EQ(order, (std::vector<int>{0, 7, 4, 6, 1, 5, 2, 3}));
}

/// The lowest priority, and then the last to come, gives its pages back; it ends all the same.
TEST_P(OneModel, TheLastComeIsPreempted) {
    SchedulerOptions options;
    options.max_running = 3;
    options.prefix_cache = false;
    Engine engine(file_, engine_options(options, 64 * 4));  // 7 pages
    Scheduler scheduler(engine, options);
    Collector sinks[3];
    GenerationRequest requests[3];
    std::vector<int32_t> expected[3];
    for (int i = 0; i < 3; i++) {
        requests[i] = make_request(100, 110);
        requests[i].priority = i == 1 ? -1 : 0;
        expected[i] = solo(requests[i]);
        scheduler.submit(copy(requests[i]), sinks[i]);
    }
    std::vector<int> ends;
    while (scheduler.step())
        for (int i = 0; i < 3; i++)
            if (sinks[i].result && std::find(ends.begin(), ends.end(), i) == ends.end()) ends.push_back(i);
    EXPECT_EQ(ends, (std::vector<int>{0, 2, 1}));
    EXPECT_GT(scheduler.statistics().n_preemptions, 0);
    for (int i = 0; i < 3; i++) EXPECT_EQ(sinks[i].ids(), expected[i]);
    EXPECT_EQ(engine.cache().used_bytes(), 0u);
}

/// Long prompts come in pieces beside those who decode, which get a token with each step.
TEST_P(OneModel, LongPromptsHoldNobodyUp) {
    SchedulerOptions options;
    options.max_running = 2;
    options.prefill_budget = 64;
    Engine engine(file_, engine_options(options, 2048));
    Collector fast, slow;
    Scheduler scheduler(engine, options);
    scheduler.submit(make_request(4, 20), fast);
    scheduler.step();
    scheduler.submit(make_request(640, 1), slow);
    for (size_t i = 1; i <= 10; i++) {
        EXPECT_EQ(fast.tokens.size(), i);
        EXPECT_TRUE(slow.tokens.empty());
        scheduler.step();
    }
    EXPECT_EQ(slow.tokens.size(), 1u);
}

/// Lets tokens through that are 3 more than a multiple of 5.
struct EveryFifth final : TokenConstraint {
    std::vector<uint32_t> bits;
    std::vector<int32_t> accepted;
    explicit EveryFifth(int64_t n_vocab) : bits(static_cast<size_t>(n_vocab + 31) / 32) {
        for (int64_t i = 3; i < n_vocab; i += 5) bits[static_cast<size_t>(i) / 32] |= 1u << i % 32;
    }
    std::span<const uint32_t> allowed() override { return bits; }
    void accept(int32_t token) override { accepted.push_back(token); }
};

TEST_P(OneModel, ConstraintsMaskTokens) {
    SchedulerOptions options;
    options.max_running = 2;
    Engine engine(file_, engine_options(options, 512));
    Scheduler scheduler(engine, options);
    Collector sinks[2];
    for (Collector& sink : sinks) {
        GenerationRequest request = make_request(10, 20);
        request.constraint = std::make_unique<EveryFifth>(engine.n_vocab());
        scheduler.submit(std::move(request), sink);
    }
    while (scheduler.step()) {
    }
    for (const Collector& sink : sinks) {
        EXPECT_EQ(sink.tokens.size(), 20u);
        for (int32_t id : sink.ids()) EXPECT_EQ(id % 5, 3);
    }
}

/// Requests come from and are cancelled by several threads while one computes.
TEST_P(OneModel, ManyThreadsSubmitAndCancel) {
    SchedulerOptions options;
    options.max_running = 4;
    options.max_waiting = 1000;
    Engine engine(file_, engine_options(options, 1024));
    Scheduler scheduler(engine, options);
    constexpr size_t kThreads = 3, kEach = 12;
    std::vector<Collector> sinks(kThreads * kEach);
    std::vector<GenerationRequest> requests;
    for (size_t i = 0; i < sinks.size(); i++) requests.push_back(make_request(1 + below(60), 6));
    std::atomic<bool> stop{false};
    std::thread worker([&] {
        while (!stop) {
            while (scheduler.step()) {
            }
            scheduler.wait();
        }
    });
    std::vector<std::thread> clients;
    for (size_t t = 0; t < kThreads; t++)
        clients.emplace_back([&, t] {
            for (size_t i = 0; i < kEach; i++) {
                const Scheduler::Id id =
                    scheduler.submit(copy(requests[t * kEach + i]), sinks[t * kEach + i]);
                if (i % 3 == 2) scheduler.cancel(id);
                scheduler.statistics();
            }
        });
    for (std::thread& client : clients) client.join();
    for (;;) {
        const SchedulerStatistics s = scheduler.statistics();
        if (s.n_finished + s.n_cancelled == static_cast<int64_t>(sinks.size())) break;
        std::this_thread::yield();
    }
    stop = true;
    scheduler.wake();
    worker.join();
    for (size_t i = 0; i < sinks.size(); i++) {
        ASSERT_TRUE(sinks[i].result);
        if (sinks[i].result->reason == FinishReason::length) {
            EXPECT_EQ(sinks[i].ids(), solo(requests[i]));
        }
    }
    expect_everything_returned(engine, scheduler);
}

}  // namespace
}  // namespace agave
