#include "quant/tq1_0.h"

#include "base/numeric.h"
#include "quant/decode_blocks.h"

namespace agave {

/// Digits 0 .. kDigits - 1 of `count` bytes, digit by digit; returns the end of what was written.
template <int kDigits>
static float* decode_digits(const uint8_t* bytes, int count, float d, float* w) {
    for (int digit = 0, power = 1; digit < kDigits; ++digit, power *= 3) {
        for (int i = 0; i < count; ++i) {
            const int rotated = bytes[i] * power & 0xFF;
            *w++ = d * static_cast<float>((rotated * 3 >> 8) - 1);
        }
    }
    return w;
}

void decode_tq1_0(const std::byte* blocks, float* out, int64_t n) {
    decode_blocks<BlockTQ1_0>(blocks, out, n, [](const BlockTQ1_0& block, float* w) {
        const float d = half_to_float(block.d);
        w = decode_digits<5>(block.qs, 32, d, w);
        w = decode_digits<5>(block.qs + 32, 16, d, w);
        decode_digits<4>(block.qh, 4, d, w);
    });
}

}  // namespace agave
