#include "quant/encode_codebook.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>

namespace agave {

Codebook::Codebook(std::span<const uint16_t> entries, int bits, std::span<const uint8_t> levels)
    : entries_(entries),
      bits_(bits),
      mask_((1 << bits) - 1),
      n_positions_(8 / bits),
      n_levels_(static_cast<int>(levels.size())),
      n_halves_(1),
      first_(entries.size()),
      second_(entries.size()) {
    for (int i = 0; i < n_levels_; ++i) levels_[i] = levels[static_cast<size_t>(i)];
    for (int i = 0; i < n_positions_; ++i) n_halves_ *= n_levels_;
    for (size_t e = 0; e < entries.size(); ++e) {
        first_[e] = static_cast<uint8_t>(half_of(static_cast<int>(e), 0));
        second_[e] = static_cast<uint8_t>(half_of(static_cast<int>(e), n_positions_));
    }
    for (int half = 0; half < n_halves_; ++half) {
        begin_[half] = static_cast<uint16_t>(members_.size());
        for (size_t e = 0; e < entries.size(); ++e)
            if (first_[e] == half) members_.push_back({second_[e], static_cast<uint16_t>(e)});
    }
    begin_[n_halves_] = static_cast<uint16_t>(members_.size());
}

float Codebook::level(int entry, int i) const {
    return levels_[level_index(entry, i)];
}

int Codebook::half_of(int entry, int begin) const {
    int half = 0;
    for (int i = n_positions_ - 1; i >= 0; --i) half = half * n_levels_ + level_index(entry, begin + i);
    return half;
}

void Codebook::half_table(const float costs[][kMaxLevels], float* table) const {
    int n = n_levels_;
    std::copy(costs[0], costs[0] + n, table);
    // Position after position the table grows; from behind, so that what is read is still there.
    for (int i = 1; i < n_positions_; ++i, n *= n_levels_)
        for (int level = n_levels_ - 1; level >= 0; --level)
            for (int half = 0; half < n; ++half) table[level * n + half] = table[half] + costs[i][level];
}

void Codebook::half_minimum(const float costs[][kMaxLevels], float* table) const {
    int n = n_levels_;
    std::copy(costs[0], costs[0] + n, table);
    for (int i = 1; i < n_positions_; ++i, n *= n_levels_)
        for (int level = n_levels_ - 1; level >= 0; --level)
            for (int half = 0; half < n; ++half)
                table[level * n + half] = std::min(table[half], costs[i][level]);
}

Codebook::Nearest Codebook::nearest(const float* first, const float* second, int hint) const {
    Nearest best{hint, first[first_[static_cast<size_t>(hint)]] + second[second_[static_cast<size_t>(hint)]]};
    const float least = *std::min_element(second, second + n_halves_);
    for (int half = 0; half < n_halves_; ++half) {
        if (first[half] + least >= best.error) continue;
        const float room = best.error - first[half];
        float nearest = room;
        int entry = -1;
        for (int i = begin_[half]; i < begin_[half + 1]; ++i) {
            const Member member = members_[static_cast<size_t>(i)];
            if (second[member.second] >= nearest) continue;
            nearest = second[member.second];
            entry = member.entry;
        }
        if (entry >= 0) best = {entry, first[half] + nearest};
    }
    return best;
}

Codebook::Nearest Codebook::nearest_flipped(const float* first, const float* second,
                                            const float* first_flipped, const float* second_flipped) const {
    Nearest best{0, INFINITY};
    const float least = *std::min_element(second, second + n_halves_);
    for (int half = 0; half < n_halves_; ++half) {
        // Flipping costs, so the plain sum is a bound.
        if (first[half] + least >= best.error) continue;
        for (int i = begin_[half]; i < begin_[half + 1]; ++i) {
            const Member member = members_[static_cast<size_t>(i)];
            const float error = std::min(first_flipped[half] + second[member.second],
                                         first[half] + second_flipped[member.second]);
            if (error < best.error) best = {member.entry, error};
        }
    }
    return best;
}

namespace {

constexpr int kMaxHalfPositions = 4;

/// One group at one scale.
struct GroupFit {
    float scale = 0;
    float error = INFINITY;
    float xv = 0, vv = 0;  ///< sums of w x v and w v^2, v the levels with their signs and shifts
    uint16_t entries[8] = {};
    uint8_t signs[4] = {};
    bool minus[4] = {};

    float best_scale() const { return vv > 0 ? xv / vv : scale; }
};

class CodebookSearch {
  public:
    CodebookSearch(const CodebookShape& shape, const EncodeBlock& block)
        : shape_(shape), book_(shape.book), block_(block), n_groups_(block.n / shape.group_size) {}

