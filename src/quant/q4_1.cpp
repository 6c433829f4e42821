#include "quant/q4_1.h"

#include "base/numeric.h"
#include "quant/decode_blocks.h"
#include "quant/encode_affine.h"

namespace agave {

void decode_q4_1(const std::byte* blocks, float* out, int64_t n) {
    decode_blocks<BlockQ4_1>(blocks, out, n, [](const BlockQ4_1& block, float* w) {
        const float d = half_to_float(block.d);
        const float m = half_to_float(block.m);
        for (int i = 0; i < 16; ++i) {
            w[i] = d * static_cast<float>(block.qs[i] & 0x0F) + m;
            w[i + 16] = d * static_cast<float>(block.qs[i] >> 4) + m;
        }
    });
}

void encode_q4_1(std::span<const float> row, std::span<const float> importance, std::byte* out) {
    encode_blocks<BlockQ4_1>(row, importance, out, [](const EncodeBlock& input, BlockQ4_1& block) {
        float q[32];
        const HalfAffine fit = fit_half_affine(input, 15, q);
        block.d = fit.d;
        block.m = fit.m;
        for (int i = 0; i < 16; ++i)
            block.qs[i] = static_cast<uint8_t>(static_cast<int>(q[i]) | static_cast<int>(q[i + 16]) << 4);
    });
}

}  // namespace agave
