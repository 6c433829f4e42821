#include "quant/q1_0.h"

#include <cmath>

#include "base/numeric.h"
#include "quant/decode_blocks.h"
#include "quant/encode_block.h"

namespace agave {

void decode_q1_0(const std::byte* blocks, float* out, int64_t n) {
    decode_blocks<BlockQ1_0>(blocks, out, n, [](const BlockQ1_0& block, float* w) {
        const float d = half_to_float(block.d);
        const float values[2] = {-d, d};
        for (int i = 0; i < 128; ++i) w[i] = values[block.qs[i / 8] >> i % 8 & 1];
    });
}

void encode_q1_0(std::span<const float> row, std::span<const float> importance, std::byte* out) {
    encode_blocks<BlockQ1_0>(row, importance, out, [](const EncodeBlock& input, BlockQ1_0& block) {
        // The signs are the weights' own; the best magnitude is then their mean one.
        float sum = 0, total = 0;
        for (int i = 0; i < 128; ++i) {
            sum += input.w[i] * std::fabs(input.x[i]);
            total += input.w[i];
            block.qs[i / 8] = static_cast<uint8_t>(block.qs[i / 8] | (input.x[i] >= 0) << i % 8);
        }
        block.d = input.half_bits(sum / total);
    });
}

}  // namespace agave
