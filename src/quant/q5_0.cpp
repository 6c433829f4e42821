#include "quant/q5_0.h"

#include "base/numeric.h"
#include "quant/decode_blocks.h"
#include "quant/encode_scale.h"

namespace agave {

void decode_q5_0(const std::byte* blocks, float* out, int64_t n) {
    decode_blocks<BlockQ5_0>(blocks, out, n, [](const BlockQ5_0& block, float* w) {
        const float d = half_to_float(block.d);
        for (int i = 0; i < 16; ++i) {
            const int low = (block.qs[i] & 0x0F) | (block.qh[i / 8] >> (i % 8) & 1) << 4;
            const int high = (block.qs[i] >> 4) | (block.qh[2 + i / 8] >> (i % 8) & 1) << 4;
            w[i] = d * static_cast<float>(low - 16);
            w[i + 16] = d * static_cast<float>(high - 16);
        }
    });
}

void encode_q5_0(std::span<const float> row, std::span<const float> importance, std::byte* out) {
    constexpr Levels levels{-16, 15, {}, 0.75f, 1.15f, 40};
    encode_blocks<BlockQ5_0>(row, importance, out, [&](const EncodeBlock& input, BlockQ5_0& block) {
        float q[32];
        block.d = fit_half_scale(levels, input, q);
        for (int i = 0; i < 32; ++i) {
            const int index = level_index(levels, q[i]);
            block.qs[i % 16] = static_cast<uint8_t>(block.qs[i % 16] | (index & 0x0F) << i / 16 * 4);
            block.qh[i / 8] = static_cast<uint8_t>(block.qh[i / 8] | index >> 4 << i % 8);
        }
    });
}

}  // namespace agave
