#include "cli/prompt.h"

#include <unistd.h>

#include "base/error.h"
#include "cli/output.h"
#include "sampling/file_defaults.h"
#include "sampling/recipes.h"
#include "tokenizer/prompt_tokens.h"
#if AGAVE_CHAT
#include "chat/chat_template.h"
#endif

namespace agave::cli {

namespace {

#if AGAVE_CHAT
chat::Reasoning parse_reasoning(std::string_view word) {
    using chat::Reasoning;
    return word == "off"      ? Reasoning::off
           : word == "on"     ? Reasoning::on
           : word == "low"    ? Reasoning::low
           : word == "medium" ? Reasoning::medium
           : word == "high"   ? Reasoning::high
                              : Reasoning::automatic;
}

void render(std::string_view source, const std::string& words, const Options& options,
            const Tokenizer& tokenizer, Prompt& prompt) {
    std::vector<chat::Message> messages;
    const auto say = [&](const char* role, const std::string& content) {
        messages.emplace_back();
        messages.back().role = role;
        messages.back().content = content;
    };
    if (!options.system.empty()) say("system", options.system);
    say("user", words);
    try {
        const chat::Template chat_template{std::string(source)};
        prompt.text = chat_template.render(messages, render_options(options, tokenizer));
        prompt.syntax = chat_template.reply_syntax();
    } catch (const Error& error) {
        if (std::string_view(error.what()).starts_with("the model's chat template"))
            fail(error.kind(), "--reasoning %s: %s", options.reasoning.c_str(), error.what());
        fail(error.kind(), "%s (--raw runs the model without its chat template)", error.what());
    }
}
#else
[[noreturn]] void render(std::string_view, const std::string&, const Options&, const Tokenizer&, Prompt&) {
    fail(ErrorKind::unsupported,
         "the model has a chat template, which this build leaves out; run it with --raw, or build with "
         "-DAGAVE_CHAT=ON");
}
#endif

/// Every token whose text holds `text`: a breaker counts wherever the tokenizer has put it.
void add_breaker(const std::string& text, const Tokenizer& tokenizer,
                 std::vector<std::vector<int32_t>>& breakers) {
    for (int32_t id = 0; id < tokenizer.n_vocab(); id++)
        if (tokenizer.token_bytes(id).find(text) != std::string::npos) breakers.push_back({id});
    const std::vector<int32_t> ids = tokenizer.encode(text, {.add_special = false, .parse_special = false});
    if (ids.size() > 1) breakers.push_back(ids);
}

LogitBias parse_logit_bias(const std::string& text, const Tokenizer& tokenizer) {
    const size_t equals = text.find('=');
    const std::optional<int64_t> id = parse_integer(std::string_view(text).substr(0, equals));
    std::optional<double> bias;
    if (equals != std::string::npos) bias = parse_number(text.substr(equals + 1), true);
    if (!id || !bias || *bias > 1e30)
        fail(ErrorKind::usage, "--logit-bias: '%s' is not of the form ID=X, e.g. 42=-1.5 or 42=-inf",
             printable(text).c_str());
    if (*id < 0 || *id >= tokenizer.n_vocab())
        fail(ErrorKind::usage, "--logit-bias: token %lld is outside the vocabulary of %d",
             static_cast<long long>(*id), tokenizer.n_vocab());
    return {static_cast<int32_t>(*id), static_cast<float>(*bias)};
}

}  // namespace

#if AGAVE_CHAT
chat::RenderOptions render_options(const Options& options, const Tokenizer& tokenizer) {
    const auto token_text = [&](int32_t id) {
        return id < 0 ? std::string() : std::string(tokenizer.token_text(id));
    };
    chat::RenderOptions result;
    result.bos_token = token_text(tokenizer.bos());
    result.eos_token = token_text(tokenizer.eos());
    result.reasoning = parse_reasoning(options.reasoning);
    return result;
}
#endif

std::string read_prompt(const CommandLine& line) {
    if (line.arguments.size() > 1) return line.arguments[1];
    if (::isatty(STDIN_FILENO))
        fail(ErrorKind::usage,
             "there is no prompt: write it in quotes behind the model, or send it through a pipe");
    std::string words = read_standard_input();
    if (words.ends_with('\n')) words.pop_back();
    if (words.empty()) fail(ErrorKind::usage, "the prompt on standard input is empty");
    return words;
}

Prompt make_prompt(const std::string& words, const Options& options, const ModelFile& file,
                   const Tokenizer& tokenizer) {
    const std::string_view source = file.metadata().text_or("tokenizer.chat_template", "");
    Prompt prompt;
    prompt.from_template = !options.raw && !source.empty();
    if (!options.system.empty() && !prompt.from_template)
        fail(ErrorKind::usage,
             options.raw ? "--system and --raw exclude each other: a system message needs the chat template"
                         : "--system: '%s' has no chat template that could hold a system message",
             file.path().c_str());
    if (options.reasoning != "auto" && !prompt.from_template)
        fail(ErrorKind::usage,
             options.raw ? "--reasoning and --raw exclude each other: it is the chat template that switches"
                         : "--reasoning: '%s' has no chat template that could switch it",
             file.path().c_str());
    if (prompt.from_template)
        render(source, words, options, tokenizer, prompt);
    else
        prompt.text = words;
    prompt.tokens = prompt_tokens(prompt.text, tokenizer);
    if (prompt.tokens.empty()) fail(ErrorKind::usage, "the prompt is empty");
    return prompt;
}

std::string describe_sampling(const CommandLine& line, const Metadata& metadata,
                              const SamplingParameters& parameters) {
    const Recipe* recipe = find_recipe(metadata, line.options.reasoning != "off");
    const auto source_of = [&](const FileDefault& row) {
        if (line.is_given(row.option)) return "command line";
        if (!row.key.empty() && metadata.find(row.key)) return "model file";
        return recipe && row.option != "penalty-last-n" ? recipe->name : "default";
    };
    std::string text;
    std::string_view before;
    for (const FileDefault& row : file_defaults()) {
        const std::string_view source = source_of(row);
        if (!before.empty()) text += source == before ? ", " : " (" + std::string(before) + "), ";
        text += strprintf("%s %g", row.option.data(), row.value(parameters));
        before = source;
    }
    return text + " (" + std::string(before) + ")";
}

SamplingParameters sampling_parameters(const CommandLine& line, const Metadata& metadata,
                                       const Tokenizer& tokenizer) {
    const Options& options = line.options;
    SamplingParameters p = recommended_parameters(metadata, options.reasoning != "off");
    const SamplingParameters recommended = p;
    p.temperature = static_cast<float>(options.temperature);
    p.top_k = static_cast<int32_t>(options.top_k);
    p.top_p = static_cast<float>(options.top_p);
    p.min_p = static_cast<float>(options.min_p);
    p.typical_p = static_cast<float>(options.typical);
    p.repeat_penalty = static_cast<float>(options.repeat_penalty);
    p.presence_penalty = static_cast<float>(options.presence_penalty);
    p.frequency_penalty = static_cast<float>(options.frequency_penalty);
    p.penalty_last_n = static_cast<int32_t>(options.penalty_last_n);
    for (const FileDefault& row : file_defaults()) {
        if (line.is_given(row.option)) continue;
        if (row.integer)
            p.*row.integer = recommended.*row.integer;
        else
            p.*row.number = recommended.*row.number;
    }
    p.dry_multiplier = static_cast<float>(options.dry_multiplier);
    p.dry_base = static_cast<float>(options.dry_base);
    p.dry_allowed_length = static_cast<int32_t>(options.dry_allowed_length);
    p.dry_penalty_last_n = static_cast<int32_t>(options.dry_penalty_last_n);
    p.samplers = options.samplers;
    p.seed = options.seed;
    for (const std::string& bias : options.logit_biases)
        p.logit_bias.push_back(parse_logit_bias(bias, tokenizer));
    if (p.dry_multiplier > 0) {
        const std::vector<std::string> defaults{"\n", ":", "\"", "*"};
        for (const std::string& text :
             options.dry_sequence_breakers.empty() ? defaults : options.dry_sequence_breakers) {
            if (text.empty()) fail(ErrorKind::usage, "--dry-sequence-breaker: the text is empty");
            add_breaker(text, tokenizer, p.dry_sequence_breakers);
        }
    }
    validate(p, tokenizer.n_vocab());
    return p;
}

}  // namespace agave::cli
