#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "backends/cpu/kernels.h"

namespace agave::cpu {
namespace {

std::vector<float> numbers(size_t n, float sigma, unsigned seed) {
    std::mt19937 random(seed);
    std::normal_distribution<float> normal(0.0f, sigma);
    std::vector<float> out(n);
    for (float& x : out) x = normal(random);
    return out;
}

/// |got - expected| in units of the last place of the expected float.
double ulps(float got, double expected) {
    const float nearest = std::abs(static_cast<float>(expected));
    const double unit = std::nextafter(nearest, std::numeric_limits<float>::infinity()) - nearest;
    return std::abs(double{got} - expected) / unit;
}

/// A number from far below 0 to far above, dense near 0, then a few marks.
std::vector<float> sweep() {
    std::vector<float> out;
    for (float x = 1e-6f; x < 80.0f; x *= 1.003f) {
        out.push_back(x);
        out.push_back(-x);
    }
    for (const float mark : {0.0f, 0.625f, -0.625f, 87.0f, -87.0f, 1.0f, -1.0f}) out.push_back(mark);
    return out;
}

class RowKernels : public testing::TestWithParam<CpuLevel> {
  protected:
    const Kernels& kernels_ = kernels(GetParam());
};

TEST_P(RowKernels, RmsNorm) {
    for (const int n : {1, 8, 15, 16, 17, 63, 64, 65, 100, 576, 1151}) {
        for (const bool weighted : {true, false}) {
            const std::vector<float> x = numbers(static_cast<size_t>(n), 5.0f, 1),
                                     w = numbers(x.size(), 1.0f, 2);
            std::vector<float> out(x.size(), 0.0f), in_place = x;
            const float* weight = weighted ? w.data() : nullptr;
            kernels_.rms_norm(x.data(), weight, 1e-6f, n, out.data());
            kernels_.rms_norm(in_place.data(), weight, 1e-6f, n, in_place.data());
            EXPECT_EQ(out, in_place);
            double sum = 0;
            for (const float value : x) sum += double{value} * value;
            const double scale = 1.0 / std::sqrt(sum / n + 1e-6);
            for (size_t i = 0; i < x.size(); ++i)
                ASSERT_LE(ulps(out[i], x[i] * scale * (weighted ? w[i] : 1.0f)), 4.0) << n << ", " << i;
        }
    }
}

TEST_P(RowKernels, Rope) {
    for (const bool halves : {true, false}) {
        for (const int n_pairs : {4, 8, 15, 16, 20, 32, 40, 64}) {
            const int head_dim = 2 * n_pairs + (n_pairs % 8 ? 6 : 0), n_heads = 3;
            std::vector<float> x = numbers(static_cast<size_t>(n_heads * head_dim), 1.0f, 3), cosines, sines;
            for (int i = 0; i < n_pairs; ++i) {
                cosines.push_back(std::cos(0.7f * static_cast<float>(i) + 0.3f));
                sines.push_back(std::sin(0.7f * static_cast<float>(i) + 0.3f));
            }
            const std::vector<float> before = x;
            kernels_.rope(x.data(), n_heads, head_dim, n_pairs, halves, cosines.data(), sines.data());
            for (int head = 0; head < n_heads; ++head) {
                const float* was = &before[static_cast<size_t>(head * head_dim)];
                const float* is = &x[static_cast<size_t>(head * head_dim)];
                for (int i = 0; i < n_pairs; ++i) {
                    const int a = halves ? i : 2 * i, b = halves ? i + n_pairs : 2 * i + 1;
                    const double c = cosines[static_cast<size_t>(i)], s = sines[static_cast<size_t>(i)];
                    ASSERT_NEAR(is[a], was[a] * c - was[b] * s, 1e-6);
                    ASSERT_NEAR(is[b], was[b] * c + was[a] * s, 1e-6);
                }
                for (int i = 2 * n_pairs; i < head_dim; ++i) ASSERT_EQ(is[i], was[i]);
            }
        }
    }
}

TEST_P(RowKernels, SiluGate) {
    const std::vector<float> gate = sweep(), up = numbers(gate.size(), 1.0f, 4);
    std::vector<float> out(gate.size());
    kernels_.silu_gate(gate.data(), up.data(), static_cast<int64_t>(gate.size()), out.data());
    for (size_t i = 0; i < gate.size(); ++i) {
        const double x = gate[i];
        ASSERT_LE(ulps(out[i], x / (1 + std::exp(-x)) * double{up[i]}), 5.0) << x;
    }
}

TEST_P(RowKernels, GeluGate) {
    const std::vector<float> gate = sweep(), up = numbers(gate.size(), 1.0f, 5);
    std::vector<float> out(gate.size());
    kernels_.gelu_gate(gate.data(), up.data(), static_cast<int64_t>(gate.size()), out.data());
    for (size_t i = 0; i < gate.size(); ++i) {
        const double x = gate[i];
        const double y = std::sqrt(2 / std::acos(-1.0)) * (x + 0.044715 * x * x * x);
        const double expected = x / (1 + std::exp(-2 * y)) * double{up[i]};
        // The rounding of y is an absolute error of the exponent, so the relative error grows with |y|.
        ASSERT_NEAR(out[i], expected, 1e-35 + std::abs(expected) * 6e-7 * (1 + std::min(std::abs(y), 44.0)))
            << x;
    }
}

TEST_P(RowKernels, SquaredRelu) {
    std::vector<float> x = sweep();
    const std::vector<float> before = x;
    kernels_.squared_relu(x.data(), static_cast<int64_t>(x.size()));
    for (size_t i = 0; i < x.size(); ++i) {
        const float positive = before[i] > 0 ? before[i] : 0.0f;
        ASSERT_EQ(x[i], positive * positive) << before[i];
    }
}

TEST_P(RowKernels, Softcap) {
    for (const float cap : {1.0f, 30.0f, 50.0f}) {
        std::vector<float> x = sweep();
        for (float& value : x) value *= cap;
        const std::vector<float> before = x;
        kernels_.softcap(x.data(), static_cast<int64_t>(x.size()), cap);
        for (size_t i = 0; i < x.size(); ++i)
            ASSERT_LE(ulps(x[i], cap * std::tanh(double{before[i]} / cap)), 4.0) << before[i] << ", " << cap;
    }
}

TEST_P(RowKernels, Add) {
    const std::vector<float> x = numbers(77, 1.0f, 6), before = numbers(77, 1.0f, 7);
    std::vector<float> out = before;
    kernels_.add(x.data(), 77, out.data());
    for (size_t i = 0; i < x.size(); ++i) ASSERT_EQ(out[i], x[i] + before[i]);
}

TEST_P(RowKernels, ResultsDoNotDependOnThePlaceInARow) {
    const std::vector<float> gate = sweep(), up = numbers(gate.size(), 1.0f, 8);
    std::vector<float> whole(gate.size()), alone(gate.size());
    for (const auto kernel : {kernels_.silu_gate, kernels_.gelu_gate}) {
        kernel(gate.data(), up.data(), static_cast<int64_t>(gate.size()), whole.data());
        for (size_t i = 0; i < gate.size(); ++i) kernel(&gate[i], &up[i], 1, &alone[i]);
        ASSERT_EQ(whole, alone);
    }
}

/// The convolution of a sequence in pieces of any length against a sum in double precision; the bits do not
/// depend on the pieces or on the range of columns.
TEST_P(RowKernels, Convolve) {
    for (const int kernel : {1, 2, 3, 4, 5, 16})
        for (const int columns : {1, 16, 40, 67})
            for (const bool plain : {true, false}) {
                constexpr int kRows = 23;
                const size_t width = static_cast<size_t>(columns);
                const std::vector<float> x = numbers(kRows * width, 1.0f, 11),
                                         weight = numbers(width * static_cast<size_t>(kernel), 0.5f, 12),
                                         bias = numbers(width, 0.5f, 13);
                const auto run = [&](std::vector<int> pieces, int64_t split, bool in_place) {
                    std::vector<float> state(width * static_cast<size_t>(kernel - 1)), out = x;
                    int64_t row = 0;
                    for (const int piece : pieces) {
                        ConvolveTask task{.weight = weight.data(),
                                          .bias = plain ? nullptr : bias.data(),
                                          .kernel = kernel,
                                          .silu = !plain,
                                          .n_columns = columns,
                                          .begin = 0,
                                          .end = split,
                                          .state = state.data(),
                                          .n_rows = piece,
                                          .x = (in_place ? out : x).data() + row * columns,
                                          .x_stride = columns,
                                          .out = out.data() + row * columns,
                                          .out_stride = columns};
                        kernels_.convolve(task);
                        task.begin = split;
                        task.end = columns;
                        kernels_.convolve(task);
                        row += piece;
                    }
                    return out;
                };
                const std::vector<float> whole = run({kRows}, columns, false);
                for (size_t i = 0; i < whole.size(); ++i) {
                    const int row = static_cast<int>(i / width);
                    const size_t column = i % width;
                    double sum = plain ? 0.0 : bias[column], size = std::abs(sum);
                    for (int j = std::max(0, kernel - 1 - row); j < kernel; ++j) {
                        const double product =
                            double{weight[column * static_cast<size_t>(kernel) + static_cast<size_t>(j)]} *
                            x[static_cast<size_t>(row - kernel + 1 + j) * width + column];
                        sum += product;
                        size += std::abs(product);
                    }
                    const double expected = plain ? sum : sum / (1 + std::exp(-sum));
                    ASSERT_NEAR(whole[i], expected, 1e-6 * (1 + size)) << kernel << ", " << i;
                }
                EXPECT_EQ(run({kRows}, columns, true), whole);
                EXPECT_EQ(run({1, 1, 5, 2, 14}, columns / 2, true), whole);
            }
}

std::string level_name(const testing::TestParamInfo<CpuLevel>& info) {
    std::string name = cpu_level_name(info.param);
    std::replace(name.begin(), name.end(), '-', '_');
    return name;
}

INSTANTIATE_TEST_SUITE_P(Cpu, RowKernels, testing::ValuesIn(available_levels()), level_name);

}  // namespace
}  // namespace agave::cpu
