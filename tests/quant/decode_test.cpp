// The decoders against what gguf-py gives for the same blocks (tools/quant/make_fixtures.py).

#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include "quant/format.h"

namespace agave {
namespace {

std::vector<std::byte> read_file(const std::string& path) {
    std::FILE* file = std::fopen(path.c_str(), "rb");
    if (!file) return {};
    std::vector<std::byte> bytes(1 << 20);
    bytes.resize(std::fread(bytes.data(), 1, bytes.size(), file));
    std::fclose(file);
    return bytes;
}

/// Equal bits, or both NaN (whose payload and sign are the processor's choice).
bool same(float a, float b) {
    return std::bit_cast<uint32_t>(a) == std::bit_cast<uint32_t>(b) || (std::isnan(a) && std::isnan(b));
}

class Decode : public testing::TestWithParam<FormatInfo> {
  protected:
    void SetUp() override {
        const std::vector<std::byte> file =
            read_file(AGAVE_TEST_DATA "/quant/" + std::string(info.name) + ".bin");
        const size_t step = info.block_bytes + sizeof(float) * info.block_elements;
        ASSERT_FALSE(file.empty());
        ASSERT_EQ(file.size() % step, 0u);
        const size_t n_blocks = file.size() / step;
        blocks.assign(file.begin(), file.begin() + static_cast<ptrdiff_t>(n_blocks * info.block_bytes));
        expected.resize(n_blocks * info.block_elements);
        std::memcpy(expected.data(), file.data() + blocks.size(), expected.size() * sizeof(float));
    }

    const FormatInfo info = GetParam();
    std::vector<std::byte> blocks;
    std::vector<float> expected;
};

TEST_P(Decode, EqualsGgufPy) {
    const float untouched = 12345.0f;
    std::vector<float> out(expected.size() + 1, untouched);
    info.decode(blocks.data(), out.data(), static_cast<int64_t>(expected.size()));
    int wrong = 0;
    for (size_t i = 0; i < expected.size() && wrong < 5; ++i) {
        if (same(out[i], expected[i])) continue;
        ++wrong;
        ADD_FAILURE() << info.name << " block " << i / info.block_elements << " weight "
                      << i % info.block_elements << ": " << out[i] << " instead of " << expected[i];
    }
    EXPECT_EQ(out.back(), untouched) << "wrote past n";
}

TEST_P(Decode, NeedsNoAlignment) {
    std::vector<std::byte> shifted(blocks.size() + 1);
    std::memcpy(shifted.data() + 1, blocks.data(), blocks.size());
    std::vector<float> out(expected.size());
    info.decode(shifted.data() + 1, out.data(), static_cast<int64_t>(expected.size()));
    for (size_t i = 0; i < expected.size(); ++i) ASSERT_TRUE(same(out[i], expected[i])) << i;
}

TEST_P(Decode, NothingFromNothing) {
    float out = 12345.0f;
    info.decode(blocks.data(), &out, 0);
    EXPECT_EQ(out, 12345.0f);
}

INSTANTIATE_TEST_SUITE_P(Formats, Decode, testing::ValuesIn(formats().begin(), formats().end()),
                         [](const auto& test) { return std::string(test.param.name); });

/// All 65536 patterns against the definition (-1)^s * 2^e * fraction.
TEST(DecodeF16, EveryPattern) {
    std::vector<uint16_t> halves(65536);
    for (size_t i = 0; i < halves.size(); ++i) halves[i] = static_cast<uint16_t>(i);
    std::vector<float> out(halves.size());
    format_info(Format::f16).decode(std::as_bytes(std::span(halves)).data(), out.data(), 65536);
    for (int i = 0; i < 65536; ++i) {
        const int exponent = i >> 10 & 31;
        const double fraction = i & 1023;
        double value = exponent == 31  ? (fraction == 0 ? INFINITY : NAN)
                       : exponent == 0 ? std::ldexp(fraction, -24)
                                       : std::ldexp(1024 + fraction, exponent - 25);
        if (i >> 15) value = -value;
        ASSERT_TRUE(same(out[static_cast<size_t>(i)], static_cast<float>(value))) << i;
    }
}

}  // namespace
}  // namespace agave
