#include "quant/iq1_m.h"

#include "base/numeric.h"
#include "quant/decode_blocks.h"
#include "quant/encode_codebook.h"
#include "quant/iq1_s.h"

namespace agave {

void decode_iq1_m(const std::byte* blocks, float* out, int64_t n) {
    decode_blocks<BlockIQ1_M>(blocks, out, n, [](const BlockIQ1_M& block, float* w) {
        int d_bits = 0;
        for (int i = 0; i < 4; ++i) d_bits |= block.scales[i] >> 12 << 4 * i;
        const float d = half_to_float(static_cast<uint16_t>(d_bits));
        for (int i = 0; i < 32; ++i) {
            const float scale = d * static_cast<float>(2 * (block.scales[i / 8] >> i % 8 / 2 * 3 & 7) + 1);
            const int qh = block.qh[i / 2] >> i % 2 * 4;
            const float delta = qh & 8 ? -0.125f : 0.125f;
            const int entry = kIQ1Grid[block.qs[i] | (qh & 7) << 8];
            for (int j = 0; j < 8; ++j)
                w[8 * i + j] = scale * (static_cast<float>((entry >> 2 * j & 3) - 1) + delta);
        }
    });
}

void encode_iq1_m(std::span<const float> row, std::span<const float> importance, std::byte* out) {
    constexpr uint8_t levels[] = {0, 1, 2};
    static const Codebook book(kIQ1Grid, 2, levels);
    const CodebookShape shape{book, 16, CodebookShape::Signs::shifts, true, 1, 7};
    encode_blocks<BlockIQ1_M>(row, importance, out, [&](const EncodeBlock& input, BlockIQ1_M& block) {
        const CodebookChoice choice = fit_codebook(shape, input);
        for (int i = 0; i < 4; ++i) {
            int bits = (choice.d >> 4 * i & 0x0F) << 12;
            for (int k = 0; k < 4; ++k) bits |= choice.integers[4 * i + k] << 3 * k;
            block.scales[i] = static_cast<uint16_t>(bits);
        }
        for (int i = 0; i < 32; ++i) {
            block.qs[i] = static_cast<uint8_t>(choice.entries[i]);
            const int nibble = choice.entries[i] >> 8 | choice.minus[i] << 3;
            block.qh[i / 2] = static_cast<uint8_t>(block.qh[i / 2] | nibble << i % 2 * 4);
        }
    });
}

}  // namespace agave
