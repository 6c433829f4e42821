#pragma once

#include <string_view>
#include <vector>

namespace agave {

/// One sampler of the chain.
enum class Stage : unsigned char { penalties, dry, top_k, typical, top_p, min_p, temperature };

/// Reads SamplingParameters::samplers: names separated by ';' (none at all is an empty chain). Throws
/// Error(usage) for a name that is unknown, empty or there twice.
std::vector<Stage> parse_chain(std::string_view samplers);

}  // namespace agave
