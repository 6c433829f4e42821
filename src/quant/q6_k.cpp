#include "quant/q6_k.h"

#include "base/numeric.h"
#include "quant/decode_blocks.h"

namespace agave {

void decode_q6_k(const std::byte* blocks, float* out, int64_t n) {
    decode_blocks<BlockQ6_K>(blocks, out, n, [](const BlockQ6_K& block, float* w) {
        const float d = half_to_float(block.d);
        for (int g = 0; g < 16; ++g) {
            const float scale = d * static_cast<float>(block.scales[g]);
            const uint8_t* ql = block.ql + g / 8 * 64 + g % 4 * 16;
            const uint8_t* qh = block.qh + g / 8 * 32 + g % 2 * 16;
            const int low_shift = g % 8 / 4 * 4;
            const int high_shift = g % 8 / 2 * 2;
            for (int i = 0; i < 16; ++i) {
                const int q = (ql[i] >> low_shift & 0x0F) | (qh[i] >> high_shift & 3) << 4;
                w[g * 16 + i] = scale * static_cast<float>(q - 32);
            }
        }
    });
}

}  // namespace agave
