#pragma once

#include <span>
#include <string_view>

#include "formats/model_file.h"
#include "sampling/sampler.h"

namespace agave {

/// A sampling parameter that a model file may recommend a value for.
struct FileDefault {
    std::string_view key;  ///< in the metadata, general.sampling.* as gguf-py writes it; empty: it has none
    std::string_view option;  ///< of `agave run`
    float SamplingParameters::* number;
    int32_t SamplingParameters::* integer;  ///< instead of `number`
    double minimum, maximum;

    /// The parameter, a float as the shortest decimal number that gives it.
    double value(const SamplingParameters& parameters) const;
};
std::span<const FileDefault> file_defaults();

/// The defaults, with what the makers of the model's family recommend (see find_recipe()) and the file itself
/// recommends in place of them; the file counts most. Throws Error(bad_file) for a value that is no number or
/// out of range.
SamplingParameters recommended_parameters(const Metadata& metadata, bool thinking = true);

}  // namespace agave
