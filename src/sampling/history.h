#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "sampling/sampler.h"

namespace agave {

/// logit - penalty, kept finite; a token that is out already (-infinity) stays out.
float penalized(float logit, double penalty);

/// Repetition penalty (Keskar et al., "CTRL", 2019: a positive logit is divided, another multiplied), then
/// presence and frequency penalties (OpenAI's API: minus presence, minus frequency x count), by what stands
/// among the last penalty_last_n tokens.
class Penalties {
  public:
    Penalties(const SamplingParameters& parameters, int32_t n_vocab);

    /// `history` ends with the token that has just been accepted.
    void accept(std::span<const int32_t> history);
    /// The tokens in the window, each once.
    std::span<const int32_t> tokens() const { return tokens_; }
    float apply(int32_t token, float logit) const;

  private:
    float repeat_, presence_, frequency_;
    int32_t last_n_;
    std::vector<int32_t> count_;  ///< [n_vocab] occurrences in the window
    std::vector<int32_t> slot_;   ///< [n_vocab] index in tokens_ where count_ > 0
    std::vector<int32_t> tokens_;
};

/// DRY, "don't repeat yourself" (p-e-w, text-generation-webui pull request 5677): a token that would prolong
/// a repetition of length n >= dry_allowed_length loses dry_multiplier * dry_base^(n - dry_allowed_length).
class Dry {
  public:
    Dry(const SamplingParameters& parameters, int32_t n_vocab);

    /// Finds the repetitions that the history ends with.
    void find(std::span<const int32_t> history);
    /// The tokens that would prolong one, each once.
    std::span<const int32_t> tokens() const { return tokens_; }
    float apply(int32_t token, float logit) const;

  private:
    size_t length_limit(std::span<const int32_t> window) const;
    bool breaks_alone(int32_t token) const;

    int32_t allowed_length_, last_n_;
    std::vector<std::vector<int32_t>> breakers_;
    std::vector<double> penalty_;  ///< by length
    std::vector<uint8_t> length_;  ///< [n_vocab] of the longest repetition that the token would prolong, or 0
    std::vector<int32_t> tokens_;
};

}  // namespace agave
