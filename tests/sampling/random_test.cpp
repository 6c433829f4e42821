#include "sampling/random.h"

#include <gtest/gtest.h>

#include <vector>

namespace agave {
namespace {

std::vector<uint64_t> first_four(uint64_t seed) {
    Random random(seed);
    return {random.next(), random.next(), random.next(), random.next()};
}

// From a transcription of the published algorithms into Python whose integers have no width, which gives the
// known vectors of SplitMix64 (seed 0: e220a8397b1dcdaf...) and xoshiro256** (state 1, 2, 3, 4: 11520, 0,
// 1509978240...).
TEST(Random, IsXoshiro256StarStarSeededBySplitMix64) {
    EXPECT_EQ(first_four(0), (std::vector<uint64_t>{0x99ec5f36cb75f2b4, 0xbf6e1f784956452a,
                                                    0x1a5f849d4933e6e0, 0x6aa594f1262d2d2c}));
    EXPECT_EQ(first_four(42), (std::vector<uint64_t>{0x15780b2e0c2ec716, 0x6104d9866d113a7e,
                                                     0xae17533239e499a1, 0xecb8ad4703b360a1}));
    EXPECT_EQ(first_four(~uint64_t{0}), (std::vector<uint64_t>{0x8f5520d52a7ead08, 0xc476a018caa1802d,
                                                               0x81de31c0d260469e, 0xbf658d7e065f3c2f}));
}

TEST(Random, DoublesAreTheUpper53Bits) {
    Random random(42);
    EXPECT_EQ(random.next_double(), static_cast<double>(0x15780b2e0c2ec716 >> 11) / 9007199254740992.0);
    double sum = 0;
    for (int i = 0; i < 100000; ++i) {
        const double u = random.next_double();
        ASSERT_GE(u, 0.0);
        ASSERT_LT(u, 1.0);
        sum += u;
    }
    EXPECT_NEAR(sum / 100000, 0.5, 0.005);
}

}  // namespace
}  // namespace agave
