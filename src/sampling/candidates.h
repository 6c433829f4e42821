#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "sampling/scan.h"

namespace agave {

/// The tokens that are still in play and their logits. All tokens at first, read where the model left them; a
/// list of their own once one of the samplers has chosen among them or scaled them.
class Candidates {
  public:
    explicit Candidates(int32_t n_vocab);

    /// All tokens. Returns the largest logit; throws Error(runtime) when one is NaN or infinite. `logits`
    /// must outlive the step.
    float reset(std::span<const float> logits);

    /// Takes the tokens out whose bit of `allowed` [(n_vocab + 31) / 32] is 0. Only right after reset().
    void restrict_to(std::span<const uint32_t> allowed);

    /// Lets change(token, logit) give the logit of each of `tokens`; it must return the logit of any other
    /// token as it is.
    template <typename Change>
    void change(std::span<const int32_t> tokens, Change change) {
        if (tokens.empty()) return;
        for (Candidate& c : list_) c.logit = change(c.token, c.logit);
        if (listed_) return;
        const std::span<float> logits = writable_logits();
        for (int32_t token : tokens) {
            float& logit = logits[static_cast<size_t>(token)];
            logit = change(token, logit);
        }
    }

    /// The samplers of docs/sampling.md. Ties are broken in favour of the lower token id.
    void top_k(int32_t k);
    void typical(float p);
    void top_p(float p);
    void min_p(float p);
    void temperature(float t);

    /// The token with the largest logit. Only before a sampler has made a list.
    int32_t argmax();

    /// The token at `u` (in [0, 1 - 2^-53]) of the cumulative distribution.
    int32_t draw(double u);

  private:
    struct Candidate {
        int32_t token;
        float logit;
        float weight;  ///< exp(logit - largest logit), see weigh()
        float key;     ///< what a sampler orders the candidates by, the largest first
    };
    /// The order by keys: total, so that no library's sort can change what is drawn.
    struct Before {
        bool operator()(const Candidate& a, const Candidate& b) const {
            return a.key != b.key ? a.key > b.key : a.token < b.token;
        }
    };

    std::span<float> writable_logits();
    void scan();
    void list_all();
    void list_best(size_t k);
    void list_from(double least);
    float list_max() const;
    double weigh();
    double fill_bucket(double mass);
    void keep_head(double mass);

    std::span<const float> logits_;  ///< of all tokens, while not listed_
    std::vector<float> changed_;     ///< where logits_ points after change()
    std::vector<float> block_max_;   ///< of logits_
    LogitScan scan_{};               ///< of logits_
    bool scanned_ = false;           ///< block_max_ and scan_ are those of logits_
    bool listed_ = false;            ///< list_ holds the candidates, all of them with finite logits
    std::vector<Candidate> list_;
    std::vector<Candidate> bucket_;  ///< see keep_head()
    std::vector<float> weights_;
};

}  // namespace agave
