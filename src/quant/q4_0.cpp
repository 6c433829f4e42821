#include "quant/q4_0.h"

#include "base/numeric.h"
#include "quant/decode_blocks.h"

namespace agave {

void decode_q4_0(const std::byte* blocks, float* out, int64_t n) {
    decode_blocks<BlockQ4_0>(blocks, out, n, [](const BlockQ4_0& block, float* w) {
        const float d = half_to_float(block.d);
        for (int i = 0; i < 16; ++i) {
            w[i] = d * static_cast<float>((block.qs[i] & 0x0F) - 8);
            w[i + 16] = d * static_cast<float>((block.qs[i] >> 4) - 8);
        }
    });
}

}  // namespace agave
