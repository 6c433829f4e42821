#include "kv/prefix_tree.h"

#include <algorithm>

namespace agave {

PrefixTree::PrefixTree(KvCache& cache) : cache_(cache), nodes_(1) {
    for (int c = 0; c < cache.n_classes(); c++) plain_ = plain_ && cache.window(c) == 0;
    plain_ = plain_ && cache.state_bytes() == 0;
}

PrefixTree::~PrefixTree() {
    clear();
}

static std::span<const int32_t> page_of(std::span<const int32_t> tokens, int64_t index) {
    return tokens.subspan(static_cast<size_t>(index * kPageTokens), static_cast<size_t>(kPageTokens));
}

int32_t PrefixTree::child(int32_t parent, std::span<const int32_t> page) const {
    for (int32_t node = at(parent).first_child; node >= 0; node = at(node).next_sibling)
        if (std::equal(page.begin(), page.end(), at(node).tokens.begin())) return node;
    return -1;
}

int32_t PrefixTree::add_child(int32_t parent, std::span<const int32_t> page) {
    int32_t index;
    if (free_nodes_.empty()) {
        index = static_cast<int32_t>(nodes_.size());
        nodes_.emplace_back();
    } else {
        index = free_nodes_.back();
        free_nodes_.pop_back();
    }
    Node& node = at(index);
    std::copy(page.begin(), page.end(), node.tokens.begin());
    node.parent = parent;
    node.depth = parent == 0 ? 0 : at(parent).depth + 1;
    node.used = true;
    node.next_sibling = at(parent).first_child;
    node.pages.assign(static_cast<size_t>(cache_.n_classes()), -1);
    node.needed.assign(static_cast<size_t>(cache_.n_classes()), 0);
    at(parent).first_child = index;
    return index;
}

/// The nodes of the first n_tokens' pages, as far as there are any.
std::vector<int32_t> PrefixTree::path(std::span<const int32_t> tokens, int64_t n_tokens) const {
    std::vector<int32_t> nodes;
    int32_t node = 0;
    for (int64_t p = 0; (p + 1) * kPageTokens <= n_tokens; p++) {
        node = child(node, page_of(tokens, p));
        if (node < 0) break;
        nodes.push_back(node);
    }
    return nodes;
}

PrefixTree::Found PrefixTree::find(std::span<const int32_t> tokens, int64_t most) const {
    const std::vector<int32_t> nodes = path(tokens, static_cast<int64_t>(tokens.size()));
    Found found;
    found.n_known = static_cast<int64_t>(nodes.size()) * kPageTokens;
    for (size_t i = 0; i < nodes.size(); i++) {
        const int64_t n_tokens = static_cast<int64_t>(i + 1) * kPageTokens;
        if (n_tokens <= most && resumes(at(nodes[i]))) found.n_tokens = n_tokens;
    }
    for (int c = 0; c < cache_.n_classes(); c++)
        for (size_t i = 0; cache_.window(c) == 0 && i < static_cast<size_t>(found.n_tokens / kPageTokens);
             i++)
            found.n_idle += !cache_.in_use(c, at(nodes[i]).pages[static_cast<size_t>(c)]);
    return found;
}

bool PrefixTree::begin(KvSequence& sequence, std::span<const int32_t> tokens, int64_t n_tokens) {
    const std::vector<int32_t> nodes = path(tokens, n_tokens);
    if (nodes.empty()) return true;
    if (!cache_.begin_state(sequence, at(nodes.back()).snapshot)) return false;
    for (int c = 0; c < cache_.n_classes(); c++) {
        const size_t i = static_cast<size_t>(c);
        const int64_t first = cache_.first_needed_page(c, n_tokens);
        sequence.first_page[i] = first;
        for (int32_t node : nodes) {
            const int32_t page = at(node).depth < first ? -1 : at(node).pages[i];
            if (page >= 0) cache_.hold(c, page);
            sequence.page_ids[i].push_back(page);
        }
    }
    sequence.n_tokens = n_tokens;
    uses_++;
    for (int32_t node : nodes) at(node).last_use = uses_;
    return true;
}

/// The node and the sequence hold the same page from now on, that of the node if it has one.
void PrefixTree::share_page(KvSequence& sequence, Node& node, int c) {
    int32_t& own = sequence.page_ids[static_cast<size_t>(c)][static_cast<size_t>(node.depth)];
    int32_t& page = node.pages[static_cast<size_t>(c)];
    if (page < 0) {
        page = own;
        cache_.keep_for_tree(c, page);
    } else if (own >= 0 && own != page) {
        cache_.hold(c, page);
        cache_.give_back(c, own);
        own = page;
    }
}

bool PrefixTree::insert(KvSequence& sequence, std::span<const int32_t> tokens, int64_t n_tokens,
                        bool can_resume) {
    std::vector<int32_t> nodes = path(tokens, n_tokens);
    const int64_t n_pages = n_tokens / kPageTokens;
    if (n_pages == 0) return false;
    const size_t n_known = nodes.size();
    while (static_cast<int64_t>(nodes.size()) < n_pages)
        nodes.push_back(
            add_child(nodes.empty() ? 0 : nodes.back(), page_of(tokens, static_cast<int64_t>(nodes.size()))));
    uses_++;
    for (int32_t node : nodes) {
        at(node).last_use = uses_;
        for (int c = 0; c < cache_.n_classes(); c++)
            if (cache_.window(c) == 0) share_page(sequence, at(node), c);
    }
    if (nodes.size() > n_known) version_++;
    if (plain_ || !can_resume || at(nodes.back()).resumes) return false;
    return start_resume(sequence, nodes);
}

bool PrefixTree::start_resume(KvSequence& sequence, const std::vector<int32_t>& nodes) {
    const int64_t n_tokens = static_cast<int64_t>(nodes.size()) * kPageTokens;
    for (int c = 0; c < cache_.n_classes(); c++)
        for (size_t p = static_cast<size_t>(cache_.first_needed_page(c, n_tokens)); p < nodes.size(); p++)
            if (at(nodes[p]).pages[static_cast<size_t>(c)] < 0 &&
                sequence.page_ids[static_cast<size_t>(c)][p] < 0)
                return false;
    if (cache_.state_bytes() != 0 && sequence.n_tokens != n_tokens) return false;
    at(nodes.back()).resumes = true;
    for (int c = 0; c < cache_.n_classes(); c++) {
        if (cache_.window(c) == 0) continue;
        for (size_t p = static_cast<size_t>(cache_.first_needed_page(c, n_tokens)); p < nodes.size(); p++) {
            share_page(sequence, at(nodes[p]), c);
            at(nodes[p]).needed[static_cast<size_t>(c)]++;
        }
    }
    std::optional<KvSnapshot> snapshot = cache_.snapshot(sequence);
    while (!snapshot && drop_least_used_resume(nodes.back())) snapshot = cache_.snapshot(sequence);
    if (!snapshot) {
        stop_resume(nodes.back());
        return false;
    }
    at(nodes.back()).snapshot = *snapshot;
    version_++;
    return true;
}

void PrefixTree::stop_resume(int32_t index) {
    Node& last = at(index);
    if (!last.resumes) return;
    last.resumes = false;
    cache_.release(last.snapshot);
    for (int c = 0; c < cache_.n_classes(); c++) {
        if (cache_.window(c) == 0) continue;
        const size_t i = static_cast<size_t>(c);
        const int64_t first = cache_.first_needed_page(c, int64_t{last.depth + 1} * kPageTokens);
        for (int32_t node = index; node != 0 && at(node).depth >= first; node = at(node).parent) {
            if (--at(node).needed[i] > 0) continue;
            cache_.drop_from_tree(c, at(node).pages[i]);
            at(node).pages[i] = -1;
        }
    }
}

void PrefixTree::forget_resume(std::span<const int32_t> tokens, int64_t n_tokens) {
    const std::vector<int32_t> nodes = path(tokens, n_tokens);
    if (!nodes.empty() && static_cast<int64_t>(nodes.size()) * kPageTokens == n_tokens)
        stop_resume(nodes.back());
}

bool PrefixTree::drop_least_used_resume(int32_t except) {
    int32_t least = -1;
    for (size_t i = 1; i < nodes_.size(); i++) {
        const int32_t node = static_cast<int32_t>(i);
        if (!nodes_[i].used || !nodes_[i].resumes || node == except) continue;
        if (least < 0 || nodes_[i].last_use < at(least).last_use) least = node;
    }
    if (least < 0) return false;
    stop_resume(least);
    return true;
}

/// Only a leaf whose page no sequence holds makes room.
bool PrefixTree::drop_least_used_leaf() {
    int32_t least = -1;
    for (size_t i = 1; i < nodes_.size(); i++) {
        const Node& node = nodes_[i];
        if (!node.used || node.first_child >= 0) continue;
        if (least >= 0 && node.last_use >= at(least).last_use) continue;
        bool in_use = false;
        for (int c = 0; c < cache_.n_classes(); c++)
            if (cache_.window(c) == 0) in_use |= cache_.in_use(c, node.pages[static_cast<size_t>(c)]);
        if (!in_use) least = static_cast<int32_t>(i);
    }
    if (least < 0) return false;
    remove_leaf(least);
    return true;
}

void PrefixTree::remove_leaf(int32_t index) {
    stop_resume(index);
    Node& node = at(index);
    for (int c = 0; c < cache_.n_classes(); c++)
        if (node.pages[static_cast<size_t>(c)] >= 0)
            cache_.drop_from_tree(c, node.pages[static_cast<size_t>(c)]);
    int32_t* link = &at(node.parent).first_child;
    while (*link != index) link = &at(*link).next_sibling;
    *link = node.next_sibling;
    node = {};
    free_nodes_.push_back(index);
}

bool PrefixTree::make_room(const KvSequence& sequence, int64_t n) {
    const int c = cache_.lacking_class(sequence, n);
    if (c < 0) return false;
    return cache_.window(c) != 0 ? drop_least_used_resume(-1) : drop_least_used_leaf();
}

void PrefixTree::clear() {
    for (size_t i = 1; i < nodes_.size(); i++) stop_resume(static_cast<int32_t>(i));
    for (bool any = true; any;) {
        any = false;
        for (size_t i = nodes_.size(); i-- > 1;)
            if (nodes_[i].used && nodes_[i].first_child < 0) {
                remove_leaf(static_cast<int32_t>(i));
                any = true;
            }
    }
}

}  // namespace agave
