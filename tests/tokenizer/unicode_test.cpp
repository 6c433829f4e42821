#include "tokenizer/unicode.h"

#include <gtest/gtest.h>

#include <random>

namespace agave {
namespace {

TEST(Utf8, DecodesEveryCodePointThatItWrites) {
    for (uint32_t c = 0; c < 0x110000; c++) {
        std::string text;
        append_utf8(text, c);
        const Utf8Char decoded = decode_utf8(text.data(), text.data() + text.size());
        if (c >= 0xD800 && c < 0xE000) {
            ASSERT_EQ(decoded.code_point, invalid_code_point) << c;
        } else {
            ASSERT_EQ(decoded.code_point, c);
            ASSERT_EQ(decoded.n_bytes, text.size());
        }
    }
}

TEST(Utf8, RefusesWhatIsNoCharacter) {
    for (const std::string_view text :
         {"\x80", "\xC0\x80", "\xC1\xBF", "\xE0\x9F\xBF", "\xED\xA0\x80", "\xF0\x8F\xBF\xBF",
          "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xFF", "\xE2\x82", "\xE2", "\xF0\x9F\x99"}) {
        const Utf8Char decoded = decode_utf8(text.data(), text.data() + text.size());
        EXPECT_EQ(decoded.code_point, invalid_code_point);
        EXPECT_EQ(decoded.n_bytes, 1u);
    }
}

TEST(CharClasses, AgreeWithTheCategoriesOfUnicode16) {
    const CharClasses& classes = CharClasses::get();
    for (uint32_t c = 0; c < 128; c++) EXPECT_EQ(classes.at(c), ascii_classes.classes[c]) << c;
    // From UnicodeData.txt and PropList.txt.
    EXPECT_EQ(classes.at(0xE9), CharClass::lowercase);
    EXPECT_EQ(classes.at(0x1C5), CharClass::titlecase);
    EXPECT_EQ(classes.at(0x2B0), CharClass::modifier);
    EXPECT_EQ(classes.at(0x4E00), CharClass::other_letter);
    EXPECT_EQ(classes.at(0x301), CharClass::mark);
    EXPECT_EQ(classes.at(0x2167), CharClass::number);
    EXPECT_EQ(classes.at(0x3002), CharClass::punctuation);
    EXPECT_EQ(classes.at(0x1F680), CharClass::symbol);
    EXPECT_EQ(classes.at(0x3000), CharClass::space);
    EXPECT_EQ(classes.at(0x85), CharClass::space);
    EXPECT_EQ(classes.at(0x200B), CharClass::other);
    EXPECT_EQ(classes.at(0x1C), CharClass::other);
    EXPECT_EQ(classes.at(0x1C89), CharClass::uppercase);  // new in 16.0
    EXPECT_EQ(classes.at(0x10FFFF), CharClass::other);
    EXPECT_EQ(classes.at(invalid_code_point), CharClass::other);
}

TEST(Nfc, ComposesReordersAndLeavesExclusions) {
    const std::pair<std::string_view, std::string_view> cases[] = {
        {"e\u0301", "\u00E9"},
        {"a\u0301\u0323", "\u1EA1\u0301"},  // the mark of the lower class goes first
        {"\u1E9B\u0323", "\u1E9B\u0323"},   // UAX #15, figure 6
        {"\u212B", "\u00C5"},               // singleton
        {"\u0958", "\u0915\u093C"},         // composition exclusion
        {"\u1112\u1161\u11AB", "\uD55C"},   // Hangul
        {"\uD558\u11AB", "\uD55C"},
        {"\u0344", "\u0308\u0301"},
        {"a\u0315\u0300\u05AE\u0300b", "\u00E0\u05AE\u0300\u0315b"},  // NormalizationTest.txt
        {"\u09C7\u09BE", "\u09CB"},                                   // starters that compose
        {"\u0301a", "\u0301a"},
        {"a\u0305\u0301", "a\u0305\u0301"},  // a mark of the same class blocks
        {"\xFF"
         "e\u0301\xC3",
         "\xFF\u00E9\xC3"},
        {"", ""},
    };
    for (const auto& [text, expected] : cases) EXPECT_EQ(normalize_nfc(text), expected) << text;
}

TEST(Nfc, IsIdempotentAndInertTextStays) {
    std::mt19937 random(1);
    const uint32_t pool[] = {'a',    'e',    0x301,   0x323,   0x327,  0x334,  0x345, 0xE9,
                             0x1EA1, 0x1100, 0x1161,  0x11A8,  0xAC00, 0xAC01, 0x915, 0x93C,
                             0x958,  0x212B, 0x1D15E, 0x2F800, 0x3099, 0x304B, 0x0344};
    for (int i = 0; i < 20000; i++) {
        std::string text;
        for (int n = 0; n < 8; n++) append_utf8(text, pool[random() % std::size(pool)]);
        const std::string once = normalize_nfc(text);
        ASSERT_EQ(normalize_nfc(once), once);
        if (is_nfc_inert(text)) {
            ASSERT_EQ(once, text);
        }
    }
    EXPECT_TRUE(is_nfc_inert("Grüße, мир, 世界, \xFF"));
    EXPECT_FALSE(is_nfc_inert("e\u0301"));
}

TEST(Nfc, AMillionMarksTakeNoQuadraticTime) {
    std::string text = "a";
    for (int i = 0; i < 1'000'000; i++) text += i % 2 == 0 ? "\u0323" : "\u0301";
    EXPECT_LE(normalize_nfc(text).size(), text.size());
}

}  // namespace
}  // namespace agave
