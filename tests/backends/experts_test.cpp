#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <list>
#include <numeric>
#include <random>

#include "backends/cpu/executor.h"
#include "base/error.h"

namespace agave::cpu {
namespace {

constexpr int64_t kWidth = 40, kHidden = 24, kTokens = 33;

/// Random float32 tensors that live as long as the test.
struct Weights {
    std::list<std::vector<float>> numbers;
    std::list<Tensor> tensors;
    std::mt19937 random{7};

    const Tensor& make(const char* name, std::array<int64_t, 4> shape, float scale) {
        std::normal_distribution<float> normal(0, scale);
        std::vector<float>& values =
            numbers.emplace_back(static_cast<size_t>(shape[0] * shape[1] * shape[2]));
        for (float& value : values) value = normal(random);
        Tensor& tensor = tensors.emplace_back();
        tensor.name = name;
        tensor.shape = shape;
        tensor.n_dims = shape[2] > 1 ? 3 : shape[1] > 1 ? 2 : 1;
        tensor.data = reinterpret_cast<const std::byte*>(values.data());
        tensor.n_bytes = values.size() * sizeof(float);
        return tensor;
    }
};

const float* floats_of(const Tensor& tensor) {
    return reinterpret_cast<const float*>(tensor.data);
}

/// Row `row` of a matrix times x, in double precision.
double dot(const Tensor& matrix, int64_t row, const std::vector<double>& x) {
    double sum = 0;
    for (size_t i = 0; i < x.size(); i++)
        sum += double{floats_of(matrix)[row * matrix.shape[0] + static_cast<int64_t>(i)]} * x[i];
    return sum;
}

/// The chosen experts as transformers' NemotronHTopkRouter finds them: sort the groups by the sum of their
/// two best biased scores, keep the first, sort their experts by biased score.
std::vector<int64_t> choose(const std::vector<double>& biased, const Graph::ExpertsOptions& options) {
    const int64_t n = static_cast<int64_t>(biased.size()), size = n / options.n_groups;
    std::vector<std::pair<double, int64_t>> groups;
    for (int64_t g = 0; g < options.n_groups; g++) {
        std::vector<double> scores(biased.begin() + g * size, biased.begin() + (g + 1) * size);
        std::sort(scores.rbegin(), scores.rend());
        groups.emplace_back(scores[0] + (size > 1 ? scores[1] : 0), g);
    }
    std::sort(groups.rbegin(), groups.rend());
    std::vector<std::pair<double, int64_t>> experts;
    for (int g = 0; g < options.n_groups_used; g++)
        for (int64_t e = 0; e < size; e++) {
            const int64_t expert = groups[static_cast<size_t>(g)].second * size + e;
            experts.emplace_back(biased[static_cast<size_t>(expert)], expert);
        }
    std::sort(experts.rbegin(), experts.rend());
    std::vector<int64_t> chosen;
    for (int i = 0; i < options.n_used; i++) chosen.push_back(experts[static_cast<size_t>(i)].second);
    return chosen;
}

struct Case {
    const char* name;
    int64_t n_experts;
    int n_used, n_groups, n_groups_used;
    bool gated, biased;
};

class Experts : public testing::TestWithParam<Case> {};

TEST_P(Experts, EqualThePlainSum) {
    const Case& c = GetParam();
    Weights w;
    const Tensor& table = w.make("embeddings", {kWidth, kTokens, 1, 1}, 1);
    const Tensor& router = w.make("router", {kWidth, c.n_experts, 1, 1}, 0.2f);
    const Tensor& gate = w.make("gate", {kWidth, kHidden, c.n_experts, 1}, 0.2f);
    const Tensor& up = w.make("up", {kWidth, kHidden, c.n_experts, 1}, 0.2f);
    const Tensor& down = w.make("down", {kHidden, kWidth, c.n_experts, 1}, 0.2f);
    const Tensor& bias = w.make("bias", {c.n_experts, 1, 1, 1}, 0.5f);
    const Graph::ExpertsOptions options{.gate = c.gated ? &gate : nullptr,
                                        .up = &up,
                                        .down = &down,
                                        .choice_bias = c.biased ? &bias : nullptr,
                                        .scoring = Scoring::sigmoid,
                                        .n_used = c.n_used,
                                        .n_groups = c.n_groups,
                                        .n_groups_used = c.n_groups_used,
                                        .renormalize = true,
                                        .scale = 2.5f};
    Graph g;
    const Value x = g.embed(table);
    g.set_logits(g.select_outputs(g.experts(x, g.linear(x, router), options)));

    std::vector<int32_t> tokens(kTokens);
    std::iota(tokens.begin(), tokens.end(), 0);
    KvCache cache({}, KvFormat::f32, 64, 1, 64);
    const KvSequence sequence = cache.new_sequence();
    const BatchSlice slice{&sequence, 0, kTokens, 0};
    std::vector<float> out(static_cast<size_t>(kTokens * kWidth));
    ThreadTeam team(2);
    make_executor(g, team, {.max_rows = kTokens, .max_outputs = kTokens, .level = best_level()})
        ->run({tokens, {&slice, 1}, tokens}, cache, out.data());

    for (int64_t t = 0; t < kTokens; t++) {
        const std::vector<double> row(floats_of(table) + t * kWidth, floats_of(table) + (t + 1) * kWidth);
        std::vector<double> scores, biased;
        for (int64_t e = 0; e < c.n_experts; e++) {
            scores.push_back(1 / (1 + std::exp(-dot(router, e, row))));
            biased.push_back(scores.back() + (c.biased ? double{floats_of(bias)[e]} : 0));
        }
        const std::vector<int64_t> chosen = choose(biased, options);
        double total = 0;
        for (int64_t e : chosen) total += scores[static_cast<size_t>(e)];
        std::vector<double> expected(kWidth, 0.0);
        for (int64_t e : chosen) {
            std::vector<double> hidden;
            for (int64_t i = 0; i < kHidden; i++) {
                const double value = dot(up, e * kHidden + i, row), positive = std::max(value, 0.0);
                const double opening = dot(gate, e * kHidden + i, row);
                hidden.push_back(c.gated ? value * opening / (1 + std::exp(-opening)) : positive * positive);
            }
            for (int64_t i = 0; i < kWidth; i++)
                expected[static_cast<size_t>(i)] +=
                    2.5 * scores[static_cast<size_t>(e)] / total * dot(down, e * kWidth + i, hidden);
        }
        for (int64_t i = 0; i < kWidth; i++)
            ASSERT_NEAR(out[static_cast<size_t>(t * kWidth + i)], expected[static_cast<size_t>(i)], 2e-4)
                << "token " << t << ", column " << i;
    }
}

INSTANTIATE_TEST_SUITE_P(Choices, Experts,
                         testing::Values(Case{"plain", 8, 3, 1, 1, true, false},
                                         Case{"without_gate", 8, 3, 1, 1, false, true},
                                         Case{"groups_2_of_4", 16, 4, 4, 2, true, true},
                                         Case{"groups_1_of_3", 12, 3, 3, 1, false, true},
                                         Case{"groups_without_bias", 64, 6, 8, 3, false, false},
                                         Case{"all_of_the_groups", 8, 4, 4, 2, true, true}),
                         [](const auto& parameter) { return std::string(parameter.param.name); });

TEST(ExpertGroups, ThatDoNotFitAreRefused) {
    Weights w;
    Graph g;
    const Value x = g.embed(w.make("embeddings", {kWidth, 2, 1, 1}, 1));
    const Value router = g.linear(x, w.make("router", {kWidth, 12, 1, 1}, 1));
    Graph::ExpertsOptions options{.up = &w.make("up", {kWidth, kHidden, 12, 1}, 1),
                                  .down = &w.make("down", {kHidden, kWidth, 12, 1}, 1),
                                  .n_used = 3,
                                  .n_groups = 4,
                                  .n_groups_used = 1};
    EXPECT_NO_THROW(g.experts(x, router, options));
    options.n_used = 4;
    EXPECT_THROW(g.experts(x, router, options), Error);
    options.n_used = 3, options.n_groups = 5;
    EXPECT_THROW(g.experts(x, router, options), Error);
    options.n_groups = 12, options.n_groups_used = 6;
    EXPECT_THROW(g.experts(x, router, options), Error);
    options.n_groups = 4, options.n_groups_used = 5;
    EXPECT_THROW(g.experts(x, router, options), Error);
    options.n_groups_used = 0;
    EXPECT_THROW(g.experts(x, router, options), Error);
}

/// The profile counts the weights of the experts that have rows, each once.
TEST(ExpertsProfile, CountsTheExpertsThatHaveRows) {
    Weights w;
    const Tensor& table = w.make("embeddings", {kWidth, kTokens, 1, 1}, 1);
    Graph g;
    const Value x = g.embed(table);
    const Tensor &up = w.make("up", {kWidth, kHidden, 8, 1}, 1),
                 &down = w.make("down", {kHidden, kWidth, 8, 1}, 1);
    const Value router = g.linear(x, w.make("router", {kWidth, 8, 1, 1}, 1));
    const Value mixed = g.experts(x, router, {.up = &up, .down = &down, .n_used = 2});
    g.set_logits(g.select_outputs(g.experts(mixed, router, {.up = &up, .down = &down, .n_used = 5})));

    // Sixteen rows of the same token hit two experts in one layer and five in the other.
    const std::vector<int32_t> tokens(16, 3);
    KvCache cache({}, KvFormat::f32, 64, 1, 64);
    const KvSequence sequence = cache.new_sequence();
    const BatchSlice slice{&sequence, 0, 16, 0};
    std::vector<float> out(kWidth);
    const std::vector<int32_t> outputs = {15};
    ThreadTeam team(2);
    const auto executor = make_executor(g, team, {.max_rows = 16, .max_outputs = 1, .level = best_level()});
    executor->set_profiling(true);
    executor->run({tokens, {&slice, 1}, outputs}, cache, out.data());
    double bytes = -1, operations = -1;
    for (const OperationProfile& row : executor->profile())
        if (row.name == "experts F32") bytes = row.weight_bytes, operations = row.operations;
    EXPECT_EQ(bytes, static_cast<double>(up.n_bytes + down.n_bytes) * 7 / 8);
    EXPECT_EQ(operations, 2.0 * 2 * kWidth * kHidden * 16 * 7);
}

}  // namespace
}  // namespace agave::cpu
