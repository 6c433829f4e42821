#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "engine/engine.h"
#include "tokenizer/tokenizer.h"

namespace agave::cli {

/// How far a model's predictions are from those of another, over the tokens of a text.
struct Divergence {
    int64_t count = 0;                   ///< predictions compared
    int64_t same_top = 0;                ///< those whose likeliest token is the same
    double sum = 0, sum_of_squares = 0;  ///< of the Kullback-Leibler divergences, in nats
    double largest = 0;

    double mean() const { return sum / static_cast<double>(count); }
    /// Standard error of the mean.
    double error() const;
    double agreement() const { return static_cast<double>(same_top) / static_cast<double>(count); }
    std::string text() const;
};

/// Runs both models over the text in chunks of `chunk_tokens` and compares their predictions in the second
/// half of each chunk: the divergence of `model` from `reference`. Throws Error(usage) when the vocabularies
/// differ in size or the text is shorter than a chunk, and Error(runtime) for logits that are not finite.
Divergence measure_divergence(Engine& reference, Engine& model, const Tokenizer& tokenizer,
                              std::span<const int32_t> tokens, int64_t chunk_tokens);

/// A text of several kinds, for measurements without one of the user's: some 900 tokens.
extern const char* const kSampleText;

}  // namespace agave::cli
