#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <numeric>
#include <random>

#include "backends/cpu/executor.h"

namespace agave::cpu {
namespace {

/// Heads of x by matrices of their own, against the sums in double precision; with one thread and several,
/// with all rows in one step and one by one, the bits are the same.
struct Case {
    const char* name;
    Format format;
    int64_t k, n, n_heads, n_kept;
};

class HeadLinear : public testing::TestWithParam<Case> {
  protected:
    static constexpr int64_t kTokens = 21;
    const Case& c = GetParam();
    const int64_t width = (c.k + c.n_kept) * c.n_heads, out_width = (c.n + c.n_kept) * c.n_heads;
    std::vector<float> numbers, weights;
    std::vector<std::byte> stored;
    Tensor table, matrices;

    HeadLinear() {
        std::mt19937 random(3);
        std::normal_distribution<float> normal(0, 1);
        numbers.resize(static_cast<size_t>(kTokens * width));
        for (float& x : numbers) x = normal(random);
        table.name = "table";
        table.n_dims = 2;
        table.shape = {width, kTokens, 1, 1};
        table.data = reinterpret_cast<const std::byte*>(numbers.data());
        table.n_bytes = numbers.size() * sizeof(float);

        matrices.name = "matrices";
        matrices.format = c.format;
        matrices.n_dims = 3;
        matrices.shape = {c.k, c.n, c.n_heads, 1};
        const int64_t n_rows = c.n * c.n_heads;
        matrices.n_bytes = static_cast<size_t>(n_rows) * matrices.row_bytes();
        stored.resize(matrices.n_bytes);
        weights.resize(static_cast<size_t>(n_rows * c.k));
        if (c.format == Format::f32) {
            for (float& w : weights) w = normal(random);
            std::memcpy(stored.data(), weights.data(), stored.size());
        } else {
            // Q8_0: a half-precision scale, here a power of two, then 32 int8.
            for (size_t i = 0; i < stored.size(); i++) stored[i] = static_cast<std::byte>(random() & 0xFF);
            for (size_t i = 0; i < stored.size(); i += 34)
                stored[i] = std::byte{0}, stored[i + 1] = std::byte{0x20};
            for (int64_t row = 0; row < n_rows; row++)
                format_info(c.format).decode(stored.data() + static_cast<size_t>(row) * matrices.row_bytes(),
                                             weights.data() + row * c.k, c.k);
        }
        matrices.data = stored.data();
    }

    std::vector<float> run(int n_threads, bool exact, bool one_by_one) const {
        Graph g;
        const Value x = g.embed(table);
        g.set_logits(g.select_outputs(g.head_linear(x, matrices, static_cast<int>(c.n_heads), c.n_kept)));
        KvCache cache({}, KvFormat::f32, 64, 1, 64);
        const KvSequence sequence = cache.new_sequence();
        ThreadTeam team(n_threads);
        const auto executor = make_executor(
            g, team, {.max_rows = kTokens, .max_outputs = kTokens, .exact = exact, .level = best_level()});
        std::vector<float> out(static_cast<size_t>(kTokens * out_width));
        std::vector<int32_t> tokens(kTokens);
        std::iota(tokens.begin(), tokens.end(), 0);
        const int step = one_by_one ? 1 : kTokens;
        for (int first = 0; first < kTokens; first += step) {
            const BatchSlice slice{&sequence, 0, step, first};
            const std::span<const int32_t> ids(tokens.data() + first, static_cast<size_t>(step));
            executor->run({ids, {&slice, 1}, {tokens.data(), static_cast<size_t>(step)}}, cache,
                          out.data() + first * out_width);
        }
        return out;
    }
};

TEST_P(HeadLinear, EqualsThePlainSums) {
    const std::vector<float> exact = run(2, true, false), fast = run(2, false, false);
    for (int64_t t = 0; t < kTokens; t++)
        for (int64_t head = 0; head < c.n_heads; head++) {
            const float* x = numbers.data() + t * width + head * (c.k + c.n_kept);
            const int64_t place = t * out_width + head * (c.n + c.n_kept);
            for (int64_t i = 0; i < c.n; i++) {
                double sum = 0, size = 0;
                for (int64_t j = 0; j < c.k; j++) {
                    const double product =
                        double{x[j]} * double{weights[static_cast<size_t>((head * c.n + i) * c.k + j)]};
                    sum += product;
                    size += product * product;
                }
                const size_t at = static_cast<size_t>(place + i);
                ASSERT_NEAR(exact[at], sum, 1e-5 * std::sqrt(size) + 1e-6)
                    << "token " << t << " head " << head;
                ASSERT_NEAR(fast[at], sum, 0.05 * std::sqrt(size) + 1e-6)
                    << "token " << t << " head " << head;
            }
            for (int64_t i = 0; i < c.n_kept; i++)
                ASSERT_EQ(exact[static_cast<size_t>(place + c.n + i)], x[c.k + i]);
        }
}

TEST_P(HeadLinear, BitsDoNotDependOnThreadsOrRows) {
    for (const bool exact : {false, true}) {
        const std::vector<float> reference = run(1, exact, false);
        EXPECT_EQ(run(3, exact, false), reference);
        EXPECT_EQ(run(2, exact, true), reference);
    }
}

INSTANTIATE_TEST_SUITE_P(Cases, HeadLinear,
                         testing::Values(Case{"f32", Format::f32, 24, 40, 3, 9},
                                         Case{"f32_whole_heads", Format::f32, 37, 16, 5, 0},
                                         Case{"q8_0", Format::q8_0, 96, 64, 20, 32},
                                         Case{"q8_0_few_rows", Format::q8_0, 64, 7, 2, 0}),
                         [](const auto& parameter) { return parameter.param.name; });

}  // namespace
}  // namespace agave::cpu
