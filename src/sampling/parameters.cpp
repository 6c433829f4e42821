#include <algorithm>
#include <cmath>
#include <limits>

#include "base/error.h"
#include "sampling/chain.h"
#include "sampling/sampler.h"

namespace agave {

namespace {

constexpr const char* kStageNames[] = {"penalties", "dry",   "top_k",      "typical",
                                       "top_p",     "min_p", "temperature"};

/// NaN fails every comparison and so every check.
void check(bool ok, const char* name, double value, const char* range) {
    if (!ok) fail(ErrorKind::usage, "%s is %g, but must be %s", name, value, range);
}

void check_between(const char* name, float value, float low, float high) {
    if (value >= low && value <= high) return;
    fail(ErrorKind::usage, "%s is %g, but must be from %g to %g", name, static_cast<double>(value),
         static_cast<double>(low), static_cast<double>(high));
}

void check_window(const char* name, int32_t value) {
    check(value >= -1, name, value, "0 (none), -1 (all tokens) or a number of tokens");
}

void check_token(const char* name, int32_t token, int32_t n_vocab) {
    if (token >= 0 && token < n_vocab) return;
    fail(ErrorKind::usage, "%s names token %d, but the vocabulary has the tokens 0 to %d", name, token,
         n_vocab - 1);
}

void check_penalties(const SamplingParameters& p) {
    check_between("repeat_penalty", p.repeat_penalty, 0.01f, 100.0f);
    check_between("presence_penalty", p.presence_penalty, -100.0f, 100.0f);
    check_between("frequency_penalty", p.frequency_penalty, -100.0f, 100.0f);
    check_window("penalty_last_n", p.penalty_last_n);
}

void check_dry(const SamplingParameters& p, int32_t n_vocab) {
    check_between("dry_multiplier", p.dry_multiplier, 0.0f, 100.0f);
    check_between("dry_base", p.dry_base, 1.0f, 100.0f);
    check(p.dry_allowed_length >= 1 && p.dry_allowed_length <= 50, "dry_allowed_length", p.dry_allowed_length,
          "from 1 to 50");
    check_window("dry_penalty_last_n", p.dry_penalty_last_n);
    for (const std::vector<int32_t>& breaker : p.dry_sequence_breakers) {
        if (breaker.empty()) fail(ErrorKind::usage, "dry_sequence_breakers has an empty sequence");
        for (int32_t token : breaker) check_token("dry_sequence_breakers", token, n_vocab);
    }
}

[[noreturn]] void fail_unknown(std::string_view name) {
    fail(ErrorKind::usage,
         "samplers names '%s', but must name samplers of penalties, dry, top_k, typical, top_p, min_p and "
         "temperature, separated by ';'",
         printable(name).c_str());
}

}  // namespace

std::vector<Stage> parse_chain(std::string_view samplers) {
    std::vector<Stage> chain;
    while (!samplers.empty()) {
        const size_t end = samplers.find(';');
        const std::string_view name = samplers.substr(0, end);
        const auto* found = std::find(std::begin(kStageNames), std::end(kStageNames), name);
        if (found == std::end(kStageNames)) fail_unknown(name);
        const Stage stage = static_cast<Stage>(found - std::begin(kStageNames));
        if (std::find(chain.begin(), chain.end(), stage) != chain.end()) {
            fail(ErrorKind::usage, "samplers names %s twice", *found);
        }
        chain.push_back(stage);
        if (end == std::string_view::npos) break;
        samplers.remove_prefix(end + 1);
        if (samplers.empty()) fail_unknown("");
    }
    return chain;
}

void validate(const SamplingParameters& p, int32_t n_vocab) {
    check(n_vocab >= 1, "n_vocab", n_vocab, "1 or more");
    check(p.temperature == 0.0f || (p.temperature >= 1e-6f && p.temperature <= 1e6f), "temperature",
          static_cast<double>(p.temperature), "0 (greedy) or from 1e-6 to 1e6");
    check(p.top_k >= 0, "top_k", p.top_k, "0 (off) or more");
    check_between("top_p", p.top_p, 0.0f, 1.0f);
    check_between("min_p", p.min_p, 0.0f, 1.0f);
    check_between("typical_p", p.typical_p, 0.0f, 1.0f);
    check_penalties(p);
    check_dry(p, n_vocab);
    for (const LogitBias& bias : p.logit_bias) {
        check_token("logit_bias", bias.token, n_vocab);
        check(bias.bias < std::numeric_limits<float>::infinity(), "logit_bias",
              static_cast<double>(bias.bias), "a number or -inf");
    }
    parse_chain(p.samplers);
}

}  // namespace agave
