#include "quant/mxfp4.h"

#include <algorithm>
#include <cmath>

#include "quant/decode_blocks.h"
#include "quant/e2m1.h"
#include "quant/encode_block.h"
#include "quant/encode_e2m1.h"

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

void encode_mxfp4(std::span<const float> row, std::span<const float> importance, std::byte* out) {
    encode_blocks<BlockMXFP4>(row, importance, out, [](const EncodeBlock& input, BlockMXFP4& block) {
        // Half a scale h gives levels up to 12 h; the best h is the power of two that puts the largest weight
        // near there, or one beside it.
        // Above 252, 12 h is beyond float32.
        uint8_t codes[32];
        float best = INFINITY;
        for (int power = -6; power <= 0; ++power) {
            const int e = std::clamp(input.exponent + power + 128, 0, 252);
            const float half_scale = std::ldexp(1.0f, e - 128 - input.exponent);
            const float error = encode_e2m1(input.x, input.w, 32, half_scale, codes);
            if (!(error < best)) continue;
            best = error;
            block.e = static_cast<uint8_t>(e);
            for (int i = 0; i < 16; ++i) block.qs[i] = static_cast<uint8_t>(codes[i] | codes[i + 16] << 4);
        }
    });
}

}  // namespace agave
