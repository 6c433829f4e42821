#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <string>
#include <vector>

#include "backends/cpu/kernels.h"

namespace agave::cpu {
namespace {

/// One head's inputs, and what the gated delta rule makes of them token by token in double precision.
struct Head {
    int key_dim, value_dim, n_rows;
    std::vector<float> q, k, v, g, beta;  ///< rows of q, k and v lie stride() apart
    std::vector<double> out, state;       ///< [n_rows, value_dim], [key_dim, value_dim]

    int64_t stride() const { return std::max(key_dim, value_dim) + 3; }
    int64_t state_stride() const { return (value_dim + 15) / 16 * 16; }
    size_t state_size() const { return static_cast<size_t>((key_dim + 3) / 4 * 4 * state_stride()); }
};

constexpr float kEpsilon = 1e-6f;

std::vector<double> normalized(const float* x, int n, double factor) {
    double squares = kEpsilon;
    for (int i = 0; i < n; ++i) squares += double{x[i]} * x[i];
    std::vector<double> out;
    for (int i = 0; i < n; ++i) out.push_back(x[i] * factor / std::sqrt(squares));
    return out;
}

/// `decay` is the mean of -g: near 0 the state remembers long, at 20 it forgets at once.
Head make_head(int key_dim, int value_dim, int n_rows, float decay) {
    Head head{key_dim, value_dim, n_rows, {}, {}, {}, {}, {}, {}, {}};
    std::mt19937 random(static_cast<unsigned>(key_dim + value_dim * 7 + n_rows));
    std::normal_distribution<float> normal(0.0f, 1.0f);
    std::uniform_real_distribution<float> uniform(0.0f, 1.0f);
    const size_t rows = static_cast<size_t>(n_rows), dk = static_cast<size_t>(key_dim),
                 dv = static_cast<size_t>(value_dim), stride = static_cast<size_t>(head.stride());
    for (std::vector<float>* matrix : {&head.q, &head.k, &head.v}) {
        matrix->resize(rows * stride);
        for (float& x : *matrix) x = normal(random);
    }
    for (size_t r = 0; r < rows; ++r) {
        head.g.push_back(-2 * decay * uniform(random));
        head.beta.push_back(uniform(random));
    }
    head.state.assign(dk * dv, 0.0);
    for (size_t r = 0; r < rows; ++r) {
        const auto q = normalized(&head.q[r * stride], key_dim, 1 / std::sqrt(double(key_dim)));
        const auto k = normalized(&head.k[r * stride], key_dim, 1.0);
        for (double& s : head.state) s *= std::exp(double{head.g[r]});
        for (size_t j = 0; j < dv; ++j) {
            double delta = head.v[r * stride + j], sum = 0;
            for (size_t i = 0; i < dk; ++i) delta -= head.state[i * dv + j] * k[i];
            delta *= head.beta[r];
            for (size_t i = 0; i < dk; ++i) sum += (head.state[i * dv + j] += k[i] * delta) * q[i];
            head.out.push_back(sum);
        }
    }
    return head;
}

struct Result {
    std::vector<float> out, state;
    bool operator==(const Result&) const = default;
};

class DeltaNet : public testing::TestWithParam<CpuLevel> {
  protected:
    /// The rows in tasks of the given lengths, the first at `first_position`.
    Result run(const Head& head, const std::vector<int>& pieces, int64_t first_position = 0) const {
        const size_t dv = static_cast<size_t>(head.value_dim);
        Result result{std::vector<float>(static_cast<size_t>(head.n_rows) * dv, NAN),
                      std::vector<float>(head.state_size())};
        // NaN where nothing may be read before it is written.
        std::vector<float> scratch(delta_net_scratch_bytes(head.key_dim) / sizeof(float) + 16, NAN);
        float* aligned = scratch.data() + 16 - reinterpret_cast<uintptr_t>(scratch.data()) / 4 % 16;
        int64_t row = 0;
        for (const int piece : pieces) {
            const int64_t place = row * head.stride();
            kernels(GetParam())
                .delta_net({.state = result.state.data(),
                            .key_dim = head.key_dim,
                            .value_dim = head.value_dim,
                            .first_position = first_position + row,
                            .n_rows = piece,
                            .q = head.q.data() + place,
                            .k = head.k.data() + place,
                            .v = head.v.data() + place,
                            .stride = head.stride(),
                            .g = head.g.data() + row,
                            .beta = head.beta.data() + row,
                            .query_scale = 1 / std::sqrt(static_cast<float>(head.key_dim)),
                            .epsilon = kEpsilon,
                            .out = result.out.data() + row * head.value_dim,
                            .out_stride = head.value_dim},
                           reinterpret_cast<std::byte*>(aligned));
            row += piece;
        }
        EXPECT_EQ(row, head.n_rows);
        return result;
    }

