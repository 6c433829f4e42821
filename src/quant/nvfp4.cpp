#include "quant/nvfp4.h"

#include <algorithm>
#include <bit>
#include <cmath>

#include "quant/decode_blocks.h"
#include "quant/e2m1.h"
#include "quant/encode_block.h"
#include "quant/encode_e2m1.h"

namespace agave {

static float half_of_e4m3(uint8_t bits) {
    if (bits == 0x7F) return 0.0f;
    const uint32_t exponent = bits >> 3 & 0x0F, mantissa = bits & 7;
    if (exponent == 0) return static_cast<float>(mantissa) * 0x1p-10f;
    return std::bit_cast<float>((exponent + 119) << 23 | mantissa << 20);
}

void decode_nvfp4(const std::byte* blocks, float* out, int64_t n) {
    decode_blocks<BlockNVFP4>(blocks, out, n, [](const BlockNVFP4& block, float* w) {
        for (int g = 0; g < 4; ++g) {
            const float half_scale = half_of_e4m3(block.scales[g]);
            const uint8_t* qs = block.qs + 8 * g;
            for (int i = 0; i < 8; ++i) {
                w[16 * g + i] = half_scale * static_cast<float>(kDoubledE2M1[qs[i] & 0x0F]);
                w[16 * g + 8 + i] = half_scale * static_cast<float>(kDoubledE2M1[qs[i] >> 4]);
            }
        }
    });
}

void encode_nvfp4(std::span<const float> row, std::span<const float> importance, std::byte* out) {
    encode_blocks<BlockNVFP4>(row, importance, out, [](const EncodeBlock& input, BlockNVFP4& block) {
        for (int g = 0; g < 4; ++g) {
            const float* x = input.x + 16 * g;
            const float* w = input.w + 16 * g;
            float largest = 0;
            for (int i = 0; i < 16; ++i) largest = std::max(largest, std::fabs(x[i]));
            uint8_t codes[16];
            float best = INFINITY;
            for (int bits = 0; bits < 0x7F; ++bits) {
                const float half_scale =
                    std::ldexp(half_of_e4m3(static_cast<uint8_t>(bits)), -input.exponent);
                // Far from the largest weight none is best, unless none is near.
                const bool near = 12 * half_scale > 0.5f * largest && 12 * half_scale < 2 * largest;
                if (!near && bits > 1 && bits < 0x7E) continue;
                const float error = encode_e2m1(x, w, 16, half_scale, codes);
                if (!(error < best)) continue;
                best = error;
                block.scales[g] = static_cast<uint8_t>(bits);
                for (int i = 0; i < 8; ++i)
                    block.qs[8 * g + i] = static_cast<uint8_t>(codes[i] | codes[i + 8] << 4);
            }
        }
    });
}

}  // namespace agave
