#include "quant/encode_affine.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <span>

#include "quant/lanes.h"

namespace agave {

namespace {

constexpr int kMaxRounds = 5;

/// See fit_line(): for the groups of a superblock, whose lines are rounded afterwards, and for blocks that
/// keep theirs.
constexpr float kFewInsets[] = {-0.3f, 0, 0.3f, 0.6f, 0.9f, 1.3f};
constexpr float kManyInsets[] = {-0.5f, -0.25f, 0, 0.25f, 0.5f, 0.75f, 1, 1.4f, 1.9f, 2.5f, 3.2f};

/// x is taken for scale * q + offset.
struct Line {
    float scale = 0, offset = 0;
};

/// Sums over one choice of levels q, r = x - (scale * q + offset).
struct Moments {
    float rr, rq, r1, qq, q1, n;  ///< sums of w r^2, w r q, w r, w q^2, w q, w
};

struct LineFit {
    Line line;
    float error = INFINITY;
    float qq = 0, q1 = 0, n = 0;  ///< curvature of the error around the line
};

void nearest_q(const Line& line, const float* x, int n, int largest_q, float* q) {
    const float usable = line.scale != 0 && std::isfinite(1 / line.scale) ? 1 / line.scale : 0;
    const Float4 inverse = splat4(usable), offset = splat4(line.offset);
    const Float4 low = {}, high = splat4(static_cast<float>(largest_q));
    for (int i = 0; i < n; i += 4)
        store4(q + i, round4(clamp4((load4(x + i) - offset) * inverse, low, high)));
}

Moments moments(const Line& line, const float* x, const float* w, const float* q, int n) {
    Float4 rr = {}, rq = {}, r1 = {}, qq = {}, q1 = {}, total = {};
    const Float4 scale = splat4(line.scale), offset = splat4(line.offset);
    for (int i = 0; i < n; i += 4) {
        const Float4 weight = load4(w + i), level = load4(q + i);
        const Float4 r = load4(x + i) - (scale * level + offset), weighted = weight * r;
        const Float4 weighted_level = weight * level;
        rr += weighted * r;
        rq += weighted * level;
        r1 += weighted;
        qq += weighted_level * level;
        q1 += weighted_level;
        total += weight;
    }
    return {sum4(rr), sum4(rq), sum4(r1), sum4(qq), sum4(q1), sum4(total)};
}

float error_of(const Line& line, const float* x, const float* w, const float* q, int n) {
    Float4 sum = {};
    const Float4 scale = splat4(line.scale), offset = splat4(line.offset);
    for (int i = 0; i < n; i += 4) {
        const Float4 r = load4(x + i) - (scale * load4(q + i) + offset);
        sum += load4(w + i) * r * r;
    }
    return sum4(sum);
}

/// The best line for the levels of `m`, which were taken from `line`. `sign`: the offset may only be <= 0
/// (-1),
/// >= 0 (1), or anything (0).
LineFit solve(const Line& line, const Moments& m, int sign) {
    LineFit fit{line, m.rr, m.qq, m.q1, m.n};
    const float determinant = m.qq * m.n - m.q1 * m.q1;
    if (determinant > 1e-6f * m.qq * m.n) {
        const float scale = (m.rq * m.n - m.r1 * m.q1) / determinant;
        const float offset = (m.r1 * m.qq - m.rq * m.q1) / determinant;
        fit.line = {line.scale + scale, line.offset + offset};
        fit.error = m.rr - (m.rq * scale + m.r1 * offset);
    }
    if (fit.line.offset * static_cast<float>(sign) < 0 || determinant <= 1e-6f * m.qq * m.n) {
        // Without an offset of the right sign the best is none; the error is that of x against scale * q.
        const float kept = sign == 0 ? line.offset : 0.0f, moved = line.offset - kept;
        const float rr = m.rr + 2 * moved * m.r1 + moved * moved * m.n;
        const float rq = m.rq + moved * m.q1;
        fit.line = {m.qq > 0 ? line.scale + rq / m.qq : line.scale, kept};
        fit.error = m.qq > 0 ? rr - rq * rq / m.qq : rr;
    }
    return fit;
}

LineFit fit_levels(const Line& line, const float* x, const float* w, int n, int largest_q, int sign) {
    float q[EncodeBlock::kMaxElements];
    nearest_q(line, x, n, largest_q, q);
    return solve(line, moments(line, x, w, q, n), sign);
}

/// A search over both ends of the range that the levels span, then alternating least squares.
/// `insets`: in steps of the scale, how far inside the range of x its ends are tried.
LineFit fit_line(const float* x, const float* w, int n, int largest_q, int sign,
                 std::span<const float> insets) {
    const auto [least, greatest] = std::minmax_element(x, x + n);
    float low = *least, high = *greatest;
    if (sign < 0) low = std::min(low, 0.0f);
    if (sign > 0) low = std::max(low, 0.0f);
    const float step = (high - low) / static_cast<float>(largest_q);
    LineFit best;
    if (!(step > 1e-30f)) {
        // One number throughout: the offset alone, or, where that has the wrong sign, one level.
        const float offset = sign < 0 ? std::min(high, 0.0f) : low;
        best.line = {(high - offset) / static_cast<float>(largest_q), offset};
        best.error = 0;
        for (int i = 0; i < n; ++i) best.n += w[i];
        return best;
    }
    constexpr int kKept = 3;
    LineFit kept[kKept];
    const auto consider = [&](float from, float to) {
        const float room = static_cast<float>(largest_q) - from - to;
        const Line line{step * room / static_cast<float>(largest_q),
                        sign < 0 ? std::min(low + from * step, 0.0f) : low + from * step};
        LineFit fit = fit_levels(line, x, w, n, largest_q, sign);
        for (LineFit& place : kept)
            if (fit.error < place.error) std::swap(fit, place);
    };
    for (const float from : insets)
        for (const float to : insets) consider(from, to);
    // Weights that lie on a lattice already, those of a quantised model, need their own step met closely.
    for (int i = -15; i <= 15; ++i) {
        consider(0, 0.06f * static_cast<float>(i));
        consider(0.06f * static_cast<float>(i), 0);
    }
    for (LineFit& fit : kept) {
        for (int round = 0; round < kMaxRounds && std::isfinite(fit.error); ++round) {
            const LineFit next = fit_levels(fit.line, x, w, n, largest_q, sign);
            if (!(next.error < fit.error)) break;
            fit = next;
        }
        if (fit.error < best.error) best = fit;
    }
    return best;
}

/// The values `middle` and its two neighbours as binary16 numbers of the same sign.
uint16_t half_neighbour(uint16_t middle, int delta) {
    const int magnitude = std::clamp((middle & 0x7FFF) + delta, 0, 0x7BFF);
    return static_cast<uint16_t>((middle & 0x8000) | magnitude);
}

/// One superblock while it is searched.
class AffineSearch {
  public:
    AffineSearch(const AffineShape& shape, const EncodeBlock& block, int sign)
        : shape_(shape),
          block_(block),
          sign_(static_cast<float>(sign)),
          n_groups_(block.n / shape.group_size) {
        for (int g = 0; g < n_groups_; ++g)
            fits_[g] = fit_line(x(g), w(g), shape.group_size, shape.largest_q, sign, kFewInsets);
    }

