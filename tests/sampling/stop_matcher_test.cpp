#include "sampling/stop_matcher.h"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

#include "base/error.h"

namespace agave {
namespace {

using Strings = std::vector<std::string>;

TEST(StopMatcher, WithinAChunk) {
    StopMatcher matcher(Strings{"\n\n", "END"});
    const auto output = matcher.push("one END two\n\n");
    EXPECT_EQ(output.text, "one ");
    EXPECT_TRUE(output.stopped);
    EXPECT_EQ(matcher.found(), 1);
    EXPECT_EQ(matcher.finish(), "");
    EXPECT_TRUE(matcher.push("more").stopped);
    EXPECT_EQ(matcher.push("more").text, "");
}

TEST(StopMatcher, AcrossChunks) {
    StopMatcher matcher(Strings{"<|end|>"});
    EXPECT_EQ(matcher.push("Hello <").text, "Hello ");
    EXPECT_EQ(matcher.push("|en").text, "");
    const auto output = matcher.push("d|> never");
    EXPECT_EQ(output.text, "");
    EXPECT_TRUE(output.stopped);
}

TEST(StopMatcher, GivesBackWhatWasNoStop) {
    StopMatcher matcher(Strings{"<|end|>"});
    EXPECT_EQ(matcher.push("a <|en").text, "a ");
    EXPECT_EQ(matcher.push("try").text, "<|entry");
    EXPECT_EQ(matcher.push(" <|").text, " ");
    EXPECT_EQ(matcher.finish(), "<|");
    EXPECT_EQ(matcher.finish(), "");
    EXPECT_EQ(matcher.found(), -1);
}

TEST(StopMatcher, ARepetitionInsideTheStop) {
    StopMatcher matcher(Strings{"aab"});
    EXPECT_EQ(matcher.push("aaa").text, "a");
    const auto output = matcher.push("b");
    EXPECT_EQ(output.text, "");
    EXPECT_TRUE(output.stopped);
    StopMatcher nested(Strings{"aabaaac"});
    EXPECT_EQ(nested.push("aabaaabaaac").text, "aaba");
    EXPECT_EQ(nested.found(), 0);
}

TEST(StopMatcher, TheFirstToEndWinsAndOfThoseTheLongest) {
    StopMatcher first(Strings{"abcd", "bc"});
    EXPECT_EQ(first.push("xabcd").text, "xa");
    EXPECT_EQ(first.found(), 1);
    StopMatcher longest(Strings{"c", "abc", "bc"});
    EXPECT_EQ(longest.push("xabc").text, "x");
    EXPECT_EQ(longest.found(), 1);
}

TEST(StopMatcher, NoStops) {
    StopMatcher matcher(Strings{});
    EXPECT_EQ(matcher.push("anything").text, "anything");
    EXPECT_EQ(matcher.push("").text, "");
    EXPECT_EQ(matcher.finish(), "");
}

TEST(StopMatcher, AnEmptyStopIsRefused) {
    try {
        StopMatcher matcher(Strings{"a", ""});
        FAIL();
    } catch (const Error& error) {
        EXPECT_EQ(error.kind(), ErrorKind::usage);
    }
}

TEST(StopMatcher, BytesOfAnyValue) {
    const std::string stop("\0\xff\x80", 3);
    StopMatcher matcher(Strings{stop});
    EXPECT_EQ(matcher.push(std::string("a\0\xff", 3)).text, "a");
    EXPECT_TRUE(matcher.push("\x80").stopped);
}

/// The text before the stop string that ends first (the longest there), from the definition.
std::string before_stop(const std::string& text, const Strings& stops, bool& stopped) {
    for (size_t end = 1; end <= text.size(); ++end) {
        size_t longest = 0;
        for (const std::string& stop : stops) {
            if (text.substr(0, end).ends_with(stop)) longest = std::max(longest, stop.size());
        }
        stopped = longest > 0;
        if (stopped) return text.substr(0, end - longest);
    }
    stopped = false;
    return text;
}

/// How much of the end of `text` may be the beginning of a stop string.
size_t must_be_held(const std::string& text, const Strings& stops) {
    size_t held = 0;
    for (const std::string& stop : stops) {
        for (size_t n = 1; n < stop.size(); ++n) {
            if (text.ends_with(stop.substr(0, n))) held = std::max(held, n);
        }
    }
    return held;
}

TEST(StopMatcher, AnyCutGivesTheDefinedTextAndHoldsNoMoreThanItMust) {
    std::mt19937 generator(11);
    const auto random_text = [&](size_t most) {
        std::string text;
        for (size_t n = generator() % (most + 1); n > 0; --n) text += "ab"[generator() % 2];
        return text;
    };
    int found = 0;
    for (int round = 0; round < 3000; ++round) {
        Strings stops;
        for (size_t n = 1 + generator() % 3; n > 0; --n) stops.push_back(random_text(6) + "b");
        const std::string text = random_text(24);
        bool should_stop = false;
        const std::string expected = before_stop(text, stops, should_stop);
        StopMatcher matcher(stops);
        std::string given;
        bool stopped = false;
        for (size_t at = 0; at < text.size() && !stopped;) {
            const size_t n = 1 + generator() % 4;
            const auto output = matcher.push(text.substr(at, n));
            at += n;
            given += output.text;
            stopped = output.stopped;
            const std::string so_far = text.substr(0, at);
            if (!stopped) {
                ASSERT_EQ(given.size(), so_far.size() - must_be_held(so_far, stops));
            }
        }
        given += matcher.finish();
        ASSERT_EQ(given, expected) << text;
        ASSERT_EQ(stopped, should_stop) << text;
        found += stopped;
    }
    EXPECT_GT(found, 1000);
}

TEST(StopMatcher, LongStopsAndTextsTakeLinearTime) {
    const std::string stop = std::string(100000, 'a') + "b";
    StopMatcher matcher(Strings{stop});
    size_t given = 0;
    const std::string chunk(1000, 'a');
    for (int i = 0; i < 2000; ++i) given += matcher.push(chunk).text.size();
    EXPECT_EQ(given, 2000u * 1000u - 100000u);
    EXPECT_TRUE(matcher.push("b").stopped);
}

}  // namespace
}  // namespace agave
