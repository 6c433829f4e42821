#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>
#include <numeric>
#include <random>
#include <string>
#include <vector>

#include "backends/cpu/kernels.h"
#include "base/numeric.h"

namespace agave::cpu {
namespace {

/// What an attention task is, without its data.
struct Case {
    int n_heads, kv_heads, head_dim, value_head_dim;
    int64_t n_positions;  ///< of K and V
    int window = 0;
    float softcap = 0;
    bool sinks = false;
    KvFormat format = KvFormat::f16;
    bool latent = false;  ///< V is the first columns of K
};

std::string describe(const Case& c) {
    return std::to_string(c.n_heads) + "/" + std::to_string(c.kv_heads) + " heads of " +
           std::to_string(c.head_dim) + "/" + std::to_string(c.value_head_dim) + ", " +
           std::to_string(c.n_positions) + " positions, window " + std::to_string(c.window) + ", softcap " +
           std::to_string(c.softcap) + (c.sinks ? ", sinks" : "") + (c.latent ? ", latent" : "") +
           (c.format == KvFormat::f16 ? ", f16" : ", f32");
}

/// One sequence: random q, k, v, sinks, and K/V pages in a scattered order, pages full of NaN beforehand.
class Sequence {
  public:
    Sequence(const Case& c, const Kernels& kernels, unsigned seed) : c_(c), kernels_(kernels), random_(seed) {
        const auto n = static_cast<size_t>(c.n_positions);
        q_ = numbers(n * size(c.n_heads) * size(c.head_dim), 3.0f);
        k_ = numbers(n * size(c.kv_heads) * size(c.head_dim), 1.0f);
        v_ = numbers(n * size(c.kv_heads) * size(c.value_head_dim), 1.0f);
        sinks_ = numbers(size(c.n_heads), 2.0f);
        if (c.latent)
            for (size_t p = 0; p < n; ++p)
                std::copy_n(&k_[p * size(c.head_dim)], c.value_head_dim, &v_[p * size(c.value_head_dim)]);
        const auto round = [&](float& x) {
            x = c.format == KvFormat::f16 ? half_to_float(float_to_half(x)) : x;
        };
        stored_k_ = k_, stored_v_ = v_;
        std::for_each(stored_k_.begin(), stored_k_.end(), round);
        std::for_each(stored_v_.begin(), stored_v_.end(), round);
        scale_ = 1.0f / std::sqrt(static_cast<float>(c.head_dim));

        const size_t n_pages = (n + kPageTokens - 1) / kPageTokens;
        page_ids_.resize(n_pages);
        std::iota(page_ids_.begin(), page_ids_.end(), 0);
        std::shuffle(page_ids_.begin(), page_ids_.end(), random_);
        const size_t part_bytes = page_bytes(shape(), c.format);
        pool_.assign(n_pages * part_bytes, std::byte{0xFF});
        view_ = {pool_.data(), part_bytes, page_ids_.data()};
        for (size_t p = 0; p < n; ++p) {
            kernels_.store_kv(
                view_, shape(), c.format, static_cast<int64_t>(p),
                &k_[p * size(c.kv_heads) * size(c.head_dim) + size(c.latent ? c.value_head_dim : 0)],
                &v_[p * size(c.kv_heads) * size(c.value_head_dim)]);
        }
    }

    KvShape shape() const { return {c_.kv_heads, c_.head_dim, c_.value_head_dim, c_.latent}; }
    size_t row_floats() const { return size(c_.n_heads) * size(c_.value_head_dim); }

