#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace agave {

/// Finds the piece that begins at p: its end, or p itself where the pattern does not match.
using PieceMatcher = const char* (*)(const char* p, const char* end);

/// How byte-level BPE of one family cuts text before merging. A GGUF names it in tokenizer.ggml.pre; the
/// patterns are those of the families' tokenizer.json files.
struct PreTokenizer {
    const char* name;        ///< value of tokenizer.ggml.pre
    PieceMatcher stages[6];  ///< each cuts the pieces of the one before it; nullptr after the last
    bool ignore_merges;      ///< a piece that is a token stays whole, whatever the merges say
    bool adds_bos;           ///< when the file has no add_bos_token
    bool normalizes_nfc;     ///< the family's tokenizer.json has an NFC normalizer
};

/// The pre-tokenizer of this name, or nullptr for a name that is not known.
const PreTokenizer* find_pre_tokenizer(std::string_view name);

/// All that are known, ended by one whose name is nullptr.
const PreTokenizer* known_pre_tokenizers();

/// Appends the lengths of the pieces of `text` in order; their sum is text.size(). Text that a stage's
/// pattern does not match becomes pieces of its own.
void split_pieces(const PreTokenizer& pre_tokenizer, std::string_view text, std::vector<uint32_t>& lengths);

}  // namespace agave
