#include "quant/q3_k.h"

#include "base/numeric.h"
#include "quant/decode_blocks.h"
#include "quant/encode_scale.h"

namespace agave {

namespace {

/// The 6-bit scale of group g, still offset by 32.
int scale_of(const BlockQ3_K& block, int g) {
    const int low = block.scales[g % 8] >> (g / 8 * 4) & 0x0F;
    const int high = block.scales[8 + g % 4] >> (g / 4 * 2) & 3;
    return low | high << 4;
}

}  // namespace

void decode_q3_k(const std::byte* blocks, float* out, int64_t n) {
    decode_blocks<BlockQ3_K>(blocks, out, n, [](const BlockQ3_K& block, float* w) {
        const float d = half_to_float(block.d);
        for (int g = 0; g < 16; ++g) {
            const float scale = d * static_cast<float>(scale_of(block, g) - 32);
            const uint8_t* qs = block.qs + g / 8 * 32 + g % 2 * 16;
            const uint8_t* hmask = block.hmask + g % 2 * 16;
            const int shift = g % 8 / 2 * 2;
            for (int i = 0; i < 16; ++i) {
                const int q = (qs[i] >> shift & 3) | (hmask[i] >> (g / 2) & 1) << 2;
                w[g * 16 + i] = scale * static_cast<float>(q - 4);
            }
        }
    });
}

void encode_q3_k(std::span<const float> row, std::span<const float> importance, std::byte* out) {
    constexpr Levels levels{-4, 3, {}, 0.45f, 1.45f, 40};
    encode_blocks<BlockQ3_K>(row, importance, out, [&](const EncodeBlock& input, BlockQ3_K& block) {
        float q[256];
        const GroupScales fit = fit_group_scales(levels, input, 16, -32, 31, q);
        block.d = fit.d;
        for (int g = 0; g < 16; ++g) {
            const int scale = fit.integers[g] + 32;
            block.scales[g % 8] = static_cast<uint8_t>(block.scales[g % 8] | (scale & 0x0F) << g / 8 * 4);
            block.scales[8 + g % 4] = static_cast<uint8_t>(block.scales[8 + g % 4] | scale >> 4 << g / 4 * 2);
            uint8_t* qs = block.qs + g / 8 * 32 + g % 2 * 16;
            uint8_t* hmask = block.hmask + g % 2 * 16;
            for (int i = 0; i < 16; ++i) {
                const int index = level_index(levels, q[g * 16 + i]);
                qs[i] = static_cast<uint8_t>(qs[i] | (index & 3) << g % 8 / 2 * 2);
                hmask[i] = static_cast<uint8_t>(hmask[i] | index >> 2 << g / 2);
            }
        }
    });
}

}  // namespace agave
