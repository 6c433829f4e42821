#include "quant/q5_k.h"

#include "base/numeric.h"
#include "quant/decode_blocks.h"
#include "quant/encode_affine.h"
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

void encode_q5_k(std::span<const float> row, std::span<const float> importance, std::byte* out) {
    constexpr AffineShape shape{32, 31, 63, 1};
    encode_blocks<BlockQ5_K>(row, importance, out, [&](const EncodeBlock& input, BlockQ5_K& block) {
        float q[256];
        const GroupAffine fit = fit_group_affine(shape, input, q);
        block.d = fit.d;
        block.dmin = fit.dmin;
        for (int g = 0; g < 8; ++g) {
            set_k_scale_min(block.scales, g, fit.scales[g], fit.mins[g]);
            uint8_t* qs = block.qs + g / 2 * 32;
            for (int i = 0; i < 32; ++i) {
                const int level = static_cast<int>(q[g * 32 + i]);
                qs[i] = static_cast<uint8_t>(qs[i] | (level & 0x0F) << g % 2 * 4);
                block.qh[i] = static_cast<uint8_t>(block.qh[i] | level >> 4 << g);
            }
        }
    });
}

}  // namespace agave
