#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <span>
#include <vector>

#include "sampling/grammar/automaton.h"
#include "sampling/grammar/token_trie.h"

namespace agave {

/// A node of one of the trie's trees.
struct TriePoint {
    const TokenTrie::Tree* tree;
    uint32_t node;
};

/// What a set of states allows as long as its rule is not left.
struct SetMask {
    std::vector<uint32_t> words;   ///< bits of the tokens that can be read, or empty:
    std::vector<int32_t> tokens;   ///< the tokens themselves, where they are few
    std::vector<TriePoint> exits;  ///< where the rule may have ended and tokens go on
};

/// Goes through all tokens below `from`, beginning at a frontier: sets the bits in `words` of those that can
/// be read, and appends to `exits` the points with tokens below them where the frontier's rule may have
/// ended.
void walk_tokens(grammar::Automaton& automaton, const TokenTrie& trie, TriePoint from,
                 grammar::Automaton::FrontierId begin, std::span<uint32_t> words,
                 std::vector<TriePoint>& exits);

/// The masks of one grammar for one vocabulary.
class MaskCache {
  public:
    MaskCache(grammar::Automaton& automaton, const TokenTrie& trie)
        : automaton_(automaton), trie_(trie), trie_id_(trie.id()) {}
    uint64_t trie_id() const { return trie_id_; }

    /// Valid until forget().
    const SetMask& of(grammar::SetId set);
    size_t bytes() const { return bytes_; }
    void forget();

  private:
    grammar::Automaton& automaton_;
    const TokenTrie& trie_;
    uint64_t trie_id_;
    std::vector<std::unique_ptr<SetMask>> masks_;  ///< by set
    std::vector<uint32_t> words_;                  ///< scratch
    size_t bytes_ = 0;
};

/// A grammar, ready to be followed, and what is known of it. The mutex guards the latter.
struct GrammarData {
    GrammarData(grammar::Rules& rules, grammar::Rule root);

    grammar::Rule late_root = 0;
    const grammar::Nfa nfa;
    std::mutex mutex;
    grammar::Automaton automaton;
    grammar::SetId start;                           ///< of the grammar
    grammar::SetId late_start;                      ///< the same after at most two newlines or spaces
    std::vector<std::unique_ptr<MaskCache>> masks;  ///< of the vocabularies in use

    MaskCache& masks_of(const TokenTrie& trie);
    /// Forgets what can be found again, when it has become much.
    void limit_memory();
    void forget();
};

}  // namespace agave
