#include <algorithm>
#include <cmath>
#include <memory>

#include "base/error.h"
#include "base/json_writer.h"
#include "base/system.h"
#include "cli/commands.h"
#include "cli/divergence.h"
#include "cli/engine_options.h"
#include "cli/output.h"
#include "tokenizer/tokenizer.h"

namespace agave::cli {

namespace {

/// Sums of the negative log-likelihood and of its square.
struct Score {
    double sum = 0, sum_of_squares = 0;
    int64_t count = 0;

    double perplexity() const { return std::exp(sum / static_cast<double>(count)); }
    /// Standard error of the perplexity, as llama-perplexity prints it.
    double error() const {
        const double n = static_cast<double>(count), mean = sum / n;
        const double variance = sum_of_squares / n - mean * mean;
        return variance > 0 && count > 1 ? std::sqrt(variance / (n - 1)) * perplexity() : 0;
    }
};

double negative_log_likelihood(std::span<const float> logits, int32_t token) {
    const float top = *std::max_element(logits.begin(), logits.end());
    double sum = 0;
    for (float logit : logits) sum += static_cast<double>(std::exp(logit - top));
    return std::log(sum) - static_cast<double>(logits[static_cast<size_t>(token)] - top);
}

/// The text's ids: what the model wants at the beginning and end of a text is there, names of control tokens
/// are ordinary text.
std::vector<int32_t> tokenize_file(const Tokenizer& tokenizer, const Options& options) {
    const std::string text = read_file(options.file);
    std::vector<int32_t> ids = tokenizer.encode(text, {.add_special = true, .parse_special = false});
    if (static_cast<int64_t>(ids.size()) < 2 * options.chunk_tokens)
        fail(ErrorKind::usage, "'%s' has %zu tokens, but two chunks of --ctx-size %lld need at least %lld",
             options.file.c_str(), ids.size(), static_cast<long long>(options.chunk_tokens),
             static_cast<long long>(2 * options.chunk_tokens));
    return ids;
}

/// Runs one chunk and scores the tokens of its second half but the first, each by the logits before it.
void score_chunk(Engine& engine, std::span<const int32_t> chunk, int32_t bos, Score& score) {
    std::vector<int32_t> tokens(chunk.begin(), chunk.end() - 1);
    if (bos >= 0) tokens[0] = bos;
    const auto first = static_cast<int64_t>(chunk.size() / 2);
    const auto n_tokens = static_cast<int64_t>(tokens.size());
    Sequence sequence = engine.new_sequence();
    std::vector<double> losses(tokens.size());
    // A step's outputs are scored by all threads.
    for (int64_t begin = 0; begin < n_tokens;) {
        const bool scored = begin >= first;
        const int64_t most = scored ? std::min(engine.max_rows(), engine.max_outputs())
                                    : std::min<int64_t>(engine.max_rows(), first - begin);
        const int64_t n = std::min(most, n_tokens - begin);
        const StepSlice slice{&sequence,
                              std::span(tokens).subspan(static_cast<size_t>(begin), static_cast<size_t>(n)),
                              scored ? static_cast<int>(n) : 0};
        const std::span<const float> logits = engine.step({&slice, 1});
        const auto n_vocab = static_cast<size_t>(engine.n_vocab());
        engine.team().run([&](int thread) {
            const Range range = thread_range(scored ? n : 0, 1, thread, engine.n_threads());
            for (int64_t i = range.begin; i < range.end; i++)
                losses[static_cast<size_t>(begin + i)] =
                    negative_log_likelihood(logits.subspan(static_cast<size_t>(i) * n_vocab, n_vocab),
                                            chunk[static_cast<size_t>(begin + i + 1)]);
        });
        begin += n;
    }
    engine.release(sequence);
    for (int64_t i = first; i < n_tokens; i++) {
        const double loss = losses[static_cast<size_t>(i)];
        score.sum += loss;
        score.sum_of_squares += loss * loss;
        score.count++;
    }
}

}  // namespace

int perplexity_command(const CommandLine& line) {
    const Options& options = line.options;
    if (options.file.empty()) fail(ErrorKind::usage, "'agave perplexity' needs --file with a text");
    const ModelFile file = open_model(line.arguments[0]);
    const std::unique_ptr<Tokenizer> tokenizer = Tokenizer::load(file.metadata());
    const std::vector<int32_t> ids = tokenize_file(*tokenizer, options);
    const int64_t n_ctx = options.chunk_tokens, n_chunks = static_cast<int64_t>(ids.size()) / n_ctx;

    // The logits of one step stay within some 16 MB, whatever the vocabulary.
    const int64_t max_outputs = std::clamp<int64_t>((int64_t{1} << 22) / tokenizer->n_vocab(), 8, 64);
    Engine engine(file, engine_options(options, options.kv_type, n_ctx, static_cast<int>(max_outputs)));
    if (options.profile) engine.executor().set_profiling(true);
    Score score;
    const double start = monotonic_seconds();
    for (int64_t chunk = 0; chunk < n_chunks; chunk++) {
        const auto begin = static_cast<size_t>(chunk * n_ctx);
        score_chunk(engine, std::span(ids).subspan(begin, static_cast<size_t>(n_ctx)),
                    tokenizer->adds_bos() ? tokenizer->bos() : -1, score);
        if (!options.quiet)
            print_status(strprintf("chunk %lld of %lld: perplexity %.4f so far",
                                   static_cast<long long>(chunk + 1), static_cast<long long>(n_chunks),
                                   score.perplexity()));
    }
    const double seconds = monotonic_seconds() - start;
    Divergence divergence;
    if (!options.against.empty()) {
        const ModelFile reference_file = open_model(options.against);
        Engine reference(reference_file,
                         engine_options(options, options.kv_type, n_ctx, static_cast<int>(max_outputs)));
        divergence = measure_divergence(reference, engine, *tokenizer, ids, n_ctx);
    }
    if (!std::isfinite(score.sum))
        fail(ErrorKind::runtime, "the perplexity is not a number: the model gave NaN or infinite logits");
    if (options.json) {
        JsonWriter json;
        json.begin_object();
        json.member("perplexity", score.perplexity());
        json.member("standard_error", score.error());
        json.member("tokens", static_cast<uint64_t>(ids.size()));
        json.member("scored", score.count);
        json.member("chunks", n_chunks);
        json.member("ctx_size", n_ctx);
        if (divergence.count > 0) {
            json.member("kl_divergence", divergence.mean());
            json.member("kl_divergence_standard_error", divergence.error());
            json.member("kl_divergence_largest", divergence.largest);
            json.member("same_likeliest_token", divergence.agreement());
        }
        json.member("seconds", seconds);
        json.member("tokens_per_second", static_cast<double>(n_chunks * n_ctx) / seconds);
        json.end_object();
        print(json.text());
        print("\n");
    } else {
        printf_out("perplexity %.4f +/- %.4f (%lld chunks of %lld tokens, %lld scored)\n", score.perplexity(),
                   score.error(), static_cast<long long>(n_chunks), static_cast<long long>(n_ctx),
                   static_cast<long long>(score.count));
        if (divergence.count > 0)
            printf_out("against %s: %s\n", printable(options.against, 200).c_str(),
                       divergence.text().c_str());
    }
    if (options.profile) print_profile(engine.executor());
    return 0;
}

}  // namespace agave::cli
