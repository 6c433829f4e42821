#pragma once

#include <cstdint>
#include <string_view>

#include "formats/model_file.h"
#include "sampling/sampler.h"

namespace agave {

/// How the makers of a family of models recommend to sample from it.
struct Recipe {
    const char* name;  ///< "Qwen 3, thinking"
    std::string_view architecture;
    int32_t n_vocab;  ///< 0: any; tells families of one architecture apart
    enum Thinking : uint8_t { either, on, off } thinking;
    float temperature;
    int32_t top_k;
    float top_p, min_p, presence_penalty, repeat_penalty;

    void apply(SamplingParameters& parameters) const;
};

/// The recipe for a model with a chat template, or nullptr. `thinking`: whether it will think where its
/// template lets it.
const Recipe* find_recipe(const Metadata& metadata, bool thinking);

}  // namespace agave
