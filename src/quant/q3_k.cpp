#include "quant/q3_k.h"

#include "base/numeric.h"
#include "quant/decode_blocks.h"

namespace agave {

namespace {

/// The 6-bit scale of group g, still offset by 32.
int scale_of(const BlockQ3_K& block, int g) {
    const int low = block.scales[g % 8] >> (g / 8 * 4) & 0x0F;
    const int high = block.scales[8 + g % 4] >> (g / 4 * 2) & 3;
    return low | high << 4;
}

}  // namespace

void decode_q3_k(const std::byte* blocks, float* out, int64_t n) {
    decode_blocks<BlockQ3_K>(blocks, out, n, [](const BlockQ3_K& block, float* w) {
        const float d = half_to_float(block.d);
        for (int g = 0; g < 16; ++g) {
            const float scale = d * static_cast<float>(scale_of(block, g) - 32);
            const uint8_t* qs = block.qs + g / 8 * 32 + g % 2 * 16;
            const uint8_t* hmask = block.hmask + g % 2 * 16;
            const int shift = g % 8 / 2 * 2;
            for (int i = 0; i < 16; ++i) {
                const int q = (qs[i] >> shift & 3) | (hmask[i] >> (g / 2) & 1) << 2;
                w[g * 16 + i] = scale * static_cast<float>(q - 4);
            }
        }
    });
}

}  // namespace agave
