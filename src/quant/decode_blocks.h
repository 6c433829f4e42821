#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace agave {

/// Runs decode_block(const Block&, float* out) over the blocks of `n` weights. Each block is copied out, so
/// that `blocks` needs no alignment.
template <typename Block, typename DecodeBlock>
inline void decode_blocks(const std::byte* blocks, float* out, int64_t n, DecodeBlock decode_block) {
    for (int64_t i = 0; i < n; i += Block::kElements, blocks += sizeof(Block)) {
        Block block;
        std::memcpy(&block, blocks, sizeof(Block));
        decode_block(block, out + i);
    }
}

}  // namespace agave
