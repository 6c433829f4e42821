#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/system.h"
#include "graph/kv_layer.h"

namespace agave {

/// Slots of recurrent state: one holds the float32 state of all recurrent layers for one sequence, or a copy
/// of it. Memory is reserved whole at the start and becomes resident slot by slot.
class StatePool {
  public:
    StatePool(std::span<const StateLayer> layers, int n_slots);

    /// Whether there is any state to keep.
    bool empty() const { return slot_floats_ == 0; }
    /// A slot that nobody holds, or -1 when all are taken. Its contents are undefined.
    int32_t take();
    void give_back(int32_t slot);

    void zero(int32_t slot);
    void copy(int32_t from, int32_t to);
    /// The state of one layer, 64-byte aligned.
    float* data(int32_t slot, int32_t layer) const {
        return floats() + static_cast<size_t>(slot) * slot_floats_ + offsets_[static_cast<size_t>(layer)];
    }

    size_t slot_bytes() const { return slot_floats_ * sizeof(float); }
    int32_t n_slots() const { return n_slots_; }
    int32_t n_available() const { return n_slots_ - n_fresh_ + static_cast<int32_t>(free_slots_.size()); }
    /// Bytes of the slots that are held now, and of all.
    size_t used_bytes() const { return slot_bytes() * static_cast<size_t>(n_slots_ - n_available()); }
    size_t reserved_bytes() const { return memory_.size(); }

  private:
    float* floats() const { return reinterpret_cast<float*>(memory_.data()); }

    size_t slot_floats_ = 0;
    std::vector<size_t> offsets_;  ///< by layer, in floats
    int32_t n_slots_, n_fresh_ = 0;
    std::vector<int32_t> free_slots_;  ///< used before and given back
    PageMemory memory_;
};

/// Bytes of recurrent state that one sequence holds, as `agave inspect` prints them and StatePool allocates
/// them.
size_t state_bytes(std::span<const StateLayer> layers);

}  // namespace agave
