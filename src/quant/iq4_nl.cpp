#include "quant/iq4_nl.h"

#include "base/numeric.h"
#include "quant/decode_blocks.h"
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

}  // namespace agave
