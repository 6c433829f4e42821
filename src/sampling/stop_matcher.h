#pragma once

#include <cstddef>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace agave {

/// Finds stop strings in streamed text, wherever the chunks are cut. The stop that ends first wins; of those
/// that end at the same byte, the longest. It and what follows are never given out.
class StopMatcher {
  public:
    /// Throws Error(usage) when a stop string is empty.
    explicit StopMatcher(std::span<const std::string> stops);

    struct Output {
        std::string text;  ///< safe to show: no stop string can begin in it
        bool stopped;      ///< a stop string was found, now or before
    };
    /// Takes the next chunk. What may be the beginning of a stop string is held back.
    Output push(std::string_view chunk);

    /// The text has ended: gives what was held back, which was no stop string after all.
    std::string finish();

    /// Index of the stop string that was found, or -1.
    int found() const { return found_; }

  private:
    struct Stop {
        std::string text;
        std::vector<size_t> border;  ///< border[i]: length of the longest proper border of text[0, i]
        size_t matched;              ///< bytes of `text` that the stream ends with
    };
    int advance(char byte);

    std::vector<Stop> stops_;
    std::string held_;
    int found_ = -1;
};

}  // namespace agave
