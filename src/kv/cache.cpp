#include "kv/cache.h"

#include <algorithm>

namespace agave {

namespace {

constexpr int64_t pages_for(int64_t n_tokens) {
    return (n_tokens + kPageTokens - 1) / kPageTokens;
}

/// Pages that a window can hold at once: those it touches, while a step of `step` tokens is being stored.
int64_t window_pages(int64_t window, int64_t step) {
    return pages_for(window + step) + 1;
}

int64_t first_needed_page(int32_t window, int64_t position) {
    return window == 0 ? 0 : std::max<int64_t>(0, position - window + 1) / kPageTokens;
}

}  // namespace

KvCache::KvCache(std::span<const KvLayer> layers, KvFormat format, int64_t max_tokens, int max_sequences,
                 int64_t max_step_tokens, std::span<const StateLayer> states, int max_snapshots)
    : format_(format), states_(states, max_sequences + max_snapshots), max_snapshots_(max_snapshots) {
    for (const KvLayer& layer : layers) {
        size_t index = 0;
        while (index < classes_.size() && classes_[index].window != layer.window) index++;
        if (index == classes_.size()) classes_.emplace_back().window = layer.window;
        layers_.push_back({static_cast<int>(index), classes_[index].page_bytes});
        classes_[index].page_bytes += agave::page_bytes(layer.shape, format);
    }
    for (size_t i = 0; i < classes_.size(); i++)
        if (classes_[i].window == 0) full_class_ = static_cast<int>(i);
    for (Class& c : classes_) {
        c.n_pages = pages_for(max_tokens) + max_sequences;
        if (c.window != 0)
            c.n_pages = std::min(c.n_pages,
                                 window_pages(c.window, max_step_tokens) * (max_sequences + max_snapshots));
        c.holders.resize(static_cast<size_t>(c.n_pages));
        c.in_tree.resize(static_cast<size_t>(c.n_pages));
        c.memory = PageMemory(c.page_bytes * static_cast<size_t>(c.n_pages));
    }
}

KvSequence KvCache::new_sequence() const {
    KvSequence sequence;
    sequence.page_ids.resize(classes_.size());
    sequence.first_page.assign(classes_.size(), 0);
    return sequence;
}

void KvCache::release(KvSequence& sequence) {
    for (int c = 0; c < n_classes(); c++)
        for (int32_t page : sequence.page_ids[static_cast<size_t>(c)])
            if (page >= 0) give_back(c, page);
    if (sequence.state_slot >= 0) states_.give_back(sequence.state_slot);
    sequence = new_sequence();
}

bool KvCache::reserve(KvSequence& sequence, int64_t n) {
    if (lacking_class(sequence, n) >= 0) return false;
    const int64_t needed = pages_for(sequence.n_tokens + n);
    if (sequence.state_slot < 0 && !states_.empty()) {
        sequence.state_slot = states_.take();
        if (sequence.state_slot < 0) return false;
        states_.zero(sequence.state_slot);
    }
    for (size_t i = 0; i < classes_.size(); i++) {
        Class& c = classes_[i];
        while (static_cast<int64_t>(sequence.page_ids[i].size()) < needed) {
            int32_t page;
            if (c.free_pages.empty()) {
                page = static_cast<int32_t>(c.n_fresh++);
            } else {
                page = c.free_pages.back();
                c.free_pages.pop_back();
            }
            c.holders[static_cast<size_t>(page)] = 1;
            sequence.page_ids[i].push_back(page);
        }
    }
    return true;
}

void KvCache::commit(KvSequence& sequence, int64_t n) {
    sequence.n_tokens += n;
    const int64_t position = std::min(sequence.n_tokens, sequence.keep_position);
    for (int c = 0; c < n_classes(); c++) {
        const size_t i = static_cast<size_t>(c);
        const int64_t needed = first_needed_page(c, position);
        for (int64_t& first = sequence.first_page[i]; first < needed; first++) {
            int32_t& page = sequence.page_ids[i][static_cast<size_t>(first)];
            give_back(c, page);
            page = -1;
        }
    }
}

int64_t KvCache::first_needed_page(int c, int64_t position) const {
    return agave::first_needed_page(at(c).window, position);
}

int KvCache::lacking_class(const KvSequence& sequence, int64_t n) const {
    const int64_t needed = pages_for(sequence.n_tokens + n);
    for (int c = 0; c < n_classes(); c++)
        if (needed - static_cast<int64_t>(sequence.page_ids[static_cast<size_t>(c)].size()) >
            at(c).available())
            return c;
    return -1;
}

void KvCache::keep_for_tree(int c, int32_t page) {
    at(c).in_tree[static_cast<size_t>(page)] = 1;
}

void KvCache::drop_from_tree(int c, int32_t page) {
    Class& pages = at(c);
    pages.in_tree[static_cast<size_t>(page)] = 0;
    if (pages.holders[static_cast<size_t>(page)] > 0) return;
    pages.n_cached--;
    pages.free_pages.push_back(page);
}

void KvCache::hold(int c, int32_t page) {
    if (at(c).holders[static_cast<size_t>(page)]++ == 0) at(c).n_cached--;
}

void KvCache::give_back(int c, int32_t page) {
    Class& pages = at(c);
    if (--pages.holders[static_cast<size_t>(page)] > 0) return;
    if (pages.in_tree[static_cast<size_t>(page)])
        pages.n_cached++;
    else
        pages.free_pages.push_back(page);
}

bool KvCache::begin_state(KvSequence& sequence, const KvSnapshot& snapshot) {
    if (states_.empty()) return true;
    sequence.state_slot = states_.take();
    if (sequence.state_slot < 0) return false;
    states_.copy(snapshot.state_slot, sequence.state_slot);
    return true;
}

bool KvCache::truncate(KvSequence& sequence, int64_t n_tokens) {
    if (states_.empty() || (n_tokens == sequence.n_tokens && n_tokens != 0))
        return truncate_pages(sequence, n_tokens);
    if (n_tokens != 0) return false;
    release(sequence);
    return true;
}

std::optional<KvSnapshot> KvCache::snapshot(const KvSequence& sequence) {
    KvSnapshot snapshot{sequence.n_tokens, -1};
    if (states_.empty() || sequence.n_tokens == 0) return snapshot;
    if (n_snapshots_ == max_snapshots_) return std::nullopt;
    snapshot.state_slot = states_.take();
    n_snapshots_++;
    states_.copy(sequence.state_slot, snapshot.state_slot);
    return snapshot;
}

bool KvCache::restore(KvSequence& sequence, const KvSnapshot& snapshot) {
    if (snapshot.n_tokens == 0) return truncate(sequence, 0);
    if (!truncate_pages(sequence, snapshot.n_tokens)) return false;
    if (snapshot.state_slot >= 0) states_.copy(snapshot.state_slot, sequence.state_slot);
    return true;
}

void KvCache::release(KvSnapshot& snapshot) {
    if (snapshot.state_slot >= 0) {
        states_.give_back(snapshot.state_slot);
        n_snapshots_--;
    }
    snapshot = {};
}

bool KvCache::truncate_pages(KvSequence& sequence, int64_t n_tokens) {
    if (n_tokens > sequence.n_tokens) return false;
    for (int c = 0; c < n_classes(); c++) {
        const size_t i = static_cast<size_t>(c);
        if (first_needed_page(c, n_tokens) < sequence.first_page[i]) return false;
        if (n_tokens % kPageTokens == 0 || n_tokens == sequence.n_tokens) continue;
        const size_t last =
            static_cast<size_t>(sequence.page_ids[i][static_cast<size_t>(n_tokens / kPageTokens)]);
        if (at(c).in_tree[last] || at(c).holders[last] > 1) return false;
    }
    for (int c = 0; c < n_classes(); c++) {
        const size_t i = static_cast<size_t>(c);
        std::vector<int32_t>& pages = sequence.page_ids[i];
        while (static_cast<int64_t>(pages.size()) > pages_for(n_tokens)) {
            if (pages.back() >= 0) give_back(c, pages.back());
            pages.pop_back();
        }
        sequence.first_page[i] = std::min(sequence.first_page[i], static_cast<int64_t>(pages.size()));
    }
    sequence.n_tokens = n_tokens;
    return true;
}

KvView KvCache::view(const KvSequence& sequence, int layer) const {
    const LayerPlace& place = layers_[static_cast<size_t>(layer)];
    const Class& c = classes_[static_cast<size_t>(place.class_index)];
    return {c.memory.data() + place.offset, c.page_bytes,
            sequence.page_ids[static_cast<size_t>(place.class_index)].data()};
}

size_t KvCache::full_page_bytes() const {
    size_t bytes = 0;
    for (const Class& c : classes_) bytes += c.window == 0 ? c.page_bytes : 0;
    return bytes;
}

size_t KvCache::window_page_bytes() const {
    size_t bytes = 0;
    for (const Class& c : classes_) bytes += c.window != 0 ? c.page_bytes : 0;
    return bytes;
}

size_t KvCache::used_bytes() const {
    size_t bytes = 0;
    for (const Class& c : classes_) bytes += c.page_bytes * static_cast<size_t>(c.n_pages - c.available());
    return bytes + states_.used_bytes();
}

size_t KvCache::reserved_bytes() const {
    size_t bytes = 0;
    for (const Class& c : classes_) bytes += c.memory.size();
    return bytes + states_.reserved_bytes();
}

size_t kv_bytes(std::span<const KvLayer> layers, KvFormat format, int64_t n_tokens) {
    size_t bytes = 0;
    for (const KvLayer& layer : layers) {
        int64_t pages = pages_for(n_tokens);
        if (layer.window != 0) pages -= agave::first_needed_page(layer.window, n_tokens);
        bytes += agave::page_bytes(layer.shape, format) * static_cast<size_t>(pages);
    }
    return bytes;
}

}  // namespace agave
