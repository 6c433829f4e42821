#include "sampling/sampler.h"

#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/error.h"
#include "sampling/candidates.h"
#include "sampling/chain.h"
#include "sampling/history.h"
#include "sampling/random.h"
#include "sampling/scan.h"

namespace agave {

namespace {

uint64_t seed_from_system() {
    uint64_t seed = 0;
    if (getentropy(&seed, sizeof seed) != 0) {
        fail(ErrorKind::runtime, "the operating system gave no random seed");
    }
    return seed;
}

float log_softmax(std::span<const float> logits, float max_logit, int32_t token) {
    const double below_max =
        static_cast<double>(logits[static_cast<size_t>(token)]) - static_cast<double>(max_logit);
    return static_cast<float>(below_max - std::log(softmax_total(logits, max_logit)));
}

bool has(const std::vector<Stage>& chain, Stage stage) {
    for (Stage s : chain) {
        if (s == stage) return true;
    }
    return false;
}

bool uses_penalties(const SamplingParameters& p) {
    return p.penalty_last_n != 0 &&
           (p.repeat_penalty != 1.0f || p.presence_penalty != 0.0f || p.frequency_penalty != 0.0f);
}

bool uses_dry(const SamplingParameters& p) {
    return p.dry_penalty_last_n != 0 && p.dry_multiplier != 0.0f;
}

}  // namespace

float log_probability(std::span<const float> logits, int32_t token) {
    if (token < 0 || static_cast<size_t>(token) >= logits.size()) {
        fail(ErrorKind::runtime, "token %d has no logit among %zu", token, logits.size());
    }
    return log_softmax(logits, *std::max_element(logits.begin(), logits.end()), token);
}

struct Sampler::State {
    State(const SamplingParameters& given, int32_t vocabulary)
        : parameters(given),
          n_vocab(vocabulary),
          chain(parse_chain(given.samplers)),
          seed(given.seed ? *given.seed : seed_from_system()),
          random(seed),
          candidates(vocabulary) {
        if (has(chain, Stage::penalties) && uses_penalties(given)) penalties.emplace(given, vocabulary);
        if (has(chain, Stage::dry) && uses_dry(given)) dry.emplace(given, vocabulary);
    }

    void add_bias();
    void run(Stage stage);

    const SamplingParameters parameters;
    const int32_t n_vocab;
    const std::vector<Stage> chain;
    const uint64_t seed;
    Random random;
    std::vector<int32_t> history;  ///< of accepted tokens, kept only for penalties and DRY
    std::optional<Penalties> penalties;
    std::optional<Dry> dry;
    Candidates candidates;
};

void Sampler::State::add_bias() {
    constexpr float kOut = -std::numeric_limits<float>::infinity();
    for (const LogitBias& bias : parameters.logit_bias) {
        candidates.change({&bias.token, 1}, [&](int32_t, float logit) {
            return bias.bias == kOut ? kOut : penalized(logit, -static_cast<double>(bias.bias));
        });
    }
}

void Sampler::State::run(Stage stage) {
    switch (stage) {
        case Stage::penalties:
            if (!penalties) return;
            return candidates.change(penalties->tokens(), [&](int32_t token, float logit) {
                return penalties->apply(token, logit);
            });
        case Stage::dry:
            if (!dry) return;
            dry->find(history);
            return candidates.change(dry->tokens(),
                                     [&](int32_t token, float logit) { return dry->apply(token, logit); });
        case Stage::top_k:
            return candidates.top_k(parameters.top_k);
        case Stage::typical:
            return candidates.typical(parameters.typical_p);
        case Stage::top_p:
            return candidates.top_p(parameters.top_p);
        case Stage::min_p:
            return candidates.min_p(parameters.min_p);
        case Stage::temperature:
            return candidates.temperature(parameters.temperature);
    }
}

Sampler::Sampler(const SamplingParameters& parameters, int32_t n_vocab) {
    validate(parameters, n_vocab);
    state_ = std::make_unique<State>(parameters, n_vocab);
}
Sampler::Sampler(Sampler&&) noexcept = default;
Sampler& Sampler::operator=(Sampler&&) noexcept = default;
Sampler::~Sampler() = default;

void Sampler::accept(int32_t token) {
    State& s = *state_;
    if (token < 0 || token >= s.n_vocab) {
        fail(ErrorKind::runtime, "token %d is not among the %d of the vocabulary", token, s.n_vocab);
    }
    if (!s.penalties && !s.dry) return;
    s.history.push_back(token);
    if (s.penalties) s.penalties->accept(s.history);
}

SampledToken Sampler::sample(std::span<const float> logits, std::span<const uint32_t> allowed) {
    State& s = *state_;
    if (logits.size() != static_cast<size_t>(s.n_vocab)) {
        fail(ErrorKind::runtime, "%zu logits for a vocabulary of %d tokens", logits.size(), s.n_vocab);
    }
    const float model_max = s.candidates.reset(logits);
    if (!allowed.empty()) s.candidates.restrict_to(allowed);
    s.add_bias();
    const bool greedy = s.parameters.temperature == 0.0f;
    for (Stage stage : s.chain) {
        if (!greedy || stage == Stage::penalties || stage == Stage::dry) s.run(stage);
    }
    SampledToken result{};
    result.id = greedy ? s.candidates.argmax() : s.candidates.draw(s.random.next_double());
    result.logprob = s.parameters.logprobs ? log_softmax(logits, model_max, result.id)
                                           : std::numeric_limits<float>::quiet_NaN();
    return result;
}

uint64_t Sampler::seed() const {
    return state_->seed;
}

}  // namespace agave
