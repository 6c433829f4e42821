#include "quant/mxfp4.h"

#include <cmath>

#include "quant/decode_blocks.h"
#include "quant/e2m1.h"

namespace agave {

void decode_mxfp4(const std::byte* blocks, float* out, int64_t n) {
    decode_blocks<BlockMXFP4>(blocks, out, n, [](const BlockMXFP4& block, float* w) {
        const float half_scale = std::ldexp(1.0f, block.e - 128);
        for (int i = 0; i < 16; ++i) {
            w[i] = half_scale * static_cast<float>(kDoubledE2M1[block.qs[i] & 0x0F]);
            w[i + 16] = half_scale * static_cast<float>(kDoubledE2M1[block.qs[i] >> 4]);
        }
    });
}

}  // namespace agave