    /// Improves `best` and its levels.
    void run(GroupAffine& best, float& best_error, float* best_q) {
        float widest = 0, deepest = 0;
        for (int g = 0; g < n_groups_; ++g) {
            widest = std::max(widest, std::fabs(fits_[g].line.scale));
            deepest = std::max(deepest, std::fabs(fits_[g].line.offset));
        }
        // The best of the cheap estimate, and units that leave the widest group no room to grow.
        for (const float d : {best_unit(widest, &Line::scale, 1), widest / limit()})
            for (const float dmin : {best_unit(deepest, &Line::offset, sign_), deepest / limit()})
                improve(d, dmin, best, best_error, best_q);
    }

  private:
    float limit() const { return static_cast<float>(shape_.largest_integer); }

    void improve(float d, float dmin, GroupAffine& best, float& best_error, float* best_q) {
        float q[EncodeBlock::kMaxElements];
        float last = INFINITY;
        for (int round = 0; round < kMaxRounds; ++round) {
            GroupAffine candidate{};
            candidate.d = block_.half_bits(d);
            candidate.dmin = block_.half_bits(-sign_ * dmin);
            const float error = descend(candidate, round == 0, q, d, dmin);
            if (error < best_error) {
                best_error = error;
                best = candidate;
                std::memcpy(best_q, q, static_cast<size_t>(block_.n) * sizeof(float));
            }
            if (!(error < last)) break;
            last = error;
            std::copy(candidate.scales, candidate.scales + n_groups_, scales_);
            std::copy(candidate.mins, candidate.mins + n_groups_, mins_);
        }
    }

