#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "tokenizer/vocabulary.h"

namespace agave {

/// Finds control and user-defined tokens spelled out in text: at each place from the left, the longest one,
/// as Hugging Face's added tokens are found.
class SpecialTokens {
  public:
    explicit SpecialTokens(const Vocabulary& vocabulary);

    struct Match {
        size_t begin = 0;
        size_t length = 0;
        int32_t id = -1;  ///< -1: none to the end of the text
    };
    /// The first match at or after `from`. Without `control`, only user-defined tokens count.
    Match next(std::string_view text, size_t from, bool control) const;

  private:
    Match longest_at(std::string_view text, size_t at, bool control) const;

    const Vocabulary& vocabulary_;
    std::vector<int32_t> sorted_;         ///< ids by text
    uint32_t first_[257] = {};            ///< where in sorted_ the texts with each first byte begin
    std::vector<uint64_t> second_bytes_;  ///< per first byte, the set of second bytes (4 words each)
};

}  // namespace agave
