#include "backends/cpu/schedule.h"

#include <gtest/gtest.h>

#include "base/thread_team.h"
#include "models/model.h"

namespace agave::cpu {
namespace {

constexpr int64_t kMaxRows = 16;
constexpr int kThreads = 2;

/// The floats [begin, end) of an arena that a thread reads or writes in one step.
struct Touch {
    size_t step;
    int thread;
    bool outputs;  ///< which arena
    int64_t begin, end;
    bool writes;
};

/// What each thread touches of one value: its own rows where the step is divided by rows, all rows otherwise.
void touch(const Graph& graph, const MemoryPlan& plan, const Step& step, size_t index, Value value,
           bool writes, int64_t n_rows, std::vector<Touch>& touches) {
    const ValueInfo& info = graph.values[static_cast<size_t>(value.id)];
    const bool outputs = info.rows == Rows::outputs;
    const int64_t offset =
        (outputs ? plan.output_offsets : plan.token_offsets)[static_cast<size_t>(value.id)];
    const bool by_rows = step.division == Division::token_rows || step.division == Division::output_rows;
    for (int thread = 0; thread < kThreads; thread++) {
        const Range mine = by_rows ? thread_range(n_rows, 1, thread, kThreads) : Range{0, n_rows};
        for (int64_t r = mine.begin; r < mine.end; r++) {
            const int64_t begin = offset * kMaxRows + r * row_stride(info.width);
            touches.push_back({index, thread, outputs, begin, begin + info.width, writes});
        }
    }
}

/// Steps between two barriers run at the same time in different threads: none may write what another touches.
void expect_no_race(const Graph& graph, int64_t n_rows) {
    const MemoryPlan plan = plan_memory(graph);
    const auto float_only = [](Format) { return Activation::float32; };
    const std::vector<Step> steps = make_steps(graph, plan, float_only, false);
    std::vector<Touch> since_barrier;
    for (size_t i = 0; i < steps.size(); i++) {
        if (steps[i].barrier_before) since_barrier.clear();
        if (!steps[i].operation) continue;
        std::vector<Touch> now;
        for (Value x : inputs_of(*steps[i].operation)) touch(graph, plan, steps[i], i, x, false, n_rows, now);
        touch(graph, plan, steps[i], i, output_of(*steps[i].operation), true, n_rows, now);
        for (const Touch& a : now)
            for (const Touch& b : since_barrier) {
                const bool meet =
                    a.thread != b.thread && a.outputs == b.outputs && a.begin < b.end && b.begin < a.end;
                ASSERT_FALSE(meet && (a.writes || b.writes))
                    << "steps " << b.step << " (" << operation_name(*steps[b.step].operation) << ") and " << i
                    << " (" << operation_name(*steps[i].operation) << ") with " << n_rows << " rows";
            }
        since_barrier.insert(since_barrier.end(), now.begin(), now.end());
    }
}

class Schedule : public testing::TestWithParam<const char*> {};

TEST_P(Schedule, NoThreadMeetsAnothersUnfinishedWork) {
    const ModelFile file = ModelFile::open(std::string(AGAVE_TEST_DATA "/oracle/") + GetParam() + ".gguf");
    const Model model = build_model(file);
    for (int64_t n_rows : {1, 2, 5, 16}) expect_no_race(model.graph, n_rows);
}

INSTANTIATE_TEST_SUITE_P(Models, Schedule,
                         testing::Values("llama-nano", "gemma3-nano", "glm4-nano", "glm4moe-nano",
                                         "glm47flash-nano", "gemma2-nano", "qwen3moe-nano", "gptoss-nano",
                                         "gemma4e-nano", "gemma4m-nano", "nemotronh-nano",
                                         "nemotronhmoe-nano", "qwen35-nano", "qwen35moe-nano"),
                         [](const auto& parameter) {
                             std::string name = parameter.param;
                             for (char& c : name)
                                 if (c == '-') c = '_';
                             return name;
                         });

}  // namespace
}  // namespace agave::cpu
