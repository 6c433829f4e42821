#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

namespace agave {

/// Added to the logit of one token before the chain; -infinity bans the token.
struct LogitBias {
    int32_t token;
    float bias;
};

/// What turns logits into a token. docs/sampling.md has each sampler's formula, its source and the order.
struct SamplingParameters {
    float temperature = 0.8f;  ///< 0: greedy, whatever `samplers` says
    int32_t top_k = 40;        ///< 0: off
    float top_p = 0.95f;       ///< 1: off
    float min_p = 0.05f;       ///< 0: off
    float typical_p = 1.0f;    ///< 1: off

    float repeat_penalty = 1.0f;     ///< 1: off
    float presence_penalty = 0.0f;   ///< 0: off
    float frequency_penalty = 0.0f;  ///< 0: off
    int32_t penalty_last_n = 64;     ///< tokens that the three penalties look back on; 0: none, -1: all

    float dry_multiplier = 0.0f;  ///< 0: off
    float dry_base = 1.75f;
    int32_t dry_allowed_length = 2;
    int32_t dry_penalty_last_n = -1;  ///< tokens that DRY looks back on; 0: none, -1: all
    std::vector<std::vector<int32_t>> dry_sequence_breakers;  ///< each a sequence of token ids

    std::vector<LogitBias> logit_bias;
    /// The chain, in order; a sampler that is not named is off.
    std::string samplers = "penalties;dry;top_k;typical;top_p;min_p;temperature";
    std::optional<uint64_t> seed;  ///< none: from the operating system
    bool logprobs = false;         ///< fill SampledToken::logprob, which costs a pass over the vocabulary
};

/// Throws Error(usage) that names the first parameter out of its range, its value and the range.
void validate(const SamplingParameters& parameters, int32_t n_vocab);

struct SampledToken {
    int32_t id;
    /// Natural logarithm of the model's own probability of `id` (the softmax of all logits, before bias and
    /// chain); NaN unless SamplingParameters::logprobs.
    float logprob;
};

/// Natural logarithm of the probability of `token` under the softmax of `logits`.
float log_probability(std::span<const float> logits, int32_t token);

/// Chooses the tokens of one sequence. After the first call nothing is allocated, save that a history without
/// bound (a last_n of -1) grows.
class Sampler {
  public:
    /// Calls validate().
    Sampler(const SamplingParameters& parameters, int32_t n_vocab);
    Sampler(Sampler&&) noexcept;
    Sampler& operator=(Sampler&&) noexcept;
    ~Sampler();

    /// Tells the penalties and DRY of the next token of the sequence: every token of the prompt, and every
    /// token that was generated (sample() does not do it by itself). Throws Error(runtime) when `token` is
    /// not in [0, n_vocab).
    void accept(int32_t token);

    /// Chooses a token from `logits` [n_vocab] among those whose bit is set in `allowed` (see
    /// TokenConstraint::allowed; empty: all). Throws Error(runtime) when a logit is NaN or infinite, and when
    /// the logit bias and `allowed` leave no token.
    SampledToken sample(std::span<const float> logits, std::span<const uint32_t> allowed = {});

    /// The seed in use: the given one, or the one that was drawn.
    uint64_t seed() const;

  private:
    struct State;
    std::unique_ptr<State> state_;
};

}  // namespace agave
