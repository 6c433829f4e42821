#include "tokenizer/merge.h"

#include <gtest/gtest.h>

#include <random>

namespace agave {
namespace {

/// Numbers below a bound.
class Random {
  public:
    explicit Random(unsigned seed) : engine_(seed) {}
    uint32_t below(uint32_t bound) { return static_cast<uint32_t>(engine_() % bound); }
    int32_t id(int32_t n_ids) { return static_cast<int32_t>(below(static_cast<uint32_t>(n_ids))); }

  private:
    std::mt19937 engine_;
};

/// Symbols are numbers modulo a small base; a rule table drawn at random says what merges.
struct RandomRules {
    std::vector<Merge> table;
    int32_t n_ids;

    RandomRules(unsigned seed, int32_t ids, uint32_t percent, uint32_t priorities) : n_ids(ids) {
        Random random(seed);
        table.resize(static_cast<size_t>(ids) * static_cast<size_t>(ids));
        for (Merge& merge : table)
            if (random.below(100) < percent) merge = {random.below(priorities), random.id(ids)};
    }
    Merge operator()(const Symbol& left, const Symbol& right) const {
        return table[static_cast<size_t>(left.id * n_ids + right.id)];
    }
};

/// The definition: the smallest priority of all pairs, the leftmost of equals, again and again.
std::vector<Symbol> merge_naively(std::vector<Symbol> symbols, const RandomRules& rules) {
    for (;;) {
        size_t best = symbols.size();
        for (size_t i = 0; i + 1 < symbols.size(); i++) {
            const Merge merge = rules(symbols[i], symbols[i + 1]);
            if (merge.priority == Merge::none) continue;
            if (best == symbols.size() || merge.priority < rules(symbols[best], symbols[best + 1]).priority)
                best = i;
        }
        if (best == symbols.size()) return symbols;
        symbols[best].id = rules(symbols[best], symbols[best + 1]).id;
        symbols[best].length += symbols[best + 1].length;
        symbols.erase(symbols.begin() + static_cast<ptrdiff_t>(best) + 1);
    }
}

TEST(Merger, DoesAsTheDefinitionSays) {
    Random random(3);
    Merger merger;
    for (unsigned round = 0; round < 600; round++) {
        const int32_t n_ids = 2 + random.id(20);
        // Few priorities make many ties; with many, merging makes pairs of better priority than the last.
        const uint32_t n_priorities = 1 + random.below(round % 3 == 0 ? 3 : 400);
        const RandomRules rules(round, n_ids, 5 + random.below(60), n_priorities);
        std::vector<Symbol> symbols(1 + random.below(round % 2 == 0 ? 48 : 400));
        uint32_t offset = 0;
        for (Symbol& symbol : symbols) {
            symbol = {random.id(n_ids), 1 + random.below(3), offset};
            offset += symbol.length;
        }
        merger.symbols() = symbols;
        merger.run(rules);
        const std::vector<Symbol> expected = merge_naively(symbols, rules);
        ASSERT_EQ(merger.symbols().size(), expected.size()) << round;
        for (size_t i = 0; i < expected.size(); i++) {
            ASSERT_EQ(merger.symbols()[i].id, expected[i].id) << round;
            ASSERT_EQ(merger.symbols()[i].length, expected[i].length) << round;
            ASSERT_EQ(merger.symbols()[i].offset, expected[i].offset) << round;
        }
    }
}

}  // namespace
}  // namespace agave
