#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "sampling/sampler.h"

namespace agave::cli {

/// The commands, as bits of OptionInfo::commands.
enum Command : unsigned {
    kRun = 1,
    kInspect = 2,
    kTokenize = 4,
    kLogits = 8,
    kPerplexity = 16,
    kBench = 32,
    kHelp = 64,
    kPull = 128,
    kList = 256,
    kRemove = 512,
    kShow = 1024,
    kChat = 2048,
    kCompletion = 4096,
    kQuantize = 8192,
    kCalibrate = 16384,
    kPlan = 32768,
    kDoctor = 65536,
    kServe = 131072,
    kEngine =
        kRun | kChat | kLogits | kPerplexity | kBench | kCalibrate | kPlan | kServe,  ///< those that compute
    kEvery = 262143,
};

/// Everything that the options of all commands set, with its defaults.
struct Options {
    bool help = false;
    std::string color = "auto";

    std::string system;
    bool raw = false;
    std::string reasoning = "auto";
    std::string show_reasoning = "auto";
    int64_t max_tokens = 0;
    std::vector<std::string> stops;
    std::string grammar;
    std::string json_schema;

    double temperature = SamplingParameters{}.temperature;
    int64_t top_k = SamplingParameters{}.top_k;
    double top_p = SamplingParameters{}.top_p;
    double min_p = SamplingParameters{}.min_p;
    double typical = SamplingParameters{}.typical_p;
    double repeat_penalty = SamplingParameters{}.repeat_penalty;
    double presence_penalty = SamplingParameters{}.presence_penalty;
    double frequency_penalty = SamplingParameters{}.frequency_penalty;
    int64_t penalty_last_n = SamplingParameters{}.penalty_last_n;
    double dry_multiplier = SamplingParameters{}.dry_multiplier;
    double dry_base = SamplingParameters{}.dry_base;
    int64_t dry_allowed_length = SamplingParameters{}.dry_allowed_length;
    int64_t dry_penalty_last_n = SamplingParameters{}.dry_penalty_last_n;
    std::vector<std::string> dry_sequence_breakers;
    std::vector<std::string> logit_biases;
    std::string samplers = SamplingParameters{}.samplers;
    std::optional<uint64_t> seed;

    int64_t context_size = 0;
    int64_t sequences = 1;
    int64_t chunk_tokens = 512;  ///< of perplexity
    int64_t n_threads = 0;
    std::string kv_type = "f16";
    std::string logits_kv_type = "f32";
    int64_t prefill_chunk = 512;
    bool exact = false;
    std::string cpu_level;

    bool json = false;
    bool quiet = false;
    bool verbose = false;
    bool profile = false;

    bool tensors = false;
    std::string tensor;
    std::string out;
    bool decode = false;
    bool no_special = false;
    bool no_parse_special = false;
    bool show_special = false;
    std::string tokens;
    int64_t last = 0;
    int64_t greedy = 0;
    std::string file;

    std::vector<int64_t> prefill_lengths{512};
    std::vector<int64_t> decode_lengths{128};
    std::vector<int64_t> depths{0};
    std::vector<int64_t> bench_sequences{1};
    int64_t repetitions = 5;

    std::string revision = "main";
    bool list = false;
    bool pull = false;
    std::string on_overflow = "error";
    bool no_history = false;
    int64_t connections = 4;

    std::string imatrix;
    bool pure = false;
    std::vector<std::string> tensor_types;
    std::string output_tensor_type;
    std::string token_embedding_type;
    bool force = false;
    bool measure = false;
    std::string against;

    std::string host = "127.0.0.1";
    int64_t port = 8080;
    std::vector<std::string> api_keys;
    std::string api_key_file;
    bool public_metrics = false;
    std::vector<std::string> cors_origins;
    std::vector<std::string> allowed_hosts;
    double rate_limit = 0;
    int64_t max_running = 32;
    int64_t max_waiting = 256;
    bool no_prefix_cache = false;
    int64_t max_connections = 4096;
    int64_t grace = 30;
    std::vector<std::string> aliases;
    std::string log = "logfmt";

    bool markdown = false;
    bool man = false;
};

/// Where an option's value goes; the alternative tells how it is read.
using OptionTarget = std::variant<bool Options::*, int64_t Options::*, double Options::*,
                                  std::string Options::*, std::optional<uint64_t> Options::*,
                                  std::vector<int64_t> Options::*, std::vector<std::string> Options::*>;

/// One option of the table from which parsing, help and documentation come.
struct OptionInfo {
    const char* name;        ///< without the dashes
    char short_name;         ///< 0: none
    const char* value_name;  ///< as help shows it; nullptr for a flag; "a|b|c" allows only these words
    OptionTarget target;
    double minimum, maximum;   ///< of numbers, both included
    const char* default_text;  ///< nullptr: what `Options` holds, where that is a number or a choice
    const char* group;
    const char* help;
    unsigned commands;
};

/// All options, in the order of help.
std::span<const OptionInfo> option_table();

/// A command as help shows it.
struct CommandInfo {
    Command command;
    const char* name;
    const char* arguments;  ///< after the options
    const char* summary;
    const char* description;
    const char* json;  ///< what --json prints, for the documentation; nullptr: there is no such option
    int min_arguments, max_arguments;
};
std::span<const CommandInfo> command_table();
const CommandInfo* find_command(std::string_view name);

/// The command line of one command: its options and what is left.
struct CommandLine {
    Options options;
    std::vector<std::string> arguments;
    std::vector<std::string_view> given;  ///< names of the options that are on the command line

    bool is_given(std::string_view option) const;
};

/// Reads the words after the command's name. Throws Error(usage) with one sentence for an option that is
/// unknown or belongs to another command, a value missing, malformed or out of range, and too few or too many
/// arguments (unless help is asked for).
CommandLine parse_command_line(const CommandInfo& command, std::vector<std::string> words);

/// The closest of `names` to a misspelled `word`, or nullptr when none is close.
const char* closest_name(std::string_view word, std::span<const char* const> names);

/// The default as help prints it, or "" when there is none to print.
std::string default_of(const OptionInfo& option);

/// `text` as a whole decimal integer; nullopt for anything else.
std::optional<int64_t> parse_integer(std::string_view text);

/// `text` as a whole finite number (or an infinity where `allow_infinity`); nullopt for anything else.
std::optional<double> parse_number(const std::string& text, bool allow_infinity = false);

}  // namespace agave::cli
