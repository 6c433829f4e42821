#include "quant/encode_scale.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <vector>

#include "quant/lanes.h"

namespace agave {

namespace {

constexpr int kMaxGroup = EncodeBlock::kMaxElements;
/// Rounds of alternating least squares; each lowers the error or is the last.
constexpr int kMaxRounds = 6;

/// Sums over one choice of levels q at `scale`, r = x - scale * q.
struct Moments {
    float rr, rq, qq;  ///< sums of w r^2, w r q, w q^2

    /// The error once the scale is the best for these levels.
    float best_error() const { return qq > 0 ? rr - rq * rq / qq : rr; }
    float best_scale(float scale) const { return qq > 0 ? scale + rq / qq : scale; }
};

Moments moments(const float* x, const float* w, const float* q, int n, float scale) {
    Float4 rr = {}, rq = {}, qq = {};
    const Float4 s = splat4(scale);
    for (int i = 0; i < n; i += 4) {
        const Float4 level = load4(q + i), weight = load4(w + i);
        const Float4 r = load4(x + i) - s * level;
        rr += weight * r * r;
        rq += weight * r * level;
        qq += weight * level * level;
    }
    return {sum4(rr), sum4(rq), sum4(qq)};
}

/// One inverse scale: its nearest levels, then the best scale for them.
ScaleFit fit_levels(const Levels& levels, const float* x, const float* w, int n, float inverse) {
    float q[kMaxGroup];
    nearest_levels(levels, x, n, inverse, q);
    const float scale = 1 / inverse;
    const Moments m = moments(x, w, q, n, scale);
    return {m.best_scale(scale), m.best_error(), m.qq};
}

float usable_inverse(float scale) {
    const float inverse = scale != 0 ? 1 / scale : 0;
    return std::isfinite(inverse) ? inverse : 0;
}

/// The least error that group `x` leaves with scale d * integer, over integers near scale / d.
void choose_integers(const Levels& levels, const EncodeBlock& block, int group_size, int low, int high,
                     float d, int reach, std::span<const ScaleFit> fits, int* integers) {
    float q[kMaxGroup];
    const float inverse_d = usable_inverse(d);
    for (size_t g = 0; g < fits.size(); ++g) {
        const float* x = block.x + g * static_cast<size_t>(group_size);
        const float* w = block.w + g * static_cast<size_t>(group_size);
        const float wanted =
            std::clamp(fits[g].scale * inverse_d, static_cast<float>(low), static_cast<float>(high));
        const int nearest = static_cast<int>(std::lrint(wanted));
        float best = 0;
        integers[g] = INT32_MIN;
        for (int integer = std::max(low, nearest - reach); integer <= std::min(high, nearest + reach);
             ++integer) {
            const float scale = d * static_cast<float>(integer);
            nearest_levels(levels, x, group_size, usable_inverse(scale), q);
            const float error = squared_error(x, w, q, group_size, scale);
            if (integers[g] == INT32_MIN || error < best) {
                best = error;
                integers[g] = integer;
            }
        }
    }
}

/// Levels of the whole block for these scales; returns the error, and in d_best the d that suits the levels.
float block_levels(const Levels& levels, const EncodeBlock& block, int group_size, float d,
                   const int* integers, float* q, float& d_best) {
    float rr = 0, rq = 0, qq = 0;
    for (int g = 0; g < block.n / group_size; ++g) {
        const int at = g * group_size;
        const float integer = static_cast<float>(integers[g]), scale = d * integer;
        nearest_levels(levels, block.x + at, group_size, usable_inverse(scale), q + at);
        const Moments m = moments(block.x + at, block.w + at, q + at, group_size, scale);
        rr += m.rr;
        rq += m.rq * integer;
        qq += m.qq * integer * integer;
    }
    d_best = qq > 0 ? d + rq / qq : d;
    return rr;
}

/// What rounding the groups' scales to multiples of d costs, from the curvature of each group's error.
float rounding_cost(std::span<const ScaleFit> fits, float d, int low, int high) {
    float cost = 0;
    for (const ScaleFit& fit : fits) {
        const float integer =
            std::clamp(std::nearbyint(fit.scale / d), static_cast<float>(low), static_cast<float>(high));
        const float off = fit.scale - d * integer;
        cost += fit.curvature * off * off;
    }
    return cost;
}

}  // namespace

int level_index(const Levels& levels, float value) {
    const int integer = static_cast<int>(value);
    if (levels.values.empty()) return integer - levels.low;
    const auto at = std::lower_bound(levels.values.begin(), levels.values.end(), integer);
    return static_cast<int>(at - levels.values.begin());
}

void nearest_levels(const Levels& levels, const float* x, int n, float inverse, float* q) {
    const Float4 s = splat4(inverse);
    const Float4 low = splat4(static_cast<float>(levels.low)), high = splat4(static_cast<float>(levels.high));
    if (levels.values.empty()) {
        // Clamped before it is rounded: the trick of round4() needs small numbers.
        for (int i = 0; i < n; i += 4) store4(q + i, round4(clamp4(load4(x + i) * s, low, high)));
        return;
    }
    // Each midpoint between two levels that x lies above adds their distance.
    for (int i = 0; i < n; i += 4) {
        const Float4 v = load4(x + i) * s;
        Float4 level = low;
        for (size_t k = 1; k < levels.values.size(); ++k) {
            const float below = levels.values[k - 1], above = levels.values[k];
            level += v > splat4((below + above) / 2) ? splat4(above - below) : Float4{};
        }
        store4(q + i, level);
    }
}

float squared_error(const float* x, const float* w, const float* q, int n, float scale) {
    Float4 sum = {};
    const Float4 s = splat4(scale);
    for (int i = 0; i < n; i += 4) {
        const Float4 r = load4(x + i) - s * load4(q + i);
        sum += load4(w + i) * r * r;
    }
    return sum4(sum);
}

ScaleFit fit_scale(const Levels& levels, const float* x, const float* w, int n) {
    float largest = 0;
    for (int i = 0; i < n; ++i) largest = std::max(largest, std::fabs(x[i]));
    if (largest < 1e-30f) return {};

    ScaleFit best;
    bool found = false;
    const float unit = static_cast<float>(levels.largest()) / largest;
    const float step = (levels.last - levels.first) / static_cast<float>(levels.n_steps);
    for (int sign = levels.symmetric() ? 1 : -1; sign <= 1; sign += 2) {
        for (int i = 0; i <= levels.n_steps; ++i) {
            const float level = levels.first + step * static_cast<float>(i);
            const ScaleFit fit = fit_levels(levels, x, w, n, static_cast<float>(sign) * unit * level);
            if (!found || fit.error < best.error) {
                best = fit;
                found = true;
            }
        }
    }
    for (int round = 0; round < kMaxRounds; ++round) {
        const float inverse = usable_inverse(best.scale);
        if (inverse == 0) break;
        const ScaleFit fit = fit_levels(levels, x, w, n, inverse);
        if (!(fit.error < best.error)) break;
        best = fit;
    }
    return best;
}

/// The levels as integers.
static std::vector<int> integers_of(const Levels& levels) {
    std::vector<int> integers(levels.values.begin(), levels.values.end());
    if (integers.empty())
        for (int i = levels.low; i <= levels.high; ++i) integers.push_back(i);
    return integers;
}

uint16_t fit_half_scale(const Levels& levels, const EncodeBlock& block, float* q) {
    if (block.constant()) {
        const EncodeBlock::Product product = block.closest_product(1, 1, integers_of(levels));
        std::fill(q, q + block.n, static_cast<float>(product.b));
        return product.scale;
    }
    const ScaleFit fit = fit_scale(levels, block.x, block.w, block.n);
    uint16_t best_bits = 0;
    float best = 0;
    // The nearest number is not always the best: the neighbours move other weights.
    const uint16_t middle = block.half_bits(fit.scale);
    for (int delta = -1; delta <= 1; ++delta) {
        const int magnitude = std::clamp((middle & 0x7FFF) + delta, 1, 0x7BFF);
        const auto bits = static_cast<uint16_t>((middle & 0x8000) | magnitude);
        const float scale = block.scale_of(bits);
        float candidate[kMaxGroup];
        nearest_levels(levels, block.x, block.n, usable_inverse(scale), candidate);
        const float error = squared_error(block.x, block.w, candidate, block.n, scale);
        if (delta == -1 || error < best) {
            best = error;
            best_bits = bits;
            std::memcpy(q, candidate, static_cast<size_t>(block.n) * sizeof(float));
        }
    }
    return best_bits;
}

GroupScales fit_group_scales(const Levels& levels, const EncodeBlock& block, int group_size, int low,
                             int high, float* q) {
    ScaleFit fits[16];
    const int n_groups = block.n / group_size;
    if (block.constant()) {
        const EncodeBlock::Product product = block.closest_product(low, high, integers_of(levels));
        GroupScales scales{product.scale, {}};
        std::fill(scales.integers, scales.integers + n_groups, product.a);
        std::fill(q, q + block.n, static_cast<float>(product.b));
        return scales;
    }
    float widest = 0;
    for (int g = 0; g < n_groups; ++g) {
        fits[g] = fit_scale(levels, block.x + g * group_size, block.w + g * group_size, group_size);
        if (std::fabs(fits[g].scale) > std::fabs(widest)) widest = fits[g].scale;
    }
    const std::span<const ScaleFit> groups(fits, static_cast<size_t>(n_groups));

    // Candidates of d put the widest scale on a large integer; the cheap estimate ranks them.
    constexpr int kKept = 3;
    struct Candidate {
        float cost = INFINITY, d = 0;
    } kept[kKept];
    for (int sign = -1; sign <= 1; sign += 2) {
        const float limit = static_cast<float>(sign < 0 ? -low : high);
        for (int i = 0; i < 64; ++i) {
            const float d =
                static_cast<float>(sign) * widest / (limit * (0.6f + 0.42f * static_cast<float>(i) / 63));
            Candidate candidate{rounding_cost(groups, d, low, high), d};
            for (Candidate& place : kept)
                if (candidate.cost < place.cost) std::swap(candidate, place);
        }
    }

    GroupScales best{};
    float best_error = INFINITY;
    float candidate_q[kMaxGroup];
    for (const Candidate& candidate : kept) {
        float d = candidate.d;
        for (int round = 0; round < 4; ++round) {
            GroupScales scales{};
            scales.d = block.half_bits(d);
            const float rounded = block.scale_of(scales.d);
            choose_integers(levels, block, group_size, low, high, rounded, 1, groups, scales.integers);
            const float error =
                block_levels(levels, block, group_size, rounded, scales.integers, candidate_q, d);
            if (!(error < best_error) && round > 0) break;
            if (error < best_error) {
                best_error = error;
                best = scales;
                std::memcpy(q, candidate_q, static_cast<size_t>(block.n) * sizeof(float));
            }
        }
    }
    return best;
}

}  // namespace agave
