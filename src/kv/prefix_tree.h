#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <vector>

#include "kv/cache.h"

namespace agave {

/// What is stored of texts that begin alike, by their tokens: a node for each whole page of tokens, under the
/// node of the page before. Nodes hold the pages of layers that keep every position. What else a sequence
/// needs to go on from a page's end - what windows read from there, and recurrent state - is held at the
/// nodes where insert() was told so; every node is such a place in models without either. The least recently
/// used goes first when there is no room.
class PrefixTree {
  public:
    /// The cache must outlive the tree.
    explicit PrefixTree(KvCache& cache);
    ~PrefixTree();
    PrefixTree(const PrefixTree&) = delete;
    PrefixTree& operator=(const PrefixTree&) = delete;

    struct Found {
        int64_t n_tokens = 0;  ///< where a sequence of these tokens can begin, of `most` at the most
        int64_t n_known = 0;   ///< the tokens' first pages that the tree knows, in tokens
        int64_t n_idle = 0;    ///< of the n_tokens' pages, those that no sequence holds
    };
    Found find(std::span<const int32_t> tokens, int64_t most) const;

    /// Makes an empty sequence hold the first n_tokens (of find()). False when there is no slot for its
    /// state.
    bool begin(KvSequence& sequence, std::span<const int32_t> tokens, int64_t n_tokens);

    /// Takes in the first n_tokens of a sequence, whole pages of which `tokens` are the text; with
    /// can_resume, so that others can begin from there. For that a model with recurrent layers must be at
    /// this position, and the sequence must still hold what windows read from there. Pages that the tree has
    /// already take the place of the sequence's own. Returns whether the place to begin from is new.
    bool insert(KvSequence& sequence, std::span<const int32_t> tokens, int64_t n_tokens, bool can_resume);
    /// Nobody needs to begin after the first n_tokens any more.
    void forget_resume(std::span<const int32_t> tokens, int64_t n_tokens);

    /// Gives up what was used least recently to make room for n tokens more of a sequence; false when that is
    /// not possible. Not all that is lacking may be there then: to be called until there is.
    bool make_room(const KvSequence& sequence, int64_t n);
    void clear();

    /// Changes with each insert() that the tree has learned from.
    uint64_t version() const { return version_; }
    int64_t n_nodes() const { return static_cast<int64_t>(nodes_.size() - free_nodes_.size()); }

  private:
    struct Node {
        std::array<int32_t, kPageTokens> tokens;
        int32_t parent = -1, first_child = -1, next_sibling = -1;
        int32_t depth = 0;  ///< the page's index
        bool used = false, resumes = false;
        KvSnapshot snapshot;  ///< where `resumes`
        uint64_t last_use = 0;
        std::vector<int32_t> pages;   ///< [class] -1: not held
        std::vector<int32_t> needed;  ///< [class with a window] nodes that resume and need the page
    };

    int32_t child(int32_t parent, std::span<const int32_t> page) const;
    int32_t add_child(int32_t parent, std::span<const int32_t> page);
    std::vector<int32_t> path(std::span<const int32_t> tokens, int64_t n_tokens) const;
    bool resumes(const Node& node) const { return plain_ || node.resumes; }
    void share_page(KvSequence& sequence, Node& node, int c);
    bool start_resume(KvSequence& sequence, const std::vector<int32_t>& nodes);
    void stop_resume(int32_t node);
    bool drop_least_used_resume(int32_t except);
    bool drop_least_used_leaf();
    void remove_leaf(int32_t node);
    Node& at(int32_t node) { return nodes_[static_cast<size_t>(node)]; }
    const Node& at(int32_t node) const { return nodes_[static_cast<size_t>(node)]; }

    KvCache& cache_;
    bool plain_ = true;        ///< neither windows nor recurrent state
    std::vector<Node> nodes_;  ///< [0] is the root, which has no page
    std::vector<int32_t> free_nodes_;
    uint64_t version_ = 0, uses_ = 0;
};

}  // namespace agave
