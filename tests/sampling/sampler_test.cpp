#include "sampling/sampler.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "base/error.h"
#include "reference.h"
#include "sampling/log_probabilities.h"

namespace agave {
namespace {

using testing_reference::random_logits;

std::vector<int32_t> draws(const SamplingParameters& parameters, std::span<const float> logits, int n) {
    Sampler sampler(parameters, static_cast<int32_t>(logits.size()));
    std::vector<int32_t> result;
    for (int i = 0; i < n; ++i) {
        result.push_back(sampler.sample(logits).id);
        sampler.accept(result.back());
    }
    return result;
}

ErrorKind kind_of(Sampler& sampler, std::span<const float> logits, std::string* text = nullptr) {
    try {
        sampler.sample(logits);
    } catch (const Error& error) {
        if (text) *text = error.what();
        return error.kind();
    }
    ADD_FAILURE() << "nothing thrown";
    return ErrorKind::usage;
}

TEST(Sampler, GreedyTakesTheLargestLogitWhateverTheChain) {
    const auto logits = random_logits(1000, 2.0f, 3);
    const int32_t best =
        static_cast<int32_t>(std::max_element(logits.begin(), logits.end()) - logits.begin());
    for (const char* samplers : {"", "temperature", "typical", "top_k;typical;top_p;min_p;temperature"}) {
        SamplingParameters p;
        p.temperature = 0.0f;
        p.typical_p = 0.01f;
        p.samplers = samplers;
        EXPECT_EQ(draws(p, logits, 3), (std::vector<int32_t>{best, best, best})) << samplers;
    }
}

TEST(Sampler, GreedyObeysBiasAndPenalties) {
    const std::vector<float> logits = {1.0f, 3.0f, 2.5f, 2.0f};
    SamplingParameters p;
    p.temperature = 0.0f;
    p.presence_penalty = 0.8f;
    EXPECT_EQ(draws(p, logits, 4), (std::vector<int32_t>{1, 2, 1, 1}));
    p.samplers = "top_k";
    EXPECT_EQ(draws(p, logits, 2), (std::vector<int32_t>{1, 1})) << "penalties are not in the chain";
    p.logit_bias = {{1, -std::numeric_limits<float>::infinity()}, {3, 0.75f}};
    EXPECT_EQ(draws(p, logits, 1), (std::vector<int32_t>{3}));
}

TEST(Sampler, TheSeedDecides) {
    const auto logits = random_logits(500, 1.0f, 4);
    SamplingParameters p;
    p.seed = 17;
    const auto first = draws(p, logits, 50);
    EXPECT_EQ(draws(p, logits, 50), first);
    p.seed = 18;
    EXPECT_NE(draws(p, logits, 50), first);
    EXPECT_EQ(Sampler(p, 500).seed(), 18u);
}

/// Every operation up to the draw is IEEE arithmetic in a fixed order, so these hold on every machine. The
/// ids are those of a computation in Python.
TEST(Sampler, TheSameTokensOnEveryMachine) {
    std::vector<float> logits(100);
    for (size_t i = 0; i < logits.size(); ++i) logits[i] = static_cast<float>(i * 37 % 100) / 16.0f;
    SamplingParameters p;
    p.seed = 2024;
    p.temperature = 1.5f;
    p.min_p = 0.0f;
    EXPECT_EQ(draws(p, logits, 10), (std::vector<int32_t>{54, 94, 54, 8, 67, 35, 43, 62, 51, 27}));
}

TEST(Sampler, WithoutASeedItDrawsOneThatReproduces) {
    const auto logits = random_logits(500, 1.0f, 4);
    SamplingParameters p;
    Sampler sampler(p, 500), other(p, 500);
    EXPECT_NE(sampler.seed(), other.seed());
    std::vector<int32_t> first;
    for (int i = 0; i < 20; ++i) first.push_back(sampler.sample(logits).id);
    p.seed = sampler.seed();
    EXPECT_EQ(draws(p, logits, 20), first);
}

TEST(Sampler, TheOrderOfTheChainMatters) {
    // Two tokens of probability 0.6 and 0.4: at temperature 4 the nucleus of 0.55 needs both.
    const std::vector<float> logits = {std::log(0.6f), std::log(0.4f)};
    SamplingParameters p;
    p.temperature = 4.0f;
    p.top_p = 0.55f;
    p.seed = 5;
    p.samplers = "top_p;temperature";
    EXPECT_EQ(draws(p, logits, 200), std::vector<int32_t>(200, 0));
    p.samplers = "temperature;top_p";
    EXPECT_NE(draws(p, logits, 200), std::vector<int32_t>(200, 0));
}

TEST(Sampler, LogprobIsTheModelsOwn) {
    auto logits = random_logits(777, 2.0f, 6);
    double sum = 0;
    for (float& x : logits) {
        x += 300.0f;
        sum += std::exp(static_cast<double>(x));
    }
    SamplingParameters p;
    p.seed = 1;
    p.logprobs = true;
    p.logit_bias = {{0, 100.0f}};
    Sampler sampler(p, 777);
    const SampledToken token = sampler.sample(logits);
    EXPECT_EQ(token.id, 0);
    EXPECT_NEAR(token.logprob, static_cast<double>(logits[0]) - std::log(sum), 1e-4);
    EXPECT_NEAR(log_probability(logits, 5), static_cast<double>(logits[5]) - std::log(sum), 1e-4);
    EXPECT_THROW(log_probability(logits, 777), Error);
    EXPECT_THROW(log_probability(logits, -1), Error);
    EXPECT_THROW(log_probability({}, 0), Error);
    p.logprobs = false;
    EXPECT_TRUE(std::isnan(Sampler(p, 777).sample(logits).logprob));
}

TEST(Sampler, LogitsThatAreNoNumbersAreAnError) {
    for (float temperature : {0.0f, 0.8f}) {
        for (float value : {NAN, INFINITY, -INFINITY}) {
            SamplingParameters p;
            p.temperature = temperature;
            Sampler sampler(p, 600);
            auto logits = random_logits(600, 1.0f, 7);
            logits[513] = value;
            std::string text;
            EXPECT_EQ(kind_of(sampler, logits, &text), ErrorKind::runtime);
            EXPECT_NE(text.find("logit of token 513 is "), std::string::npos) << text;
            logits[513] = 0.0f;
            EXPECT_NO_THROW(sampler.sample(logits)) << "it goes on afterwards";
            EXPECT_EQ(kind_of(sampler, std::vector<float>(600, value)), ErrorKind::runtime);
        }
    }
}

TEST(Sampler, ExtremeLogitsAreDrawnFrom) {
    constexpr float kMax = std::numeric_limits<float>::max();
    SamplingParameters p;
    p.repeat_penalty = 100.0f;
    p.presence_penalty = 100.0f;
    p.dry_multiplier = 100.0f;
    p.dry_base = 100.0f;
    p.typical_p = 0.9f;
    p.temperature = 1e-6f;
    p.logit_bias = {{2, kMax}, {3, -kMax}};
    for (const char* samplers : {"penalties;dry;top_k;typical;top_p;min_p;temperature",
                                 "temperature;typical;penalties;dry;min_p;top_p;top_k"}) {
        p.samplers = samplers;
        for (const std::vector<float>& logits :
             {std::vector<float>{kMax, -kMax, kMax, -kMax, 0.0f}, std::vector<float>(5, kMax),
              std::vector<float>(5, -kMax), std::vector<float>{1e-45f, -1e-45f, 0.0f, -0.0f, 1.0f}}) {
            for (int32_t token : draws(p, logits, 100)) {
                ASSERT_GE(token, 0);
                ASSERT_LT(token, 5);
            }
        }
    }
}

TEST(Sampler, BanningEveryTokenIsAnError) {
    for (float temperature : {0.0f, 0.8f}) {
        SamplingParameters p;
        p.temperature = temperature;
        p.logit_bias = {{0, -INFINITY}, {1, -INFINITY}};
        Sampler sampler(p, 2);
        std::string text;
        EXPECT_EQ(kind_of(sampler, std::vector<float>{1.0f, 2.0f}, &text), ErrorKind::runtime);
        EXPECT_EQ(text, "the logit bias and the grammar leave no token of the vocabulary");
    }
}

TEST(Sampler, ABannedTokenIsNeverDrawn) {
    SamplingParameters p;
    p.seed = 3;
    p.logit_bias = {{1, -INFINITY}};
    p.repeat_penalty = 0.5f;
    p.presence_penalty = -100.0f;
    const std::vector<float> logits = {0.0f, 50.0f, 0.1f};
    Sampler sampler(p, 3);
    sampler.accept(1);
    for (int i = 0; i < 100; ++i) EXPECT_NE(sampler.sample(logits).id, 1);
}

TEST(Sampler, ABannedTokenIsNeverDrawnBesideTheLowestLogits) {
    constexpr float kMax = std::numeric_limits<float>::max();
    for (const char* samplers : {"temperature", "top_k;temperature", "temperature;penalties"}) {
        SamplingParameters p;
        p.seed = 3;
        p.top_k = 3;
        p.temperature = 1e-3f;
        p.repeat_penalty = 1.1f;
        p.logit_bias = {{1, -INFINITY}};
        p.samplers = samplers;
        Sampler sampler(p, 4);
        sampler.accept(1);
        for (int i = 0; i < 100; ++i) EXPECT_NE(sampler.sample(std::vector<float>(4, -kMax)).id, 1);
    }
}

TEST(Sampler, LogitsThatOverflowShareTheChance) {
    constexpr float kMax = std::numeric_limits<float>::max();
    SamplingParameters p;
    p.seed = 3;
    p.temperature = 1e-6f;
    p.samplers = "temperature";
    int first = 0;
    for (int32_t token : draws(p, std::vector<float>{kMax, 0.0f, kMax}, 1000)) {
        ASSERT_NE(token, 1);
        first += token == 0;
    }
    EXPECT_NEAR(first, 500, 80);
}

TEST(Sampler, WrongSizesAndTokensAreErrors) {
    SamplingParameters p;
    Sampler sampler(p, 3);
    EXPECT_EQ(kind_of(sampler, std::vector<float>(2)), ErrorKind::runtime);
    EXPECT_EQ(kind_of(sampler, {}), ErrorKind::runtime);
    EXPECT_THROW(sampler.accept(3), Error);
    EXPECT_THROW(sampler.accept(-1), Error);
}

/// A mask leaves the tokens that it allows as they would be if the others were banned one by one.
TEST(Sampler, AMaskBansLikeBias) {
    const auto logits = random_logits(1000, 2.0f, 5);
    for (const float temperature : {0.0f, 1.0f}) {
        SamplingParameters masked;
        masked.temperature = temperature;
        masked.presence_penalty = 0.5f;
        masked.seed = 9;
        masked.logprobs = true;
        SamplingParameters biased = masked;
        std::vector<uint32_t> allowed((logits.size() + 31) / 32);
        for (int32_t token = 0; token < 1000; ++token) {
            if (token % 7 == 3 || token == 999)
                allowed[static_cast<size_t>(token) / 32] |= 1u << token % 32;
            else
                biased.logit_bias.push_back({token, -std::numeric_limits<float>::infinity()});
        }
        Sampler a(masked, 1000), b(biased, 1000);
        for (int i = 0; i < 50; ++i) {
            const SampledToken token = a.sample(logits, allowed), expected = b.sample(logits);
            ASSERT_EQ(token.id, expected.id);
            ASSERT_EQ(token.logprob, log_probability(logits, token.id));
            a.accept(token.id);
            b.accept(token.id);
        }
    }
    Sampler sampler({}, 1000);
    EXPECT_THROW(sampler.sample(logits, std::vector<uint32_t>(31, 1)), Error);
    EXPECT_THROW(sampler.sample(logits, std::vector<uint32_t>(32, 0)), Error);
}

TEST(LogProbabilities, AreTheSamplersAndInOrder) {
    auto logits = random_logits(1000, 2.0f, 5);
    logits[700] = logits[20];
    LogProbabilities log_probabilities;
    log_probabilities.reset(logits);
    std::vector<TokenLogprob> top;
    log_probabilities.top(1200, top);
    ASSERT_EQ(top.size(), 1000u);
    for (size_t i = 0; i < top.size(); ++i) {
        EXPECT_EQ(top[i].logprob, log_probability(logits, top[i].id));
        if (i > 0) {
            const float last = logits[static_cast<size_t>(top[i - 1].id)],
                        next = logits[static_cast<size_t>(top[i].id)];
            EXPECT_TRUE(last > next || (last == next && top[i - 1].id < top[i].id));
        }
    }
    std::vector<TokenLogprob> few;
    log_probabilities.top(5, few);
    ASSERT_EQ(few.size(), 5u);
    for (size_t i = 0; i < few.size(); ++i) EXPECT_EQ(few[i].id, top[i].id);
    log_probabilities.top(0, few);
    EXPECT_TRUE(few.empty());
    logits[3] = NAN;
    EXPECT_THROW(log_probabilities.reset(logits), Error);
}

}  // namespace
}  // namespace agave
