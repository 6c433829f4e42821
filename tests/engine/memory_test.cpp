#include <gtest/gtest.h>

#include <algorithm>

#include "engine/engine.h"
#include "fixtures.h"

namespace agave {
namespace {

/// What `agave inspect` prints of K/V and state is what a sequence then holds, for every kind of cache.
class Memory : public testing::TestWithParam<const char*> {
  protected:
    const std::string base_ = std::string(AGAVE_TEST_DATA "/oracle/") + GetParam();
    const ModelFile file_ = ModelFile::open(base_ + ".gguf");
};

TEST_P(Memory, AtManyTokensIsWhatInspectPrints) {
    constexpr int64_t kTokens = 32768, kStep = 512;
    const Model model = build_model(file_);
    const Graph& graph = model.graph;
    for (const KvFormat format : {KvFormat::f16, KvFormat::f32}) {
        KvCache cache(graph.kv_layers, format, kTokens, 1, kStep, graph.state_layers);
        KvSequence sequence = cache.new_sequence();
        while (sequence.n_tokens < kTokens) {
            ASSERT_TRUE(cache.reserve(sequence, kStep));
            cache.commit(sequence, kStep);
        }
        EXPECT_EQ(cache.used_bytes(),
                  kv_bytes(graph.kv_layers, format, kTokens) + state_bytes(graph.state_layers));
    }
}

TEST_P(Memory, AfterAPromptIsWhatInspectPrints) {
    EngineOptions options;
    options.n_threads = 2;
    options.context_size = 1024;
    Engine engine(file_, options);
    const Graph& graph = engine.model().graph;
    Sequence sequence = engine.new_sequence();
    for (const std::vector<int32_t>& prompt : test::read_id_lines(base_ + "-prompts.txt")) {
        engine.prefill(sequence, prompt);
        EXPECT_EQ(engine.cache().used_bytes(),
                  kv_bytes(graph.kv_layers, options.kv_format, sequence.n_tokens()) +
                      state_bytes(graph.state_layers));
    }
    engine.release(sequence);
}

INSTANTIATE_TEST_SUITE_P(Models, Memory,
                         testing::Values("llama-nano", "gemma2-nano", "gemma3-nano", "gemma4e-nano",
                                         "glm47flash-nano", "gptoss-nano", "nemotronh-nano"),
                         [](const auto& parameter) {
                             std::string name = parameter.param;
                             std::replace(name.begin(), name.end(), '-', '_');
                             return name;
                         });

}  // namespace
}  // namespace agave
