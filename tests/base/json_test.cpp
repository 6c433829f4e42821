#include "base/json.h"

#include <gtest/gtest.h>

#include <cmath>

#include "base/error.h"

namespace agave {
namespace {

std::string problem(std::string_view text) {
    try {
        Json json(text, "file.json");
    } catch (const Error& error) {
        EXPECT_EQ(error.kind(), ErrorKind::bad_file);
        return error.what();
    }
    return "";
}

TEST(Json, ReadsEveryKind) {
    const Json json(
        R"({"a": [1, -2.5, "x\n\u00e9\ud83d\ude00", true, false, null], "b": {"c": {}}, "": 1e2})",
        "file.json");
    const JsonValue root = json.root();
    EXPECT_EQ(root.size(), 3u);
    const JsonValue a = root["a"];
    ASSERT_EQ(a.size(), 6u);
    EXPECT_EQ(a.at(0).as_integer(), 1);
    EXPECT_EQ(a.at(0).as_number(), 1.0);
    EXPECT_EQ(a.at(1).as_number(), -2.5);
    EXPECT_EQ(a.at(2).as_text(), "x\n\xC3\xA9\xF0\x9F\x98\x80");
    EXPECT_TRUE(a.at(3).as_boolean());
    EXPECT_FALSE(a.at(4).as_boolean());
    EXPECT_TRUE(a.at(5).is(JsonKind::null));
    EXPECT_TRUE(a.at(5));
    EXPECT_FALSE(a.at(6));
    EXPECT_TRUE(root["b"]["c"].is(JsonKind::object));
    EXPECT_FALSE(root["b"]["d"]["e"]);
    EXPECT_EQ(root[""].as_number(), 100.0);
    std::string names;
    for (auto member = root.begin(); member != root.end(); ++member)
        names += std::string(member.name()) + ",";
    EXPECT_EQ(names, "a,b,,");
}

TEST(Json, KeepsLargeIntegersAndPythonsNumbers) {
    const Json json("[9223372036854775807, 9223372036854775808, -9223372036854775808, NaN, -Infinity, -0]",
                    "");
    EXPECT_EQ(json.root().at(0).as_integer(), INT64_MAX);
    EXPECT_TRUE(json.root().at(1).is(JsonKind::number));
    EXPECT_EQ(json.root().at(2).as_integer(), INT64_MIN);
    EXPECT_TRUE(std::isnan(json.root().at(3).as_number()));
    EXPECT_EQ(json.root().at(4).as_number(), -HUGE_VAL);
    EXPECT_EQ(json.root().at(5).as_integer(), 0);
}

TEST(Json, RefusesWhatIsNoJson) {
    const std::string_view bad[] = {"",
                                    "{",
                                    "[1,]",
                                    "{\"a\"}",
                                    "{\"a\":}",
                                    "{a:1}",
                                    "01",
                                    "1.",
                                    "1e",
                                    "--1",
                                    "+1",
                                    "\"",
                                    "\"\\",
                                    "\"\\x\"",
                                    "\"\\u12\"",
                                    "\"\\ud800\"",
                                    "tru",
                                    "1 2",
                                    "\"\n\"",
                                    "[1",
                                    "\xFF",
                                    "\"\xC0\x80\"",
                                    "1e999",
                                    "nan",
                                    "{\"a\":1,}",
                                    "\"\\ud800\\u0041\"",
                                    "\"\\udc00\"",
                                    "[1}",
                                    "\"\\u00g0\""};
    for (const std::string_view text : bad) EXPECT_NE(problem(text), "") << text;
    EXPECT_EQ(problem("{\n  \"a\": x}"),
              "'file.json' is not valid JSON: line 2, column 8: a value is expected");
    EXPECT_NE(problem(R"({"a": 1, "b": {}, "a": 2})").find("the name 'a' twice"), std::string::npos);
    EXPECT_NE(problem(R"({"a": 1, "\u0061": 2})").find("the name 'a' twice"), std::string::npos);
    EXPECT_NE(problem(std::string(100000, '[')).find("nested too deeply"), std::string::npos);
}

TEST(Json, RefusesEveryTruncation) {
    const std::string text = R"({"a":[1.5e3,"x\u00e9",true,null],"b":{"c":-1}})";
    for (size_t n = 0; n < text.size(); n++) EXPECT_NE(problem(std::string_view(text).substr(0, n)), "") << n;
    EXPECT_EQ(problem(text), "");
}

TEST(Json, OfARequestIsStrict) {
    const auto parse = [](const char* text) { return Json(text, "it", JsonSource::request).root().kind(); };
    for (const char* bad : {"NaN", "[Infinity]", "-Infinity", "[18446744073709551616]", "[1,]"}) try {
            parse(bad);
            ADD_FAILURE() << bad;
        } catch (const Error& error) {
            EXPECT_EQ(error.kind(), ErrorKind::usage) << bad;
            EXPECT_TRUE(std::string_view(error.what()).starts_with("it is not valid JSON: line 1, column"))
                << error.what();
        }
    EXPECT_EQ(parse(R"({"a": 1, "a": 2})"), JsonKind::object);
    EXPECT_EQ(parse("-9223372036854775808"), JsonKind::integer);
}

}  // namespace
}  // namespace agave
