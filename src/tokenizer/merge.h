#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <vector>

namespace agave {

/// A part of a piece while its parts are merged: a token id (or -1), its length in bytes (0 once it has been
/// merged into its left neighbour) and where it begins.
struct Symbol {
    int32_t id;
    uint32_t length;
    uint32_t offset;
};

/// What two neighbouring symbols become. The smallest priority merges first; of equal ones, the leftmost.
struct Merge {
    static constexpr uint32_t none = 0xFFFFFFFFu;
    uint32_t priority = none;
    int32_t id = -1;
};

/// Merges neighbours until nothing merges; `rule(left, right)` gives the Merge of two symbols. Keeps its
/// memory from piece to piece.
class Merger {
  public:
    std::vector<Symbol>& symbols() { return symbols_; }

    /// Merges symbols() in place; the survivors are moved to the front. O(n log n).
    template <typename Rule>
    void run(const Rule& rule) {
        if (symbols_.size() <= short_piece) {
            run_short(rule);
        } else {
            const auto call = [](const void* context, const Symbol& left, const Symbol& right) {
                return (*static_cast<const Rule*>(context))(left, right);
            };
            run_long(call, &rule);
        }
    }

  private:
    static constexpr size_t short_piece = 48;
    using RuleCall = Merge (*)(const void* context, const Symbol& left, const Symbol& right);

    /// Looks for the best pair anew each time: quickest for the few symbols of a word.
    template <typename Rule>
    void run_short(const Rule& rule) {
        size_t n = symbols_.size();
        Symbol* symbols = symbols_.data();
        Merge merges[short_piece];
        for (size_t i = 0; i + 1 < n; i++) merges[i] = rule(symbols[i], symbols[i + 1]);
        while (n > 1) {
            size_t best = 0;
            for (size_t i = 1; i + 1 < n; i++)
                if (merges[i].priority < merges[best].priority) best = i;
            if (merges[best].priority == Merge::none) break;
            symbols[best].id = merges[best].id;
            symbols[best].length += symbols[best + 1].length;
            std::copy(symbols + best + 2, symbols + n, symbols + best + 1);
            if (best + 2 < n) std::copy(merges + best + 2, merges + n - 1, merges + best + 1);
            n--;
            if (best + 1 < n) merges[best] = rule(symbols[best], symbols[best + 1]);
            if (best > 0) merges[best - 1] = rule(symbols[best - 1], symbols[best]);
        }
        symbols_.resize(n);
    }

    void run_long(RuleCall rule, const void* context);

    std::vector<Symbol> symbols_;
};

}  // namespace agave
