#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <random>

#include "backends/cpu/kernels.h"

namespace agave::cpu {
namespace {

struct Shape {
    const char* name;
    int n_heads, head_dim, state_size;
    float dt_scale, a_scale;
};

/// The inputs of one group's heads over a number of positions.
struct Inputs {
    Shape shape;
    int n_rows;
    int64_t stride;
    std::vector<float> rows;  ///< [n_rows, stride]: x | B | C
    std::vector<float> dt;    ///< [n_rows, n_heads]
    std::vector<float> a, d;

    Inputs(const Shape& s, int n) : shape(s), n_rows(n) {
        std::mt19937 random(11);
        std::normal_distribution<float> normal;
        std::uniform_real_distribution<float> uniform(0.001f, 1.0f);
        stride = s.n_heads * s.head_dim + 2 * s.state_size + 3;
        for (int64_t i = 0; i < n * stride; i++) rows.push_back(normal(random));
        for (int i = 0; i < n * s.n_heads; i++) dt.push_back(s.dt_scale * uniform(random));
        for (int h = 0; h < s.n_heads; h++) {
            a.push_back(-s.a_scale * uniform(random));
            d.push_back(normal(random));
        }
    }
    size_t n_state() const {
        return static_cast<size_t>(shape.n_heads * shape.state_size * scan_lanes(shape.head_dim));
    }
};

/// The recurrence in double precision.
std::vector<double> reference(const Inputs& in) {
    const Shape& s = in.shape;
    std::vector<double> out, state(static_cast<size_t>(s.n_heads * s.head_dim * s.state_size), 0.0);
    for (int r = 0; r < in.n_rows; r++) {
        const float* row = in.rows.data() + r * in.stride;
        const float *b = row + s.n_heads * s.head_dim, *c = b + s.state_size;
        for (int h = 0; h < s.n_heads; h++) {
            const double dt = in.dt[static_cast<size_t>(r * s.n_heads + h)];
            const double decay = std::exp(dt * in.a[static_cast<size_t>(h)]);
            for (int p = 0; p < s.head_dim; p++) {
                const double x = row[h * s.head_dim + p];
                double* entries = state.data() + (h * s.head_dim + p) * s.state_size;
                double y = x * in.d[static_cast<size_t>(h)];
                for (int n = 0; n < s.state_size; n++) {
                    entries[n] = entries[n] * decay + double{b[n]} * x * dt;
                    y += entries[n] * c[n];
                }
                out.push_back(y);
            }
        }
    }
    return out;
}

/// What the kernel gives for the heads [begin, end), in pieces of at most `piece` rows that do not reach over
/// multiples of the chunk.
std::vector<float> scan(const Kernels& kernels, const Inputs& in, int piece, int begin, int end) {
    const Shape& s = in.shape;
    const int width = s.n_heads * s.head_dim;
    std::vector<float> state(in.n_state(), 0.0f), out(static_cast<size_t>(in.n_rows * width), 0.0f);
    std::vector<float> scratch(static_cast<size_t>(scan_scratch_floats(s.head_dim, s.state_size)),
                               std::nanf(""));
    for (int first = 0; first < in.n_rows;) {
        const int n = std::min({piece, in.n_rows - first, kScanChunk - first % kScanChunk});
        std::vector<float> dt(static_cast<size_t>((end - begin) * kScanChunk), std::nanf(""));
        for (int h = begin; h < end; h++)
            for (int r = 0; r < n; r++)
                dt[static_cast<size_t>((h - begin) * kScanChunk + r)] =
                    in.dt[static_cast<size_t>((first + r) * s.n_heads + h)];
        const float* row = in.rows.data() + first * in.stride;
        kernels.selective_scan({.n_heads = end - begin,
                                .head_dim = s.head_dim,
                                .state_size = s.state_size,
                                .n_rows = n,
                                .x = row + begin * s.head_dim,
                                .b = row + width,
                                .c = row + width + s.state_size,
                                .stride = in.stride,
                                .dt = dt.data(),
                                .a = in.a.data() + begin,
                                .d = in.d.data() + begin,
                                .state = state.data() + begin * s.state_size * scan_lanes(s.head_dim),
                                .out = out.data() + first * width + begin * s.head_dim,
                                .out_stride = width,
                                .scratch = scratch.data()});
        first += n;
    }
    return out;
}

double worst_difference(const std::vector<float>& got, const std::vector<double>& expected) {
    double worst = 0, largest = 0;
    for (size_t i = 0; i < got.size(); i++) {
        const double difference = std::abs(got[i] - expected[i]);
        if (!(difference <= worst)) worst = difference;  // a NaN stays
        largest = std::max(largest, std::abs(expected[i]));
    }
    return worst / largest;
}

class SelectiveScan : public testing::TestWithParam<std::tuple<Shape, CpuLevel>> {
  protected:
    const Shape shape_ = std::get<0>(GetParam());
    const Kernels& kernels_ = kernels(std::get<1>(GetParam()));
};

/// The chunked form, the recurrence and any mixture of them give the sums of the definition.
TEST_P(SelectiveScan, EqualsTheRecurrence) {
    const Inputs in(shape_, 150);
    const std::vector<double> expected = reference(in);
    for (int piece : {1, 2, 5, 17, kScanChunk})
        EXPECT_LT(worst_difference(scan(kernels_, in, piece, 0, shape_.n_heads), expected), 2e-6)
            << "pieces of " << piece;
}

TEST_P(SelectiveScan, HeadsDoNotDependOnTheirCompany) {
    const Inputs in(shape_, 70);
    const std::vector<float> together = scan(kernels_, in, kScanChunk, 0, shape_.n_heads);
    for (int h = 0; h < shape_.n_heads; h++) {
        const std::vector<float> alone = scan(kernels_, in, kScanChunk, h, h + 1);
        for (int r = 0; r < in.n_rows; r++) {
            const int64_t place = (int64_t{r} * shape_.n_heads + h) * shape_.head_dim;
            ASSERT_EQ(std::memcmp(alone.data() + place, together.data() + place,
                                  static_cast<size_t>(shape_.head_dim) * sizeof(float)),
                      0)
                << "head " << h << ", row " << r;
        }
    }
}

INSTANTIATE_TEST_SUITE_P(
    Shapes, SelectiveScan,
    testing::Combine(testing::Values(Shape{"nano", 4, 16, 16, 1, 1}, Shape{"real", 2, 64, 128, 0.1f, 16},
                                     Shape{"odd", 3, 23, 19, 0.5f, 2}, Shape{"narrow", 5, 5, 3, 0.1f, 1},
                                     Shape{"wide", 1, 90, 64, 0.2f, 4},
                                     Shape{"long_memory", 2, 32, 32, 0.001f, 0.01f},
                                     Shape{"no_memory", 2, 32, 32, 30, 30}),
                     testing::ValuesIn(available_levels())),
    [](const auto& parameter) {
        std::string name = std::string(std::get<0>(parameter.param).name) + "_" +
                           cpu_level_name(std::get<1>(parameter.param));
        std::replace(name.begin(), name.end(), '-', '_');
        return name;
    });

}  // namespace
}  // namespace agave::cpu
