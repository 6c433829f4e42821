#include "quant/q5_k.h"

#include "base/numeric.h"
#include "quant/decode_blocks.h"
#include "quant/k_scales.h"

namespace agave {

void decode_q5_k(const std::byte* blocks, float* out, int64_t n) {
    decode_blocks<BlockQ5_K>(blocks, out, n, [](const BlockQ5_K& block, float* w) {
        const float d = half_to_float(block.d);
        const float dmin = half_to_float(block.dmin);
        for (int g = 0; g < 8; ++g) {
            const ScaleMin group = k_scale_min(block.scales, g);
            const float scale = d * static_cast<float>(group.scale);
            const float min = dmin * static_cast<float>(group.min);
            const uint8_t* qs = block.qs + g / 2 * 32;
            const int shift = g % 2 * 4;
            for (int i = 0; i < 32; ++i) {
                const int q = (qs[i] >> shift & 0x0F) | (block.qh[i] >> g & 1) << 4;
                w[g * 32 + i] = scale * static_cast<float>(q) - min;
            }
        }
    });
}

}  // namespace agave
