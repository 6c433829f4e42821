#include "quant/q6_k.h"

#include "base/numeric.h"
#include "quant/decode_blocks.h"
#include "quant/encode_scale.h"

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

void encode_q6_k(std::span<const float> row, std::span<const float> importance, std::byte* out) {
    constexpr Levels levels{-32, 31, {}, 0.85f, 1.08f, 40};
    encode_blocks<BlockQ6_K>(row, importance, out, [&](const EncodeBlock& input, BlockQ6_K& block) {
        float q[256];
        const GroupScales fit = fit_group_scales(levels, input, 16, -128, 127, q);
        block.d = fit.d;
        for (int g = 0; g < 16; ++g) {
            block.scales[g] = static_cast<int8_t>(fit.integers[g]);
            uint8_t* ql = block.ql + g / 8 * 64 + g % 4 * 16;
            uint8_t* qh = block.qh + g / 8 * 32 + g % 2 * 16;
            for (int i = 0; i < 16; ++i) {
                const int index = level_index(levels, q[g * 16 + i]);
                ql[i] = static_cast<uint8_t>(ql[i] | (index & 0x0F) << g % 8 / 4 * 4);
                qh[i] = static_cast<uint8_t>(qh[i] | index >> 4 << g % 8 / 2 * 2);
            }
        }
    });
}

}  // namespace agave