    static void expect_near(const Head& head, const Result& result, const char* what) {
        double worst = 0;
        for (size_t i = 0; i < head.out.size(); ++i)
            worst = std::max(worst, std::abs(result.out[i] - head.out[i]));
        for (int i = 0; i < head.key_dim; ++i)
            for (int j = 0; j < head.value_dim; ++j)
                worst =
                    std::max(worst, std::abs(result.state[static_cast<size_t>(i * head.state_stride() + j)] -
                                             head.state[static_cast<size_t>(i * head.value_dim + j)]));
        EXPECT_LE(worst, 1e-5) << what << ", " << head.key_dim << " by " << head.value_dim << ", "
                               << head.n_rows << " rows";
    }
};

TEST_P(DeltaNet, BothFormsAreTheRecurrence) {
    struct Shape {
        int key_dim, value_dim, n_rows;
    };
    for (const Shape shape : {Shape{128, 128, 150}, Shape{64, 64, 64}, Shape{16, 32, 33}, Shape{24, 80, 65},
                              Shape{10, 17, 70}, Shape{1, 1, 40}, Shape{30, 144, 97}})
        for (const float decay : {0.001f, 0.1f, 2.0f, 30.0f}) {
            const Head head = make_head(shape.key_dim, shape.value_dim, shape.n_rows, decay);
            expect_near(head, run(head, {shape.n_rows}), "chunks");
            expect_near(head, run(head, std::vector<int>(static_cast<size_t>(shape.n_rows), 1)), "rows");
            expect_near(head, run(head, {20, 1, 3, shape.n_rows - 24}, 1000), "pieces");
        }
}

/// Pieces cut at absolute multiples of the scan chunk give the same bits.
TEST_P(DeltaNet, CutsAtChunksDoNotShow) {
    const Head head = make_head(64, 64, 3 * kScanChunk + 1, 0.1f);
    const Result whole = run(head, {head.n_rows});
    EXPECT_EQ(run(head, {kScanChunk, 2 * kScanChunk, 1}), whole);
    EXPECT_EQ(run(head, {kScanChunk, kScanChunk, kScanChunk, 1}), whole);
    const Result late = run(head, {head.n_rows}, 5 * kScanChunk - 10);
    EXPECT_EQ(run(head, {10, kScanChunk, head.n_rows - kScanChunk - 10}, 5 * kScanChunk - 10), late);
}

/// What follows in a chunk does not change the rows before it.
TEST_P(DeltaNet, LaterRowsDoNotShow) {
    Head head = make_head(32, 48, 30, 0.5f);
    const std::vector<float> whole = run(head, {30}).out;
    for (const int n : {2, 3, 15, 16, 17, 29}) {
        head.n_rows = n;
        const std::vector<float> part = run(head, {n}).out;
        EXPECT_TRUE(std::equal(part.begin(), part.end(), whole.begin())) << n;
    }
}

std::string level_name(const testing::TestParamInfo<CpuLevel>& info) {
    std::string name = cpu_level_name(info.param);
    std::replace(name.begin(), name.end(), '-', '_');
    return name;
}

INSTANTIATE_TEST_SUITE_P(Cpu, DeltaNet, testing::ValuesIn(available_levels()), level_name);

}  // namespace
}  // namespace agave::cpu