    CodebookChoice run() {
        for (int g = 0; g < n_groups_; ++g) fit_group(g);
        CodebookChoice best{};
        float best_error = INFINITY;
        for (const float start : starts()) {
            float d = start;
            for (int round = 0; round < 3; ++round) {
                CodebookChoice choice{};
                const float error = choose(d, round, choice);
                if (error < best_error) {
                    best_error = error;
                    best = choice;
                } else if (round > 0) {
                    break;
                }
            }
        }
        return best;
    }

  private:
    const float* x(int g) const { return block_.x + g * shape_.group_size; }
    const float* w(int g) const { return block_.w + g * shape_.group_size; }
    bool shifted() const { return shape_.signs == CodebookShape::Signs::shifts; }

    /// The best scale of group g by itself: a coarse search, then alternating least squares.
    void fit_group(int g) {
        GroupFit& best = fits_[g];
        float largest = 0;
        for (int i = 0; i < shape_.group_size; ++i) largest = std::max(largest, std::fabs(x(g)[i]));
        if (largest < 1e-30f) {
            evaluate(g, 0, best);
            return;
        }
        float top = 0;
        if (shifted()) {
            top = 1.125f;
        } else {
            for (int level = 0; level < book_.n_levels(); ++level)
                top = std::max(top, static_cast<float>(level_value(level)));
        }
        constexpr float kFractions[] = {0.35f, 0.45f, 0.55f, 0.65f, 0.75f, 0.85f, 0.95f, 1.05f};
        for (const float fraction : kFractions) {
            GroupFit fit = best;
            evaluate(g, largest / top * fraction, fit);
            if (improved_error(fit) < improved_error(best) || !std::isfinite(best.error)) best = fit;
        }
        for (int round = 0; round < 3; ++round) {
            GroupFit fit = best;
            evaluate(g, best.best_scale(), fit);
            if (!(fit.error < best.error)) break;
            best = fit;
        }
    }

    float level_value(int level) const { return book_.level_number(level); }

    /// The error once the scale suits the entries.
    static float improved_error(const GroupFit& fit) {
        const float off = fit.scale * fit.vv - fit.xv;
        return fit.vv > 0 ? fit.error - off * off / fit.vv : fit.error;
    }

    /// The entries, signs and shifts that are best at `scale`; those in `fit` serve as hints.
    void evaluate(int g, float scale, GroupFit& fit) const {
        fit.scale = scale;
        fit.error = fit.xv = fit.vv = 0;
        switch (shape_.signs) {
            case CodebookShape::Signs::free:
                evaluate_free(g, scale, fit);
                break;
            case CodebookShape::Signs::even:
                evaluate_even(g, scale, fit);
                break;
            case CodebookShape::Signs::shifts:
                evaluate_shifts(g, scale, fit);
                break;
        }
    }

    /// costs[i][level] = w * (|x| - scale * level)^2 for the weights of one half.
    void half_costs(const float* x, const float* w, float scale, float costs[][Codebook::kMaxLevels]) const {
        const int n = book_.n_weights() / 2;
        for (int i = 0; i < n; ++i) {
            const float magnitude = std::fabs(x[i]);
            for (int level = 0; level < book_.n_levels(); ++level) {
                const float off = magnitude - scale * level_value(level);
                costs[i][level] = w[i] * off * off;
            }
        }
    }

    void magnitude_table(const float* x, const float* w, float scale, float* table) const {
        float costs[kMaxHalfPositions][Codebook::kMaxLevels];
        half_costs(x, w, scale, costs);
        book_.half_table(costs, table);
    }

    void add_sums(const float* x, const float* w, int entry, uint32_t signs, GroupFit& fit) const {
        for (int i = 0; i < book_.n_weights(); ++i) {
            const float v = signs >> i & 1 ? -book_.level(entry, i) : book_.level(entry, i);
            fit.xv += w[i] * x[i] * v;
            fit.vv += w[i] * v * v;
        }
    }

    static uint32_t negative_bits(const float* x) {
        uint32_t bits = 0;
        for (int i = 0; i < 8; ++i) bits |= static_cast<uint32_t>(x[i] < 0) << i;
        return bits;
    }

    void evaluate_free(int g, float scale, GroupFit& fit) const {
        const int n = book_.n_weights();
        float first[Codebook::kMaxHalves], second[Codebook::kMaxHalves];
        for (int at = 0, e = 0; at < shape_.group_size; at += n, ++e) {
            const float *xs = x(g) + at, *ws = w(g) + at;
            magnitude_table(xs, ws, scale, first);
            magnitude_table(xs + n / 2, ws + n / 2, scale, second);
            const Codebook::Nearest nearest = book_.nearest(first, second, fit.entries[e]);
            fit.entries[e] = static_cast<uint16_t>(nearest.entry);
            fit.error += nearest.error;
            const uint32_t signs = negative_bits(x(g) + at / 8 * 8);
            fit.signs[at / 8] = static_cast<uint8_t>(signs);
            add_sums(xs, ws, nearest.entry, signs >> at % 8, fit);
        }
    }

