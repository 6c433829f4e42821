#include "base/numeric.h"

#include <gtest/gtest.h>

#include <cmath>

namespace agave {
namespace {

/// The definition of IEEE 754 binary16, in double precision.
double half_value(uint16_t half) {
    const int exponent = half >> 10 & 31, fraction = half & 1023;
    const double sign = half & 0x8000 ? -1 : 1;
    if (exponent == 0) return sign * std::ldexp(fraction, -24);
    return sign * std::ldexp(1024 + fraction, exponent - 25);
}

TEST(Half, EveryPatternIsExact) {
    for (uint32_t bits = 0; bits < 65536; bits++) {
        const uint16_t half = static_cast<uint16_t>(bits);
        const float value = half_to_float(half);
        if ((half >> 10 & 31) == 31) {
            EXPECT_EQ(std::isnan(value), (half & 1023) != 0);
            EXPECT_EQ(std::signbit(value), (half & 0x8000) != 0);
        } else {
            EXPECT_EQ(value, half_value(half));
            EXPECT_EQ(float_to_half(value), half);
        }
    }
    EXPECT_TRUE(std::isnan(half_to_float(float_to_half(std::nanf("")))));
}

TEST(Half, RoundsToNearestEven) {
    for (uint32_t bits = 0; bits < 0x7BFF; bits++) {
        const uint16_t low = static_cast<uint16_t>(bits), high = static_cast<uint16_t>(bits + 1);
        const float a = half_to_float(low), b = half_to_float(high), middle = a + (b - a) / 2;
        EXPECT_EQ(float_to_half(middle), low & 1 ? high : low);
        EXPECT_EQ(float_to_half(std::nextafter(middle, 0.0f)), low);
        EXPECT_EQ(float_to_half(std::nextafter(middle, 1e9f)), high);
        EXPECT_EQ(float_to_half(-middle), (low & 1 ? high : low) | 0x8000);
    }
    EXPECT_EQ(float_to_half(65519.99f), 0x7BFF);
    EXPECT_EQ(float_to_half(65520.0f), 0x7C00);
    EXPECT_EQ(float_to_half(1e38f), 0x7C00);
    EXPECT_EQ(float_to_half(1e-30f), 0);
}

TEST(Bfloat16, RoundsToNearestEvenAndBack) {
    EXPECT_EQ(float_to_bfloat16(1.0f), 0x3F80);
    EXPECT_EQ(bfloat16_to_float(0x3F80), 1.0f);
    EXPECT_EQ(float_to_bfloat16(std::bit_cast<float>(0x3F808000u)), 0x3F80);
    EXPECT_EQ(float_to_bfloat16(std::bit_cast<float>(0x3F808001u)), 0x3F81);
    EXPECT_EQ(float_to_bfloat16(std::bit_cast<float>(0x3F818000u)), 0x3F82);
    EXPECT_EQ(float_to_bfloat16(std::bit_cast<float>(0x7F7FFFFFu)), 0x7F80);
    EXPECT_TRUE(std::isnan(bfloat16_to_float(float_to_bfloat16(std::bit_cast<float>(0x7F800001u)))));
}

}  // namespace
}  // namespace agave
