#include "quant/nvfp4.h"

#include <bit>

#include "quant/decode_blocks.h"
#include "quant/e2m1.h"

namespace agave {

static float half_of_e4m3(uint8_t bits) {
    if (bits == 0x7F) return 0.0f;
    const uint32_t exponent = bits >> 3 & 0x0F, mantissa = bits & 7;
    if (exponent == 0) return static_cast<float>(mantissa) * 0x1p-10f;
    return std::bit_cast<float>((exponent + 119) << 23 | mantissa << 20);
}

void decode_nvfp4(const std::byte* blocks, float* out, int64_t n) {
    decode_blocks<BlockNVFP4>(blocks, out, n, [](const BlockNVFP4& block, float* w) {
        for (int g = 0; g < 4; ++g) {
            const float half_scale = half_of_e4m3(block.scales[g]);
            const uint8_t* qs = block.qs + 8 * g;
            for (int i = 0; i < 8; ++i) {
                w[16 * g + i] = half_scale * static_cast<float>(kDoubledE2M1[qs[i] & 0x0F]);
                w[16 * g + 8 + i] = half_scale * static_cast<float>(kDoubledE2M1[qs[i] >> 4]);
            }
        }
    });
}

}  // namespace agave
