#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

namespace agave {

/// Logits for which scan_logits() keeps one maximum.
constexpr size_t kScanBlock = 256;

struct LogitScan {
    float max;       ///< -infinity when all are
    int32_t argmax;  ///< the lowest index that has it
    bool finite;     ///< false: NaN or an infinity is among them
};

/// One pass over at least one logit. block_max is resized to one element for each kScanBlock logits and takes
/// their maxima; NaN counts as -infinity.
LogitScan scan_logits(std::span<const float> logits, std::vector<float>& block_max);

/// weights[i] = exp(logits[i] - max_logit) in float32, for logits[i] <= max_logit; 0 below 2^-126. The same
/// bits on every machine. The spans may be the same.
void softmax_weights(std::span<const float> logits, float max_logit, std::span<float> weights);

/// The sum of exp(logits[i] - max_logit).
double softmax_total(std::span<const float> logits, float max_logit);

}  // namespace agave
