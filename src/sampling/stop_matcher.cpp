#include "sampling/stop_matcher.h"

#include <algorithm>
#include <utility>

#include "base/error.h"

namespace agave {

namespace {

/// Knuth, Morris and Pratt, "Fast pattern matching in strings", 1977: how far to fall back on a mismatch.
std::vector<size_t> borders(std::string_view text) {
    std::vector<size_t> border(text.size(), 0);
    for (size_t i = 1, length = 0; i < text.size(); ++i) {
        while (length > 0 && text[i] != text[length]) length = border[length - 1];
        if (text[i] == text[length]) ++length;
        border[i] = length;
    }
    return border;
}

}  // namespace

StopMatcher::StopMatcher(std::span<const std::string> stops) {
    for (const std::string& stop : stops) {
        if (stop.empty())
            fail(ErrorKind::usage, "a stop string is empty, but must have at least one character");
        stops_.push_back({stop, borders(stop), 0});
    }
}

/// Moves every stop string on by one byte. Returns the index of the longest that ends with it, or -1.
int StopMatcher::advance(char byte) {
    int ended = -1;
    for (size_t s = 0; s < stops_.size(); ++s) {
        Stop& stop = stops_[s];
        while (stop.matched > 0 && stop.text[stop.matched] != byte)
            stop.matched = stop.border[stop.matched - 1];
        if (stop.text[stop.matched] == byte) ++stop.matched;
        if (stop.matched < stop.text.size()) continue;
        if (ended < 0 || stop.text.size() > stops_[static_cast<size_t>(ended)].text.size()) {
            ended = static_cast<int>(s);
        }
    }
    return ended;
}

StopMatcher::Output StopMatcher::push(std::string_view chunk) {
    if (found_ >= 0) return {{}, true};
    std::string text = std::move(held_);
    held_.clear();
    for (char byte : chunk) {
        text += byte;
        found_ = advance(byte);
        if (found_ < 0) continue;
        text.resize(text.size() - stops_[static_cast<size_t>(found_)].text.size());
        return {std::move(text), true};
    }
    size_t hold = 0;
    for (const Stop& stop : stops_) hold = std::max(hold, stop.matched);
    held_ = text.substr(text.size() - hold);
    text.resize(text.size() - hold);
    return {std::move(text), false};
}

std::string StopMatcher::finish() {
    return std::exchange(held_, {});
}

}  // namespace agave
