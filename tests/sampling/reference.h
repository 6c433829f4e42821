#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "sampling/sampler.h"

namespace agave::testing_reference {

/// The distribution that the samplers of docs/sampling.md define, [n_vocab], computed in double precision
/// with full sorts and nothing shared with the implementation.
std::vector<double> distribution(const SamplingParameters& parameters, std::span<const int32_t> history,
                                 std::span<const float> logits);

/// The length of the longest repetition at the end of `history` that `token` would prolong, from DRY's
/// definition.
int dry_length(const SamplingParameters& parameters, std::span<const int32_t> history, int32_t token);

/// n reproducible logits, normal with this standard deviation.
std::vector<float> random_logits(size_t n, float deviation, uint32_t seed);

}  // namespace agave::testing_reference
