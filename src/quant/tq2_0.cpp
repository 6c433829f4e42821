#include "quant/tq2_0.h"

#include "base/numeric.h"
#include "quant/decode_blocks.h"

namespace agave {

void decode_tq2_0(const std::byte* blocks, float* out, int64_t n) {
    decode_blocks<BlockTQ2_0>(blocks, out, n, [](const BlockTQ2_0& block, float* w) {
        const float d = half_to_float(block.d);
        for (int g = 0; g < 8; ++g) {
            const uint8_t* qs = block.qs + g / 4 * 32;
            const int shift = g % 4 * 2;
            for (int i = 0; i < 32; ++i) w[32 * g + i] = d * static_cast<float>((qs[i] >> shift & 3) - 1);
        }
    });
}

}  // namespace agave
