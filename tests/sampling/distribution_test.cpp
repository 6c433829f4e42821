// What the chain draws against the distribution that its definition gives in double precision.

#include <gtest/gtest.h>

#include <cmath>
#include <string>
#include <vector>

#include "reference.h"
#include "sampling/candidates.h"
#include "sampling/sampler.h"

namespace agave {
namespace {

using testing_reference::distribution;
using testing_reference::random_logits;

struct Case {
    const char* name;
    SamplingParameters parameters;
};

SamplingParameters plain(const char* samplers) {
    SamplingParameters p;
    p.temperature = 1.0f;
    p.top_k = 0;
    p.top_p = 1.0f;
    p.min_p = 0.0f;
    p.samplers = samplers;
    p.seed = 1;
    return p;
}

template <typename Change>
Case make(const char* name, const char* samplers, Change change) {
    Case result{name, plain(samplers)};
    change(result.parameters);
    return result;
}

const char* const kDefaultOrder = "penalties;dry;top_k;typical;top_p;min_p;temperature";

void strong_penalties(SamplingParameters& p) {
    p.repeat_penalty = 1.3f;
    p.presence_penalty = 0.4f;
    p.frequency_penalty = 0.2f;
}

void everything(SamplingParameters& p) {
    strong_penalties(p);
    p.dry_multiplier = 0.8f;
    p.top_k = 25;
    p.typical_p = 0.97f;
    p.top_p = 0.9f;
    p.min_p = 0.02f;
    p.temperature = 1.4f;
    p.logit_bias = {{3, 2.0f}, {5, -INFINITY}, {3, 0.5f}};
}

std::vector<Case> cases() {
    return {
        make("none", "", [](SamplingParameters&) {}),
        make("temperature_high", "temperature", [](auto& p) { p.temperature = 2.5f; }),
        make("temperature_low", "temperature", [](auto& p) { p.temperature = 0.3f; }),
        make("temperature_tiny", "temperature", [](auto& p) { p.temperature = 1e-6f; }),
        make("top_k", "top_k", [](auto& p) { p.top_k = 7; }),
        make("top_k_of_a_list", "temperature;top_k", [](auto& p) { p.temperature = 0.9f, p.top_k = 7; }),
        make("top_k_1", "top_k", [](auto& p) { p.top_k = 1; }),
        make("top_k_beyond_vocabulary", "top_k", [](auto& p) { p.top_k = 1000000; }),
        make("top_p", "top_p", [](auto& p) { p.top_p = 0.7f; }),
        make("top_p_0", "top_p", [](auto& p) { p.top_p = 0.0f; }),
        make("top_p_nearly_1", "top_p", [](auto& p) { p.top_p = 0.9999f; }),
        make("min_p", "min_p", [](auto& p) { p.min_p = 0.1f; }),
        make("min_p_of_a_list", "temperature;min_p", [](auto& p) { p.temperature = 2.0f, p.min_p = 0.1f; }),
        make("min_p_1", "min_p", [](auto& p) { p.min_p = 1.0f; }),
        make("min_p_1_of_a_list", "temperature;min_p", [](auto& p) { p.temperature = 2.0f, p.min_p = 1.0f; }),
        make("typical_with_a_ban", "typical",
             [](auto& p) { p.typical_p = 0.8f, p.logit_bias = {{2, -INFINITY}}; }),
        make("top_k_with_bans", "top_k;typical",
             [](auto& p) {
                 p.top_k = 299, p.typical_p = 0.8f, p.logit_bias = {{1, -INFINITY}, {2, -INFINITY}};
             }),
        make("typical", "typical", [](auto& p) { p.typical_p = 0.5f; }),
        make("typical_after_temperature", "temperature;typical",
             [](auto& p) { p.temperature = 0.2f, p.typical_p = 0.9f; }),
        make("penalties", "penalties", strong_penalties),
        make("penalties_of_a_list", "top_k;penalties", [](auto& p) { p.top_k = 20, strong_penalties(p); }),
        make("penalties_without_window", "penalties",
             [](auto& p) { strong_penalties(p), p.penalty_last_n = 0; }),
        make("penalties_short_window", "penalties",
             [](auto& p) { strong_penalties(p), p.penalty_last_n = 5; }),
        make("penalties_on_everything", "penalties",
             [](auto& p) { strong_penalties(p), p.penalty_last_n = -1; }),
        make("dry", "dry", [](auto& p) { p.dry_multiplier = 0.8f; }),
        make("dry_of_a_list", "min_p;dry", [](auto& p) { p.min_p = 0.01f, p.dry_multiplier = 1.5f; }),
        make("bias", "", [](auto& p) { p.logit_bias = {{0, 3.0f}, {1, -2.0f}, {2, -INFINITY}}; }),
        make("everything", kDefaultOrder, everything),
        make("everything_reversed", "temperature;min_p;top_p;typical;top_k;dry;penalties", everything),
        make("everything_mixed", "top_p;penalties;temperature;top_k;dry;typical;min_p", everything),
    };
}

/// 200 tokens in which the last five have occurred before.
std::vector<int32_t> repetitive_history(int32_t n_vocab) {
    std::vector<int32_t> history;
    for (int32_t i = 0; i < 200; ++i) history.push_back(i * 7 % 40 % n_vocab);
    return history;
}

class Distribution : public testing::TestWithParam<Case> {};

TEST_P(Distribution, OfTheSamplerIsTheDefined) {
    const SamplingParameters& p = GetParam().parameters;
    constexpr int kDraws = 10000;
    for (int32_t n_vocab : {1, 3, 64, 300}) {
        SamplingParameters mine = p;
        std::erase_if(mine.logit_bias, [&](const LogitBias& bias) { return bias.token >= n_vocab; });
        const auto logits = random_logits(static_cast<size_t>(n_vocab), 2.0f, static_cast<uint32_t>(n_vocab));
        const auto history = repetitive_history(n_vocab);
        const auto expected = distribution(mine, history, logits);
        Sampler sampler(mine, n_vocab);
        for (int32_t token : history) sampler.accept(token);
        std::vector<int> count(logits.size(), 0);
        for (int i = 0; i < kDraws; ++i) ++count[static_cast<size_t>(sampler.sample(logits).id)];
        for (size_t t = 0; t < logits.size(); ++t) {
            const double deviation = std::sqrt(expected[t] * (1 - expected[t]) / kDraws);
            EXPECT_NEAR(count[t] / static_cast<double>(kDraws), expected[t], 5 * deviation + 1.0 / kDraws)
                << "token " << t << " of " << n_vocab;
            if (expected[t] == 0) {
                EXPECT_EQ(count[t], 0) << "token " << t << " of " << n_vocab;
            }
        }
    }
}

INSTANTIATE_TEST_SUITE_P(Chains, Distribution, testing::ValuesIn(cases()),
                         [](const auto& test) { return std::string(test.param.name); });

/// The inverse of the cumulative distribution at a fine grid, which shows every probability to 1 / kGrid.
template <typename Sample>
std::vector<double> on_a_grid(size_t n_vocab, Sample sample) {
    constexpr int kGrid = 1 << 14;
    std::vector<double> probability(n_vocab, 0.0);
    for (int i = 0; i < kGrid; ++i)
        probability[static_cast<size_t>(sample((i + 0.5) / kGrid))] += 1.0 / kGrid;
    return probability;
}

TEST(Candidates, DrawInvertsTheCumulativeDistribution) {
    const auto logits = random_logits(500, 1.5f, 9);
    for (const char* chain : {"", "top_k", "top_p", "typical", "min_p", "temperature"}) {
        SamplingParameters p = plain(chain);
        p.top_k = 100, p.top_p = 0.8f, p.typical_p = 0.6f, p.min_p = 0.05f, p.temperature = 1.7f;
        Candidates candidates(500);
        candidates.reset(logits);
        const std::string name = chain;
        if (name == "top_k") candidates.top_k(p.top_k);
        if (name == "top_p") candidates.top_p(p.top_p);
        if (name == "typical") candidates.typical(p.typical_p);
        if (name == "min_p") candidates.min_p(p.min_p);
        if (name == "temperature") candidates.temperature(p.temperature);
        const auto found = on_a_grid(500, [&](double u) { return candidates.draw(u); });
        const auto expected = distribution(p, {}, logits);
        for (size_t t = 0; t < 500; ++t) EXPECT_NEAR(found[t], expected[t], 1.01 / (1 << 14)) << name << t;
    }
}

/// The kept tokens of a large vocabulary: sizes around the block of the scan, ties, and a wide flat head.
TEST(Candidates, KeepTheDefinedSetOfALargeVocabulary) {
    for (size_t n : {255u, 256u, 257u, 20001u}) {
        auto logits = random_logits(n, 1.0f, static_cast<uint32_t>(n));
        for (size_t i = 0; i < n; i += 3) logits[i] = std::round(logits[i] * 4.0f) / 4.0f;
        for (const char* chain : {"top_k", "top_p", "typical", "min_p", "top_p;top_k", "min_p;typical"}) {
            SamplingParameters p = plain(chain);
            p.top_k = 200, p.top_p = 0.6f, p.typical_p = 0.6f, p.min_p = 0.01f;
            const auto expected = distribution(p, {}, logits);
            Sampler sampler(p, static_cast<int32_t>(n));
            for (int i = 0; i < 40; ++i) {
                const size_t token = static_cast<size_t>(sampler.sample(logits).id);
                ASSERT_GT(expected[token], 0.0) << chain << " of " << n << ": " << token;
            }
        }
    }
}

/// The last token of the cumulative distribution is the last that the definition keeps (by logit after top_k,
/// by id after the others): nothing is missing.
TEST(Candidates, KeepNoFewerThanTheDefinedSet) {
    const double u = 1.0 - 0x1p-53;
    for (size_t n : {301u, 513u, 5000u, 20001u}) {
        auto logits = random_logits(n, 1.0f, static_cast<uint32_t>(n));
        for (size_t i = 0; i < n; i += 3) logits[i] = std::round(logits[i] * 4.0f) / 4.0f;
        SamplingParameters p = plain("");
        p.top_k = 300, p.top_p = 0.7f, p.min_p = 0.02f, p.typical_p = 0.7f;
        for (const char* chain : {"top_k", "top_p", "min_p", "typical"}) {
            p.samplers = chain;
            const auto expected = distribution(p, {}, logits);
            size_t last = n;
            for (size_t t = 0; t < n; ++t) {
                if (expected[t] == 0) continue;
                const bool after = last == n || p.samplers != "top_k" || logits[t] <= logits[last];
                if (after) last = t;
            }
            Candidates candidates(static_cast<int32_t>(n));
            candidates.reset(logits);
            if (p.samplers == "top_k") candidates.top_k(p.top_k);
            if (p.samplers == "top_p") candidates.top_p(p.top_p);
            if (p.samplers == "min_p") candidates.min_p(p.min_p);
            if (p.samplers == "typical") candidates.typical(p.typical_p);
            EXPECT_EQ(candidates.draw(u), static_cast<int32_t>(last)) << chain << " of " << n;
        }
    }
}

TEST(Candidates, TopKBreaksTiesByTheLowerId) {
    std::vector<float> logits(1000, 1.0f);
    logits[900] = 2.0f;
    Candidates candidates(1000);
    candidates.reset(logits);
    candidates.top_k(4);
    EXPECT_EQ(candidates.draw(0.0), 900);
    EXPECT_EQ(candidates.draw(0.9999), 2);
    candidates.top_k(2);
    EXPECT_EQ(candidates.draw(0.9999), 0);
}

}  // namespace
}  // namespace agave
