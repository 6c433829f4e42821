#include "quant/q1_0.h"

#include "base/numeric.h"
#include "quant/decode_blocks.h"

namespace agave {

void decode_q1_0(const std::byte* blocks, float* out, int64_t n) {
    decode_blocks<BlockQ1_0>(blocks, out, n, [](const BlockQ1_0& block, float* w) {
        const float d = half_to_float(block.d);
        const float values[2] = {-d, d};
        for (int i = 0; i < 128; ++i) w[i] = values[block.qs[i / 8] >> i % 8 & 1];
    });
}

}  // namespace agave
