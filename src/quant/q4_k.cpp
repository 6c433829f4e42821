#include "quant/q4_k.h"

#include "base/numeric.h"
#include "quant/decode_blocks.h"
#include "quant/encode_affine.h"
#include "quant/k_scales.h"

namespace agave {

void decode_q4_k(const std::byte* blocks, float* out, int64_t n) {
    decode_blocks<BlockQ4_K>(blocks, out, n, [](const BlockQ4_K& block, float* w) {
        const float d = half_to_float(block.d);
        const float dmin = half_to_float(block.dmin);
        for (int g = 0; g < 8; ++g) {
            const ScaleMin group = k_scale_min(block.scales, g);
            const float scale = d * static_cast<float>(group.scale);
            const float min = dmin * static_cast<float>(group.min);
            const uint8_t* qs = block.qs + g / 2 * 32;
            const int shift = g % 2 * 4;
            for (int i = 0; i < 32; ++i) {
                const int q = qs[i] >> shift & 0x0F;
                w[g * 32 + i] = scale * static_cast<float>(q) - min;
            }
        }
    });
}

void encode_q4_k(std::span<const float> row, std::span<const float> importance, std::byte* out) {
    constexpr AffineShape shape{32, 15, 63, 1};
    encode_blocks<BlockQ4_K>(row, importance, out, [&](const EncodeBlock& input, BlockQ4_K& block) {
        float q[256];
        const GroupAffine fit = fit_group_affine(shape, input, q);
        block.d = fit.d;
        block.dmin = fit.dmin;
        for (int g = 0; g < 8; ++g) {
            set_k_scale_min(block.scales, g, fit.scales[g], fit.mins[g]);
            uint8_t* qs = block.qs + g / 2 * 32;
            for (int i = 0; i < 32; ++i)
                qs[i] = static_cast<uint8_t>(qs[i] | static_cast<int>(q[g * 32 + i]) << g % 2 * 4);
        }
    });
}

}  // namespace agave