    /// Tables of one entry for the search with an odd number of negative weights.
    struct Tables {
        float half[2][Codebook::kMaxHalves];
        float flipped[2][Codebook::kMaxHalves];
    };

    /// A weight of the wrong sign costs 4 w |x| scale level more.
    void flipped_tables(const float* x, const float* w, float scale, Tables& tables) const {
        const int n = book_.n_weights() / 2, n_halves = book_.n_halves();
        float costs[kMaxHalfPositions][Codebook::kMaxLevels];
        for (int half = 0; half < 2; ++half) {
            for (int i = 0; i < n; ++i) {
                const float slope = 4 * w[half * n + i] * std::fabs(x[half * n + i]) * scale;
                for (int level = 0; level < book_.n_levels(); ++level)
                    costs[i][level] = slope * level_value(level);
            }
            book_.half_minimum(costs, tables.flipped[half]);
            for (int i = 0; i < n_halves; ++i) tables.flipped[half][i] += tables.half[half][i];
        }
    }

    /// The weight of `entry` whose wrong sign costs the least.
    int cheapest_flip(const float* x, const float* w, int entry) const {
        int cheapest = 0;
        float least = INFINITY;
        for (int i = 0; i < book_.n_weights(); ++i) {
            const float cost = w[i] * std::fabs(x[i]) * book_.level(entry, i);
            if (!(cost < least)) continue;
            least = cost;
            cheapest = i;
        }
        return cheapest;
    }

    void evaluate_even(int g, float scale, GroupFit& fit) const {
        const int n = book_.n_weights(), n_entries = 8 / n;
        for (int at = 0; at < shape_.group_size; at += 8) {
            Tables tables[2];
            Codebook::Nearest plain[2], flipped[2];
            uint32_t signs = negative_bits(x(g) + at);
            const bool odd = std::popcount(signs) & 1;
            int flip_in = -1;
            for (int e = 0; e < n_entries; ++e) {
                const float *xs = x(g) + at + e * n, *ws = w(g) + at + e * n;
                magnitude_table(xs, ws, scale, tables[e].half[0]);
                magnitude_table(xs + n / 2, ws + n / 2, scale, tables[e].half[1]);
                plain[e] = book_.nearest(tables[e].half[0], tables[e].half[1], fit.entries[at / n + e]);
                if (!odd) continue;
                flipped_tables(xs, ws, scale, tables[e]);
                flipped[e] = book_.nearest_flipped(tables[e].half[0], tables[e].half[1], tables[e].flipped[0],
                                                   tables[e].flipped[1]);
                if (flip_in < 0 ||
                    flipped[e].error - plain[e].error < flipped[flip_in].error - plain[flip_in].error)
                    flip_in = e;
            }
            for (int e = 0; e < n_entries; ++e) {
                const float *xs = x(g) + at + e * n, *ws = w(g) + at + e * n;
                const Codebook::Nearest& chosen = e == flip_in ? flipped[e] : plain[e];
                if (e == flip_in) signs ^= 1u << (e * n + cheapest_flip(xs, ws, chosen.entry));
                fit.entries[at / n + e] = static_cast<uint16_t>(chosen.entry);
                fit.error += chosen.error;
                add_sums(xs, ws, chosen.entry, signs >> e * n, fit);
            }
            fit.signs[at / 8] = static_cast<uint8_t>(signs);
        }
    }

    void shifted_table(const float* x, const float* w, float scale, float shift, float* table) const {
        float costs[kMaxHalfPositions][Codebook::kMaxLevels];
        for (int i = 0; i < kMaxHalfPositions; ++i) {
            for (int level = 0; level < 3; ++level) {
                const float off = x[i] - scale * (static_cast<float>(level - 1) + shift);
                costs[i][level] = w[i] * off * off;
            }
        }
        book_.half_table(costs, table);
    }

