#include "sampling/history.h"

#include <algorithm>
#include <limits>

namespace agave {

namespace {

/// Longer matches are counted as this long, as in the original: the penalty is far beyond any logit by then,
/// and a step over a history of n tokens costs at most 50 n.
constexpr size_t kMaxMatch = 50;

/// The last `last_n` tokens, or all when it is -1.
std::span<const int32_t> window_of(std::span<const int32_t> history, int32_t last_n) {
    if (last_n < 0) return history;
    return history.last(std::min(history.size(), static_cast<size_t>(last_n)));
}

}  // namespace

float penalized(float logit, double penalty) {
    constexpr double kLargest = std::numeric_limits<float>::max();
    if (logit == -std::numeric_limits<float>::infinity()) return logit;
    return static_cast<float>(std::clamp(static_cast<double>(logit) - penalty, -kLargest, kLargest));
}

Penalties::Penalties(const SamplingParameters& parameters, int32_t n_vocab)
    : repeat_(parameters.repeat_penalty),
      presence_(parameters.presence_penalty),
      frequency_(parameters.frequency_penalty),
      last_n_(parameters.penalty_last_n),
      count_(static_cast<size_t>(n_vocab)),
      slot_(static_cast<size_t>(n_vocab)) {
    // One more than the window, because accept() adds before it takes away.
    const int64_t most = last_n_ < 0 ? n_vocab : std::min<int64_t>(int64_t{last_n_} + 1, n_vocab);
    tokens_.reserve(static_cast<size_t>(most));
}

void Penalties::accept(std::span<const int32_t> history) {
    const size_t added = static_cast<size_t>(history.back());
    if (count_[added]++ == 0) {
        slot_[added] = static_cast<int32_t>(tokens_.size());
        tokens_.push_back(history.back());
    }
    if (last_n_ < 0 || history.size() <= static_cast<size_t>(last_n_)) return;
    const size_t left = static_cast<size_t>(history[history.size() - 1 - static_cast<size_t>(last_n_)]);
    if (--count_[left] > 0) return;
    const int32_t moved = tokens_.back();
    tokens_[static_cast<size_t>(slot_[left])] = moved;
    slot_[static_cast<size_t>(moved)] = slot_[left];
    tokens_.pop_back();
}

float Penalties::apply(int32_t token, float logit) const {
    const int32_t count = count_[static_cast<size_t>(token)];
    if (count == 0) return logit;
    const float repeated = logit > 0.0f ? logit / repeat_ : logit * repeat_;
    return penalized(repeated, static_cast<double>(presence_) + static_cast<double>(frequency_) * count);
}

Dry::Dry(const SamplingParameters& parameters, int32_t n_vocab)
    : allowed_length_(parameters.dry_allowed_length),
      last_n_(parameters.dry_penalty_last_n),
      breakers_(parameters.dry_sequence_breakers),
      penalty_(kMaxMatch + 1),
      length_(static_cast<size_t>(n_vocab)) {
    double penalty = static_cast<double>(parameters.dry_multiplier);
    for (size_t n = static_cast<size_t>(allowed_length_); n <= kMaxMatch; ++n) {
        penalty_[n] = penalty;
        penalty *= static_cast<double>(parameters.dry_base);
    }
}

bool Dry::breaks_alone(int32_t token) const {
    return std::any_of(breakers_.begin(), breakers_.end(), [&](const std::vector<int32_t>& breaker) {
        return breaker.size() == 1 && breaker[0] == token;
    });
}

/// How many tokens a repetition that ends with the window may have: those after the last sequence breaker.
size_t Dry::length_limit(std::span<const int32_t> window) const {
    const size_t most = std::min(window.size(), kMaxMatch);
    for (size_t after = 0; after < most; ++after) {
        const std::span<const int32_t> before = window.first(window.size() - after);
        for (const std::vector<int32_t>& breaker : breakers_) {
            if (breaker.size() <= before.size() &&
                std::equal(breaker.begin(), breaker.end(), before.last(breaker.size()).begin())) {
                return after;
            }
        }
    }
    return most;
}

void Dry::find(std::span<const int32_t> history) {
    for (int32_t token : tokens_) length_[static_cast<size_t>(token)] = 0;
    tokens_.clear();
    const std::span<const int32_t> window = window_of(history, last_n_);
    const size_t limit = length_limit(window);
    if (limit < static_cast<size_t>(allowed_length_)) return;
    const size_t last = window.size() - 1;
    for (size_t i = 0; i < last; ++i) {
        if (window[i] != window[last]) continue;
        const int32_t next = window[i + 1];
        if (breaks_alone(next)) continue;
        size_t length = 1;
        while (length < limit && length <= i && window[i - length] == window[last - length]) ++length;
        if (length < static_cast<size_t>(allowed_length_)) continue;
        uint8_t& longest = length_[static_cast<size_t>(next)];
        if (longest == 0) tokens_.push_back(next);
        longest = std::max(longest, static_cast<uint8_t>(length));
    }
}

float Dry::apply(int32_t token, float logit) const {
    const uint8_t length = length_[static_cast<size_t>(token)];
    return length == 0 ? logit : penalized(logit, penalty_[length]);
}

}  // namespace agave
