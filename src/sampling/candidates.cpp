#include "sampling/candidates.h"

#include <algorithm>
#include <cmath>
#include <iterator>
#include <limits>

#include "base/error.h"

namespace agave {

namespace {

constexpr float kOut = -std::numeric_limits<float>::infinity();

}  // namespace

Candidates::Candidates(int32_t n_vocab) {
    // Costs address space only, until a list of that length is made.
    list_.reserve(static_cast<size_t>(n_vocab));
    bucket_.reserve(static_cast<size_t>(n_vocab));
    weights_.reserve(static_cast<size_t>(n_vocab));
}

float Candidates::reset(std::span<const float> logits) {
    logits_ = logits;
    list_.clear();
    listed_ = false;
    scan_ = scan_logits(logits_, block_max_);
    scanned_ = true;
    if (scan_.finite) return scan_.max;
    size_t at = 0;
    while (std::isfinite(logits[at])) ++at;
    fail(ErrorKind::runtime, "the model's logit of token %zu is %g: no token can be chosen from it", at,
         static_cast<double>(logits[at]));
}

std::span<float> Candidates::writable_logits() {
    if (logits_.data() != changed_.data()) changed_.assign(logits_.begin(), logits_.end());
    logits_ = changed_;
    scanned_ = false;
    return changed_;
}

void Candidates::restrict_to(std::span<const uint32_t> allowed) {
    const size_t n = logits_.size();
    if (allowed.size() != (n + 31) / 32)
        fail(ErrorKind::runtime, "a constraint allows %zu words of tokens, but the vocabulary has %zu",
             allowed.size(), (n + 31) / 32);
    changed_.resize(n);
    for (size_t begin = 0; begin < n; begin += 32) {
        const uint32_t bits = allowed[begin / 32];
        const size_t end = std::min(begin + 32, n);
        for (size_t i = begin; i < end; ++i) changed_[i] = bits >> (i - begin) & 1 ? logits_[i] : kOut;
    }
    logits_ = changed_;
    scanned_ = false;
}

void Candidates::scan() {
    if (scanned_) return;
    scan_ = scan_logits(logits_, block_max_);
    scanned_ = true;
    if (scan_.max == kOut)
        fail(ErrorKind::runtime, "the logit bias and the grammar leave no token of the vocabulary");
}

void Candidates::list_all() {
    if (!listed_) list_from(-std::numeric_limits<double>::infinity());
}

/// Lists the tokens that are not out and whose logits are at least `least`.
void Candidates::list_from(double least) {
    scan();
    for (size_t begin = 0; begin < logits_.size(); begin += kScanBlock) {
        if (static_cast<double>(block_max_[begin / kScanBlock]) < least) continue;
        const size_t end = std::min(begin + kScanBlock, logits_.size());
        for (size_t i = begin; i < end; ++i) {
            const float logit = logits_[i];
            if (logit == kOut || static_cast<double>(logit) < least) continue;
            list_.push_back({static_cast<int32_t>(i), logit, 0.0f, logit});
        }
    }
    listed_ = true;
}

/// Lists the `k` best tokens, the worst of them on top of a heap while looking; a block whose maximum is no
/// better is passed over.
void Candidates::list_best(size_t k) {
    scan();
    for (size_t begin = 0; begin < logits_.size(); begin += kScanBlock) {
        if (list_.size() == k && block_max_[begin / kScanBlock] <= list_[0].key) continue;
        const size_t end = std::min(begin + kScanBlock, logits_.size());
        for (size_t i = begin; i < end; ++i) {
            const float logit = logits_[i];
            if (logit == kOut) continue;
            if (list_.size() == k) {
                if (logit <= list_[0].key) continue;
                std::pop_heap(list_.begin(), list_.end(), Before());
                list_.pop_back();
            }
            list_.push_back({static_cast<int32_t>(i), logit, 0.0f, logit});
            std::push_heap(list_.begin(), list_.end(), Before());
        }
    }
    std::sort(list_.begin(), list_.end(), Before());
    listed_ = true;
}

float Candidates::list_max() const {
    float max = kOut;
    for (const Candidate& c : list_) max = std::max(max, c.logit);
    return max;
}

/// Sets the weight of every listed candidate and returns the sum.
double Candidates::weigh() {
    weights_.resize(list_.size());
    for (size_t i = 0; i < list_.size(); ++i) weights_[i] = list_[i].logit;
    softmax_weights(weights_, list_max(), weights_);
    double total = 0.0;
    for (size_t i = 0; i < list_.size(); ++i) {
        list_[i].weight = weights_[i];
        total += static_cast<double>(weights_[i]);
    }
    return total;
}

/// Fills bucket_ with the candidates among which the sum of the weights, in the order of the keys, reaches
/// `mass`, and returns the sum of those before them. A large list is first divided by its keys, so that only
/// a small part of it needs sorting.
double Candidates::fill_bucket(double mass) {
    bucket_ = list_;
    if (list_.size() < 512) return 0.0;
    constexpr size_t kBuckets = 2048;
    constexpr float kBucketsPerUnit = 64.0f;
    float best = kOut;
    for (const Candidate& c : list_) best = std::max(best, c.key);
    const auto bucket_of = [best](const Candidate& c) {
        return static_cast<size_t>(
            std::min((best - c.key) * kBucketsPerUnit, static_cast<float>(kBuckets - 1)));
    };
    double masses[kBuckets] = {};
    for (const Candidate& c : list_) masses[bucket_of(c)] += static_cast<double>(c.weight);
    double before = 0.0;
    size_t b = 0;
    while (b + 1 < kBuckets && before + masses[b] < mass) before += masses[b++];
    std::erase_if(bucket_, [&](const Candidate& c) { return bucket_of(c) != b; });
    return before;
}

/// Keeps the fewest candidates, in the order of their keys, whose weights sum to at least `mass`, and at
/// least one. The list stays in the order that it had.
void Candidates::keep_head(double mass) {
    double sum = fill_bucket(mass);
    if (bucket_.empty()) return;
    std::sort(bucket_.begin(), bucket_.end(), Before());
    size_t last = 0;
    sum += static_cast<double>(bucket_[0].weight);
    while (sum < mass && last + 1 < bucket_.size()) sum += static_cast<double>(bucket_[++last].weight);
    std::erase_if(list_, [&](const Candidate& c) { return Before()(bucket_[last], c); });
}

void Candidates::top_k(int32_t k) {
    constexpr size_t kMostInHeap = 1024;
    const size_t n = static_cast<size_t>(k);
    if (n == 0 || (!listed_ && n >= logits_.size())) return;
    if (!listed_ && n <= kMostInHeap) return list_best(n);
    list_all();
    if (n >= list_.size()) return;
    for (Candidate& c : list_) c.key = c.logit;
    std::nth_element(list_.begin(), list_.begin() + k, list_.end(), Before());
    list_.resize(n);
    std::sort(list_.begin(), list_.end(), Before());
}

void Candidates::typical(float p) {
    if (p >= 1.0f) return;
    list_all();
    const double total = weigh();
    // The surprise of a token is log(total) - logit and the entropy is its mean, so their distance is that of
    // the logit from the mean logit.
    double mean = 0.0;
    for (const Candidate& c : list_) {
        mean += static_cast<double>(c.weight) / total * static_cast<double>(c.logit);
    }
    for (Candidate& c : list_) c.key = -static_cast<float>(std::abs(static_cast<double>(c.logit) - mean));
    keep_head(static_cast<double>(p) * total);
}

void Candidates::top_p(float p) {
    if (p >= 1.0f) return;
    double total = 0.0;
    if (listed_) {
        total = weigh();
    } else {
        // Tokens below an equal share of what lies outside the nucleus sum to less than that: none is in it.
        scan();
        total = softmax_total(logits_, scan_.max);
        const double share = (1.0 - static_cast<double>(p)) * total / static_cast<double>(logits_.size());
        list_from(static_cast<double>(scan_.max) + std::log(share));
        weigh();
    }
    for (Candidate& c : list_) c.key = c.logit;
    keep_head(static_cast<double>(p) * total);
}

void Candidates::min_p(float p) {
    if (p <= 0.0f) return;
    scan();
    const double below_best = std::log(static_cast<double>(p));
    if (!listed_) return list_from(static_cast<double>(scan_.max) + below_best);
    const double least = static_cast<double>(list_max()) + below_best;
    std::erase_if(list_, [&](const Candidate& c) { return static_cast<double>(c.logit) < least; });
}

void Candidates::temperature(float t) {
    if (t == 1.0f) return;
    list_all();
    constexpr float kLargest = std::numeric_limits<float>::max();
    for (Candidate& c : list_) c.logit = std::clamp(c.logit / t, -kLargest, kLargest);
}

int32_t Candidates::argmax() {
    scan();
    return scan_.argmax;
}

int32_t Candidates::draw(double u) {
    list_all();
    // u <= 1 - 2^-53 makes this less than the total even after rounding, and the sum below reaches the total.
    const double target = u * weigh();
    double sum = 0.0;
    size_t i = 0;
    while (i + 1 < list_.size() && (sum += static_cast<double>(list_[i].weight)) <= target) ++i;
    return list_[i].token;
}

}  // namespace agave
