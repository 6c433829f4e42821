#include "quant/q4_0.h"

#include "base/numeric.h"
#include "quant/decode_blocks.h"
#include "quant/encode_scale.h"

namespace agave {

void decode_q4_0(const std::byte* blocks, float* out, int64_t n) {
    decode_blocks<BlockQ4_0>(blocks, out, n, [](const BlockQ4_0& block, float* w) {
        const float d = half_to_float(block.d);
        for (int i = 0; i < 16; ++i) {
            w[i] = d * static_cast<float>((block.qs[i] & 0x0F) - 8);
            w[i + 16] = d * static_cast<float>((block.qs[i] >> 4) - 8);
        }
    });
}

void encode_q4_0(std::span<const float> row, std::span<const float> importance, std::byte* out) {
    constexpr Levels levels{-8, 7, {}, 0.6f, 1.3f, 36};
    encode_blocks<BlockQ4_0>(row, importance, out, [&](const EncodeBlock& input, BlockQ4_0& block) {
        float q[32];
        block.d = fit_half_scale(levels, input, q);
        for (int i = 0; i < 16; ++i)
            block.qs[i] =
                static_cast<uint8_t>(level_index(levels, q[i]) | level_index(levels, q[i + 16]) << 4);
    });
}

}  // namespace agave
