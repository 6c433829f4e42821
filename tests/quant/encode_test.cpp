// The encoders against the errors that llama.cpp's leave on the same rows, recorded by
// tools/quant/compare_errors.py --record.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <string>
#include <vector>

#include "base/numeric.h"
#include "quant/encode.h"

namespace agave {
namespace {

constexpr size_t kColumns = 512, kRows = 4;

/// encode.bin as float32.
std::vector<float> read_rows() {
    std::vector<float> numbers;
    std::FILE* file = std::fopen(AGAVE_TEST_DATA "/quant/encode.bin", "rb");
    if (!file) return numbers;
    uint16_t half;
    while (std::fread(&half, sizeof half, 1, file) == 1) numbers.push_back(half_to_float(half));
    std::fclose(file);
    return numbers;
}

std::vector<std::byte> encode(const FormatInfo& info, std::span<const float> row,
                              std::span<const float> importance) {
    std::vector<std::byte> blocks(row.size() / info.block_elements * info.block_bytes);
    encoder(info.format)(row, importance, blocks.data());
    return blocks;
}

std::vector<float> decode(const FormatInfo& info, const std::vector<std::byte>& blocks) {
    std::vector<float> weights(blocks.size() / info.block_bytes * info.block_elements);
    info.decode(blocks.data(), weights.data(), static_cast<int64_t>(weights.size()));
    return weights;
}

double mean_error(const FormatInfo& info, std::span<const float> rows, std::span<const float> importance) {
    double sum = 0;
    for (size_t at = 0; at < rows.size(); at += kColumns) {
        const std::span<const float> row = rows.subspan(at, kColumns);
        const std::vector<float> decoded = decode(info, encode(info, row, importance));
        for (size_t i = 0; i < kColumns; ++i) {
            const double off = static_cast<double>(row[i]) - static_cast<double>(decoded[i]);
            sum += off * off * (importance.empty() ? 1.0 : static_cast<double>(importance[i]));
        }
    }
    return sum / static_cast<double>(rows.size());
}

class Encode : public testing::TestWithParam<FormatInfo> {
  protected:
    const FormatInfo info = GetParam();
};

TEST_P(Encode, ErrorIsNotAboveLlamaCpps) {
    const std::vector<float> numbers = read_rows();
    ASSERT_GT(numbers.size(), kColumns);
    const std::span<const float> importance = std::span(numbers).first(kColumns);
    std::FILE* file = std::fopen(AGAVE_TEST_DATA "/quant/encode.txt", "r");
    ASSERT_NE(file, nullptr);
    char format[16], kind[64];
    double plain = 0, weighted = 0;
    size_t at = kColumns;
    int compared = 0;
    while (std::fscanf(file, "%15s %63s %lf %lf", format, kind, &plain, &weighted) == 4) {
        if (info.name != std::string(format)) continue;
        ASSERT_LE(at + kRows * kColumns, numbers.size());
        const std::span<const float> rows = std::span(numbers).subspan(at, kRows * kColumns);
        at += kRows * kColumns;
        ++compared;
        // Seven digits are recorded; errors near float32's own rounding are equal.
        double energy = 0;
        for (float x : rows) energy += static_cast<double>(x) * static_cast<double>(x);
        const double slack = 1e-13 * energy / static_cast<double>(rows.size());
        EXPECT_LE(mean_error(info, rows, {}), plain * 1.000001 + slack) << kind;
        EXPECT_LE(mean_error(info, rows, importance), weighted * 1.000001 + slack) << kind << ", weighted";
    }
    std::fclose(file);
    EXPECT_TRUE(compared >= 10 || info.format == Format::f32);
}

TEST_P(Encode, ZeroIsZero) {
    const std::vector<float> row(kColumns, 0.0f);
    for (float w : decode(info, encode(info, row, {}))) ASSERT_EQ(w, 0.0f);
}

/// Whatever finite numbers a file holds, and whatever importance, the result is finite.
TEST_P(Encode, AnyFiniteNumbers) {
    // F16 alone has neither a scale nor room.
    const bool bounded = info.format == Format::f16;
    const float scales[] = {1e-45f, 1e-39f, 1e-30f, 1e-8f, 1e-5f, 1.0f, 6e4f, 1e6f, 1e19f, 3e38f};
    for (const float scale : scales) {
        if (bounded && scale > 65504.0f) continue;
        std::vector<float> row(kColumns), importance(kColumns, 0.0f);
        for (size_t i = 0; i < kColumns; ++i) row[i] = scale * std::sin(static_cast<float>(i * i));
        for (size_t i = 0; i < kColumns; i += 3) importance[i] = scale;
        for (const std::span<const float> weights :
             {std::span<const float>{}, std::span<const float>(importance)})
            for (float w : decode(info, encode(info, row, weights))) ASSERT_TRUE(std::isfinite(w)) << scale;
    }
}

/// One weight among zeros keeps its place, its sign and, roughly, its size.
TEST_P(Encode, OneWeightAmongZeros) {
    for (const size_t at : {0u, 7u, 31u, 100u, 255u, 511u}) {
        std::vector<float> row(kColumns, 0.0f);
        row[at] = at % 2 ? -0.75f : 0.75f;
        const std::vector<float> decoded = decode(info, encode(info, row, {}));
        // The formats of one bit and of IQ1 have no zero.
        if (info.format == Format::q1_0 || info.format == Format::iq1_s || info.format == Format::iq1_m) {
            EXPECT_GT(decoded[at] * row[at], 0.0f) << at;
            continue;
        }
        const auto largest = std::max_element(decoded.begin(), decoded.end(),
                                              [](float a, float b) { return std::fabs(a) < std::fabs(b); });
        EXPECT_EQ(largest - decoded.begin(), static_cast<ptrdiff_t>(at));
        EXPECT_GT(decoded[at] * row[at], 0.0f) << at;
    }
}

/// A row's bytes depend on its numbers alone, block by block.
TEST_P(Encode, BlocksAreIndependent) {
    const std::vector<float> numbers = read_rows();
    ASSERT_GT(numbers.size(), 2 * kColumns);
    const std::span<const float> importance = std::span(numbers).first(kColumns);
    const std::span<const float> row = std::span(numbers).subspan(kColumns, kColumns);
    const std::vector<std::byte> whole = encode(info, row, importance);
    std::vector<std::byte> pieces;
    const size_t step = std::max<size_t>(info.block_elements, 64);
    for (size_t at = 0; at < kColumns; at += step) {
        const std::vector<std::byte> piece =
            encode(info, row.subspan(at, step), importance.subspan(at, step));
        pieces.insert(pieces.end(), piece.begin(), piece.end());
    }
    EXPECT_EQ(whole, pieces);
}

/// The weights that importance 0 leaves out do not count, a flat importance is none.
TEST_P(Encode, FlatImportanceIsNone) {
    const std::vector<float> numbers = read_rows();
    ASSERT_GT(numbers.size(), 2 * kColumns);
    const std::span<const float> row = std::span(numbers).subspan(kColumns, kColumns);
    const std::vector<float> flat(kColumns, 3.5f), zero(kColumns, 0.0f);
    EXPECT_EQ(encode(info, row, {}), encode(info, row, flat));
    EXPECT_EQ(encode(info, row, {}), encode(info, row, zero));
}

INSTANTIATE_TEST_SUITE_P(Formats, Encode, testing::ValuesIn(formats().begin(), formats().end()),
                         [](const auto& test) { return std::string(test.param.name); });

}  // namespace
}  // namespace agave
