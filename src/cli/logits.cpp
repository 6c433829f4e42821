#include <algorithm>

#include "base/error.h"
#include "base/json_writer.h"
#include "base/system.h"
#include "cli/commands.h"
#include "cli/engine_options.h"
#include "cli/output.h"
#include "cli/token_list.h"
#include "formats/npy.h"

namespace agave::cli {

/// Runs the tokens; the logits of the last n_outputs go to `kept` when it is wanted, and those of the very
/// last are returned.
static std::vector<float> run_tokens(Engine& engine, Sequence& sequence, std::span<const int32_t> tokens,
                                     int64_t n_outputs, std::vector<float>* kept) {
    std::vector<float> last;
    engine.prefill_with_logits(sequence, tokens, kept ? n_outputs : 1,
                               [&](int64_t index, std::span<const float> logits) {
                                   if (kept) kept->insert(kept->end(), logits.begin(), logits.end());
                                   if (index + 1 == static_cast<int64_t>(tokens.size()))
                                       last.assign(logits.begin(), logits.end());
                               });
    return last;
}

int logits_command(const CommandLine& line) {
    const Options& options = line.options;
    if (options.tokens.empty()) fail(ErrorKind::usage, "'agave logits' needs --tokens: ids or @FILE");
    if (options.out.empty() && options.greedy == 0)
        fail(ErrorKind::usage,
             "'agave logits' needs --out FILE for the logits, or --greedy N for a continuation");
    const std::vector<int32_t> tokens = read_token_option(options.tokens);
    const auto n_tokens = static_cast<int64_t>(tokens.size());
    const int64_t n_outputs = options.last ? options.last : n_tokens;
    if (n_outputs > n_tokens)
        fail(ErrorKind::usage, "--last: %lld logits are asked for, but there are only %lld tokens",
             static_cast<long long>(n_outputs), static_cast<long long>(n_tokens));

    const ModelFile file = open_model(line.arguments[0]);
    Engine engine(file, engine_options(options, options.logits_kv_type, n_tokens + options.greedy,
                                       static_cast<int>(std::min<int64_t>(n_outputs, 64))));
    const double bytes =
        static_cast<double>(n_outputs) * static_cast<double>(engine.n_vocab()) * sizeof(float);
    if (!options.out.empty() && bytes > static_cast<double>(available_memory_bytes()))
        fail(ErrorKind::usage,
             "the logits of %lld tokens take %s, more than the memory available; --last N takes less",
             static_cast<long long>(n_outputs), bytes_text(bytes).c_str());

    Sequence sequence = engine.new_sequence();
    std::vector<float> kept;
    const std::vector<float> last =
        run_tokens(engine, sequence, tokens, n_outputs, options.out.empty() ? nullptr : &kept);
    if (!options.out.empty())
        write_npy_float32(options.out, std::vector<int64_t>{n_outputs, engine.n_vocab()}, kept);
    if (options.greedy == 0) return 0;
    std::vector<int32_t> ids{likeliest(last)};
    while (static_cast<int64_t>(ids.size()) < options.greedy)
        ids.push_back(likeliest(engine.prefill(sequence, {&ids.back(), 1})));
    JsonWriter json;
    json.array(ids);
    print(json.text());
    print("\n");
    return 0;
}

}  // namespace agave::cli
