#include "quant/q2_k.h"

#include "base/numeric.h"
#include "quant/decode_blocks.h"
#include "quant/encode_affine.h"

namespace agave {

void decode_q2_k(const std::byte* blocks, float* out, int64_t n) {
    decode_blocks<BlockQ2_K>(blocks, out, n, [](const BlockQ2_K& block, float* w) {
        const float d = half_to_float(block.d);
        const float dmin = half_to_float(block.dmin);
        for (int g = 0; g < 16; ++g) {
            const float scale = d * static_cast<float>(block.scales[g] & 0x0F);
            const float min = dmin * static_cast<float>(block.scales[g] >> 4);
            const uint8_t* qs = block.qs + g / 8 * 32 + g % 2 * 16;
            const int shift = g % 8 / 2 * 2;
            for (int i = 0; i < 16; ++i) {
                w[g * 16 + i] = scale * static_cast<float>(qs[i] >> shift & 3) - min;
            }
        }
    });
}

void encode_q2_k(std::span<const float> row, std::span<const float> importance, std::byte* out) {
    constexpr AffineShape shape{16, 3, 15, 2};
    encode_blocks<BlockQ2_K>(row, importance, out, [&](const EncodeBlock& input, BlockQ2_K& block) {
        float q[256];
        const GroupAffine fit = fit_group_affine(shape, input, q);
        block.d = fit.d;
        block.dmin = fit.dmin;
        for (int g = 0; g < 16; ++g) {
            block.scales[g] = static_cast<uint8_t>(fit.scales[g] | fit.mins[g] << 4);
            uint8_t* qs = block.qs + g / 8 * 32 + g % 2 * 16;
            const int shift = g % 8 / 2 * 2;
            for (int i = 0; i < 16; ++i)
                qs[i] = static_cast<uint8_t>(qs[i] | static_cast<int>(q[g * 16 + i]) << shift);
        }
    });
}

}  // namespace agave
