#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace agave {

class Tokenizer;

/// The bytes of all tokens of a vocabulary as prefix trees, so that a grammar reads what tokens have in
/// common only once. Made once for each model; immutable, safe to share between threads.
class TokenTrie {
  public:
    /// In front of the name of a control token: a byte that no text has.
    static constexpr char kControl = '\xFF';

    /// Ordinary tokens by their bytes, control tokens as kControl and their name.
    explicit TokenTrie(const Tokenizer& tokenizer);
    /// For tests: the bytes of each token (a token without any is never allowed), and the ids that end a
    /// generation.
    TokenTrie(std::span<const std::string> token_bytes, std::span<const int32_t> end_of_generation);

    /// A node of a tree in preorder: its first child, if it has any, is the next node.
    struct Node {
        uint32_t end;     ///< the first node behind this one and all below it
        uint32_t tokens;  ///< in `order`: the tokens that end here, then those of the nodes below
        uint8_t byte;     ///< on the way from its parent
        uint8_t run;      ///< characters of the longest text below, where all below is plain text; or kMixed
    };
    static constexpr uint8_t kMixed = 255;
    static constexpr uint8_t kMaxRun = 254;
    struct Tree {
        std::vector<Node> nodes;     ///< the root first; then one that stands behind the last
        std::vector<int32_t> order;  ///< token ids
    };
    /// Tokens that are plain text: whole UTF-8 characters that stand for themselves in a JSON string and that
    /// "." of a regular expression reads (no quote, no backslash, no control character, no U+2028 or U+2029).
    const Tree& text() const { return text_; }
    /// All others.
    const Tree& mixed() const { return mixed_; }

    /// Differs from that of every other trie of the process.
    uint64_t id() const { return id_; }
    int32_t n_vocab() const { return static_cast<int32_t>(offsets_.size()) - 1; }
    size_t n_words() const { return (offsets_.size() + 30) / 32; }
    std::string_view bytes(int32_t token) const {
        const size_t i = static_cast<size_t>(token);
        return std::string_view(bytes_).substr(offsets_[i], offsets_[i + 1] - offsets_[i]);
    }
    std::span<const int32_t> end_of_generation() const { return end_of_generation_; }
    bool is_end_of_generation(int32_t token) const;

    /// The bits of the plain texts of at most n characters, for n < kTextMasks - 1; of all of them in the
    /// last.
    static constexpr size_t kTextMasks = 18;
    std::span<const uint32_t> text_mask(size_t n) const {
        return std::span(text_masks_).subspan(n * n_words(), n_words());
    }

    /// `text` with kControl in front of the names of control tokens in it.
    std::string spell_control_tokens(std::string_view text) const;

  private:
    void build();

    uint64_t id_ = 0;
    std::string bytes_;              ///< of all tokens, one behind the other
    std::vector<uint32_t> offsets_;  ///< [n_vocab + 1] in bytes_
    std::vector<int32_t> end_of_generation_;
    std::vector<std::string> control_names_;
    std::vector<uint32_t> text_masks_;  ///< [kTextMasks][n_words]
    Tree text_, mixed_;
};

}  // namespace agave
