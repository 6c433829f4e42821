#include <signal.h>

#include <algorithm>
#include <atomic>
#include <memory>
#include <thread>

#include "base/error.h"
#include "base/json_writer.h"
#include "base/system.h"
#include "cli/answer.h"
#include "cli/commands.h"
#include "cli/engine_options.h"
#if AGAVE_CHAT
#include "cli/grammar_options.h"
#endif
#include "cli/output.h"
#include "cli/prompt.h"
#include "sampling/constraint.h"

namespace agave::cli {

namespace {

/// Exit status after Ctrl-C, as shells give it: 128 + SIGINT.
constexpr int kInterrupted = 130;

std::atomic<bool> interrupted{false};
static_assert(std::atomic<bool>::is_always_lock_free);

/// The first Ctrl-C asks the generation to stop; the handler is gone then, so a second one ends the program.
void catch_interrupt() {
    struct sigaction action{};
    action.sa_handler = [](int) { interrupted.store(true, std::memory_order_relaxed); };
    action.sa_flags = static_cast<int>(SA_RESETHAND) | SA_RESTART;
    ::sigaction(SIGINT, &action, nullptr);
}

struct Generation {
    std::vector<int32_t> tokens;         ///< without the one that ends the text
    const char* finish_reason = "stop";  ///< or "length", "context", "interrupted"
    double prefill_seconds = 0;
    double decode_seconds = 0;
    int64_t decode_steps = 0;
    double first_token_at = 0;  ///< on the monotonic clock; 0: there was none
};

/// The engine and what stands around it for one answer.
struct Session {
    Engine& engine;
    const Tokenizer& tokenizer;
    Sampler& sampler;
    TokenConstraint* constraint;  ///< null: any token may come
    Answer& answer;
    int64_t max_tokens;  ///< 0: no limit
};

Generation generate(const Session& session, std::span<const int32_t> prompt) {
    Generation result;
    Sequence sequence = session.engine.new_sequence();
    for (int32_t token : prompt) session.sampler.accept(token);

    double begin = monotonic_seconds();
    std::span<const float> logits = session.engine.prefill(sequence, prompt, &interrupted);
    result.prefill_seconds = monotonic_seconds() - begin;
    begin = monotonic_seconds();
    bool stopped = false;
    for (;;) {
        if (interrupted) {
            result.finish_reason = "interrupted";
            break;
        }
        TokenConstraint* constraint = session.constraint;
        const int32_t token =
            session.sampler.sample(logits, constraint ? constraint->allowed() : std::span<const uint32_t>())
                .id;
        if (result.first_token_at == 0) result.first_token_at = monotonic_seconds();
        if (session.tokenizer.is_end_of_generation(token)) break;
        result.tokens.push_back(token);
        session.sampler.accept(token);
        if (constraint) constraint->accept(token);
        stopped = session.answer.push(token);
        if (stopped) break;
        if (static_cast<int64_t>(result.tokens.size()) == session.max_tokens) {
            result.finish_reason = "length";
            break;
        }
        if (sequence.n_tokens() == session.engine.context_size()) {
            result.finish_reason = "context";
            break;
        }
        logits = session.engine.prefill(sequence, {&token, 1});
        result.decode_steps++;
    }
    if (!stopped) session.answer.finish();
    result.decode_seconds = monotonic_seconds() - begin;
    session.engine.release(sequence);
    return result;
}

double rate(double count, double seconds) {
    return seconds > 0 ? count / seconds : 0;
}

void print_json(const Generation& result, const Prompt& prompt, const AnswerSink& sink, uint64_t seed,
                double start) {
    JsonWriter json;
    json.begin_object();
    json.member("text", sink.content());
    json.member("reasoning", sink.reasoning());
    json.member("finish_reason", result.finish_reason);
    json.key("tokens");
    json.array(result.tokens);
    json.member("prompt_tokens", static_cast<uint64_t>(prompt.tokens.size()));
    json.member("seed", seed);
    json.key("timings");
    json.begin_object();
    json.member("prefill_seconds", result.prefill_seconds);
    json.member("prefill_tokens_per_second",
                rate(static_cast<double>(prompt.tokens.size()), result.prefill_seconds));
    json.member("decode_seconds", result.decode_seconds);
    json.member("decode_tokens_per_second",
                rate(static_cast<double>(result.decode_steps), result.decode_seconds));
    json.key("first_token_seconds");
    if (result.first_token_at > 0)
        json.value(result.first_token_at - start);
    else
        json.null();
    json.end_object();
    json.member("peak_resident_bytes", peak_resident_bytes());
    json.end_object();
    print(json.text());
    print("\n");
}

void print_statistics(const Generation& result, size_t n_prompt, double start) {
    std::string line = strprintf("prefill %zu tokens, %.1f tokens/s; decode %lld tokens, %.1f tokens/s",
                                 n_prompt, rate(static_cast<double>(n_prompt), result.prefill_seconds),
                                 static_cast<long long>(result.decode_steps),
                                 rate(static_cast<double>(result.decode_steps), result.decode_seconds));
    if (result.first_token_at > 0)
        line += strprintf("; first token after %.3f s", result.first_token_at - start);
    line += strprintf("; memory %s", bytes_text(static_cast<double>(peak_resident_bytes())).c_str());
    print_status(line);
}

void print_setup(Engine& engine, const Options& options, const Prompt& prompt, const Tokenizer& tokenizer,
                 double seconds) {
    const Model& model = engine.model();
    print_status(strprintf("model %s (%s), %lld layers, vocabulary %lld, ready after %.3f s",
                           model.name.c_str(), model.architecture.c_str(),
                           static_cast<long long>(model.n_layers), static_cast<long long>(model.n_vocab),
                           seconds));
    print_status(strprintf(
        "%d threads, %s kernels, context %lld tokens, K/V %s as %s, scratch %s", engine.n_threads(),
        cpu_level_name(engine.cpu_level()), static_cast<long long>(engine.context_size()),
        bytes_text(static_cast<double>(engine.cache().reserved_bytes())).c_str(), options.kv_type.c_str(),
        bytes_text(static_cast<double>(engine.executor().scratch_bytes())).c_str()));
    print_status(strprintf("prompt of %zu tokens%s:", prompt.tokens.size(),
                           prompt.from_template ? " from the model's chat template" : ""));
    print_status(neutralize_controls(tokenizer.decode(prompt.tokens, true)));
}

void check_context(const Engine& engine, const Options& options, size_t n_prompt) {
    const Model& model = engine.model();
    const auto context = static_cast<long long>(engine.context_size());
    if (static_cast<int64_t>(n_prompt) > engine.context_size())
        fail(ErrorKind::usage, "the prompt has %zu tokens, but the context holds %lld (--ctx-size sets it)",
             n_prompt, context);
    if (engine.context_size() > model.context_length && !options.quiet)
        print_message(
            strprintf("a context of %lld tokens is longer than the %lld that the model was trained for",
                      context, static_cast<long long>(model.context_length)));
}

}  // namespace

int run_command(const CommandLine& line) {
    const double start = monotonic_seconds();
    const Options& options = line.options;
    StopMatcher stops(options.stops);
#if AGAVE_CHAT
    AnswerGrammar grammar = read_grammar(options);
#else
    if (!options.grammar.empty() || !options.json_schema.empty())
        fail(ErrorKind::unsupported, "this build has no grammars; they come with the option -DAGAVE_CHAT=ON");
#endif
    const ModelFile file = open_model(line.arguments[0]);
    const std::string words = read_prompt(line);
    const std::unique_ptr<Tokenizer> tokenizer = Tokenizer::load(file.metadata());
    const Prompt prompt = make_prompt(words, options, file, *tokenizer);
#if AGAVE_CHAT
    if (grammar.grammar) grammar.trie = std::make_unique<TokenTrie>(*tokenizer);
    const std::unique_ptr<TokenConstraint> constraint = grammar.constrain_answer(prompt.syntax, prompt.text);
#else
    const std::unique_ptr<TokenConstraint> constraint;
#endif
    const SamplingParameters sampling = sampling_parameters(line, file.metadata(), *tokenizer);
    Sampler sampler(sampling, tokenizer->n_vocab());
    Engine engine(file, engine_options(options, options.kv_type, options.context_size, 1));
    check_context(engine, options, prompt.tokens.size());
    if (options.verbose) {
        print_setup(engine, options, prompt, *tokenizer, monotonic_seconds() - start);
        print_status("sampling: " + describe_sampling(line, file.metadata(), sampling));
    }
    if (options.profile) engine.executor().set_profiling(true);

    catch_interrupt();
    AnswerSink sink(options);
    Answer answer(*tokenizer, prompt, stops, sink);
    const Generation result =
        generate({engine, *tokenizer, sampler, constraint.get(), answer, options.max_tokens}, prompt.tokens);
    sink.finish();
    if (options.json) print_json(result, prompt, sink, sampler.seed(), start);
    flush_output();
    if (std::string_view(result.finish_reason) == "context")
        print_message(
            strprintf("the context of %lld tokens is full, so the text ends here (--ctx-size sets it)",
                      static_cast<long long>(engine.context_size())));
    if (sink.hidden() && !options.quiet)
        print_message(
            "the answer is all reasoning, which is not printed (--show-reasoning always prints it)");
    if (!options.quiet && !options.json) print_statistics(result, prompt.tokens.size(), start);
    if (options.profile) print_profile(engine.executor());
    return std::string_view(result.finish_reason) == "interrupted" ? kInterrupted : 0;
}

}  // namespace agave::cli
