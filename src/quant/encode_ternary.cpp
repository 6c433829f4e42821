#include "quant/encode_ternary.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace agave {

uint16_t fit_ternary(const EncodeBlock& block, float* q) {
    // For any scale d the weights above d / 2 are the ones that are not 0, so the best choice is a beginning
    // of the weights in falling order; with its best scale it lowers the error by (sum of w |x|)^2 / sum of
    // w.
    uint8_t order[EncodeBlock::kMaxElements];
    std::iota(order, order + block.n, uint8_t{0});
    std::sort(order, order + block.n, [&](uint8_t a, uint8_t b) {
        const float x = std::fabs(block.x[a]), y = std::fabs(block.x[b]);
        return x != y ? x > y : a < b;
    });
    double sum = 0, total = 0, best_gain = 0;
    float scale = 0;
    for (int i = 0; i < block.n; ++i) {
        const auto w = static_cast<double>(block.w[order[i]]);
        sum += w * static_cast<double>(std::fabs(block.x[order[i]]));
        total += w;
        if (total > 0 && sum * sum / total > best_gain) {
            best_gain = sum * sum / total;
            scale = static_cast<float>(sum / total);
        }
    }
    const uint16_t bits = block.half_bits(scale);
    const float half = block.scale_of(bits) / 2;
    for (int i = 0; i < block.n; ++i) q[i] = block.x[i] > half ? 1.0f : block.x[i] < -half ? -1.0f : 0.0f;
    return bits;
}

}  // namespace agave
