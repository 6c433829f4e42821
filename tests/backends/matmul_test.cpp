#include <gtest/gtest.h>

#include <algorithm>
#include <bit>
#include <cmath>
#include <string>

#include "backends/cpu/activation_row.h"
#include "backends/cpu/kernels.h"
#include "base/error.h"
#include "matmul_case.h"

namespace agave::cpu {
namespace {

std::string level_name(CpuLevel level) {
    std::string name = cpu_level_name(level);
    for (char& c : name)
        if (c == '-') c = '_';
    return name;
}

AlignedBytes quantized(const Kernels& kernels, Activation activation, const MatmulCase& c) {
    const size_t row_bytes = activation_row_bytes(activation, c.k);
    AlignedBytes rows(row_bytes * static_cast<size_t>(c.n_rows));
    for (int r = 0; r < c.n_rows; ++r)
        kernels.quantize_row(activation, c.x.data() + r * c.k, c.k,
                             rows.data() + static_cast<size_t>(r) * row_bytes);
    return rows;
}

/// What one row of activations holds, as numbers.
std::vector<double> activation_values(Activation activation, const std::byte* row, int64_t k) {
    std::vector<double> out(static_cast<size_t>(k));
    for (int64_t i = 0; i < k; ++i) {
        double& v = out[static_cast<size_t>(i)];
        switch (activation) {
            case Activation::float32:
                v = static_cast<double>(typed<float>(row)[i]);
                break;
            case Activation::bfloat16:
                v = static_cast<double>(bfloat16_to_float(typed<uint16_t>(row)[i]));
                break;
            case Activation::int8_block32: {
                const Block32Row<const std::byte> b{row, k};
                v = static_cast<double>(b.quants()[i]) * static_cast<double>(b.scales()[i / 32]);
                break;
            }
            case Activation::int8_block256: {
                const Block256Row<const std::byte> b{row, k};
                v = static_cast<double>(b.quants()[i]) * static_cast<double>(b.scales()[i / 256]);
                break;
            }
        }
    }
    return out;
}

struct Run {
    const Kernels& kernels;
    const MatmulCase& c;
    Activation activation;
    const std::byte* rows;

