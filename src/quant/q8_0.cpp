#include "quant/q8_0.h"

#include "base/numeric.h"
#include "quant/decode_blocks.h"
#include "quant/encode_scale.h"

namespace agave {

void decode_q8_0(const std::byte* blocks, float* out, int64_t n) {
    decode_blocks<BlockQ8_0>(blocks, out, n, [](const BlockQ8_0& block, float* w) {
        const float d = half_to_float(block.d);
        for (int i = 0; i < 32; ++i) w[i] = d * static_cast<float>(block.qs[i]);
    });
}

void encode_q8_0(std::span<const float> row, std::span<const float> importance, std::byte* out) {
    constexpr Levels levels{-127, 127, {}, 0.95f, 1.02f, 48};
    encode_blocks<BlockQ8_0>(row, importance, out, [&](const EncodeBlock& input, BlockQ8_0& block) {
        float q[32];
        block.d = fit_half_scale(levels, input, q);
        for (int i = 0; i < 32; ++i) block.qs[i] = static_cast<int8_t>(q[i]);
    });
}

}  // namespace agave
