#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "sampling/scan.h"

namespace agave {

/// A token and its natural logarithm of probability under the model's own softmax.
struct TokenLogprob {
    int32_t id;
    float logprob;
};

/// Logarithms of probability under the softmax of one row of logits. One object serves row after row.
class LogProbabilities {
  public:
    /// `logits` must outlive what is asked of them. Throws Error(runtime) when one is NaN or infinite.
    void reset(std::span<const float> logits);
    /// The same bits as SampledToken::logprob.
    float of(int32_t token) const;
    /// The n likeliest tokens (or all, where there are fewer) in descending order, ties in favour of the
    /// lower id.
    void top(int n, std::vector<TokenLogprob>& result) const;

  private:
    std::span<const float> logits_;
    std::vector<float> block_max_;
    float max_ = 0;
    double log_total_ = 0;
};

}  // namespace agave
