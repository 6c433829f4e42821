#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <vector>

#include "base/system.h"
#include "kv/layout.h"
#include "kv/state_pool.h"

namespace agave {

/// The pages of one sequence, and the slot of its recurrent state. Layers with the same window form a class
/// and share a page table. Whole pages may be held by several sequences and by a prefix tree (see
/// prefix_tree.h) at once; nobody writes to them any more.
struct KvSequence {
    int64_t n_tokens = 0;                        ///< positions [0, n_tokens) are stored
    std::vector<std::vector<int32_t>> page_ids;  ///< [class][page index]; -1 where the window has passed
    std::vector<int64_t> first_page;             ///< [class] the first page that is still held
    int32_t state_slot = -1;                     ///< -1: the model has no state, or nothing is reserved yet
    int64_t keep_position = INT64_MAX;           ///< commit() keeps what windows need from this position on
};

/// A copy of a sequence's recurrent state at a position, to come back to. To be given back to
/// KvCache::release().
struct KvSnapshot {
    int64_t n_tokens = 0;
    int32_t state_slot = -1;  ///< -1: of a model without state
};

/// K and V of any number of sequences, in pages of kPageTokens tokens, and the state of their recurrent
/// layers. Memory is reserved whole at the start and becomes resident page by page as tokens are stored.
class KvCache {
  public:
    /// Room for `max_tokens` tokens over all sequences, at most `max_sequences` of them, when a step adds at
    /// most `max_step_tokens` tokens; and for `max_snapshots` copies of recurrent state. Throws
    /// Error(runtime) when the address space cannot be had.
    KvCache(std::span<const KvLayer> layers, KvFormat format, int64_t max_tokens, int max_sequences,
            int64_t max_step_tokens, std::span<const StateLayer> states = {}, int max_snapshots = 0);

    KvFormat format() const { return format_; }
    KvSequence new_sequence() const;
    /// Gives all pages of a sequence back.
    void release(KvSequence& sequence);

    /// Takes the pages that positions [n_tokens, n_tokens + n) need, and a slot of zeroed state for a new
    /// sequence. Returns false, and changes nothing, when there are not enough.
    bool reserve(KvSequence& sequence, int64_t n);
    /// Declares the reserved n tokens stored, and gives back pages that every window has passed.
    void commit(KvSequence& sequence, int64_t n);
    /// Forgets all positions from n_tokens on, and pages reserved beyond. Returns false, and changes nothing,
    /// when a window's pages that the shorter sequence needs are gone, its last page is shared, or where
    /// there is recurrent state, which has no way back but to position 0; see snapshot().
    bool truncate(KvSequence& sequence, int64_t n_tokens);

    /// Copies the recurrent state at the sequence's present position; nullopt when all slots are taken.
    std::optional<KvSnapshot> snapshot(const KvSequence& sequence);
    /// Brings a sequence, which must have gone through the snapshot's position with the same tokens, back to
    /// it. Returns false, and changes nothing, when a window's pages that are needed are gone, or the
    /// sequence is shorter.
    bool restore(KvSequence& sequence, const KvSnapshot& snapshot);
    void release(KvSnapshot& snapshot);

    /// For the prefix tree. Classes are numbered from 0 on; `page` is an id of the class.
    int n_classes() const { return static_cast<int>(classes_.size()); }
    int32_t window(int c) const { return at(c).window; }
    /// The first page that a query at `position` or later reads.
    int64_t first_needed_page(int c, int64_t position) const;
    /// Whether a sequence holds the page.
    bool in_use(int c, int32_t page) const { return at(c).holders[static_cast<size_t>(page)] > 0; }
    /// The tree holds a page, which a sequence holds at this time, until it drops it.
    void keep_for_tree(int c, int32_t page);
    void drop_from_tree(int c, int32_t page);
    /// One more sequence holds the page, or one less.
    void hold(int c, int32_t page);
    void give_back(int c, int32_t page);
    /// Fills an empty sequence's slot of state from a snapshot; false when all slots are taken.
    bool begin_state(KvSequence& sequence, const KvSnapshot& snapshot);
    /// The first class that has too few pages for n tokens more, or -1.
    int lacking_class(const KvSequence& sequence, int64_t n) const;

    /// The view of one layer for the backend.
    KvView view(const KvSequence& sequence, int layer) const;
    /// The recurrent state of one layer of a sequence that something is reserved for.
    float* state(const KvSequence& sequence, int32_t layer) const {
        return states_.data(sequence.state_slot, layer);
    }

    /// Bytes that one page of tokens takes over all layers that keep every position, and over those with a
    /// window.
    size_t full_page_bytes() const;
    size_t window_page_bytes() const;
    /// Whether the sequence has a slot of state, can get one, or needs none.
    bool has_room_for_state(const KvSequence& sequence) const {
        return states_.empty() || sequence.state_slot >= 0 || states_.n_available() > 0;
    }
    /// Pages of the layers that keep every position, and those of them that nobody holds; 0 for a model
    /// without such layers.
    int64_t n_pages() const { return full_class_ < 0 ? 0 : classes_[full_class()].n_pages; }
    int64_t n_available_pages() const { return full_class_ < 0 ? 0 : classes_[full_class()].available(); }
    /// Of the same pages, those that are held by nobody but the prefix tree.
    int64_t n_cached_pages() const { return full_class_ < 0 ? 0 : classes_[full_class()].n_cached; }
    /// Slots of state in all, of sequences and snapshots.
    int n_state_slots() const { return states_.n_slots(); }
    /// Bytes of the recurrent state of one sequence.
    size_t state_bytes() const { return states_.slot_bytes(); }
    /// Bytes of the pages and state slots that are held now.
    size_t used_bytes() const;
    /// Bytes that are reserved in all.
    size_t reserved_bytes() const;

  private:
    struct Class {
        int32_t window = 0;
        size_t page_bytes = 0;
        int64_t n_pages = 0;
        int64_t n_fresh = 0;              ///< pages never used so far begin here
        std::vector<int32_t> free_pages;  ///< used before and given back
        std::vector<int32_t> holders;     ///< by page: sequences that hold it
        std::vector<uint8_t> in_tree;     ///< by page
        int64_t n_cached = 0;             ///< pages that the prefix tree alone holds
        PageMemory memory;

        int64_t available() const { return n_pages - n_fresh + static_cast<int64_t>(free_pages.size()); }
    };
    struct LayerPlace {
        int class_index;
        size_t offset;  ///< of the layer's part in a page
    };

    Class& at(int c) { return classes_[static_cast<size_t>(c)]; }
    const Class& at(int c) const { return classes_[static_cast<size_t>(c)]; }
    size_t full_class() const { return static_cast<size_t>(full_class_); }
    bool truncate_pages(KvSequence& sequence, int64_t n_tokens);

    KvFormat format_;
    std::vector<Class> classes_;
    int full_class_ = -1;  ///< the one without a window; -1: none
    std::vector<LayerPlace> layers_;
    StatePool states_;
    int max_snapshots_, n_snapshots_ = 0;  ///< with a state slot of their own
};

/// The bytes that `n_tokens` tokens of one sequence hold, as `agave inspect` prints them and KvCache
/// allocates them.
size_t kv_bytes(std::span<const KvLayer> layers, KvFormat format, int64_t n_tokens);

}  // namespace agave
