#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "sampling/grammar/rules.h"

namespace agave::grammar {

/// The rules as a recursive transition network: one finite automaton for each rule, whose edges read a byte,
/// nothing, or a text of another rule.
struct Nfa {
    struct ByteEdge {
        uint8_t first, last;  ///< classes of bytes
        uint32_t target;
    };
    struct CallEdge {
        Rule rule;
        uint32_t target;
    };
    /// Edges leave a state in the order of these arrays: those of state s begin at its element and end at
    /// that of s + 1.
    struct State {
        uint32_t bytes, calls, empties;
        bool accepts;  ///< the end of its rule's text
        uint8_t run;   ///< plain characters, in any number up to this, that a text of the rule may have here
    };
    static constexpr uint8_t kEndlessRun = 255;

    std::vector<State> states;  ///< one more behind the last
    std::vector<ByteEdge> byte_edges;
    std::vector<CallEdge> call_edges;
    std::vector<uint32_t> empty_edges;
    std::vector<uint32_t> starts;  ///< of each rule
    uint8_t byte_class[256];
    uint32_t n_classes;

    std::span<const ByteEdge> bytes_of(uint32_t s) const {
        return std::span(byte_edges).subspan(states[s].bytes, states[s + 1].bytes - states[s].bytes);
    }
    std::span<const CallEdge> calls_of(uint32_t s) const {
        return std::span(call_edges).subspan(states[s].calls, states[s + 1].calls - states[s].calls);
    }
    std::span<const uint32_t> empties_of(uint32_t s) const {
        return std::span(empty_edges).subspan(states[s].empties, states[s + 1].empties - states[s].empties);
    }
};

/// Every state of the result can reach the end of its rule, and no rule recurses to the left. Throws
/// Error(usage) for a rule without right side, for left recursion, for what is too large, and when `root`
/// generates no finite text, unless it `may_be_empty`.
Nfa make_nfa(const Rules& rules, Rule root, bool may_be_empty = false);

/// Whether `root` generates any finite text.
bool generates_text(const Rules& rules, Rule root);

}  // namespace agave::grammar
