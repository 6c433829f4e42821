#include "quant/tq1_0.h"

#include "base/numeric.h"
#include "quant/decode_blocks.h"
#include "quant/encode_ternary.h"

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

/// The byte whose digits 0 .. kDigits - 1 are those of weights at, at + stride, ...
template <int kDigits>
static uint8_t encode_digits(const float* q, int stride) {
    int value = 0;
    for (int digit = 0; digit < 5; ++digit)
        value = value * 3 + (digit < kDigits ? static_cast<int>(q[digit * stride]) + 1 : 0);
    // Rounded up, so that multiplying by 3 brings out each digit in turn.
    return static_cast<uint8_t>((value * 256 + 242) / 243);
}

void encode_tq1_0(std::span<const float> row, std::span<const float> importance, std::byte* out) {
    encode_blocks<BlockTQ1_0>(row, importance, out, [](const EncodeBlock& input, BlockTQ1_0& block) {
        float q[256];
        block.d = fit_ternary(input, q);
        for (int i = 0; i < 32; ++i) block.qs[i] = encode_digits<5>(q + i, 32);
        for (int i = 0; i < 16; ++i) block.qs[32 + i] = encode_digits<5>(q + 160 + i, 16);
        for (int i = 0; i < 4; ++i) block.qh[i] = encode_digits<4>(q + 240 + i, 4);
    });
}

}  // namespace agave