    const float* x(int g) const { return block_.x + g * shape_.group_size; }
    const float* w(int g) const { return block_.w + g * shape_.group_size; }

    /// The unit whose multiples lie closest to the groups' scales (or offsets), weighted by curvature.
    float best_unit(float widest, float Line::* member, float sign) const {
        float best = widest / limit(), best_cost = INFINITY;
        if (widest == 0) return 0;
        for (int i = 0; i < 48; ++i) {
            const float unit = widest / (limit() * (0.55f + 0.47f * static_cast<float>(i) / 47));
            float cost = 0;
            for (int g = 0; g < n_groups_; ++g) {
                const float value = fits_[g].line.*member * sign;
                const float integer = std::clamp(std::nearbyint(value / unit), 0.0f, limit());
                const float off = value - unit * integer;
                cost += (member == &Line::scale ? fits_[g].qq : fits_[g].n) * off * off;
            }
            if (cost < best_cost) {
                best_cost = cost;
                best = unit;
            }
        }
        return best;
    }

    int rounded(float value, float unit) const {
        if (unit == 0) return 0;
        return static_cast<int>(std::lrint(std::clamp(value / unit, 0.0f, limit())));
    }

    /// Integers of every group for the d and dmin of `candidate`, each the best within reach of the rounded
    /// fit (at first) or of the last round's; levels; then the d and dmin that suit them. Returns the error.
    float descend(GroupAffine& candidate, bool first, float* q, float& d, float& dmin) {
        const float unit = block_.scale_of(candidate.d), min_unit = block_.scale_of(candidate.dmin);
        // Normal equations of d and dmin over the whole block.
        double dd = 0, dm = 0, mm = 0, rd = 0, rm = 0;
        float total = 0;
        for (int g = 0; g < n_groups_; ++g) {
            const Line& fitted = fits_[g].line;
            const int scale = first ? rounded(fitted.scale, unit) : scales_[g];
            const int min = first ? rounded(-fitted.offset, min_unit) : mins_[g];
            float* group_q = q + g * shape_.group_size;
            total +=
                best_integers(g, unit, min_unit, scale, min, candidate.scales[g], candidate.mins[g], group_q);
            const auto s = static_cast<double>(candidate.scales[g]),
                       t = static_cast<double>(candidate.mins[g]);
            const Line line = line_of(unit, min_unit, candidate.scales[g], candidate.mins[g]);
            const Moments m = moments(line, x(g), w(g), group_q, shape_.group_size);
            dd += s * s * static_cast<double>(m.qq);
            dm -= s * t * static_cast<double>(m.q1);
            mm += t * t * static_cast<double>(m.n);
            rd += s * static_cast<double>(m.rq);
            rm -= t * static_cast<double>(m.r1);
        }
        d = unit;
        dmin = -sign_ * min_unit;
        const double determinant = dd * mm - dm * dm;
        if (determinant > 1e-9 * dd * mm) {
            d += static_cast<float>((rd * mm - rm * dm) / determinant);
            dmin += -sign_ * static_cast<float>((rm * dd - rd * dm) / determinant);
        } else if (dd > 0) {
            d += static_cast<float>(rd / dd);
        }
        return total;
    }

    static Line line_of(float unit, float min_unit, int scale, int min) {
        return {unit * static_cast<float>(scale), -(min_unit * static_cast<float>(min))};
    }