    /// Rows [first, first + n) by the kernels; the items in order, or shuffled, pages before `first_visible`
    /// trimmed away.
    std::vector<float> run(int64_t first, int n, bool shuffle = false) {
        std::vector<int32_t> kept = page_ids_;
        if (c_.window > 0)
            for (int64_t page = 0; (page + 1) * kPageTokens <= first - c_.window + 1; ++page)
                kept[static_cast<size_t>(page)] = -1;
        for (size_t page = static_cast<size_t>(first + n - 1) / kPageTokens + 1; page < kept.size(); ++page)
            kept[page] = -1;
        std::vector<float> out(size(n) * row_floats() + 7, 123.0f);
        AttentionTask task{};
        task.kv = view_;
        task.kv.page_ids = kept.data();
        task.shape = shape();
        task.format = c_.format;
        task.n_heads = c_.n_heads;
        task.scale = scale_;
        task.softcap = c_.softcap;
        task.window = c_.window;
        task.sinks = c_.sinks ? sinks_.data() : nullptr;
        task.first_position = first;
        task.n_rows = n;
        task.q_stride = int64_t{c_.n_heads} * c_.head_dim;
        task.q = q_.data() + first * task.q_stride;
        task.out = out.data();
        task.out_stride = int64_t{c_.n_heads} * c_.value_head_dim;

        std::vector<int64_t> items(static_cast<size_t>(attention_items(task)));
        std::iota(items.begin(), items.end(), 0);
        if (shuffle) std::shuffle(items.begin(), items.end(), random_);
        std::vector<float> partials(attention_partial_floats(task), std::numeric_limits<float>::quiet_NaN());
        std::vector<float> scratch(attention_scratch_bytes(task.shape, task.n_heads) / sizeof(float),
                                   std::numeric_limits<float>::quiet_NaN());
        for (const int64_t item : items)
            kernels_.attention_item(task, item, partials.data(),
                                    reinterpret_cast<std::byte*>(scratch.data()));
        const int merges = attention_merges(task);
        for (int m = merges; m-- > 0;) kernels_.attention_merge(task, m, m + 1, partials.data());
        for (size_t i = size(n) * row_floats(); i < out.size(); ++i) EXPECT_EQ(out[i], 123.0f);
        out.resize(size(n) * row_floats());
        return out;
    }

    /// The definition, in double precision, of one row.
    std::vector<double> expected(int64_t position) const {
        std::vector<double> out(row_floats());
        const int64_t begin = c_.window > 0 ? std::max<int64_t>(0, position - c_.window + 1) : 0;
        for (int head = 0; head < c_.n_heads; ++head) {
            const int kv_head = head / (c_.n_heads / c_.kv_heads);
            std::vector<double> scores;
            for (int64_t p = begin; p <= position; ++p) {
                double dot = 0;
                for (int d = 0; d < c_.head_dim; ++d)
                    dot += double{q_[size((position * c_.n_heads + head) * c_.head_dim + d)]} *
                           stored_k_[size((p * c_.kv_heads + kv_head) * c_.head_dim + d)];
                dot *= scale_;
                if (c_.softcap > 0) dot = c_.softcap * std::tanh(dot / c_.softcap);
                scores.push_back(dot);
            }
            double sum = c_.sinks ? std::exp(double{sinks_[size(head)]}) : 0.0;
            for (const double score : scores) sum += std::exp(score);
            for (int64_t p = begin; p <= position; ++p) {
                const double weight = std::exp(scores[size(p - begin)]) / sum;
                for (int d = 0; d < c_.value_head_dim; ++d)
                    out[size(head * c_.value_head_dim + d)] +=
                        weight * stored_v_[size((p * c_.kv_heads + kv_head) * c_.value_head_dim + d)];
            }
        }
        return out;
    }

  private:
    static size_t size(int64_t n) { return static_cast<size_t>(n); }
    std::vector<float> numbers(size_t n, float sigma) {
        std::normal_distribution<float> normal(0.0f, sigma);
        std::vector<float> out(n);
        for (float& x : out) x = normal(random_);
        return out;
    }

