#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <vector>

namespace agave {

/// A part of a piece while its parts are merged: a token id (or -1) and its length in bytes.
struct Symbol {
    int32_t id;
    uint32_t length;
    uint32_t offset;  ///< of its first byte in the piece
    int32_t next;     ///< index of the neighbours, -1 at the ends; a symbol that was merged away has length 0
    int32_t previous;
};

/// What two neighbouring symbols become. The smallest priority merges first; of equal ones, the leftmost.
struct Merge {
    static constexpr uint32_t none = 0xFFFFFFFFu;
    uint32_t priority = none;
    int32_t id = -1;
};

/// Merges neighbours until nothing merges, in O(n log n); `rule(left, right)` gives the Merge of two symbols.
/// Keeps its memory from piece to piece.
class Merger {
  public:
    std::vector<Symbol>& symbols() { return symbols_; }

    /// Merges symbols() (id, length and offset set) in place; the survivors are moved to the front.
    template <typename Rule>
    void run(const Rule& rule) {
        if (symbols_.size() <= short_piece)
            run_short(rule);
        else
            run_long(rule);
    }

  private:
    static constexpr size_t short_piece = 48;

    /// A merge that was possible when it was queued; it still is if the two symbols span `length` bytes.
    struct Candidate {
        uint64_t key;  ///< priority, then index of the left symbol
        int32_t id;
        uint32_t length;
        bool operator>(const Candidate& other) const { return key > other.key; }
    };

    /// Looks for the best pair anew each time: quickest for the few symbols of a word.
    template <typename Rule>
    void run_short(const Rule& rule) {
        size_t n = symbols_.size();
        Merge merges[short_piece];
        for (size_t i = 0; i + 1 < n; i++) merges[i] = rule(symbols_[i], symbols_[i + 1]);
        while (n > 1) {
            size_t best = 0;
            for (size_t i = 1; i + 1 < n; i++)
                if (merges[i].priority < merges[best].priority) best = i;
            if (merges[best].priority == Merge::none) break;
            symbols_[best].id = merges[best].id;
            symbols_[best].length += symbols_[best + 1].length;
            std::copy(symbols_.begin() + static_cast<ptrdiff_t>(best) + 2,
                      symbols_.begin() + static_cast<ptrdiff_t>(n),
                      symbols_.begin() + static_cast<ptrdiff_t>(best) + 1);
            if (best + 2 < n) std::copy(merges + best + 2, merges + n - 1, merges + best + 1);
            n--;
            if (best + 1 < n) merges[best] = rule(symbols_[best], symbols_[best + 1]);
            if (best > 0) merges[best - 1] = rule(symbols_[best - 1], symbols_[best]);
        }
        symbols_.resize(n);
    }

    template <typename Rule>
    void run_long(const Rule& rule) {
        link();
        queue_.clear();
        for (size_t i = 0; i + 1 < symbols_.size(); i++) enqueue(rule, static_cast<int32_t>(i), false);
        std::make_heap(queue_.begin(), queue_.end(), std::greater<>());
        while (!queue_.empty()) {
            std::pop_heap(queue_.begin(), queue_.end(), std::greater<>());
            const Candidate candidate = queue_.back();
            queue_.pop_back();
            const auto left_index = static_cast<int32_t>(candidate.key & 0xFFFFFFFFu);
            if (!apply(left_index, candidate)) continue;
            const Symbol& left = symbols_[static_cast<size_t>(left_index)];
            if (left.previous >= 0) enqueue(rule, left.previous, true);
            if (left.next >= 0) enqueue(rule, left_index, true);
        }
        std::erase_if(symbols_, [](const Symbol& symbol) { return symbol.length == 0; });
    }

    void link() {
        for (size_t i = 0; i < symbols_.size(); i++) {
            symbols_[i].previous = static_cast<int32_t>(i) - 1;
            symbols_[i].next = static_cast<int32_t>(i) + 1;
        }
        symbols_.back().next = -1;
    }

    template <typename Rule>
    void enqueue(const Rule& rule, int32_t left_index, bool sift) {
        const Symbol& left = symbols_[static_cast<size_t>(left_index)];
        const Symbol& right = symbols_[static_cast<size_t>(left.next)];
        const Merge merge = rule(left, right);
        if (merge.priority == Merge::none) return;
        queue_.push_back({uint64_t{merge.priority} << 32 | static_cast<uint32_t>(left_index), merge.id,
                          left.length + right.length});
        if (sift) std::push_heap(queue_.begin(), queue_.end(), std::greater<>());
    }

    bool apply(int32_t left_index, const Candidate& candidate) {
        Symbol& left = symbols_[static_cast<size_t>(left_index)];
        if (left.length == 0 || left.next < 0) return false;
        Symbol& right = symbols_[static_cast<size_t>(left.next)];
        if (left.length + right.length != candidate.length) return false;
        left.id = candidate.id;
        left.length = candidate.length;
        left.next = right.next;
        if (right.next >= 0) symbols_[static_cast<size_t>(right.next)].previous = left_index;
        right.length = 0;
        return true;
    }

    std::vector<Symbol> symbols_;
    std::vector<Candidate> queue_;
};

}  // namespace agave
