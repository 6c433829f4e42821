#include "quant/iq4_xs.h"

#include "base/numeric.h"
#include "quant/decode_blocks.h"
#include "quant/encode_scale.h"
#include "quant/iq4_values.h"

namespace agave {

void decode_iq4_xs(const std::byte* blocks, float* out, int64_t n) {
    decode_blocks<BlockIQ4_XS>(blocks, out, n, [](const BlockIQ4_XS& block, float* w) {
        const float d = half_to_float(block.d);
        for (int g = 0; g < 8; ++g) {
            const int low = block.scales_l[g / 2] >> g % 2 * 4 & 0x0F;
            const int high = block.scales_h >> 2 * g & 3;
            const float scale = d * static_cast<float>((low | high << 4) - 32);
            const uint8_t* qs = block.qs + 16 * g;
            for (int i = 0; i < 16; ++i) {
                w[32 * g + i] = scale * static_cast<float>(kIQ4Values[qs[i] & 0x0F]);
                w[32 * g + 16 + i] = scale * static_cast<float>(kIQ4Values[qs[i] >> 4]);
            }
        }
    });
}

void encode_iq4_xs(std::span<const float> row, std::span<const float> importance, std::byte* out) {
    constexpr Levels levels{-127, 113, kIQ4Values, 0.6f, 1.3f, 40};
    encode_blocks<BlockIQ4_XS>(row, importance, out, [&](const EncodeBlock& input, BlockIQ4_XS& block) {
        float q[256];
        const GroupScales fit = fit_group_scales(levels, input, 32, -32, 31, q);
        block.d = fit.d;
        for (int g = 0; g < 8; ++g) {
            const int scale = fit.integers[g] + 32;
            block.scales_l[g / 2] = static_cast<uint8_t>(block.scales_l[g / 2] | (scale & 0x0F) << g % 2 * 4);
            block.scales_h = static_cast<uint16_t>(block.scales_h | scale >> 4 << 2 * g);
            uint8_t* qs = block.qs + 16 * g;
            for (int i = 0; i < 32; ++i)
                qs[i % 16] =
                    static_cast<uint8_t>(qs[i % 16] | level_index(levels, q[32 * g + i]) << i / 16 * 4);
        }
    });
}

}  // namespace agave
