// Penalties and DRY by numbers worked out by hand, and DRY against its definition.

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>
#include <vector>

#include "reference.h"
#include "sampling/history.h"

namespace agave {
namespace {

void accept_all(Penalties& penalties, const std::vector<int32_t>& tokens) {
    for (size_t n = 1; n <= tokens.size(); ++n) penalties.accept(std::span(tokens).first(n));
}

std::vector<int32_t> sorted(std::span<const int32_t> tokens) {
    std::vector<int32_t> result(tokens.begin(), tokens.end());
    std::sort(result.begin(), result.end());
    return result;
}

TEST(Penalties, ByHand) {
    SamplingParameters p;
    p.repeat_penalty = 1.25f;
    p.presence_penalty = 0.5f;
    p.frequency_penalty = 0.25f;
    Penalties penalties(p, 10);
    accept_all(penalties, {1, 2, 1, 1});
    // Three times: 5 / 1.25 - 0.5 - 3 * 0.25; once, negative: -2 * 1.25 - 0.5 - 0.25; never.
    EXPECT_FLOAT_EQ(penalties.apply(1, 5.0f), 2.75f);
    EXPECT_FLOAT_EQ(penalties.apply(2, -2.0f), -3.25f);
    EXPECT_FLOAT_EQ(penalties.apply(3, 5.0f), 5.0f);
    EXPECT_FLOAT_EQ(penalties.apply(1, 0.0f), -1.25f);
}

TEST(Penalties, NegativeOnesReward) {
    SamplingParameters p;
    p.repeat_penalty = 0.5f;
    p.presence_penalty = -1.0f;
    Penalties penalties(p, 10);
    accept_all(penalties, {4});
    EXPECT_FLOAT_EQ(penalties.apply(4, 3.0f), 7.0f);
}

TEST(Penalties, TheWindowForgets) {
    SamplingParameters p;
    p.presence_penalty = 1.0f;
    p.frequency_penalty = 1.0f;
    p.penalty_last_n = 3;
    Penalties penalties(p, 10);
    accept_all(penalties, {7, 8, 7, 9, 8});
    EXPECT_EQ(sorted(penalties.tokens()), (std::vector<int32_t>{7, 8, 9}));
    EXPECT_FLOAT_EQ(penalties.apply(7, 0.0f), -2.0f);
    EXPECT_FLOAT_EQ(penalties.apply(8, 0.0f), -2.0f);
    accept_all(penalties, {});
    std::vector<int32_t> longer = {7, 8, 7, 9, 8, 8};
    penalties.accept(longer);
    EXPECT_EQ(sorted(penalties.tokens()), (std::vector<int32_t>{8, 9}));
    EXPECT_FLOAT_EQ(penalties.apply(8, 0.0f), -3.0f);
    EXPECT_FLOAT_EQ(penalties.apply(7, 0.0f), 0.0f);
}

TEST(Penalties, AWindowOfAnySizeIsTaken) {
    SamplingParameters p;
    p.presence_penalty = 1.0f;
    for (int32_t last_n : {1, std::numeric_limits<int32_t>::max(), -1}) {
        p.penalty_last_n = last_n;
        Penalties penalties(p, 10);
        accept_all(penalties, {1, 2, 3});
        EXPECT_EQ(penalties.tokens().size(), last_n == 1 ? 1u : 3u);
    }
}

TEST(Penalized, StaysFiniteOrOut) {
    constexpr float kMax = std::numeric_limits<float>::max();
    EXPECT_EQ(penalized(-kMax, 1e39), -kMax);
    EXPECT_EQ(penalized(kMax, -1e39), kMax);
    EXPECT_EQ(penalized(-INFINITY, -1e39), -INFINITY);
    EXPECT_EQ(penalized(1.0f, 0.25), 0.75f);
}

SamplingParameters dry_parameters() {
    SamplingParameters p;
    p.dry_multiplier = 0.5f;
    p.dry_base = 2.0f;
    p.dry_allowed_length = 2;
    return p;
}

TEST(Dry, ByHand) {
    Dry dry(dry_parameters(), 10);
    // The end "1 2 3" was followed by 4 at the beginning, and the end "2 3" by 5 in the middle.
    dry.find(std::vector<int32_t>{1, 2, 3, 4, 2, 3, 5, 1, 2, 3});
    EXPECT_EQ(sorted(dry.tokens()), (std::vector<int32_t>{4, 5}));
    EXPECT_FLOAT_EQ(dry.apply(4, 1.0f), 1.0f - 0.5f * 2.0f);
    EXPECT_FLOAT_EQ(dry.apply(5, 1.0f), 1.0f - 0.5f);
    EXPECT_FLOAT_EQ(dry.apply(1, 1.0f), 1.0f);
    // What was found is forgotten when the end changes.
    dry.find(std::vector<int32_t>{1, 2, 3, 4, 2, 3, 5, 1, 2, 3, 6});
    EXPECT_TRUE(dry.tokens().empty());
    EXPECT_FLOAT_EQ(dry.apply(4, 1.0f), 1.0f);
}

TEST(Dry, ARepetitionMayOverlapItself) {
    Dry dry(dry_parameters(), 10);
    // "7 7 7" ends at the last token and at the one before it.
    dry.find(std::vector<int32_t>{7, 7, 7, 7});
    EXPECT_FLOAT_EQ(dry.apply(7, 0.0f), -0.5f * 2.0f);
}

TEST(Dry, OneTokenAloneBreaksASequence) {
    SamplingParameters p = dry_parameters();
    p.dry_sequence_breakers = {{2}};
    Dry dry(p, 10);
    dry.find(std::vector<int32_t>{1, 2, 3, 4, 1, 2, 3});
    EXPECT_TRUE(dry.tokens().empty()) << "only the 3 after the breaker counts";
    dry.find(std::vector<int32_t>{3, 4, 5, 3, 4, 5, 3, 4});
    EXPECT_EQ(sorted(dry.tokens()), (std::vector<int32_t>{5}));
    dry.find(std::vector<int32_t>{3, 4, 2, 3, 4});
    EXPECT_TRUE(dry.tokens().empty()) << "a breaker itself is never penalised";
    dry.find(std::vector<int32_t>{3, 4, 2, 3, 4, 2});
    EXPECT_TRUE(dry.tokens().empty());
}

TEST(Dry, SeveralTokensBreakASequence) {
    SamplingParameters p = dry_parameters();
    p.dry_sequence_breakers = {{8, 9}};
    Dry dry(p, 10);
    dry.find(std::vector<int32_t>{1, 8, 9, 2, 3, 4, 1, 8, 9, 2, 3});
    EXPECT_FLOAT_EQ(dry.apply(4, 0.0f), -0.5f) << "length 2, not 5";
    dry.find(std::vector<int32_t>{1, 9, 8, 2, 3, 4, 1, 9, 8, 2, 3});
    EXPECT_FLOAT_EQ(dry.apply(4, 0.0f), -0.5f * 8.0f) << "9 8 is no breaker: length 5";
}

TEST(Dry, TheWindowForgets) {
    SamplingParameters p = dry_parameters();
    const std::vector<int32_t> history = {1, 2, 3, 5, 5, 1, 2};
    p.dry_penalty_last_n = 7;
    Dry wide(p, 10);
    wide.find(history);
    EXPECT_FLOAT_EQ(wide.apply(3, 0.0f), -0.5f);
    p.dry_penalty_last_n = 6;
    Dry narrow(p, 10);
    narrow.find(history);
    EXPECT_FLOAT_EQ(narrow.apply(3, 0.0f), 0.0f);
}

TEST(Dry, LongRepetitionsCountAsFifty) {
    const std::vector<int32_t> history(300, 3);
    SamplingParameters p = dry_parameters();
    p.dry_base = 1.1f;
    Dry dry(p, 10);
    dry.find(history);
    EXPECT_NEAR(dry.apply(3, 0.0f), -0.5 * std::pow(static_cast<double>(1.1f), 48), 1e-3);
}

TEST(Dry, NoHistoryNoPenalty) {
    Dry dry(dry_parameters(), 10);
    dry.find({});
    EXPECT_TRUE(dry.tokens().empty());
    dry.find(std::vector<int32_t>{1});
    EXPECT_TRUE(dry.tokens().empty());
}

TEST(Dry, EqualsItsDefinition) {
    std::mt19937 generator(5);
    for (int round = 0; round < 400; ++round) {
        SamplingParameters p = dry_parameters();
        p.dry_allowed_length = 1 + static_cast<int32_t>(generator() % 3);
        p.dry_penalty_last_n = round % 3 == 0 ? -1 : static_cast<int32_t>(1 + generator() % 40);
        if (round % 2) p.dry_sequence_breakers = {{0}, {1, 2}};
        std::vector<int32_t> history(generator() % 80);
        for (int32_t& token : history) token = static_cast<int32_t>(generator() % 4);
        Dry dry(p, 4);
        dry.find(history);
        for (int32_t token = 0; token < 4; ++token) {
            const int length = testing_reference::dry_length(p, history, token);
            const double penalty =
                length < p.dry_allowed_length ? 0.0 : 0.5 * std::exp2(length - p.dry_allowed_length);
            ASSERT_FLOAT_EQ(dry.apply(token, 0.0f), static_cast<float>(-penalty)) << round << " " << token;
        }
    }
}

}  // namespace
}  // namespace agave
