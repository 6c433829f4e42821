#include <algorithm>

#include "base/error.h"
#include "sampling/grammar/finish.h"
#include "sampling/grammar/grammar.h"
#include "sampling/grammar/position.h"

namespace agave {

using grammar::Expr;
using grammar::Rule;
using grammar::Rules;

namespace {

/// The rules with one more, for a grammar that begins behind a marker.
const Rules& with_late_start(Rules& rules, Rule root, Rule& late_root) {
    const Expr gap = rules.repeat(rules.chars({{'\n', '\n'}, {' ', ' '}}), 0, 2);
    late_root = rules.define(std::string(), rules.sequence({gap, rules.call(root)}));
    return rules;
}

/// The progress of finding a marker in a text, byte by byte (Knuth, Morris and Pratt, "Fast pattern matching
/// in strings", 1977).
class MarkerSearch {
  public:
    explicit MarkerSearch(std::string marker) : marker_(std::move(marker)), border_(marker_.size()) {
        for (size_t i = 1; i < marker_.size(); i++) border_[i] = next(border_[i - 1], marker_[i]);
    }
    /// Bytes of the marker that the text ends with, after one more byte.
    size_t next(size_t matched, char byte) const {
        while (matched > 0 && marker_[matched] != byte) matched = border_[matched - 1];
        return marker_[matched] == byte ? matched + 1 : 0;
    }
    size_t size() const { return marker_.size(); }

  private:
    std::string marker_;
    std::vector<size_t> border_;
};

class Constraint : public TokenConstraint {
  public:
    Constraint(std::shared_ptr<const Grammar> grammar, const TokenTrie& trie, std::string_view after)
        : grammar_(std::move(grammar)),
          data_(grammar_->data()),
          trie_(trie),
          marker_(trie.spell_control_tokens(after)),
          begun_(after.empty()),
          position_(lock_and_start(!after.empty())),
          words_(trie.n_words()),
          known_(marker_.size()) {}

    std::span<const uint32_t> allowed() override {
        const std::lock_guard lock(data_.mutex);
        if (!begun_) return allowed_before();
        std::fill(words_.begin(), words_.end(), 0);
        bool any = false;
        if (!ended_) {
            data_.limit_memory();
            position_.allow(trie_, words_);
            any = std::any_of(words_.begin(), words_.end(), [](uint32_t word) { return word != 0; });
        }
        if (position_.may_end())
            for (const int32_t token : trie_.end_of_generation()) set(token), any = true;
        if (!any)
            fail(ErrorKind::runtime, "no token of the vocabulary continues the text as the grammar demands");
        return words_;
    }

    void accept(int32_t token) override {
        if (token < 0 || token >= trie_.n_vocab())
            fail(ErrorKind::runtime, "token %d is not in the vocabulary of %d", token, trie_.n_vocab());
        const std::lock_guard lock(data_.mutex);
        bool taken = false;
        if (trie_.is_end_of_generation(token)) {
            taken = begun_ && position_.may_end();
            ended_ |= taken;
        } else if (!ended_ && !trie_.bytes(token).empty()) {
            taken = read(trie_.bytes(token));
        }
        if (!taken) fail(ErrorKind::runtime, "the grammar does not allow token %d here", token);
    }

  private:
    Position lock_and_start(bool late) {
        const std::lock_guard lock(data_.mutex);
        return Position(data_, late);
    }
    void set(int32_t token) { words_[static_cast<size_t>(token) / 32] |= uint32_t{1} << (token % 32); }
    void clear(int32_t token) { words_[static_cast<size_t>(token) / 32] &= ~(uint32_t{1} << (token % 32)); }

    bool read(std::string_view bytes) {
        size_t i = 0, matched = matched_;
        while (!begun_ && i < bytes.size()) {
            matched = marker_.next(matched, bytes[i++]);
            if (matched < marker_.size()) continue;
            if (i < bytes.size() && !position_.read(bytes.substr(i))) return false;
            begun_ = true;
            return true;
        }
        matched_ = matched;
        return !begun_ || position_.read(bytes);
    }

    /// Before the grammar begins: any token, save those that would complete the marker and go on in a way
    /// that the grammar does not allow.
    std::span<const uint32_t> allowed_before() {
        std::fill(words_.begin(), words_.end(), 0);
        for (const TokenTrie::Tree* tree : {&trie_.text(), &trie_.mixed()})
            for (const int32_t token : tree->order) set(token);
        for (const TriePoint& point : completions()) {
            const TokenTrie::Node* nodes = point.tree->nodes.data();
            for (uint32_t t = nodes[point.node + 1].tokens; t < nodes[nodes[point.node].end].tokens; t++)
                clear(point.tree->order[t]);
            position_.allow_below(trie_, point, words_);
        }
        return words_;
    }

    /// Where tokens complete the marker and go on.
    const std::vector<TriePoint>& completions() {
        Completions& known = known_[matched_];
        if (known.found) return known.points;
        known.found = true;
        for (const TokenTrie::Tree* tree : {&trie_.text(), &trie_.mixed()}) {
            struct Step {
                uint32_t end;
                size_t matched;
            };
            const std::vector<TokenTrie::Node>& nodes = tree->nodes;
            std::vector<Step> path{{nodes[0].end, matched_}};
            for (uint32_t n = 1; n < nodes[0].end;) {
                while (n >= path.back().end) path.pop_back();
                const size_t matched = marker_.next(path.back().matched, static_cast<char>(nodes[n].byte));
                if (matched == marker_.size()) {
                    if (nodes[n].end != n + 1) known.points.push_back({tree, n});
                    n = nodes[n].end;
                    continue;
                }
                path.push_back({nodes[n].end, matched});
                n++;
            }
        }
        return known.points;
    }

    struct Completions {
        bool found = false;
        std::vector<TriePoint> points;
    };

    std::shared_ptr<const Grammar> grammar_;
    GrammarData& data_;
    const TokenTrie& trie_;
    MarkerSearch marker_;
    size_t matched_ = 0;  ///< bytes of the marker
    bool begun_;          ///< the marker has come
    bool ended_ = false;
    Position position_;
    std::vector<uint32_t> words_;
    std::vector<Completions> known_;  ///< by matched_
};

}  // namespace

namespace grammar {

std::shared_ptr<const Grammar> finish(Rules& rules, Rule root) {
    return std::make_shared<const Grammar>(std::make_unique<GrammarData>(rules, root));
}

}  // namespace grammar

GrammarData::GrammarData(Rules& rules, Rule root)
    : nfa(grammar::make_nfa(with_late_start(rules, root, late_root), root)),
      automaton(nfa),
      start(automaton.start(root)),
      late_start(automaton.start(late_root)) {}

Grammar::Grammar(std::unique_ptr<GrammarData> data) : data_(std::move(data)) {}
Grammar::~Grammar() = default;

bool Grammar::matches(std::string_view text) const {
    const std::lock_guard lock(data_->mutex);
    data_->limit_memory();
    Position position(*data_, false);
    return (text.empty() || position.read(text)) && position.may_end();
}

void Grammar::forget() const {
    const std::lock_guard lock(data_->mutex);
    data_->forget();
}

std::unique_ptr<TokenConstraint> constrain(std::shared_ptr<const Grammar> grammar, const TokenTrie& trie,
                                           std::string_view after) {
    return std::make_unique<Constraint>(std::move(grammar), trie, after);
}

}  // namespace agave
