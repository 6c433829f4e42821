#include "quant/iq4_nl.h"

#include "base/numeric.h"
#include "quant/decode_blocks.h"
#include "quant/encode_scale.h"
#include "quant/iq4_values.h"

namespace agave {

void decode_iq4_nl(const std::byte* blocks, float* out, int64_t n) {
    decode_blocks<BlockIQ4_NL>(blocks, out, n, [](const BlockIQ4_NL& block, float* w) {
        const float d = half_to_float(block.d);
        for (int i = 0; i < 16; ++i) {
            w[i] = d * static_cast<float>(kIQ4Values[block.qs[i] & 0x0F]);
            w[i + 16] = d * static_cast<float>(kIQ4Values[block.qs[i] >> 4]);
        }
    });
}

void encode_iq4_nl(std::span<const float> row, std::span<const float> importance, std::byte* out) {
    constexpr Levels levels{-127, 113, kIQ4Values, 0.6f, 1.3f, 40};
    encode_blocks<BlockIQ4_NL>(row, importance, out, [&](const EncodeBlock& input, BlockIQ4_NL& block) {
        float q[32];
        block.d = fit_half_scale(levels, input, q);
        for (int i = 0; i < 16; ++i)
            block.qs[i] =
                static_cast<uint8_t>(level_index(levels, q[i]) | level_index(levels, q[i + 16]) << 4);
    });
}

}  // namespace agave
