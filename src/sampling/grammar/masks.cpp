#include "sampling/grammar/masks.h"

#include <algorithm>

namespace agave {

using grammar::Automaton;

namespace {

/// Of frontiers and masks, for one grammar.
constexpr size_t kMaxKeptBytes = size_t{64} << 20;

bool has_children(TriePoint point) {
    return point.tree->nodes[point.node].end != point.node + 1;
}

/// Characters of plain text on the way to a node, as far as they matter.
struct Step {
    uint32_t end;
    Automaton::FrontierId frontier;
    uint32_t characters;
};

void set_bits(std::span<uint32_t> words, const int32_t* begin, const int32_t* end) {
    for (; begin != end; begin++) words[static_cast<uint32_t>(*begin) / 32] |= uint32_t{1} << (*begin % 32);
}

/// `covered`: plain texts of so many characters are in `words` already.
void walk(Automaton& automaton, TriePoint from, Automaton::FrontierId begin, uint32_t covered,
          std::span<uint32_t> words, std::vector<TriePoint>& exits) {
    const TokenTrie::Node* nodes = from.tree->nodes.data();
    const int32_t* order = from.tree->order.data();
    std::vector<Step> path{{nodes[from.node].end, begin, 0}};
    for (uint32_t n = from.node + 1; n < nodes[from.node].end;) {
        while (n >= path.back().end) path.pop_back();
        const TokenTrie::Node& node = nodes[n];
        const uint32_t characters = path.back().characters + ((node.byte & 0xC0) != 0x80 ? 1u : 0u);
        if (node.run != TokenTrie::kMixed && characters + node.run <= covered) {
            n = node.end;
            continue;
        }
        const Automaton::FrontierId f = automaton.step(path.back().frontier, node.byte);
        if (f == Automaton::kDead) {
            n = node.end;
            continue;
        }
        if (node.run != TokenTrie::kMixed && node.run <= automaton.run(f) && automaton.run(f) != 0) {
            set_bits(words, order + node.tokens, order + nodes[node.end].tokens);
            n = node.end;
            continue;
        }
        set_bits(words, order + node.tokens, order + nodes[n + 1].tokens);
        if (automaton.ends(f) && has_children({from.tree, n})) exits.push_back({from.tree, n});
        if (f == Automaton::kEnded) {
            n = node.end;
            continue;
        }
        path.push_back({node.end, f, characters});
        n++;
    }
}

}  // namespace

void walk_tokens(Automaton& automaton, const TokenTrie& trie, TriePoint from, Automaton::FrontierId begin,
                 std::span<uint32_t> words, std::vector<TriePoint>& exits) {
    uint32_t covered = 0;
    if (from.tree == &trie.text() && from.node == 0 && automaton.run(begin) != 0) {
        const uint32_t run = automaton.run(begin);
        const bool all = run >= from.tree->nodes[0].run;
        const uint32_t n =
            all ? TokenTrie::kTextMasks - 1 : std::min<uint32_t>(run, TokenTrie::kTextMasks - 2);
        const std::span<const uint32_t> texts = trie.text_mask(n);
        for (size_t i = 0; i < words.size(); i++) words[i] |= texts[i];
        if (all) return;
        covered = n;
    }
    walk(automaton, from, begin, covered, words, exits);
}

const SetMask& MaskCache::of(grammar::SetId set) {
    if (masks_.size() <= set) masks_.resize(set + 1);
    if (masks_[set]) return *masks_[set];
    auto mask = std::make_unique<SetMask>();
    words_.assign(trie_.n_words(), 0);
    const Automaton::FrontierId begin = automaton_.frontier(set);
    for (const TokenTrie::Tree* tree : {&trie_.text(), &trie_.mixed()})
        walk_tokens(automaton_, trie_, {tree, 0}, begin, words_, mask->exits);

    size_t count = 0;
    for (uint32_t word : words_) count += static_cast<size_t>(std::popcount(word));
    if (count > words_.size() / 2) {
        mask->words = words_;
    } else {
        mask->tokens.reserve(count);
        for (size_t w = 0; w < words_.size(); w++)
            for (uint32_t bits = words_[w]; bits != 0; bits &= bits - 1)
                mask->tokens.push_back(static_cast<int32_t>(w * 32) + std::countr_zero(bits));
    }
    mask->exits.shrink_to_fit();
    bytes_ += sizeof(SetMask) + sizeof(uint32_t) * (mask->words.size() + mask->tokens.size()) +
              sizeof(TriePoint) * mask->exits.size();
    masks_[set] = std::move(mask);
    return *masks_[set];
}

void MaskCache::forget() {
    masks_.clear();
    bytes_ = 0;
}

MaskCache& GrammarData::masks_of(const TokenTrie& trie) {
    for (const std::unique_ptr<MaskCache>& cache : masks)
        if (cache->trie_id() == trie.id()) return *cache;
    masks.push_back(std::make_unique<MaskCache>(automaton, trie));
    return *masks.back();
}

void GrammarData::limit_memory() {
    size_t bytes = automaton.bytes() - automaton.set_bytes();
    for (const std::unique_ptr<MaskCache>& cache : masks) bytes += cache->bytes();
    if (bytes > kMaxKeptBytes) forget();
}

void GrammarData::forget() {
    automaton.forget();
    for (const std::unique_ptr<MaskCache>& cache : masks) cache->forget();
}

}  // namespace agave
