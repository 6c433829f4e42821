#include "engine/prompt_sequence.h"

#include <gtest/gtest.h>

#include <random>

#include "base/error.h"

namespace agave {
namespace {

/// Prompts that grow, shrink and part at random places, as conversations do.
class PromptSequenceTest : public testing::TestWithParam<const char*> {};

TEST_P(PromptSequenceTest, GivesWhatAFreshSequenceGives) {
    const ModelFile file = ModelFile::open(AGAVE_TEST_DATA "/oracle/" + std::string(GetParam()) + ".gguf");
    EngineOptions options;
    options.n_threads = 1;
    options.context_size = 600;
    options.max_sequences = 2;
    options.max_snapshots = 3;
    options.kv_format = KvFormat::f32;
    options.exact = true;
    Engine engine(file, options);
    const bool recurrent = !engine.model().graph.state_layers.empty();
    PromptSequence sequence(engine);
    std::mt19937 random(7);
    const auto below = [&](size_t n) { return static_cast<size_t>(random() % n); };
    std::vector<int32_t> tokens;
    int64_t n_reused = 0;
    for (int turn = 0; turn < 20; turn++) {
        if (turn % 4 == 3) tokens.resize(tokens.size() - below(std::min<size_t>(tokens.size(), 40)));
        for (size_t n = 1 + below(30); n > 0; n--)
            tokens.push_back(static_cast<int32_t>(below(static_cast<size_t>(engine.n_vocab()))));
        if (turn % 5 == 4) tokens[below(tokens.size())] = 3;
        const std::span<const float> reused = sequence.set(tokens);
        const std::vector<float> logits(reused.begin(), reused.end());
        n_reused += sequence.n_reused();
        EXPECT_EQ(sequence.tokens(), tokens);

        Sequence fresh = engine.new_sequence();
        const std::span<const float> expected = engine.prefill(fresh, tokens);
        engine.release(fresh);
        for (size_t i = 0; i < logits.size(); i++) {
            if (recurrent)
                ASSERT_NEAR(logits[i], expected[i], 2e-3) << "turn " << turn;
            else
                ASSERT_EQ(logits[i], expected[i]) << "turn " << turn;
        }
        for (int i = 0; i < 3; i++) {
            tokens.push_back(static_cast<int32_t>(below(100)));
            sequence.append(tokens.back());
        }
    }
    EXPECT_GT(n_reused, 500);
}

TEST_P(PromptSequenceTest, AnswersTheSamePromptAgain) {
    const ModelFile file = ModelFile::open(AGAVE_TEST_DATA "/oracle/" + std::string(GetParam()) + ".gguf");
    EngineOptions options;
    options.n_threads = 1;
    options.context_size = 200;
    options.max_snapshots = 2;
    Engine engine(file, options);
    PromptSequence sequence(engine);
    const std::vector<int32_t> prompt{5, 6, 7, 8, 9, 10, 11};
    const std::span<const float> first = sequence.set(prompt);
    const std::vector<float> logits(first.begin(), first.end());
    for (int32_t token : {1, 2, 3}) sequence.append(token);
    const std::span<const float> second = sequence.set(prompt);
    EXPECT_EQ(sequence.n_reused(), 6);
    EXPECT_EQ(logits, std::vector<float>(second.begin(), second.end()));
    EXPECT_THROW(sequence.set(std::vector<int32_t>(201, 5)), Error);
}

TEST_P(PromptSequenceTest, KeepsWhatACancelledPromptHadComputed) {
    const ModelFile file = ModelFile::open(AGAVE_TEST_DATA "/oracle/" + std::string(GetParam()) + ".gguf");
    EngineOptions options;
    options.n_threads = 1;
    options.context_size = 200;
    options.max_snapshots = 2;
    Engine engine(file, options);
    PromptSequence sequence(engine);
    const std::vector<int32_t> prompt(20, 5);
    const std::atomic<bool> cancel{true};
    EXPECT_TRUE(sequence.set(prompt, &cancel).empty());
    EXPECT_FALSE(sequence.set(prompt).empty());
}

INSTANTIATE_TEST_SUITE_P(Models, PromptSequenceTest,
                         testing::Values("llama-nano", "gemma3-nano", "nemotronh-nano"),
                         [](const auto& name) {
                             std::string text = name.param;
                             for (char& c : text)
                                 if (c == '-') c = '_';
                             return text;
                         });

}  // namespace
}  // namespace agave
