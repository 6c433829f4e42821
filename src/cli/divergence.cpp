#include "cli/divergence.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/error.h"
#include "cli/engine_options.h"

namespace agave::cli {

namespace {

/// log(sum of exp(logits)).
double log_normalizer(std::span<const float> logits) {
    const float top = *std::max_element(logits.begin(), logits.end());
    double sum = 0;
    for (const float logit : logits) sum += static_cast<double>(std::exp(logit - top));
    return static_cast<double>(top) + std::log(sum);
}

/// sum of p (log p - log q) with p from `reference` and q from `logits`.
double divergence(std::span<const float> reference, std::span<const float> logits) {
    const double p_norm = log_normalizer(reference), q_norm = log_normalizer(logits);
    double sum = 0;
    for (size_t i = 0; i < logits.size(); ++i) {
        const double log_p = static_cast<double>(reference[i]) - p_norm;
        sum += std::exp(log_p) * (log_p - (static_cast<double>(logits[i]) - q_norm));
    }
    return std::max(sum, 0.0);
}

class ChunkComparison {
  public:
    ChunkComparison(Engine& reference, Engine& model)
        : reference_(reference), model_(model), n_vocab_(static_cast<size_t>(model.n_vocab())) {}

    void run(std::span<const int32_t> tokens, Divergence& result) {
        Sequence a = reference_.new_sequence(), b = model_.new_sequence();
        const size_t first = tokens.size() / 2;
        const auto most = static_cast<size_t>(std::min(
            {reference_.max_rows(), model_.max_rows(), reference_.max_outputs(), model_.max_outputs()}));
        for (size_t begin = 0; begin < tokens.size();) {
            const size_t end = begin < first ? std::min(first, begin + most) : tokens.size();
            const std::span<const int32_t> some = tokens.subspan(begin, std::min(most, end - begin));
            const int n_outputs = begin < first ? 0 : static_cast<int>(some.size());
            const StepSlice from_reference{&a, some, n_outputs}, from_model{&b, some, n_outputs};
            const std::span<const float> p = reference_.step({&from_reference, 1});
            const std::span<const float> q = model_.step({&from_model, 1});
            if (n_outputs > 0) compare(p, q, some.size(), result);
            begin += some.size();
        }
        reference_.release(a);
        model_.release(b);
    }

  private:
    void compare(std::span<const float> p, std::span<const float> q, size_t n_rows, Divergence& result) {
        std::vector<double> rows(n_rows);
        model_.team().run([&](int thread) {
            const Range range = thread_range(static_cast<int64_t>(n_rows), 1, thread, model_.n_threads());
            for (auto i = static_cast<size_t>(range.begin); i < static_cast<size_t>(range.end); ++i)
                rows[i] = divergence(p.subspan(i * n_vocab_, n_vocab_), q.subspan(i * n_vocab_, n_vocab_));
        });
        for (size_t i = 0; i < n_rows; ++i) {
            if (!std::isfinite(rows[i]))
                fail(ErrorKind::runtime,
                     "the divergence is not a number: a model gave NaN or infinite logits");
            result.count++;
            result.sum += rows[i];
            result.sum_of_squares += rows[i] * rows[i];
            result.largest = std::max(result.largest, rows[i]);
            result.same_top +=
                likeliest(p.subspan(i * n_vocab_, n_vocab_)) == likeliest(q.subspan(i * n_vocab_, n_vocab_));
        }
    }

    Engine &reference_, &model_;
    const size_t n_vocab_;
};

}  // namespace

double Divergence::error() const {
    const double n = static_cast<double>(count), variance = sum_of_squares / n - mean() * mean();
    return variance > 0 && count > 1 ? std::sqrt(variance / (n - 1)) : 0;
}

std::string Divergence::text() const {
    return strprintf(
        "KL divergence %.5f +/- %.5f nats (largest %.3f), the same likeliest token %.1f %% of %lld "
        "times",
        mean(), error(), largest, 100 * agreement(), static_cast<long long>(count));
}

Divergence measure_divergence(Engine& reference, Engine& model, const Tokenizer& tokenizer,
                              std::span<const int32_t> tokens, int64_t chunk_tokens) {
    if (reference.n_vocab() != model.n_vocab())
        fail(ErrorKind::usage, "the models have %lld and %lld tokens: they are not of one vocabulary",
             static_cast<long long>(reference.n_vocab()), static_cast<long long>(model.n_vocab()));
    const auto step = static_cast<size_t>(chunk_tokens);
    if (tokens.size() < step)
        fail(ErrorKind::usage, "the text has %zu tokens, but a chunk of --ctx-size needs %zu", tokens.size(),
             step);
    Divergence result;
    ChunkComparison comparison(reference, model);
    for (size_t begin = 0; begin + step <= tokens.size(); begin += step) {
        std::vector<int32_t> chunk(tokens.begin() + static_cast<ptrdiff_t>(begin),
                                   tokens.begin() + static_cast<ptrdiff_t>(begin + step));
        if (tokenizer.adds_bos()) chunk[0] = tokenizer.bos();
        comparison.run(chunk, result);
    }
    return result;
}

}  // namespace agave::cli
