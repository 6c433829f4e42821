#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "tokenizer/merge.h"
#include "tokenizer/vocabulary.h"

namespace agave {

/// The merges of a BPE vocabulary: from two token ids to the rank of their merge and the id they become.
class MergeTable {
  public:
    /// Reads tokenizer.ggml.merges ("left right", the first to merge first). Throws Error(bad_file) for a
    /// merge that names something that is no token.
    MergeTable(const Metadata& metadata, const Vocabulary& vocabulary);

    Merge find(int32_t left, int32_t right) const {
        const uint64_t hash = hash_pair(left, right);
        for (uint64_t at = hash >> shift_;; at = (at + 1) & mask_) {
            const uint32_t slot = slots_[at];
            if (slot == 0) return {};
            if (slot >> rank_bits != (hash & 0xFF)) continue;
            const uint32_t rank = (slot & rank_mask) - 1;
            const Rule& rule = rules_[rank];
            if (rule.left == left && rule.right == right) return {rank, rule.merged};
        }
    }

  private:
    struct Rule {
        int32_t left;
        int32_t right;
        int32_t merged;
    };
    static constexpr unsigned rank_bits = 24;
    static constexpr uint32_t rank_mask = (1u << rank_bits) - 1;

    static uint64_t hash_pair(int32_t left, int32_t right) {
        const uint64_t key =
            static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32 | static_cast<uint32_t>(right);
        const uint64_t mixed = (key ^ key >> 29) * 0x9E3779B97F4A7C15u;
        return mixed ^ mixed >> 32;
    }
    void insert(uint32_t rank, const std::string& path, uint64_t& probes_left);

    std::vector<Rule> rules_;
    std::vector<uint32_t> slots_;  ///< 8 bits of the hash, then rank + 1; 0 is free
    uint64_t mask_ = 0;
    unsigned shift_ = 0;
};

}  // namespace agave
