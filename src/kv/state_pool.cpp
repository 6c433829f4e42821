#include "kv/state_pool.h"

#include <cstring>

namespace agave {

/// A layer's floats, rounded up to whole cache lines.
static size_t padded_floats(const StateLayer& layer) {
    return (static_cast<size_t>(layer.n_floats) + 15) / 16 * 16;
}

StatePool::StatePool(std::span<const StateLayer> layers, int n_slots) : n_slots_(n_slots) {
    for (const StateLayer& layer : layers) {
        offsets_.push_back(slot_floats_);
        slot_floats_ += padded_floats(layer);
    }
    if (!empty()) memory_ = PageMemory(slot_bytes() * static_cast<size_t>(n_slots));
}

int32_t StatePool::take() {
    if (free_slots_.empty()) return n_fresh_ < n_slots_ ? n_fresh_++ : -1;
    const int32_t slot = free_slots_.back();
    free_slots_.pop_back();
    return slot;
}

void StatePool::give_back(int32_t slot) {
    free_slots_.push_back(slot);
}

void StatePool::zero(int32_t slot) {
    std::memset(floats() + static_cast<size_t>(slot) * slot_floats_, 0, slot_bytes());
}

void StatePool::copy(int32_t from, int32_t to) {
    std::memcpy(floats() + static_cast<size_t>(to) * slot_floats_,
                floats() + static_cast<size_t>(from) * slot_floats_, slot_bytes());
}

size_t state_bytes(std::span<const StateLayer> layers) {
    size_t floats = 0;
    for (const StateLayer& layer : layers) floats += padded_floats(layer);
    return floats * sizeof(float);
}

}  // namespace agave
