#include "sampling/scan.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "reference.h"

namespace agave {
namespace {

using testing_reference::random_logits;

TEST(Scan, MaximaOfEverySize) {
    std::vector<float> block_max;
    for (size_t n : {1u, 2u, 15u, 255u, 256u, 257u, 511u, 512u, 1000u}) {
        const auto logits = random_logits(n, 3.0f, static_cast<uint32_t>(n));
        const LogitScan scan = scan_logits(logits, block_max);
        const auto best = std::max_element(logits.begin(), logits.end());
        EXPECT_TRUE(scan.finite);
        EXPECT_EQ(scan.max, *best);
        EXPECT_EQ(scan.argmax, best - logits.begin());
        ASSERT_EQ(block_max.size(), (n + kScanBlock - 1) / kScanBlock);
        for (size_t b = 0; b < block_max.size(); ++b) {
            const size_t end = std::min(n, (b + 1) * kScanBlock);
            EXPECT_EQ(block_max[b], *std::max_element(logits.begin() + static_cast<ptrdiff_t>(b * kScanBlock),
                                                      logits.begin() + static_cast<ptrdiff_t>(end)));
        }
    }
}

TEST(Scan, TheFirstOfEqualMaxima) {
    std::vector<float> block_max;
    std::vector<float> logits(1000, -1.0f);
    logits[700] = logits[300] = logits[301] = -0.5f;
    EXPECT_EQ(scan_logits(logits, block_max).argmax, 300);
}

TEST(Scan, SeesEveryValueThatIsNotFinite) {
    std::vector<float> block_max;
    for (float value : {NAN, -NAN, INFINITY, -INFINITY}) {
        for (size_t at = 0; at < 515; ++at) {
            auto logits = random_logits(515, 1.0f, 1);
            logits[at] = value;
            ASSERT_FALSE(scan_logits(logits, block_max).finite) << at;
        }
    }
    const std::vector<float> extreme = {std::numeric_limits<float>::max(),
                                        std::numeric_limits<float>::lowest(),
                                        std::numeric_limits<float>::denorm_min(), -0.0f};
    EXPECT_TRUE(scan_logits(extreme, block_max).finite);
    const std::vector<float> nothing(300, -INFINITY);
    EXPECT_EQ(scan_logits(nothing, block_max).max, -INFINITY);
    const std::vector<float> no_numbers(300, NAN);
    EXPECT_EQ(scan_logits(no_numbers, block_max).max, -INFINITY);
}

TEST(SoftmaxWeights, AreTheExponentialToOneUnit) {
    for (float x = -86.9f; x <= 0.0f; x += 0.0137f) {
        float weight = 0.0f;
        softmax_weights({&x, 1}, 0.0f, {&weight, 1});
        const double exact = std::exp(static_cast<double>(x));
        ASSERT_NEAR(weight / exact, 1.0, 1.3e-7) << x;
    }
}

TEST(SoftmaxWeights, TheEnds) {
    const std::vector<float> logits = {5.0f,     -82.0f, -83.0f, -1e30f, std::numeric_limits<float>::lowest(),
                                       -INFINITY};
    std::vector<float> weights(logits.size());
    softmax_weights(logits, 5.0f, weights);
    EXPECT_EQ(weights[0], 1.0f);
    for (size_t i = 1; i < weights.size(); ++i) EXPECT_EQ(weights[i], 0.0f) << i;
}

TEST(SoftmaxTotal, OfEverySize) {
    for (size_t n : {1u, 3u, 4u, 5u, 64u, 1001u}) {
        const auto logits = random_logits(n, 4.0f, 2);
        const float max = *std::max_element(logits.begin(), logits.end());
        double expected = 0;
        for (float x : logits) expected += std::exp(static_cast<double>(x) - static_cast<double>(max));
        EXPECT_NEAR(softmax_total(logits, max) / expected, 1.0, 1e-7) << n;
    }
}

}  // namespace
}  // namespace agave