    /// Output rows [first, first + n) for the weight rows [begin, end), into `out` [n][n_weights].
    void operator()(int first, int n, int64_t begin, int64_t end, float* out, bool accumulate = false) const {
        const AlignedBytes scratch(matmul_scratch_bytes(c.k));
        // Garbage in the scratch must not matter.
        std::memset(scratch.data(), 0x7F, scratch.size());
        kernels.matmul({c.matrix(), begin, end, activation,
                        rows + static_cast<size_t>(first) * activation_row_bytes(activation, c.k), n, out,
                        c.n_weights, accumulate, scratch.data()});
    }
};

void expect_equal_bits(const std::vector<float>& a, const std::vector<float>& b, const char* what) {
    ASSERT_EQ(a.size(), b.size());
    for (size_t i = 0; i < a.size(); ++i)
        ASSERT_EQ(std::bit_cast<uint32_t>(a[i]), std::bit_cast<uint32_t>(b[i]))
            << what << " at " << i << ": " << a[i] << " and " << b[i];
}

/// Every output against the double sum of decoded weights x stored activations; returns all outputs.
std::vector<float> check_values(const Run& run) {
    const MatmulCase& c = run.c;
    std::vector<float> out(static_cast<size_t>(c.n_rows * c.n_weights));
    run(0, c.n_rows, 0, c.n_weights, out.data());
    std::vector<float> w(static_cast<size_t>(c.k));
    std::vector<std::vector<double>> x;
    for (int r = 0; r < c.n_rows; ++r)
        x.push_back(activation_values(
            run.activation, run.rows + static_cast<size_t>(r) * activation_row_bytes(run.activation, c.k),
            c.k));
    for (int64_t n = 0; n < c.n_weights; ++n) {
        format_info(c.format).decode(c.weights.data() + static_cast<size_t>(n) * c.row_bytes, w.data(), c.k);
        for (int r = 0; r < c.n_rows; ++r) {
            double sum = 0, magnitude = 0;
            for (size_t i = 0; i < w.size(); ++i) {
                const double term = static_cast<double>(w[i]) * x[static_cast<size_t>(r)][i];
                sum += term;
                magnitude += std::abs(term);
            }
            const double got = static_cast<double>(out[static_cast<size_t>(r * c.n_weights + n)]);
            // Formats with mins add scale * sum q and min * sum, which may be larger than what is left of
            // them.
            if (std::abs(got - sum) > magnitude * 3e-6 + 1e-6) {
                ADD_FAILURE() << "row " << r << ", weight row " << n << ": " << got << ", expected " << sum;
                return out;
            }
        }
    }
    return out;
}

/// The law of batch invariance, and accumulation.
void check_bits(const Run& run, const std::vector<float>& all) {
    const MatmulCase& c = run.c;
    std::vector<float> out(all.size());
    const size_t row = static_cast<size_t>(c.n_weights);
    for (int r = 0; r < c.n_rows; ++r) run(r, 1, 0, c.n_weights, out.data() + static_cast<size_t>(r) * row);
    expect_equal_bits(all, out, "rows one by one");
    std::fill(out.begin(), out.end(), 0.0f);
    for (int64_t begin = 0; begin < c.n_weights; begin += kPanelRows)
        run(0, c.n_rows, begin, std::min(begin + kPanelRows, c.n_weights), out.data());
    expect_equal_bits(all, out, "panels one by one");
    std::vector<float> sum(all.size()), expected(all.size());
    for (size_t i = 0; i < all.size(); ++i) {
        sum[i] = static_cast<float>(i % 17);
        expected[i] = sum[i] + all[i];
    }
    run(0, c.n_rows, 0, c.n_weights, sum.data(), true);
    expect_equal_bits(expected, sum, "accumulated");
}

void check(const Kernels& kernels, Activation activation, const MatmulCase& c) {
    SCOPED_TRACE(strprintf("%s, %d weight rows, k %d, %d rows, activation %d", format_info(c.format).name,
                           static_cast<int>(c.n_weights), static_cast<int>(c.k), c.n_rows,
                           static_cast<int>(activation)));
    const AlignedBytes rows = quantized(kernels, activation, c);
    const Run run{kernels, c, activation, rows.data()};
    check_bits(run, check_values(run));
}

class Matmul : public testing::TestWithParam<CpuLevel> {};

TEST_P(Matmul, EveryFormatAndShape) {
    const Kernels& table = kernels(GetParam());
    uint32_t seed = 1;
    for (const FormatInfo& info : formats()) {
        const Activation fast = table.activation_for(info.format);
        const int64_t unit = info.block_elements > 1 ? info.block_elements : 1;
        std::vector<int64_t> ks;
        const bool slow = unit > 1 && fast == Activation::float32;
        if (unit == 1) ks = {1, 16, 40, 257};
        if (unit == 32) ks = {32, 96, 576};
        if (unit > 32) ks = {unit, 3 * unit};
        for (int64_t k : ks)
            for (int64_t n_weights : {1, 15, 16, 17, 40})
                for (int n_rows : {1, 2, 3, 5, 8, 12, 13, 33}) {
                    // The exact path decodes every such format the same way: a few shapes are enough.
                    if (slow && (n_weights + n_rows) % 5 != 0) continue;
                    // The full product of shapes is not worth its time: each pair of neighbours is enough.
                    if ((k + n_weights + n_rows) % 3 != 0 && n_weights != 17 && n_rows != 33) continue;
                    const MatmulCase c(info.format, n_weights, k, n_rows, seed++);
                    check(table, fast, c);
                    if (fast != Activation::float32 && n_weights != 40) check(table, Activation::float32, c);
                    if (HasFailure()) return;
                }
    }
}

TEST_P(Matmul, LongRowsTakeSeveralStripsAndGroups) {
    const Kernels& table = kernels(GetParam());
    for (Format format : {Format::q4_0, Format::q4_1, Format::q8_0, Format::q2_k, Format::q6_k, Format::mxfp4,
                          Format::iq4_nl, Format::iq4_xs, Format::bf16, Format::nvfp4, Format::q1_0,
                          Format::q2_0, Format::tq1_0, Format::iq1_m, Format::iq2_xxs, Format::iq3_s})
        for (int n_rows : {1, 3, 37}) {
            check(table, table.activation_for(format), MatmulCase(format, 72, 4352, n_rows));
            if (HasFailure()) return;
        }
}

TEST_P(Matmul, ExtremeBlocksStayExact) {
    const Kernels& table = kernels(GetParam());
    for (Format format : {Format::q4_0,    Format::q4_1,   Format::q5_0,   Format::q5_1,    Format::q8_0,
                          Format::q2_k,    Format::q3_k,   Format::q4_k,   Format::q5_k,    Format::q6_k,
                          Format::mxfp4,   Format::iq4_nl, Format::iq4_xs, Format::q1_0,    Format::q2_0,
                          Format::tq1_0,   Format::tq2_0,  Format::nvfp4,  Format::iq1_s,   Format::iq1_m,
                          Format::iq2_xxs, Format::iq2_xs, Format::iq2_s,  Format::iq3_xxs, Format::iq3_s})
        for (int fill : {0x00, 0x80, 0x7F, 0xFF}) {
            MatmulCase c(format, 16, 512, 14);
            const FormatInfo& info = format_info(format);
            const HalfOffsets halves = half_offsets(format);
            std::memset(c.weights.data(), fill, c.weights.size());
            const uint16_t one = float_to_half(0.5f);
            for (size_t b = 0; b < c.weights.size(); b += info.block_bytes) {
                // MXFP4: 2^-1. NVFP4 and IQ1_M have no byte that would make their scales infinite.
                if (format == Format::mxfp4) c.weights.data()[b] = std::byte{126};
                if (halves.first >= 0) std::memcpy(c.weights.data() + b + halves.first, &one, 2);
                if (halves.second >= 0) std::memcpy(c.weights.data() + b + halves.second, &one, 2);
            }
            for (size_t i = 0; i < c.x.size(); ++i) c.x[i] = i / 512 % 2 ? 3.0f : i % 3 ? -3.0f : 3.0f;
            check(table, table.activation_for(format), c);
            if (HasFailure()) return;
        }
}

TEST_P(Matmul, QuantizedRowsAreCloseAndTheirSumsRight) {
    const Kernels& table = kernels(GetParam());
    for (Activation activation : {Activation::int8_block32, Activation::int8_block256}) {
        MatmulCase c(Format::f32, 1, 1024, 4);
        std::fill_n(c.x.begin(), 256, 0.0f);
        std::fill_n(c.x.begin() + 256, 256, 1e-38f);
        c.x[700] = 1e30f;
        const AlignedBytes rows = quantized(table, activation, c);
        const size_t row_bytes = activation_row_bytes(activation, c.k);
        ASSERT_EQ(row_bytes % 64, 0u);
        for (int r = 0; r < c.n_rows; ++r) {
            const std::byte* row = rows.data() + static_cast<size_t>(r) * row_bytes;
            const std::vector<double> got = activation_values(activation, row, c.k);
            const int block = activation == Activation::int8_block32 ? 32 : 256;
            for (int64_t i = 0; i < c.k; ++i) {
                double highest = 0;
                for (int64_t j = i / block * block; j < i / block * block + block; ++j)
                    highest = std::max(highest,
                                       std::abs(static_cast<double>(c.x[static_cast<size_t>(r * c.k + j)])));
                ASSERT_LE(std::abs(got[static_cast<size_t>(i)] -
                                   static_cast<double>(c.x[static_cast<size_t>(r * c.k + i)])),
                          highest / 254 * (activation == Activation::int8_block32 ? 1.5 : 1.0001) + 1e-37);
            }
            for (int64_t b = 0; b < c.k / 16; ++b) {
                int sum16 = 0, sum32 = 0;
                const int8_t* q = typed<int8_t>(row);
                for (int64_t i = b * 16; i < b * 16 + 16; ++i) sum16 += q[i];
                for (int64_t i = b / 2 * 32; i < b / 2 * 32 + 32; ++i) sum32 += q[i];
                if (activation == Activation::int8_block32) {
                    const Block32Row<const std::byte> row32{row, c.k};
                    ASSERT_EQ(row32.sums()[b / 2], sum32);
                    ASSERT_EQ(row32.scaled_sums()[b / 2], row32.scales()[b / 2] * static_cast<float>(sum32));
                } else {
                    const Block256Row<const std::byte> row256{row, c.k};
                    ASSERT_EQ(row256.sums16()[b], sum16);
                    ASSERT_EQ(row256.sums32()[b / 2], sum32);
                }
            }
        }
    }
}

TEST_P(Matmul, FittedScalesBeatTheHighestNumbers) {
    const Kernels& table = kernels(GetParam());
    const MatmulCase c(Format::f32, 1, 992, 40);
    const AlignedBytes rows = quantized(table, Activation::int8_block32, c);
    double fitted = 0, plain = 0;
    for (int r = 0; r < c.n_rows; ++r) {
        const std::vector<double> got = activation_values(
            Activation::int8_block32,
            rows.data() + static_cast<size_t>(r) * activation_row_bytes(Activation::int8_block32, c.k), c.k);
        const float* x = c.x.data() + r * c.k;
        for (int64_t b = 0; b < c.k; b += 32) {
            double highest = 0;
            for (int64_t i = b; i < b + 32; ++i)
                highest = std::max(highest, std::abs(static_cast<double>(x[i])));
            for (int64_t i = b; i < b + 32; ++i) {
                const double v = static_cast<double>(x[i]), step = highest / 127;
                fitted += std::pow(got[static_cast<size_t>(i)] - v, 2);
                plain += std::pow(std::nearbyint(v / step) * step - v, 2);
            }
        }
    }
    EXPECT_LT(std::sqrt(fitted / plain), 0.94);
}

INSTANTIATE_TEST_SUITE_P(Levels, Matmul, testing::ValuesIn(available_levels()),
                         [](const auto& level) { return level_name(level.param); });

}  // namespace
}  // namespace agave::cpu