    float best_integers(int g, float unit, float min_unit, int scale, int min, int& best_scale, int& best_min,
                        float* best_q) const {
        float best = INFINITY;
        float q[EncodeBlock::kMaxElements];
        const int n = shape_.group_size, most = shape_.largest_integer, reach = shape_.reach;
        for (int s = std::max(0, scale - reach); s <= std::min(most, scale + reach); ++s) {
            for (int m = std::max(0, min - reach); m <= std::min(most, min + reach); ++m) {
                const Line line = line_of(unit, min_unit, s, m);
                nearest_q(line, x(g), n, shape_.largest_q, q);
                const float error = error_of(line, x(g), w(g), q, n);
                if (error < best) {
                    best = error;
                    best_scale = s;
                    best_min = m;
                    std::memcpy(best_q, q, static_cast<size_t>(n) * sizeof(float));
                }
            }
        }
        return best;
    }

    const AffineShape& shape_;
    const EncodeBlock& block_;
    const float sign_;
    const int n_groups_;
    LineFit fits_[16];
    int scales_[16] = {}, mins_[16] = {};
};

}  // namespace

/// A block of one number c: the levels give it a second chance where the minimum's rounding missed it.
static HalfAffine fit_constant(const EncodeBlock& block, int largest_q, float* q) {
    const float c = block.x[0];
    HalfAffine best{};
    int level = 0;
    float best_off = INFINITY;
    const uint16_t middle = block.half_bits(c);
    for (int delta = -2; delta <= 2; ++delta) {
        const uint16_t m = half_neighbour(middle, delta);
        for (int k = 1; k <= largest_q; ++k) {
            const uint16_t d = block.half_bits((c - block.scale_of(m)) / static_cast<float>(k));
            const float off = std::fabs(block.scale_of(d) * static_cast<float>(k) + block.scale_of(m) - c);
            if (!(off < best_off)) continue;
            best_off = off;
            best = {d, m};
            level = k;
        }
    }
    std::fill(q, q + block.n, static_cast<float>(level));
    return best;
}

HalfAffine fit_half_affine(const EncodeBlock& block, int largest_q, float* q) {
    if (block.constant()) return fit_constant(block, largest_q, q);
    const LineFit fit = fit_line(block.x, block.w, block.n, largest_q, 0, kManyInsets);
    const uint16_t d = block.half_bits(fit.line.scale), m = block.half_bits(fit.line.offset);
    HalfAffine best{};
    float best_error = INFINITY;
    float candidate[EncodeBlock::kMaxElements];
    for (int i = -1; i <= 1; ++i) {
        for (int j = -1; j <= 1; ++j) {
            const HalfAffine bits{half_neighbour(d, i), half_neighbour(m, j)};
            const Line line{block.scale_of(bits.d), block.scale_of(bits.m)};
            nearest_q(line, block.x, block.n, largest_q, candidate);
            const float error = error_of(line, block.x, block.w, candidate, block.n);
            if (error < best_error) {
                best_error = error;
                best = bits;
                std::memcpy(q, candidate, static_cast<size_t>(block.n) * sizeof(float));
            }
        }
    }
    return best;
}

GroupAffine fit_group_affine(const AffineShape& shape, const EncodeBlock& block, float* q) {
    GroupAffine best{};
    if (block.constant()) {
        int levels[32];
        for (int i = 0; i <= shape.largest_q; ++i) levels[i] = i;
        const std::span<const int> all(levels, static_cast<size_t>(shape.largest_q) + 1);
        const EncodeBlock::Product product = block.closest_product(1, shape.largest_integer, all);
        best.d = product.scale;
        std::fill(best.scales, best.scales + 16, product.a);
        std::fill(q, q + block.n, static_cast<float>(product.b));
        return best;
    }
    float best_error = INFINITY;
    AffineSearch(shape, block, -1).run(best, best_error, q);
    // Groups wholly above zero want offsets above it: a negative dmin, for all groups alike.
    const float least = *std::min_element(block.x, block.x + block.n);
    if (least > 0) AffineSearch(shape, block, 1).run(best, best_error, q);
    return best;
}

}  // namespace agave
