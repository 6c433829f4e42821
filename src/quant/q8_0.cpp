#include "quant/q8_0.h"

#include "base/numeric.h"
#include "quant/decode_blocks.h"

namespace agave {

void decode_q8_0(const std::byte* blocks, float* out, int64_t n) {
    decode_blocks<BlockQ8_0>(blocks, out, n, [](const BlockQ8_0& block, float* w) {
        const float d = half_to_float(block.d);
        for (int i = 0; i < 32; ++i) w[i] = d * static_cast<float>(block.qs[i]);
    });
}

}  // namespace agave
