#include "quant/tq2_0.h"

#include "base/numeric.h"
#include "quant/decode_blocks.h"

namespace agave {

void decode_tq2_0(const std::byte* blocks, float* out, int64_t n) {
    decode_blocks<BlockTQ2_0>(blocks, out, n, [](const BlockTQ2_0& block, float* w) {
        const float d = half_to_float(block.d);
        for (int i = 0; i < 256; ++i) {
            const int q = block.qs[i / 128 * 32 + i % 32] >> i % 128 / 32 * 2 & 3;
            w[i] = d * static_cast<float>(q - 1);
        }
    });
}

}  // namespace agave
