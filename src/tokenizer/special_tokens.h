#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "tokenizer/vocabulary.h"

namespace agave {

/// Finds control and user-defined tokens spelled out in text: at each place from the left, the longest one,
/// as Hugging Face's added tokens are found.
class SpecialTokens {
  public:
    /// With `spaces_are_marked`, a user-defined token of nothing but spaces is looked for with U+2581 in
    /// place of each: where spaces become that mark, plain ones are left to the merges (Gemma 3's
    /// tokenizer.json spells these tokens so, its GGUF with spaces).
    SpecialTokens(const Vocabulary& vocabulary, bool spaces_are_marked);

    struct Match {
        size_t begin = 0;
        size_t length = 0;
        int32_t id = -1;  ///< -1: none to the end of the text
    };
    /// The first match at or after `from`. Without `control`, only user-defined tokens count.
    Match next(std::string_view text, size_t from, bool control) const;

  private:
    struct Spelling {
        std::string_view text;
        int32_t id;
        bool user_defined;
    };
    Match longest_at(std::string_view text, size_t at, bool control) const;

    std::vector<Spelling> sorted_;        ///< by text
    std::string space_marks_;             ///< what the texts of marks view
    uint32_t first_[257] = {};            ///< where in sorted_ the texts with each first byte begin
    std::vector<uint64_t> second_bytes_;  ///< per first byte, the set of second bytes (4 words each)
};

}  // namespace agave
