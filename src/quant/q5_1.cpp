#include "quant/q5_1.h"

#include "base/numeric.h"
#include "quant/decode_blocks.h"
#include "quant/encode_affine.h"

namespace agave {

void decode_q5_1(const std::byte* blocks, float* out, int64_t n) {
    decode_blocks<BlockQ5_1>(blocks, out, n, [](const BlockQ5_1& block, float* w) {
        const float d = half_to_float(block.d);
        const float m = half_to_float(block.m);
        for (int i = 0; i < 16; ++i) {
            const int low = (block.qs[i] & 0x0F) | (block.qh[i / 8] >> (i % 8) & 1) << 4;
            const int high = (block.qs[i] >> 4) | (block.qh[2 + i / 8] >> (i % 8) & 1) << 4;
            w[i] = d * static_cast<float>(low) + m;
            w[i + 16] = d * static_cast<float>(high) + m;
        }
    });
}

void encode_q5_1(std::span<const float> row, std::span<const float> importance, std::byte* out) {
    encode_blocks<BlockQ5_1>(row, importance, out, [](const EncodeBlock& input, BlockQ5_1& block) {
        float q[32];
        const HalfAffine fit = fit_half_affine(input, 31, q);
        block.d = fit.d;
        block.m = fit.m;
        for (int i = 0; i < 32; ++i) {
            const int level = static_cast<int>(q[i]);
            block.qs[i % 16] = static_cast<uint8_t>(block.qs[i % 16] | (level & 0x0F) << i / 16 * 4);
            block.qh[i / 8] = static_cast<uint8_t>(block.qh[i / 8] | level >> 4 << i % 8);
        }
    });
}

}  // namespace agave
