#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>

#include "engine/engine.h"
#include "fixtures.h"
#include "models/model.h"

namespace agave {
namespace {

/// The tiny models against Hugging Face transformers (float32, eager attention); see
/// tools/oracle/make_fixtures.py.
class Oracle : public testing::TestWithParam<const char*> {
  protected:
    std::string base() const { return std::string(AGAVE_TEST_DATA "/oracle/") + GetParam(); }
    static EngineOptions exact_options() {
        EngineOptions options;
        options.n_threads = 2;
        options.kv_format = KvFormat::f32;
        options.exact = true;
        return options;
    }
    void expect_logits(const ModelFile& file) const;
    void expect_greedy_ids(const ModelFile& file) const;
};

/// The same models in Hugging Face's own folders.
class HuggingFaceOracle : public Oracle {
  protected:
    std::string folder() const { return std::string(AGAVE_SHARED "/oracle/data/") + GetParam() + "/hf"; }
    void SetUp() override {
        if (::access(folder().c_str(), R_OK) != 0) GTEST_SKIP() << "no " << folder();
    }
};

void Oracle::expect_logits(const ModelFile& file) const {
    Engine engine(file, exact_options());
    const auto prompts = test::read_id_lines(base() + "-prompts.txt");
    ASSERT_EQ(prompts.size(), 3u);
    // Gemma 4's logits react more strongly to the order of sums; see the oracle's own cross-check.
    const bool gemma4 = std::string(GetParam()).starts_with("gemma4");
    const double tolerance[] = {gemma4 ? 2e-4 : 1e-4, gemma4 ? 1e-3 : 1e-4, gemma4 ? 5e-3 : 1e-3};
    for (size_t p = 0; p < prompts.size(); p++) {
        const std::vector<float> expected = test::read_npy(base() + "-logits-" + std::to_string(p) + ".npy");
        const int64_t n_outputs = static_cast<int64_t>(expected.size()) / engine.n_vocab();
        ASSERT_EQ(n_outputs, std::min<int64_t>(8, static_cast<int64_t>(prompts[p].size())));
        Sequence sequence = engine.new_sequence();
        double worst = 0;
        size_t compared = 0;
        engine.prefill_with_logits(
            sequence, prompts[p], n_outputs, [&](int64_t, std::span<const float> logits) {
                for (float logit : logits)
                    worst = std::max<double>(worst, std::abs(logit - expected[compared++]));
            });
        EXPECT_EQ(compared, expected.size());
        EXPECT_LE(worst, tolerance[p]) << "prompt of " << prompts[p].size() << " tokens";
        std::printf("%s, %zu tokens: largest difference of a logit %.2g\n", GetParam(), prompts[p].size(),
                    worst);
        engine.release(sequence);
    }
}

void Oracle::expect_greedy_ids(const ModelFile& file) const {
    Engine engine(file, exact_options());
    const auto prompts = test::read_id_lines(base() + "-prompts.txt");
    const auto expected = test::read_id_lines(base() + "-greedy.txt");
    ASSERT_EQ(expected.size(), prompts.size());
    for (size_t p = 0; p < prompts.size(); p++) {
        Sequence sequence = engine.new_sequence();
        std::span<const float> logits = engine.prefill(sequence, prompts[p]);
        std::vector<int32_t> ids;
        while (ids.size() < expected[p].size()) {
            ids.push_back(
                static_cast<int32_t>(std::max_element(logits.begin(), logits.end()) - logits.begin()));
            logits = engine.prefill(sequence, {&ids.back(), 1});
        }
        EXPECT_EQ(ids, expected[p]);
        engine.release(sequence);
    }
}

TEST_P(Oracle, LogitsAreHuggingFaces) {
    expect_logits(ModelFile::open(base() + ".gguf"));
}
TEST_P(Oracle, GreedyIdsAreHuggingFaces) {
    expect_greedy_ids(ModelFile::open(base() + ".gguf"));
}
TEST_P(HuggingFaceOracle, LogitsAreHuggingFaces) {
    expect_logits(open_model_file(folder()));
}
TEST_P(HuggingFaceOracle, GreedyIdsAreHuggingFaces) {
    expect_greedy_ids(open_model_file(folder()));
}

std::string test_name(const testing::TestParamInfo<const char*>& parameter) {
    std::string name = parameter.param;
    std::replace(name.begin(), name.end(), '-', '_');
    return name;
}

INSTANTIATE_TEST_SUITE_P(Models, Oracle,
                         testing::Values("llama-nano", "llamaspm-nano", "qwen3-nano", "qwen2-nano",
                                         "qwen3moe-nano", "mistral-nano", "gemma2-nano", "gemma3-nano",
                                         "glm4-nano", "glm4moe-nano", "glm47flash-nano", "deepseek2-nano",
                                         "deepseek3-nano", "gptoss-nano", "gemma4d-nano", "gemma4e-nano",
                                         "gemma4m-nano", "nemotronh-nano", "nemotronhmoe-nano",
                                         "nemotronh-variant", "qwen35-nano", "qwen35moe-nano"),
                         test_name);
INSTANTIATE_TEST_SUITE_P(Models, HuggingFaceOracle,
                         testing::Values("llama-nano", "llamaspm-nano", "qwen3-nano", "gemma3-nano",
                                         "glm4-nano", "glm4moe-nano", "glm47flash-nano", "gptoss-nano",
                                         "gemma4d-nano", "gemma4e-nano", "gemma4m-nano", "nemotronh-nano",
                                         "nemotronhmoe-nano", "qwen35-nano", "qwen35moe-nano"),
                         test_name);

}  // namespace
}  // namespace agave
