#include "tokenizer/merge.h"

#include <functional>

namespace agave {
namespace {

constexpr uint32_t nil = 0xFFFFFFFFu;

/// A merge that was possible when it was queued; it still is if the left symbol and its right neighbour
/// together span `length` bytes.
struct Candidate {
    uint32_t left;
    uint32_t length;
    int32_t id;
    uint32_t next;  ///< in its bucket, or in the list of free ones
};

/// The candidates of one priority, in the order of their places. Most come in that order, in a list; those
/// that come once the list is being worked on go to a heap beside it.
struct Bucket {
    uint32_t priority;
    uint32_t head = nil;
    uint32_t tail = nil;
    bool sorted = true;
    bool started = false;
    bool queued = false;
    std::vector<uint32_t> late;

    bool empty() const { return head == nil && late.empty(); }
};

/// A priority queue of candidates by (priority, place). A text has few priorities beside its candidates, so
/// a heap of the priorities and a bucket for each beats one heap of all (tenfold for ten million).
class CandidateQueue {
  public:
    CandidateQueue() : table_(1024) {}

    void push(uint32_t priority, uint32_t left, uint32_t length, int32_t id) {
        uint32_t index = free_;
        if (index != nil) {
            free_ = candidates_[index].next;
            candidates_[index] = {left, length, id, nil};
        } else {
            index = static_cast<uint32_t>(candidates_.size());
            candidates_.push_back({left, length, id, nil});
        }
        const uint32_t bucket_index = find_bucket(priority);
        Bucket& bucket = buckets_[bucket_index];
        if (bucket.started) {
            bucket.late.push_back(index);
            std::push_heap(bucket.late.begin(), bucket.late.end(), further_right());
        } else if (bucket.tail == nil) {
            bucket.head = bucket.tail = index;
        } else {
            bucket.sorted &= candidates_[bucket.tail].left < left;
            candidates_[bucket.tail].next = index;
            bucket.tail = index;
        }
        if (!bucket.queued) {
            bucket.queued = true;
            queue_.push_back(uint64_t{priority} << 32 | bucket_index);
            std::push_heap(queue_.begin(), queue_.end(), std::greater<>());
        }
    }

    /// The first candidate, which is taken out; false when there is none.
    bool pop(Candidate& out) {
        if (queue_.empty()) return false;
        Bucket& bucket = buckets_[queue_.front() & 0xFFFFFFFFu];
        if (!bucket.started) start(bucket);
        const bool from_late =
            !bucket.late.empty() &&
            (bucket.head == nil || candidates_[bucket.late.front()].left < candidates_[bucket.head].left);
        uint32_t index = bucket.head;
        if (from_late) {
            std::pop_heap(bucket.late.begin(), bucket.late.end(), further_right());
            index = bucket.late.back();
            bucket.late.pop_back();
        } else {
            bucket.head = candidates_[index].next;
        }
        out = candidates_[index];
        candidates_[index].next = free_;
        free_ = index;
        if (bucket.empty()) {
            bucket.tail = nil;
            bucket.sorted = true;
            bucket.started = bucket.queued = false;
            std::pop_heap(queue_.begin(), queue_.end(), std::greater<>());
            queue_.pop_back();
        }
        return true;
    }

  private:
    struct FurtherRight {
        const std::vector<Candidate>& candidates;
        bool operator()(uint32_t a, uint32_t b) const { return candidates[a].left > candidates[b].left; }
    };
    FurtherRight further_right() const { return {candidates_}; }

    void start(Bucket& bucket) {
        bucket.started = true;
        if (bucket.sorted) return;
        scratch_.clear();
        for (uint32_t index = bucket.head; index != nil; index = candidates_[index].next)
            scratch_.push_back(index);
        std::sort(scratch_.begin(), scratch_.end(),
                  [this](uint32_t a, uint32_t b) { return candidates_[a].left < candidates_[b].left; });
        bucket.head = scratch_.front();
        for (size_t i = 0; i + 1 < scratch_.size(); i++) candidates_[scratch_[i]].next = scratch_[i + 1];
        candidates_[scratch_.back()].next = nil;
        bucket.tail = scratch_.back();
    }

    uint32_t find_bucket(uint32_t priority) {
        if (buckets_.size() * 2 >= table_.size()) grow();
        uint32_t& slot = table_[place(priority)];
        if (slot == 0) {
            buckets_.push_back({.priority = priority, .late = {}});
            slot = static_cast<uint32_t>(buckets_.size());
        }
        return slot - 1;
    }

    /// Where in the table the bucket of this priority is or belongs.
    size_t place(uint32_t priority) const {
        const size_t mask = table_.size() - 1;
        size_t at = (priority * uint64_t{0x9E3779B97F4A7C15u} >> 32) & mask;
        while (table_[at] != 0 && buckets_[table_[at] - 1].priority != priority) at = (at + 1) & mask;
        return at;
    }

    void grow() {
        table_.assign(table_.size() * 4, 0);
        for (size_t i = 0; i < buckets_.size(); i++)
            table_[place(buckets_[i].priority)] = static_cast<uint32_t>(i + 1);
    }

    std::vector<Candidate> candidates_;
    uint32_t free_ = nil;
    std::vector<Bucket> buckets_;
    std::vector<uint32_t> table_;  ///< open addressing from priority to index in buckets_ + 1
    std::vector<uint64_t> queue_;  ///< min-heap of priority << 32 | index of bucket
    std::vector<uint32_t> scratch_;
};

}  // namespace

void Merger::run_long(RuleCall rule, const void* context) {
    struct Links {
        uint32_t previous;
        uint32_t next;
    };
    const auto n = static_cast<uint32_t>(symbols_.size());
    std::vector<Links> links(n);
    for (uint32_t i = 0; i < n; i++) links[i] = {i == 0 ? nil : i - 1, i + 1 == n ? nil : i + 1};

    CandidateQueue queue;
    const auto consider = [&](uint32_t left) {
        const Symbol& a = symbols_[left];
        const Symbol& b = symbols_[links[left].next];
        const Merge merge = rule(context, a, b);
        if (merge.priority != Merge::none) queue.push(merge.priority, left, a.length + b.length, merge.id);
    };
    for (uint32_t i = 0; i + 1 < n; i++) consider(i);
    for (Candidate candidate; queue.pop(candidate);) {
        Symbol& left = symbols_[candidate.left];
        Links& link = links[candidate.left];
        if (left.length == 0 || link.next == nil) continue;
        Symbol& right = symbols_[link.next];
        if (left.length + right.length != candidate.length) continue;
        left.id = candidate.id;
        left.length = candidate.length;
        right.length = 0;
        link.next = links[link.next].next;
        if (link.next != nil) links[link.next].previous = candidate.left;
        if (link.previous != nil) consider(link.previous);
        if (link.next != nil) consider(candidate.left);
    }
    std::erase_if(symbols_, [](const Symbol& symbol) { return symbol.length == 0; });
}

}  // namespace agave
