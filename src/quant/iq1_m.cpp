#include "quant/iq1_m.h"

#include "base/numeric.h"
#include "quant/decode_blocks.h"
#include "quant/iq1_s.h"

namespace agave {

void decode_iq1_m(const std::byte* blocks, float* out, int64_t n) {
    decode_blocks<BlockIQ1_M>(blocks, out, n, [](const BlockIQ1_M& block, float* w) {
        int d_bits = 0;
        for (int i = 0; i < 4; ++i) d_bits |= block.scales[i] >> 12 << 4 * i;
        const float d = half_to_float(static_cast<uint16_t>(d_bits));
        for (int i = 0; i < 32; ++i) {
            const float scale = d * static_cast<float>(2 * (block.scales[i / 8] >> i % 8 / 2 * 3 & 7) + 1);
            const int qh = block.qh[i / 2] >> i % 2 * 4;
            const float delta = qh & 8 ? -0.125f : 0.125f;
            const int entry = kIQ1Grid[block.qs[i] | (qh & 7) << 8];
            for (int j = 0; j < 8; ++j)
                w[8 * i + j] = scale * (static_cast<float>((entry >> 2 * j & 3) - 1) + delta);
        }
    });
}

}  // namespace agave
