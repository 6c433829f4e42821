#include "sampling/log_probabilities.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace agave {

void LogProbabilities::reset(std::span<const float> logits) {
    logits_ = logits;
    const LogitScan scan = scan_logits(logits, block_max_);
    if (!scan.finite) fail(ErrorKind::runtime, "the model's logits are not all finite");
    max_ = scan.max;
    log_total_ = std::log(softmax_total(logits, max_));
}

float LogProbabilities::of(int32_t token) const {
    const double below_max =
        static_cast<double>(logits_[static_cast<size_t>(token)]) - static_cast<double>(max_);
    return static_cast<float>(below_max - log_total_);
}

void LogProbabilities::top(int n, std::vector<TokenLogprob>& result) const {
    // While looking, logprob is the logit.
    const auto before = [](const TokenLogprob& a, const TokenLogprob& b) {
        return a.logprob != b.logprob ? a.logprob > b.logprob : a.id < b.id;
    };
    result.clear();
    const size_t most = std::min(static_cast<size_t>(std::max(n, 0)), logits_.size());
    for (size_t begin = 0; begin < logits_.size() && most > 0; begin += kScanBlock) {
        if (result.size() == most && block_max_[begin / kScanBlock] <= result[0].logprob) continue;
        const size_t end = std::min(begin + kScanBlock, logits_.size());
        for (size_t i = begin; i < end; ++i) {
            if (result.size() == most) {
                if (logits_[i] <= result[0].logprob) continue;
                std::pop_heap(result.begin(), result.end(), before);
                result.pop_back();
            }
            result.push_back({static_cast<int32_t>(i), logits_[i]});
            std::push_heap(result.begin(), result.end(), before);
        }
    }
    std::sort(result.begin(), result.end(), before);
    for (TokenLogprob& token : result) token.logprob = of(token.id);
}

}  // namespace agave
