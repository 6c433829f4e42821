#include "formats/json.h"

#include <gtest/gtest.h>

#include <vector>

#include "base/error.h"

namespace agave {
namespace {

std::string error_of(std::string_view text) {
    try {
        JsonDocument::parse(text, "x.json");
    } catch (const Error& error) {
        EXPECT_EQ(error.kind(), ErrorKind::bad_file);
        return error.what();
    }
    return "";
}

template <typename Use>
std::string error_of(std::string_view text, Use&& use) {
    const JsonDocument document = JsonDocument::parse(text, "x.json");
    try {
        use(document.root());
    } catch (const Error& error) {
        EXPECT_EQ(error.kind(), ErrorKind::bad_file);
        return error.what();
    }
    return "";
}

TEST(Json, ReadsValuesInTheFilesOrder) {
    const JsonDocument document = JsonDocument::parse(
        " {\"b\": [1, -2.5e3, \"x\", [], {}], \"a\": {\"t\": true, \"f\": false, \"n\": null}, \"\": \"\"}\n",
        "x.json");
    const JsonValue root = document.root();
    std::vector<std::string_view> keys;
    for (const JsonMember& member : root.members()) keys.push_back(member.key);
    EXPECT_EQ(keys, (std::vector<std::string_view>{"b", "a", ""}));
    std::vector<JsonType> types;
    for (const JsonValue element : root.find("b").elements()) types.push_back(element.type());
    EXPECT_EQ(types, (std::vector{JsonType::number, JsonType::number, JsonType::text, JsonType::array,
                                  JsonType::object}));
    EXPECT_EQ(root.size(), 3u);
    EXPECT_EQ(root.find("b").size(), 5u);
    const JsonValue a = root.require("a");
    EXPECT_TRUE(a.find("t").boolean());
    EXPECT_FALSE(a.find("f").boolean());
    EXPECT_TRUE(a.find("n").is_null());
    EXPECT_FALSE(a.find("missing"));
    EXPECT_FALSE(root.find("b").find("t"));
    EXPECT_EQ(a.integer_or("n", 7, 0, 9), 7);
    EXPECT_EQ(a.text_or("missing", "y"), "y");
    EXPECT_EQ(root.text_or("", "y"), "");
}

TEST(Json, ReadsNumbers) {
    const JsonDocument document = JsonDocument::parse(
        "[0, -0, 9223372036854775807, 1.5, 2E+2, -3e-1, 1e999, NaN, -Infinity]", "x.json");
    std::vector<JsonValue> v;
    for (const JsonValue element : document.root().elements()) v.push_back(element);
    EXPECT_EQ(v[0].integer(0, 0), 0);
    EXPECT_EQ(v[1].integer(0, 0), 0);
    EXPECT_EQ(v[2].integer(0, INT64_MAX), INT64_MAX);
    EXPECT_EQ(v[3].number(), 1.5);
    EXPECT_EQ(v[4].number(), 200);
    EXPECT_EQ(v[5].number(), -0.3);
    EXPECT_TRUE(v[0].is_integer());
    EXPECT_FALSE(v[4].is_integer());
    for (const size_t i : {6u, 7u, 8u}) {
        EXPECT_THROW(v[i].number(), Error);
        EXPECT_FALSE(i > 6 && v[i].is_integer());
    }
    EXPECT_EQ(v[8].spelling(), "-Infinity");
}

TEST(Json, ReadsEscapes) {
    const JsonDocument document = JsonDocument::parse(
        R"(["a\"\\\/\b\f\n\r\tz", "\u0041\u00e9\u20AC\ud83d\ude80", "é€🚀", "\u0000"])", "x.json");
    std::vector<std::string_view> texts;
    for (const JsonValue element : document.root().elements()) texts.push_back(element.text());
    EXPECT_EQ(texts[0], "a\"\\/\b\f\n\r\tz");
    EXPECT_EQ(texts[1], "Aé€🚀");
    EXPECT_EQ(texts[2], "é€🚀");
    EXPECT_EQ(texts[3], std::string_view("\0", 1));
}

TEST(Json, RefusesWhatIsNoJson) {
    for (const char* text : {"",
                             " ",
                             "{",
                             "[",
                             "[1",
                             "[1,",
                             "[1,]",
                             "{\"a\"",
                             "{\"a\":",
                             "{\"a\":1",
                             "{\"a\":1,}",
                             "{a:1}",
                             "{1:1}",
                             "[1 2]",
                             "01",
                             "-",
                             "+1",
                             ".5",
                             "1.",
                             "1e",
                             "1e+",
                             "0x10",
                             "tru",
                             "nul",
                             "'a'",
                             "\"a",
                             "\"\\",
                             "\"\\x\"",
                             "\"\\u12\"",
                             "\"\\u12g4\"",
                             "\"\n\"",
                             "\"\\ud800\"",
                             "\"\\ud800\\u0041\"",
                             "\"\\udc00\"",
                             "1 1",
                             "[] []",
                             "{} x",
                             "\xFF",
                             "\"\x80\"",
                             "\"\xC0\x80\"",
                             "\"\xE0\x80\x80\"",
                             "\"\xED\xA0\x80\"",
                             "\"\xF4\x90\x80\x80\"",
                             "\"\xF0\x9F\"",
                             "--1",
                             "-Inf",
                             "NaNN"})
        EXPECT_NE(error_of(text), "") << text;
    EXPECT_EQ(error_of("{\n \"a\": 1\n \"b\": 2}"),
              "'x.json': is not valid JSON: line 3, column 2: found '\"', expected ',' or '}'");
    EXPECT_EQ(error_of("[1,"),
              "'x.json': is not valid JSON: line 1, column 4: found the end of the file, expected a value");
    EXPECT_EQ(error_of("\"\\q\""), "'x.json': is not valid JSON: line 1, column 2: an unknown escape");
}

TEST(Json, RefusesDeepNesting) {
    const auto nested = [](size_t depth) { return std::string(depth, '[') + std::string(depth, ']'); };
    EXPECT_EQ(error_of(nested(100)), "");
    EXPECT_NE(error_of(nested(101)).find("nested deeper than 100"), std::string::npos);
    EXPECT_NE(error_of(std::string(1000000, '[')).find("nested deeper than 100"), std::string::npos);
}

TEST(Json, RefusesKeysThatComeTwice) {
    EXPECT_EQ(error_of("{\"a\": 1, \"b\": {\"a\": 1}, \"c\": [{\"a\": 2}]}"), "");
    EXPECT_EQ(error_of("{\"long key a\": 1, \"b\": 2, \"long key a\": 1}"),
              "'x.json': the key 'long key a' comes twice in one object");
    EXPECT_EQ(error_of("{\"a\": 1, \"\\u0061\": 1}"), "'x.json': the key 'a' comes twice in one object");
    EXPECT_EQ(error_of("{\"a\": 1, \"a\\u0000\": 1, \"long key a\": 1, \"long key b\": 1}"), "");
}

TEST(Json, NamesThePlaceOfAWrongValue) {
    constexpr std::string_view text = "{\"a\": {\"b\": [0, {\"c\": \"x\"}]}, \"d\": null}";
    const auto c = [](JsonValue root) {
        JsonValue last;
        for (const JsonValue element : root.find("a").find("b").elements()) last = element;
        return last.find("c");
    };
    EXPECT_EQ(error_of(text, [&](JsonValue root) { c(root).integer(0, 9); }),
              "'x.json': 'a.b[1].c' is the text 'x'; expected an integer from 0 to 9");
    EXPECT_EQ(error_of(text, [&](JsonValue root) { root.find("d").text(); }),
              "'x.json': 'd' is null; expected a text");
    EXPECT_EQ(error_of(text, [&](JsonValue root) { root.find("a").require("z"); }),
              "'x.json': 'a.z' is missing");
    EXPECT_EQ(error_of(text, [&](JsonValue root) { root.elements(); }),
              "'x.json': the whole of it is an object of 2 members; expected an array");
    EXPECT_EQ(error_of(text, [&](JsonValue root) { root.find("a").boolean_or("b", true); }),
              "'x.json': 'a.b' is an array of 2 elements; expected true or false");
    EXPECT_EQ(error_of("[1.5]", [&](JsonValue root) { (*root.elements().begin()).integer(0, 9); }),
              "'x.json': '[0]' is the number 1.5; expected an integer from 0 to 9");
}

}  // namespace
}  // namespace agave
