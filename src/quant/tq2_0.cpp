#include "quant/tq2_0.h"

#include "base/numeric.h"
#include "quant/decode_blocks.h"
#include "quant/encode_ternary.h"

namespace agave {

void decode_tq2_0(const std::byte* blocks, float* out, int64_t n) {
    decode_blocks<BlockTQ2_0>(blocks, out, n, [](const BlockTQ2_0& block, float* w) {
        const float d = half_to_float(block.d);
        for (int g = 0; g < 8; ++g) {
            const uint8_t* qs = block.qs + g / 4 * 32;
            const int shift = g % 4 * 2;
            for (int i = 0; i < 32; ++i) w[32 * g + i] = d * static_cast<float>((qs[i] >> shift & 3) - 1);
        }
    });
}

void encode_tq2_0(std::span<const float> row, std::span<const float> importance, std::byte* out) {
    encode_blocks<BlockTQ2_0>(row, importance, out, [](const EncodeBlock& input, BlockTQ2_0& block) {
        float q[256];
        block.d = fit_ternary(input, q);
        for (int i = 0; i < 256; ++i) {
            uint8_t& byte = block.qs[i / 128 * 32 + i % 32];
            byte = static_cast<uint8_t>(byte | (static_cast<int>(q[i]) + 1) << i % 128 / 32 * 2);
        }
    });
}

}  // namespace agave