    Case c_;
    const Kernels& kernels_;
    std::mt19937 random_;
    float scale_;
    std::vector<float> q_, k_, v_, sinks_;
    std::vector<float> stored_k_, stored_v_;  ///< k_, v_ as the format rounds them
    std::vector<int32_t> page_ids_;
    std::vector<std::byte> pool_;
    KvView view_;
};

const std::vector<Case>& cases() {
    static const std::vector<Case> all = {
        {4, 1, 16, 16, 70},
        {9, 3, 64, 64, 700},
        {4, 1, 256, 256, 300, 100},
        {8, 8, 32, 32, 600, 0, 0, false, KvFormat::f32},
        {8, 2, 80, 80, 333, 17, 0, true},
        {2, 2, 40, 24, 555, 0, 30.0f},
        {6, 2, 72, 8, 260, 64, 5.0f, true, KvFormat::f32},
        {5, 1, 96, 128, 530, 300},
        {64, 1, 24, 40, 70, 0, 0, true},
        {7, 7, 8, 100, 290, 1},
        {16, 2, 128, 192, 400, 256, 50.0f},
        {64, 64, 8, 8, 600},
        {20, 1, 144, 128, 270, 0, 0, false, KvFormat::f16, true},
        {7, 1, 52, 36, 600, 0, 0, true, KvFormat::f32, true},
        {3, 1, 40, 23, 300, 70, 9.0f, false, KvFormat::f16, true},
    };
    return all;
}

/// Rows at both ends of pages, splits and the sequence, and some between.
std::vector<int> some_rows(int n) {
    std::vector<int> rows;
    for (int row = 0; row < n; ++row) {
        const int place = row % kPageTokens;
        if (row % 47 == 5 || place == 0 || place == 1 || place == kPageTokens - 1 || row == n - 1)
            rows.push_back(row);
    }
    return rows;
}

class AttentionLevels : public testing::TestWithParam<CpuLevel> {
  protected:
    const Kernels& kernels_ = kernels(GetParam());
};

TEST_P(AttentionLevels, MatchesTheDefinition) {
    for (const Case& c : cases()) {
        SCOPED_TRACE(describe(c));
        Sequence sequence(c, kernels_, 1);
        const int n = static_cast<int>(c.n_positions);
        const std::vector<float> out = sequence.run(0, n);
        double worst = 0;
        for (const int row : some_rows(n)) {
            const std::vector<double> expected = sequence.expected(row);
            for (size_t i = 0; i < expected.size(); ++i) {
                const double difference =
                    std::abs(expected[i] - double{out[static_cast<size_t>(row) * expected.size() + i]});
                worst = difference <= worst ? worst : difference;  // NaN counts as worst
                ASSERT_LE(difference, 1e-5) << "row " << row << ", number " << i;
            }
        }
        RecordProperty(describe(c), std::to_string(worst));
    }
}

TEST_P(AttentionLevels, ARowHasTheSameBitsHoweverItIsReached) {
    for (const Case& c : cases()) {
        if (GetParam() == CpuLevel::portable && c.n_positions > 350)
            continue;  // it is slow, and the same text
        SCOPED_TRACE(describe(c));
        Sequence sequence(c, kernels_, 2);
        const int n = static_cast<int>(c.n_positions);
        const std::vector<float> whole = sequence.run(0, n);
        const auto same = [&](const std::vector<float>& out, int64_t first) {
            return std::memcmp(out.data(), whole.data() + static_cast<size_t>(first) * sequence.row_floats(),
                               out.size() * sizeof(float)) == 0;
        };
        ASSERT_TRUE(same(sequence.run(0, n, true), 0)) << "items in another order";
        for (const int row : some_rows(n))
            ASSERT_TRUE(same(sequence.run(row, 1, true), row)) << "row " << row << " alone";
        for (const int chunk : {7, 64, 129}) {
            for (int first = 0; first < n; first += chunk) {
                const int rows = std::min(chunk, n - first);
                ASSERT_TRUE(same(sequence.run(first, rows), first)) << rows << " rows from " << first;
            }
        }
    }
}

/// The levels that differ in their attention.
std::vector<CpuLevel> distinct_levels() {
    std::vector<CpuLevel> levels;
    for (const CpuLevel level : available_levels())
        if (levels.empty() || kernels(level).attention_item != kernels(levels.back()).attention_item)
            levels.push_back(level);
    return levels;
}

std::string level_name(const testing::TestParamInfo<CpuLevel>& info) {
    std::string name = cpu_level_name(info.param);
    std::replace(name.begin(), name.end(), '-', '_');
    return name;
}

INSTANTIATE_TEST_SUITE_P(Cpu, AttentionLevels, testing::ValuesIn(distinct_levels()), level_name);

}  // namespace
}  // namespace agave::cpu
