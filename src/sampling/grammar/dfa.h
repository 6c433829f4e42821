#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

namespace agave::grammar {

class Rules;
using Rule = uint32_t;

/// A deterministic automaton over bytes. State 0 is where it begins.
struct Dfa {
    static constexpr uint32_t kNone = UINT32_MAX;  ///< where no text goes on

    uint8_t byte_class[256] = {};
    uint32_t n_classes = 1;
    std::vector<uint32_t> next;  ///< [state][class]
    std::vector<bool> accepts;   ///< [state]
    /// [state] any number of plain characters (see TokenTrie::text()) leads back to it.
    std::vector<bool> endless;
    size_t work = 0;  ///< bytes of memory that making it took, a measure of the time

    uint32_t size() const { return static_cast<uint32_t>(accepts.size()); }
    uint32_t step(uint32_t state, uint8_t byte) const {
        return state == kNone ? kNone : next[size_t{state} * n_classes + byte_class[byte]];
    }
    bool matches(std::string_view text) const;
};

/// The texts of `root`, which must not be recursive. Throws Error(usage) for more than 20,000 states, and as
/// make_nfa() does.
Dfa make_dfa(const Rules& rules, Rule root);

/// The texts of both, or those of `a` that are not of `b`. Throws Error(usage) for more than 20,000 states.
Dfa intersect(const Dfa& a, const Dfa& b);
Dfa subtract(const Dfa& a, const Dfa& b);

}  // namespace agave::grammar
