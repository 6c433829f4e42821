#include "base/parse_float.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

namespace agave {
namespace {

TEST(ParseFloat, TakesDecimalNumbersWhole) {
    double x = 0;
    EXPECT_TRUE(parse_float("0.1", x));
    EXPECT_EQ(x, 0.1);
    EXPECT_TRUE(parse_float("-1.7976931348623157e308", x));
    EXPECT_EQ(x, std::numeric_limits<double>::lowest());
    EXPECT_TRUE(parse_float("5e-324", x));
    EXPECT_EQ(x, std::numeric_limits<double>::denorm_min());
    EXPECT_TRUE(parse_float(".5", x));
    EXPECT_EQ(x, 0.5);
    EXPECT_TRUE(parse_float("1e400", x));
    EXPECT_TRUE(std::isinf(x));
    EXPECT_TRUE(parse_float("-inf", x));
    EXPECT_EQ(x, -std::numeric_limits<double>::infinity());
    EXPECT_TRUE(parse_float("nan", x));
    EXPECT_TRUE(std::isnan(x));
}

TEST(ParseFloat, RefusesWhatStrtodWouldTakeBesides) {
    double x = 0;
    for (std::string_view text :
         {"", "-", "+1", " 1", "1 ", "0x10", "nan(7)", "1,5", "1e", "--1", "e5", "1.2.3"})
        EXPECT_FALSE(parse_float(text, x)) << text;
    EXPECT_FALSE(parse_float(std::string_view("1\0", 2), x));
    EXPECT_FALSE(parse_float(std::string_view("1\0002", 3), x));
}

}  // namespace
}  // namespace agave
