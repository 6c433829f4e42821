#include "quant/q2_k.h"

#include "base/numeric.h"
#include "quant/decode_blocks.h"

namespace agave {

void decode_q2_k(const std::byte* blocks, float* out, int64_t n) {
    decode_blocks<BlockQ2_K>(blocks, out, n, [](const BlockQ2_K& block, float* w) {
        const float d = half_to_float(block.d);
        const float dmin = half_to_float(block.dmin);
        for (int g = 0; g < 16; ++g) {
            const float scale = d * static_cast<float>(block.scales[g] & 0x0F);
            const float min = dmin * static_cast<float>(block.scales[g] >> 4);
            const uint8_t* qs = block.qs + g / 8 * 32 + g % 2 * 16;
            const int shift = g % 8 / 2 * 2;
            for (int i = 0; i < 16; ++i) {
                w[g * 16 + i] = scale * static_cast<float>(qs[i] >> shift & 3) - min;
            }
        }
    });
}

}  // namespace agave
