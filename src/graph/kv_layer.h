#pragma once

#include <cstdint>

namespace agave {

/// K and V of one layer, for one token.
struct KvShape {
    int kv_heads = 0;
    int head_dim = 0;        ///< of K
    int value_head_dim = 0;  ///< of V
};

/// What one attention layer keeps.
struct KvLayer {
    KvShape shape;
    int32_t window = 0;  ///< 0: every position is read for ever; otherwise only the last `window`
};

}  // namespace agave
