#pragma once

#include <cstdint>

namespace agave {

/// K and V of one layer, for one token.
struct KvShape {
    int kv_heads = 0;
    int head_dim = 0;        ///< of K
    int value_head_dim = 0;  ///< of V
    /// A latent cache (DeepSeek-V2, section 2.1): one K/V head, whose V is the first value_head_dim columns
    /// of K and is not stored again.
    bool latent = false;
};

/// What one attention layer keeps.
struct KvLayer {
    KvShape shape;
    int32_t window = 0;  ///< 0: every position is read for ever; otherwise only the last `window`
};

/// What one recurrent layer keeps of a sequence, whatever its length: the last inputs of a convolution, or a
/// matrix. A new sequence begins with zeros.
struct StateLayer {
    int64_t n_floats = 0;
};

/// Positions of a piece in which recurrent layers compute many rows at once.
constexpr int kScanChunk = 64;
/// The longest kernel of a convolution.
constexpr int kMaxConvolution = 16;

}  // namespace agave