    void evaluate_shifts(int g, float scale, GroupFit& fit) const {
        const int n_entries = shape_.group_size / 8;
        Codebook::Nearest found[2][4];
        float total[2] = {};
        for (int minus = 0; minus < 2; ++minus) {
            for (int e = 0; e < n_entries; ++e) {
                float first[Codebook::kMaxHalves], second[Codebook::kMaxHalves];
                const float shift = minus ? -0.125f : 0.125f;
                shifted_table(x(g) + 8 * e, w(g) + 8 * e, scale, shift, first);
                shifted_table(x(g) + 8 * e + 4, w(g) + 8 * e + 4, scale, shift, second);
                found[minus][e] = book_.nearest(first, second, fit.entries[e]);
                total[minus] += found[minus][e].error;
            }
        }
        for (int e = 0; e < n_entries; ++e) {
            const bool minus =
                shape_.shift_each_entry ? found[1][e].error < found[0][e].error : total[1] < total[0];
            const Codebook::Nearest& nearest = found[minus][e];
            fit.minus[e] = minus;
            fit.entries[e] = static_cast<uint16_t>(nearest.entry);
            fit.error += nearest.error;
            for (int i = 0; i < 8; ++i) {
                const float v =
                    static_cast<float>(book_.level_index(nearest.entry, i) - 1) + (minus ? -0.125f : 0.125f);
                fit.xv += w(g)[8 * e + i] * x(g)[8 * e + i] * v;
                fit.vv += w(g)[8 * e + i] * v * v;
            }
        }
    }

    int integer_of(float scale, float unit) const {
        const float wanted = (scale / unit - 1) / 2;
        return static_cast<int>(
            std::lrint(std::clamp(wanted, 0.0f, static_cast<float>(shape_.largest_integer))));
    }

    /// The values of d for which rounding the groups' scales costs least, by the curvature of their errors.
    std::array<float, 2> starts() const {
        float widest = 0;
        for (int g = 0; g < n_groups_; ++g) widest = std::max(widest, fits_[g].scale);
        const float d0 = widest / (shape_.unit * static_cast<float>(2 * shape_.largest_integer + 1));
        std::array<float, 2> best{d0, d0};
        float costs[2] = {INFINITY, INFINITY};
        if (widest == 0) return best;
        for (int i = 0; i < 64; ++i) {
            float d = d0 * std::exp2(static_cast<float>(i) / 48 - 0.1f);
            const float unit = d * shape_.unit;
            float cost = 0;
            for (int g = 0; g < n_groups_; ++g) {
                const float rounded = unit * static_cast<float>(2 * integer_of(fits_[g].scale, unit) + 1);
                const float off = fits_[g].scale - rounded;
                cost += fits_[g].vv * off * off;
            }
            for (int k = 0; k < 2; ++k) {
                if (!(cost < costs[k])) continue;
                std::swap(cost, costs[k]);
                std::swap(d, best[static_cast<size_t>(k)]);
            }
        }
        return best;
    }

    /// Rounds d, chooses each group's integer and entries, and leaves in d what suits them. Returns the
    /// error.
    float choose(float& d, int round, CodebookChoice& choice) {
        choice.d = block_.half_bits(d);
        const float unit = block_.scale_of(choice.d) * shape_.unit;
        float total = 0, xv = 0, vv = 0;
        for (int g = 0; g < n_groups_; ++g) {
            const int middle =
                round == 0 || unit == 0 ? (unit == 0 ? 0 : integer_of(fits_[g].scale, unit)) : integers_[g];
            GroupFit best;
            for (int integer = std::max(0, middle - 1);
                 integer <= std::min(shape_.largest_integer, middle + 1); ++integer) {
                GroupFit fit = fits_[g];
                evaluate(g, unit * static_cast<float>(2 * integer + 1), fit);
                if (!(fit.error < best.error)) continue;
                best = fit;
                choice.integers[g] = static_cast<uint8_t>(integer);
            }
            integers_[g] = choice.integers[g];
            total += best.error;
            const float multiple = shape_.unit * static_cast<float>(2 * choice.integers[g] + 1);
            xv += best.xv * multiple;
            vv += best.vv * multiple * multiple;
            keep(g, best, choice);
        }
        if (vv > 0) d = xv / vv;
        return total;
    }

    void keep(int g, const GroupFit& fit, CodebookChoice& choice) const {
        const int n_entries = shape_.group_size / book_.n_weights(), n_eights = shape_.group_size / 8;
        std::copy(fit.entries, fit.entries + n_entries, choice.entries + g * n_entries);
        std::copy(fit.signs, fit.signs + n_eights, choice.signs + g * n_eights);
        std::copy(fit.minus, fit.minus + n_eights, choice.minus + g * n_eights);
    }

    const CodebookShape& shape_;
    const Codebook& book_;
    const EncodeBlock& block_;
    const int n_groups_;
    GroupFit fits_[16];
    int integers_[16] = {};
};

}  // namespace

CodebookChoice fit_codebook(const CodebookShape& shape, const EncodeBlock& block) {
    return CodebookSearch(shape, block).run();
}

}  // namespace agave
