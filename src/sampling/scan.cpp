#include "sampling/scan.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

namespace agave {

namespace {

/// Four lanes, which every 64-bit processor has: no instruction-set level is needed.
typedef float Float4 __attribute__((vector_size(16)));
typedef int32_t Int4 __attribute__((vector_size(16)));

constexpr float kLowest = -std::numeric_limits<float>::infinity();

inline Float4 load(const float* from) {
    Float4 result;
    std::memcpy(&result, from, sizeof result);
    return result;
}

inline Float4 max(Float4 a, Float4 b) {
    return a > b ? a : b;
}

/// The maximum of one whole block; NaN counts as -infinity. The lanes of `not_finite` become -1 where an
/// exponent has all its bits set.
float block_maximum(const float* logits, Int4& not_finite) {
    constexpr size_t kUnroll = 4;
    static_assert(kScanBlock % (4 * kUnroll) == 0);
    Float4 lanes[kUnroll];
    for (Float4& lane : lanes) lane = Float4{} + kLowest;
    for (size_t i = 0; i < kScanBlock; i += 4 * kUnroll) {
        for (size_t u = 0; u < kUnroll; ++u) {
            const Float4 x = load(logits + i + 4 * u);
            lanes[u] = max(x, lanes[u]);
            not_finite |= ((Int4)x & 0x7F800000) == 0x7F800000;
        }
    }
    const Float4 m = max(max(lanes[0], lanes[1]), max(lanes[2], lanes[3]));
    return std::max(std::max(m[0], m[1]), std::max(m[2], m[3]));
}

/// exp(x) for x <= 0, within about one unit in the last place: x = n ln 2 + r with |r| <= ln 2 / 2, then the
/// Taylor polynomial of degree 7, whose remainder is below 6e-9.
inline Float4 exp_of_nonpositive(Float4 x) {
    const Float4 clamped = max(x, Float4{} - 87.0f);
    // Adding and subtracting 1.5 * 2^23 rounds to an integer.
    const Float4 n = (clamped * 1.44269504f + 12582912.0f) - 12582912.0f;
    // ln 2 in two parts (Cody and Waite, 1980); the first has few enough bits that n times it is exact.
    const Float4 r = (clamped - n * 0.693359375f) - n * -2.12194440e-4f;
    Float4 sum = r * (1.0f / 5040.0f) + 1.0f / 720.0f;
    sum = sum * r + 1.0f / 120.0f;
    sum = sum * r + 1.0f / 24.0f;
    sum = sum * r + 1.0f / 6.0f;
    sum = sum * r + 0.5f;
    sum = sum * r + 1.0f;
    sum = sum * r + 1.0f;
    const Int4 power = (__builtin_convertvector(n, Int4) + 127) << 23;
    return x > -87.0f ? sum * (Float4)power : Float4{};
}

/// Four weights; those at `n` and beyond are 0.
inline Float4 softmax_weights4(const float* logits, size_t n, float max_logit) {
    if (n >= 4) return exp_of_nonpositive(load(logits) - max_logit);
    float padded[4] = {kLowest, kLowest, kLowest, kLowest};
    std::copy_n(logits, n, padded);
    return exp_of_nonpositive(load(padded) - max_logit);
}

}  // namespace

LogitScan scan_logits(std::span<const float> logits, std::vector<float>& block_max) {
    const size_t n_blocks = (logits.size() + kScanBlock - 1) / kScanBlock;
    block_max.resize(n_blocks);
    Int4 not_finite{};
    size_t best = 0;
    for (size_t b = 0; b < n_blocks; ++b) {
        const size_t begin = b * kScanBlock;
        if (logits.size() - begin >= kScanBlock) {
            block_max[b] = block_maximum(logits.data() + begin, not_finite);
        } else {
            float padded[kScanBlock];
            std::fill_n(padded, kScanBlock, logits[begin]);
            std::copy(logits.begin() + static_cast<ptrdiff_t>(begin), logits.end(), padded);
            block_max[b] = block_maximum(padded, not_finite);
        }
        if (block_max[b] > block_max[best]) best = b;
    }
    size_t argmax = best * kScanBlock;
    while (argmax + 1 < logits.size() && logits[argmax] != block_max[best]) ++argmax;
    const bool finite = !(not_finite[0] | not_finite[1] | not_finite[2] | not_finite[3]);
    return {block_max[best], static_cast<int32_t>(argmax), finite};
}

void softmax_weights(std::span<const float> logits, float max_logit, std::span<float> weights) {
    for (size_t i = 0; i < logits.size(); i += 4) {
        const size_t n = logits.size() - i;
        const Float4 four = softmax_weights4(logits.data() + i, n, max_logit);
        std::memcpy(weights.data() + i, &four, std::min<size_t>(n, 4) * sizeof(float));
    }
}

double softmax_total(std::span<const float> logits, float max_logit) {
    double lanes[4] = {};
    for (size_t i = 0; i < logits.size(); i += 4) {
        const Float4 four = softmax_weights4(logits.data() + i, logits.size() - i, max_logit);
        for (int lane = 0; lane < 4; ++lane) lanes[lane] += static_cast<double>(four[lane]);
    }
    return (lanes[0] + lanes[1]) + (lanes[2] + lanes[3]);
}

}  // namespace agave
