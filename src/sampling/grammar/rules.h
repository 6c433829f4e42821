#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "sampling/grammar/dfa.h"

namespace agave::grammar {

/// Unicode code points first..last.
struct CharRange {
    uint32_t first, last;
};
/// Sorted ranges that do not touch, without surrogates, once normalized.
using CharSet = std::vector<CharRange>;

constexpr uint32_t kMaxCodePoint = 0x10FFFF;

CharSet normalize(CharSet set);
CharSet complement(const CharSet& set);
CharSet intersect(const CharSet& a, const CharSet& b);
bool contains(const CharSet& set, uint32_t code_point);
/// The code point of the valid UTF-8 character at the front of `text`.
uint32_t decode_utf8(std::string_view text);

using Expr = uint32_t;
constexpr uint32_t kUnbounded = UINT32_MAX;

/// A context-free grammar over bytes: rules whose right sides are expressions. What GBNF, regular expressions
/// and JSON Schema are read into. Throws Error(usage) when it becomes too large.
class Rules {
  public:
    enum class Kind : uint8_t { never, literal, chars, sequence, choice, repeat, list, machine, call };
    struct Node {
        Kind kind;
        uint32_t begin, size;  ///< of `bytes`, `ranges` or `children`; of a repeat: its least and most counts
        uint32_t of;      ///< the expression of a repeat, the rule of a call, the number of a machine; of a
                          ///< list, whether it may be empty
        uint32_t states;  ///< of the automaton, about
    };

    /// An expression without any text.
    Expr never() { return add({Kind::never, 0, 0, 0, 0}); }
    Expr empty() { return literal({}); }
    Expr literal(std::string_view bytes);
    /// A character of the set, in UTF-8. The set need not be normalized.
    Expr chars(const CharSet& set);
    Expr sequence(const std::vector<Expr>& parts);
    Expr choice(const std::vector<Expr>& alternatives);
    Expr repeat(Expr what, uint32_t least, uint32_t most);
    Expr optional(Expr what) { return repeat(what, 0, 1); }
    struct Item {
        Expr what;
        uint32_t optional;
    };
    /// The items in order, `separator` between those that are there.
    Expr list(Expr separator, const std::vector<Item>& items, bool may_be_empty);
    Expr machine(Dfa dfa);
    Expr call(Rule rule) { return add({Kind::call, 0, 0, rule, 1}); }

    Rule declare(std::string name);
    void define(Rule rule, Expr right_side) { rules_[rule].right_side = right_side; }
    Rule define(std::string name, Expr right_side) {
        const Rule rule = declare(std::move(name));
        define(rule, right_side);
        return rule;
    }

    static constexpr Expr kUndefined = UINT32_MAX;
    struct NamedRule {
        std::string name;
        Expr right_side = kUndefined;
    };
    const std::vector<NamedRule>& rules() const { return rules_; }
    bool is_never(Expr expr) const { return nodes_[expr].kind == Kind::never; }
    const Node& node(Expr expr) const { return nodes_[expr]; }
    std::string_view bytes(const Node& node) const {
        return std::string_view(bytes_).substr(node.begin, node.size);
    }
    const CharRange* ranges(const Node& node) const { return ranges_.data() + node.begin; }
    /// Of a list: the separator, then each item and whether it is optional.
    const Expr* children(const Node& node) const { return children_.data() + node.begin; }
    const Dfa& machine(const Node& node) const { return machines_[node.of]; }

    /// What a message calls the text that the grammar comes from ("the grammar", "the schema").
    const char* source = "the grammar";

  private:
    Expr add(Node node);

    std::vector<Node> nodes_;
    std::string bytes_;
    std::vector<CharRange> ranges_;
    std::vector<Expr> children_;
    std::vector<NamedRule> rules_;
    std::vector<Dfa> machines_;
};

}  // namespace agave::grammar
