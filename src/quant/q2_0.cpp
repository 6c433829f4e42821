#include "quant/q2_0.h"

#include "base/numeric.h"
#include "quant/decode_blocks.h"

namespace agave {

void decode_q2_0(const std::byte* blocks, float* out, int64_t n) {
    decode_blocks<BlockQ2_0>(blocks, out, n, [](const BlockQ2_0& block, float* w) {
        const float d = half_to_float(block.d);
        for (int i = 0; i < 64; ++i) w[i] = d * static_cast<float>((block.qs[i / 4] >> i % 4 * 2 & 3) - 1);
    });
}

}  // namespace agave
