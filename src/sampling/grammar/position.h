#pragma once

#include <string_view>
#include <vector>

#include "sampling/grammar/masks.h"

namespace agave {

/// A place in a text that follows a grammar: all the ways to read it so far. Everything here wants the mutex
/// of the grammar's data.
class Position {
  public:
    /// At the beginning; `late`: at most two newlines or spaces may come first.
    Position(GrammarData& grammar, bool late);

    /// The text may end here.
    bool may_end() const { return may_end_; }
    /// Reads `bytes`; false, and nothing has changed, when no text of the grammar goes on so.
    bool read(std::string_view bytes);
    /// Sets the bits in `words` of the tokens that can be read.
    void allow(const TokenTrie& trie, std::span<uint32_t> words);
    /// The same for the tokens below a point, of what they have behind it.
    void allow_below(const TokenTrie& trie, TriePoint point, std::span<uint32_t> words);

  private:
    struct Reading {
        uint32_t link;
        grammar::Automaton::FrontierId frontier;
    };
    /// A point in the trie where the call `link` has ended.
    struct Return {
        TriePoint point;
        uint32_t link;
    };
    grammar::Link link(uint32_t id) const { return {links_[id][0], links_[id][1]}; }
    bool end_calls(uint32_t link, std::vector<Reading>& readings);
    uint32_t add_link(uint32_t relative, uint32_t base);
    void follow_returns(const TokenTrie& trie, std::vector<Return>& returns, std::span<uint32_t> words);

    GrammarData& grammar_;
    grammar::Interner links_;  ///< open calls: where they go on, and the call around
    std::vector<grammar::Place> places_;
    bool may_end_;
};

}  // namespace agave
