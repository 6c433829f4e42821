#include "base/error.h"

#include <gtest/gtest.h>

namespace agave {
namespace {

TEST(Error, CarriesKindAndSentence) {
    try {
        fail(ErrorKind::bad_file, "tensor '%s' has %d rows", "x", 3);
    } catch (const Error& error) {
        EXPECT_EQ(error.kind(), ErrorKind::bad_file);
        EXPECT_STREQ(error.what(), "tensor 'x' has 3 rows");
    }
}

TEST(Printable, KeepsTextAndHidesWhatATerminalWouldObey) {
    EXPECT_EQ(printable("Grüße, 世界 🌵"), "Grüße, 世界 🌵");
    EXPECT_EQ(printable("a\x1b[31m\n\x7f"), "a?[31m??");
    EXPECT_EQ(printable("\xff\xc0\x80 \xed\xa0\x80 \xf4\x90\x80\x80 \xe2\x82"), "??? ??? ???? ??");
    EXPECT_EQ(printable("abcdef", 3), "abc...");
    EXPECT_EQ(printable("äöü", 3), "ä...");
    EXPECT_EQ(printable(std::string_view("a\0b", 3)), "a?b");
}

}  // namespace
}  // namespace agave
