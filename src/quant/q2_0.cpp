#include "quant/q2_0.h"

#include "base/numeric.h"
#include "quant/decode_blocks.h"
#include "quant/encode_scale.h"

namespace agave {

void decode_q2_0(const std::byte* blocks, float* out, int64_t n) {
    decode_blocks<BlockQ2_0>(blocks, out, n, [](const BlockQ2_0& block, float* w) {
        const float d = half_to_float(block.d);
        for (int i = 0; i < 64; ++i) w[i] = d * static_cast<float>((block.qs[i / 4] >> i % 4 * 2 & 3) - 1);
    });
}

void encode_q2_0(std::span<const float> row, std::span<const float> importance, std::byte* out) {
    constexpr Levels levels{-1, 2, {}, 0.3f, 1.4f, 48};
    encode_blocks<BlockQ2_0>(row, importance, out, [&](const EncodeBlock& input, BlockQ2_0& block) {
        float q[64];
        block.d = fit_half_scale(levels, input, q);
        for (int i = 0; i < 64; ++i)
            block.qs[i / 4] = static_cast<uint8_t>(block.qs[i / 4] | level_index(levels, q[i]) << i % 4 * 2);
    });
}

}  // namespace agave
