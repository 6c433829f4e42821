#include "engine/step_cost.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "engine/engine.h"
#include "engine/format_speed.h"

namespace agave {
namespace {

/// What is counted from the graph is what the executor counts when the step runs.
class Cost : public testing::TestWithParam<const char*> {
  protected:
    const ModelFile file_ = ModelFile::open(std::string(AGAVE_TEST_DATA "/oracle/") + GetParam() + ".gguf");
};

TEST_P(Cost, IsThatOfTheStepThatRuns) {
    EngineOptions options;
    options.n_threads = 1;
    options.context_size = 256;
    Engine engine(file_, options);
    bool has_experts = false;
    for (const Operation& operation : engine.model().graph.operations)
        has_experts |= std::holds_alternative<op::Experts>(operation);
    Sequence sequence = engine.new_sequence();
    // Which experts several tokens choose cannot be known before.
    for (const int64_t n_rows : {int64_t{1}, int64_t{has_experts ? 1 : 40}, int64_t{1}}) {
        const StepCost cost = step_cost(engine.model().graph, options.kv_format, sequence.n_tokens(), n_rows);
        engine.executor().set_profiling(true);
        engine.prefill(sequence, std::vector<int32_t>(static_cast<size_t>(n_rows), 7));
        engine.executor().set_profiling(false);
        double bytes = 0, operations = 0;
        for (const OperationProfile& row : engine.executor().profile()) {
            bytes += row.weight_bytes;
            operations += row.operations;
        }
        EXPECT_NEAR(cost.bytes() / bytes, 1, 1e-9) << n_rows;
        EXPECT_NEAR(cost.operations() / operations, 1, 1e-9) << n_rows;
    }
    engine.release(sequence);
}

INSTANTIATE_TEST_SUITE_P(Models, Cost,
                         testing::Values("llama-nano", "gemma3-nano", "gemma4e-nano", "glm47flash-nano",
                                         "gptoss-nano", "nemotronh-nano"),
                         [](const auto& parameter) {
                             std::string name = parameter.param;
                             std::replace(name.begin(), name.end(), '-', '_');
                             return name;
                         });

TEST(FormatSpeed, IsMeasuredForFormatsOfEveryKind) {
    ThreadTeam team(1);
    for (const Format format : {Format::f32, Format::bf16, Format::q4_k, Format::iq1_s}) {
        const FormatSpeed speed = measure_format_speed(format, 512, 64, team, false, cpu::best_level());
        EXPECT_GT(speed.decode_bytes_per_second, 1e6);
        EXPECT_GT(speed.prefill_operations_per_second, speed.decode_bytes_per_second / 4);
    }
}

}  // namespace
}  // namespace agave
