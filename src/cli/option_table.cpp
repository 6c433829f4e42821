#include "cli/options.h"

namespace agave::cli {

namespace {

constexpr double kMaxTokens = 2147483647;

// The help of one option may run over several lines; it is wrapped when printed.
constexpr OptionInfo options[] = {
    {"system", 0, "TEXT", &Options::system, 0, 0, nullptr, "Prompt",
     "a system message before the prompt; the model must have a chat template", kRun | kChat},
    {"raw", 0, nullptr, &Options::raw, 0, 0, nullptr, "Prompt",
     "continue the prompt as plain text, without the model's chat template", kRun},
    {"reasoning", 0, "auto|on|off|low|medium|high", &Options::reasoning, 0, 0, nullptr, "Prompt",
     "whether, or how much, the model thinks before it answers, as far as its chat template can tell it; "
     "auto leaves that to the template",
     kRun | kChat},

    {"max-tokens", 'n', "N", &Options::max_tokens, 1, kMaxTokens,
     "to the end of the answer or of the context", "Generation", "generate at most N tokens", kRun | kChat},
    {"stop", 0, "TEXT", &Options::stops, 0, 0, nullptr, "Generation",
     "end before TEXT would be printed; may be given several times", kRun | kChat},
    {"grammar", 0, "FILE", &Options::grammar, 0, 0, nullptr, "Generation",
     "the answer follows this grammar, in llama.cpp's GBNF (docs/grammars.md)", kRun | kChat},
    {"json-schema", 0, "SCHEMA", &Options::json_schema, 0, 0, nullptr, "Generation",
     "the answer is JSON that is valid under this JSON Schema: a file, or the schema itself, in braces",
     kRun | kChat},
    {"ctx-size", 0, "N", &Options::context_size, 1, kMaxTokens, "the model's own, as far as memory allows",
     "Generation", "tokens of context: prompt and answer together", kRun | kChat},
    {"ctx-size", 0, "N", &Options::context_size, 1, kMaxTokens, "the model's own, as far as memory allows",
     "Memory", "tokens of context of each sequence: prompt and answer together", kPlan},
    {"sequences", 0, "N", &Options::sequences, 1, 4096, nullptr, "Memory",
     "conversations that are held at the same time", kPlan},

#if AGAVE_SERVER
    {"host", 0, "HOST", &Options::host, 0, 0, "127.0.0.1", "Network",
     "the address or name to listen at; any that other machines reach needs an API key", kServe},
    {"port", 0, "N", &Options::port, 0, 65535, nullptr, "Network",
     "the TCP port; 0 takes a free one and prints it", kServe},
    {"max-connections", 0, "N", &Options::max_connections, 1, 1000000, nullptr, "Network",
     "connections at the same time, idle ones included; more are turned away with 503", kServe},
    {"grace", 0, "SECONDS", &Options::grace, 0, 86400, nullptr, "Network",
     "how long answers that have begun may go on after SIGTERM or Ctrl-C", kServe},
    {"api-key", 0, "KEY", &Options::api_keys, 0, 0, nullptr, "Access",
     "a key that clients must bring; may be given several times. Other users of this machine see it in the "
     "list of processes: --api-key-file hides it",
     kServe},
    {"api-key-file", 0, "FILE", &Options::api_key_file, 0, 0, nullptr, "Access",
     "the keys, one a line; lines that begin with # are comments", kServe},
    {"public-metrics", 0, nullptr, &Options::public_metrics, 0, 0, nullptr, "Access", "/metrics needs no key",
     kServe},
    {"cors-origin", 0, "ORIGIN", &Options::cors_origins, 0, 0, nullptr, "Access",
     "let the web pages of this origin, e.g. https://app.example, ask the server; * is every page; may be "
     "given several times",
     kServe},
    {"allowed-host", 0, "NAME", &Options::allowed_hosts, 0, 0, nullptr, "Access",
     "a name, beside localhost and addresses, by which clients without a key may call this server; may be "
     "given several times",
     kServe},
    {"rate-limit", 0, "X", &Options::rate_limit, 0, 1e9, nullptr, "Access",
     "requests a minute for each key, or for each address where there are no keys; 0 is off", kServe},
    {"ctx-size", 0, "N", &Options::context_size, 1, kMaxTokens, "the model's own, as far as memory allows",
     "Scheduling", "tokens of context that all conversations of a model share", kServe},
    {"max-running", 0, "N", &Options::max_running, 1, 1024, nullptr, "Scheduling",
     "answers of one model that are generated at the same time", kServe},
    {"max-waiting", 0, "N", &Options::max_waiting, 0, 1000000, nullptr, "Scheduling",
     "requests of one model that wait for their turn; more are refused", kServe},
    {"no-prefix-cache", 0, nullptr, &Options::no_prefix_cache, 0, 0, nullptr, "Scheduling",
     "do not keep what was computed for later requests that begin alike", kServe},
    {"alias", 0, "NAME", &Options::aliases, 0, 0, "the file's name without .gguf", "Models",
     "how requests call the model; given once for each MODEL, in their order", kServe},
    {"log", 0, "logfmt|json|off", &Options::log, 0, 0, nullptr, "Output",
     "a line for each request on standard error, without queries, headers and texts", kServe},
#endif

    {"temperature", 't', "X", &Options::temperature, 0, 1e6, "the file's, the family's, or 0.8", "Sampling",
     "0 always takes the likeliest token; higher is more varied", kRun | kChat},
    {"top-k", 0, "N", &Options::top_k, 0, kMaxTokens, "the file's, the family's, or 40", "Sampling",
     "keep the N likeliest tokens; 0 is off", kRun | kChat},
    {"top-p", 0, "X", &Options::top_p, 0, 1, "the file's, the family's, or 0.95", "Sampling",
     "keep the likeliest tokens that make up the probability X; 1 is off", kRun | kChat},
    {"min-p", 0, "X", &Options::min_p, 0, 1, "the file's, the family's, or 0.05", "Sampling",
     "keep tokens at least X times as likely as the likeliest; 0 is off", kRun | kChat},
    {"typical", 0, "X", &Options::typical, 0, 1, nullptr, "Sampling",
     "keep the most typical tokens that make up the probability X; 1 is off", kRun | kChat},
    {"repeat-penalty", 0, "X", &Options::repeat_penalty, 0.01, 100, "the file's, the family's, or 1",
     "Sampling", "make tokens that came before less likely by the factor X; 1 is off", kRun | kChat},
    {"presence-penalty", 0, "X", &Options::presence_penalty, -100, 100, "the family's, or 0", "Sampling",
     "subtract X from the logits of tokens that came before; 0 is off", kRun | kChat},
    {"frequency-penalty", 0, "X", &Options::frequency_penalty, -100, 100, nullptr, "Sampling",
     "subtract X from the logits for each time that a token came before; 0 is off", kRun | kChat},
    {"penalty-last-n", 0, "N", &Options::penalty_last_n, -1, kMaxTokens, "the file's, or 64", "Sampling",
     "tokens that the three penalties look back on; -1 is all", kRun | kChat},
    {"dry-multiplier", 0, "X", &Options::dry_multiplier, 0, 100, nullptr, "Sampling",
     "strength of DRY, which hinders verbatim repetition; 0 is off", kRun | kChat},
    {"dry-base", 0, "X", &Options::dry_base, 1, 100, nullptr, "Sampling",
     "how fast DRY grows with the length of what would be repeated", kRun | kChat},
    {"dry-allowed-length", 0, "N", &Options::dry_allowed_length, 1, 50, nullptr, "Sampling",
     "repetitions up to this many tokens are free of DRY", kRun | kChat},
    {"dry-penalty-last-n", 0, "N", &Options::dry_penalty_last_n, -1, kMaxTokens, nullptr, "Sampling",
     "tokens that DRY looks back on; -1 is all", kRun | kChat},
    {"dry-sequence-breaker", 0, "TEXT", &Options::dry_sequence_breakers, 0, 0,
     "newline, colon, quote and star", "Sampling",
     "text that ends a repetition for DRY; may be given several times", kRun | kChat},
    {"logit-bias", 0, "ID=X", &Options::logit_biases, 0, 0, nullptr, "Sampling",
     "add X to the logit of the token ID (-inf bans it); may be given several times", kRun | kChat},
    {"samplers", 0, "LIST", &Options::samplers, 0, 0, nullptr, "Sampling",
     "the samplers to apply, in this order, separated by semicolons", kRun | kChat},
    {"seed", 0, "N", &Options::seed, 0, 0, "a new one each time", "Sampling",
     "start of the random numbers; the same seed gives the same text", kRun | kChat},

    {"json", 0, nullptr, &Options::json, 0, 0, nullptr, "Output", "print one JSON value instead of text",
     kRun | kInspect | kTokenize | kPerplexity | kBench | kList | kQuantize | kPlan | kDoctor},
    {"show-reasoning", 0, "auto|always|never", &Options::show_reasoning, 0, 0, nullptr, "Output",
     "print what the model thinks before its answer, dimmed or between `<think>` and `</think>`; auto is on "
     "a "
     "terminal, so that pipes and files get the answer alone",
     kRun | kChat},
    {"quiet", 'q', nullptr, &Options::quiet, 0, 0, nullptr, "Output", "print no statistics and no progress",
     kRun | kChat | kPerplexity | kPull | kRemove | kQuantize | kCalibrate},
    {"verbose", 'V', nullptr, &Options::verbose, 0, 0, nullptr, "Output",
     "say what was loaded and how the prompt was read", kRun},
    {"profile", 0, nullptr, &Options::profile, 0, 0, nullptr, "Output",
     "print the time that each kind of operation took", kRun | kPerplexity},
    {"tensors", 0, nullptr, &Options::tensors, 0, 0, nullptr, "Output", "list every tensor", kInspect},
    {"tensor", 0, "NAME", &Options::tensor, 0, 0, nullptr, "Output",
     "write this tensor, decoded to float32, to the file of --out", kInspect},
    {"out", 0, "FILE", &Options::out, 0, 0, nullptr, "Output", "the NumPy file (.npy) to write",
     kInspect | kLogits},

    {"imatrix", 0, "FILE", &Options::imatrix, 0, 0, nullptr, "Formats",
     "an importance matrix, of `agave calibrate` or of llama.cpp: errors count by it", kQuantize},
    {"pure", 0, nullptr, &Options::pure, 0, 0, nullptr, "Formats",
     "every matrix in the one format, as far as its rows divide into blocks", kQuantize},
    {"tensor-type", 0, "PATTERN=FORMAT", &Options::tensor_types, 0, 0, nullptr, "Formats",
     "the format of the matrices whose name matches: * is any text, ? one character, a text without either "
     "may "
     "be anywhere in the name; may be given several times, the first that matches decides",
     kQuantize},
    {"output-tensor-type", 0, "FORMAT", &Options::output_tensor_type, 0, 0, nullptr, "Formats",
     "the format of output.weight", kQuantize},
    {"token-embedding-type", 0, "FORMAT", &Options::token_embedding_type, 0, 0, nullptr, "Formats",
     "the format of token_embd.weight", kQuantize},
    {"measure", 0, nullptr, &Options::measure, 0, 0, nullptr, "Output",
     "then run both models over a text, that of --file or one of agave's own, and print how far the new "
     "one's "
     "predictions are from the old one's: Kullback-Leibler divergence and how often the likeliest token "
     "agrees",
     kQuantize},
    {"force", 0, nullptr, &Options::force, 0, 0, nullptr, "Output", "replace a file that exists",
     kQuantize | kCalibrate},
    {"out", 'o', "FILE", &Options::out, 0, 0, nullptr, "Output", "the importance matrix (GGUF) to write",
     kCalibrate},

    {"tokens", 0, "IDS", &Options::tokens, 0, 0, nullptr, "Input",
     "token ids separated by commas, or @FILE with a JSON array of ids", kLogits},
    {"last", 0, "N", &Options::last, 1, kMaxTokens, "all", "Input", "only the logits after the last N tokens",
     kLogits},
    {"greedy", 0, "N", &Options::greedy, 1, kMaxTokens, nullptr, "Input",
     "print the N likeliest next tokens, one after the other, as a JSON array", kLogits},
    {"file", 0, "FILE", &Options::file, 0, 0, nullptr, "Input", "the text to measure or to calibrate with",
     kPerplexity | kQuantize | kCalibrate},
    {"against", 0, "MODEL", &Options::against, 0, 0, nullptr, "Input",
     "also compare with this model's predictions: Kullback-Leibler divergence from it, and how often the "
     "likeliest token is the same",
     kPerplexity},
    {"ctx-size", 0, "N", &Options::chunk_tokens, 4, kMaxTokens, nullptr, "Input",
     "tokens of one chunk; perplexity scores the second half of each chunk", kPerplexity | kCalibrate},

    {"decode", 0, nullptr, &Options::decode, 0, 0, nullptr, "Input",
     "the other way: read ids (a JSON array, or separated by spaces or commas), print their text", kTokenize},
    {"no-special", 0, nullptr, &Options::no_special, 0, 0, nullptr, "Input",
     "do not add the tokens that begin (BOS) or end (EOS) a text", kTokenize},
    {"no-parse-special", 0, nullptr, &Options::no_parse_special, 0, 0, nullptr, "Input",
     "read the names of control tokens in the text as ordinary text", kTokenize},
    {"show-special", 0, nullptr, &Options::show_special, 0, 0, nullptr, "Input",
     "with --decode: print control tokens by their names", kTokenize},

    {"prefill", 'p', "N,...", &Options::prefill_lengths, 0, kMaxTokens, nullptr, "Measurement",
     "measure the prefill of N tokens; 0 measures none", kBench},
    {"decode", 'n', "N,...", &Options::decode_lengths, 0, kMaxTokens, nullptr, "Measurement",
     "measure the decoding of N tokens; 0 measures none", kBench},
    {"depth", 'd', "N,...", &Options::depths, 0, kMaxTokens, nullptr, "Measurement",
     "tokens that are in the context before each measurement", kBench},
    {"sequences", 0, "N,...", &Options::bench_sequences, 1, 1024, nullptr, "Measurement",
     "sequences that are decoded at once, each from a depth of its own; the rate is that of all together",
     kBench},
    {"repetitions", 'r', "N", &Options::repetitions, 1, 10000, nullptr, "Measurement",
     "runs of each measurement, after one that does not count", kBench},

    {"threads", 0, "N", &Options::n_threads, 1, 1024, "all processors", "Computation",
     "threads to compute with",
     kRun | kChat | kLogits | kPerplexity | kQuantize | kCalibrate | kPlan | kDoctor | kServe},
    {"threads", 't', "N", &Options::n_threads, 1, 1024, "all processors", "Computation",
     "threads to compute with", kBench},
    {"kv-type", 0, "f16|f32", &Options::kv_type, 0, 0, nullptr, "Computation", "how K and V are stored",
     kRun | kChat | kPerplexity | kBench | kCalibrate | kPlan | kServe},
    {"kv-type", 0, "f16|f32", &Options::logits_kv_type, 0, 0, nullptr, "Computation",
     "how K and V are stored", kLogits},
    {"exact", 0, nullptr, &Options::exact, 0, 0, nullptr, "Computation",
     "keep activations in float32 instead of int8: slower, and closer to the reference", kEngine},
    {"prefill-chunk", 0, "N", &Options::prefill_chunk, 1, 65536, nullptr, "Computation",
     "prompt tokens in one step at the most; the results do not depend on it", kEngine},
    {"cpu-level", 0, "LEVEL", &Options::cpu_level, 0, 0, "the best that this processor runs", "Computation",
     "kernels to use, e.g. portable, avx2, avx512-vnni, neon", kEngine},

    {"on-overflow", 0, "error|drop-oldest-turns", &Options::on_overflow, 0, 0, nullptr, "Conversation",
     "what happens when the context is full: refuse the message, or forget the oldest questions and answers",
     kChat},
    {"no-history", 0, nullptr, &Options::no_history, 0, 0, nullptr, "Conversation",
     "neither read nor keep the entries of earlier conversations", kChat},

#if AGAVE_HUB
    {"pull", 0, nullptr, &Options::pull, 0, 0, nullptr, "Model",
     "download MODEL where it is a name that is not in the cache; without this a terminal is asked",
     kEngine | kInspect | kTokenize | kQuantize},
#endif

    {"revision", 0, "NAME", &Options::revision, 0, 0, "main", "Download", "the branch, tag or commit to take",
     kPull},
    {"list", 0, nullptr, &Options::list, 0, 0, nullptr, "Download",
     "only list the models of the repository, with their sizes", kPull},
    {"connections", 0, "N", &Options::connections, 1, 32, nullptr, "Download",
     "parts of a file to download at the same time", kPull},

    {"markdown", 0, nullptr, &Options::markdown, 0, 0, nullptr, "General",
     "the reference of all commands, as docs/cli.md has it", kHelp},
    {"man", 0, nullptr, &Options::man, 0, 0, nullptr, "General", "the same as a manual page, for man -l -",
     kHelp},
    {"color", 0, "auto|always|never", &Options::color, 0, 0, nullptr, "General",
     "color on standard error, and of reasoning on standard output; auto is on a terminal where NO_COLOR is "
     "not set",
     kEngine},
    {"help", 'h', nullptr, &Options::help, 0, 0, nullptr, "General", "print this help", kEvery},
};

constexpr CommandInfo commands[] = {
    {kRun, "run", "MODEL [PROMPT]", "generate text",
     "Streams the model's answer to PROMPT. Without PROMPT, it is read from standard input (without one "
     "newline at its end). A model with a chat template gets the prompt as the user's message; other models, "
     "and --raw, continue it. Ctrl-C ends the answer (exit status 130), a second one the program. `agave "
     "MODEL [PROMPT]` is short for this command. Statistics go to standard error.",
     "`{\"text\", \"reasoning\", \"finish_reason\": \"stop\" | \"length\" | \"context\" | \"interrupted\", "
     "\"tokens\": [ids "
     "of the answer], \"prompt_tokens\", \"seed\", \"timings\": {\"prefill_seconds\", "
     "\"prefill_tokens_per_second\", \"decode_seconds\", \"decode_tokens_per_second\", "
     "\"first_token_seconds\"}, \"peak_resident_bytes\"}`",
     1, 2},
#if AGAVE_CHAT
    {kChat, "chat", "MODEL", "hold a conversation",
     "Reads messages from the terminal (or lines from a pipe) and streams the answers. What is known of the "
     "conversation "
     "is not computed again. Ctrl-C stops an answer, Ctrl-D leaves, /help lists the commands that begin with "
     "a slash. "
     "Entries are kept for the next time in ~/.local/state/agave/history. `agave run MODEL` at a terminal is "
     "the same.",
     nullptr, 1, 1},
#endif
#if AGAVE_SERVER
    {kServe, "serve", "MODEL [MODEL...]", "serve models to many clients over HTTP",
     "Answers the APIs of OpenAI (/v1/chat/completions, /v1/completions, ...), Anthropic (/v1/messages) and "
     "Ollama (/api/chat, ...), a chat page for browsers at /, /metrics for Prometheus, /health and /ready. "
     "Listens on 127.0.0.1 until --host says otherwise. SIGTERM or Ctrl-C lets the answers end that have "
     "begun; a second one ends the program. docs/server.md tells more.",
     nullptr, 1, 64},
#endif
    {kInspect, "inspect", "FILE", "show what a model file holds",
     "Prints metadata, architecture, weight formats and the memory that running the model takes. Works for "
     "every model file, also for architectures that this build does not run.",
     "`{\"path\", \"name\", \"architecture\", \"runnable\", \"reason\" (when not), \"bytes\", "
     "\"parameters\", \"n_layers\", \"n_vocab\", \"embedding_length\", \"context_length\", \"sampling\": "
     "{option: what the file recommends}, \"chat\": {\"reasoning\": how it is marked, \"reasoning_switch\", "
     "\"reasoning_effort\", \"tools\": how calls are written} (with a chat template), \"formats\": "
     "[{\"format\", \"tensors\", \"weights\", \"bytes\"}], \"memory\": {\"weight_bytes\", \"scratch_bytes\", "
     "\"state_bytes\", \"kv\": [{\"context\", \"f16_bytes\", \"f32_bytes\"}]}, \"metadata\": {...}, "
     "\"tensors\": [{\"name\", "
     "\"format\", \"shape\", \"bytes\"}] (with --tensors)}`; arrays of more than 256 elements in the "
     "metadata are told as `{\"length\"}`, and shapes have the row length first",
     1, 1},
    {kTokenize, "tokenize", "MODEL", "text to token ids and back",
     "Reads text from standard input and prints its token ids on one line, with the tokens that the model "
     "wants at the beginning and end of a text.",
     "`[ids]`; with --decode the text as one JSON string", 1, 1},
    {kLogits, "logits", "MODEL", "logits or greedy continuation of given tokens",
     "Writes the logits as float32 [N, n_vocab] to a NumPy file, or prints the greedy continuation, which "
     "does not stop at tokens that end a text.",
     nullptr, 1, 1},
    {kPerplexity, "perplexity", "MODEL", "how well a model predicts a text",
     "As llama.cpp's llama-perplexity defines it: the text is tokenized once and cut into whole chunks; BOS "
     "takes the place of each chunk's first token when the model wants BOS; the tokens of each chunk's "
     "second half are scored. The text must have two chunks at least.",
     "`{\"perplexity\", \"standard_error\", \"tokens\", \"scored\", \"chunks\", \"ctx_size\", \"seconds\", "
     "\"tokens_per_second\"}`; with --against also `\"kl_divergence\", \"kl_divergence_standard_error\", "
     "\"kl_divergence_largest\", \"same_likeliest_token\"`",
     1, 1},
    {kBench, "bench", "MODEL", "measure speed",
     "Measures prefill and decode in tokens per second (median and spread), and beside them bytes and "
     "operations per second and their share of what this machine reaches at most, measured just before.",
     "`{\"model\", \"threads\", \"cpu_level\", \"prefill\": [...], \"decode\": [...], \"limits\": "
     "{\"read_bytes_per_second\", \"int8_ops_per_second\", \"bf16_flops_per_second\", "
     "\"f32_flops_per_second\"}}`; each measurement is `{\"tokens\", \"depth\", \"sequences\", "
     "\"tokens_per_second\" "
     "(median), \"tokens_per_second_lowest\", \"tokens_per_second_highest\", \"bytes_per_second\", "
     "\"operations_per_second\", \"limit\", \"share_of_limit\"}`",
     1, 1},
#if AGAVE_PLAN
    {kPlan, "plan", "MODEL", "what a model needs, and how fast it will be",
     "Without loading the model: the memory for weights, K/V, recurrent state and scratch, the longest "
     "context that fits, and the speed to expect on this machine, whose limits it measures in a second or "
     "two.",
     "`{\"model\", \"architecture\", \"device\", \"threads\", \"cpu_level\", \"context\", \"sequences\", "
     "\"context_length\", \"longest_context\", \"memory\": {\"weight_bytes\", \"kv_bytes\", "
     "\"kv_bytes_per_token\", \"state_bytes\", \"scratch_bytes\", \"total_bytes\", \"available_bytes\", "
     "\"fits\"}, \"prefill\": [...], \"decode\": [...], \"limits\": {as bench}}`; each speed is "
     "`{\"tokens\", "
     "\"depth\", \"tokens_per_second\" (expected), \"tokens_per_second_at_most\", \"bytes_per_token\" "
     "(decode)}`",
     1, 1},
    {kDoctor, "doctor", "", "what is right and wrong with this machine",
     "Looks at the processor, threads, memory, huge pages, the cache folder, what downloads need and the "
     "terminal, measures the speed of memory and arithmetic, and says what is wrong and how to mend it. The "
     "exit status is 1 when something is broken.",
     "`{\"ok\", \"checks\": [{\"name\", \"state\": \"ok\" | \"note\" | \"broken\", \"text\", \"remedy\" "
     "(when "
     "there is one)}], \"limits\": {as bench}}`",
     0, 0},
#endif
#if AGAVE_QUANTIZE
    {kQuantize, "quantize", "IN OUT FORMAT", "make a smaller model file",
     "Writes the model IN to the GGUF file OUT, its matrices in FORMAT: F32, F16, BF16, Q8_0, Q6_K, Q5_K_M, "
     "Q5_K_S, Q5_1, Q5_0, Q4_K_M, Q4_K_S, Q4_1, Q4_0, IQ4_NL, IQ4_XS, MXFP4_MOE, NVFP4, Q3_K_L, Q3_K_M, "
     "Q3_K_S, "
     "IQ3_M, IQ3_S, IQ3_XS, IQ3_XXS, Q2_K, Q2_K_S, IQ2_M, IQ2_S, IQ2_XS, IQ2_XXS, TQ2_0, TQ1_0, Q2_0, Q1_0, "
     "IQ1_M "
     "or IQ1_S. The mixes give single matrices more bits, as llama.cpp's do. Prints each tensor with its "
     "error "
     "(root mean square, relative to the weights). OUT appears only when it is complete.",
     "`{\"tensors\": [{\"name\", \"from\", \"to\", \"from_bytes\", \"to_bytes\", "
     "\"relative_rms_error\"}], \"path\", \"bytes\", \"bits_per_weight\", \"relative_rms_error\", "
     "\"seconds\"}`; with --measure a second object `{\"kl_divergence\", \"kl_divergence_standard_error\", "
     "\"kl_divergence_largest\", \"same_likeliest_token\", \"compared\"}`",
     3, 3},
    {kCalibrate, "calibrate", "MODEL", "see what of a model matters most",
     "Runs the model over a text and writes an importance matrix: for each column of each matrix the mean "
     "square "
     "of what it was multiplied by. `agave quantize --imatrix` and llama.cpp read it. The text is cut into "
     "whole "
     "chunks of --ctx-size tokens; some 100 chunks of varied text are a good measure. output.weight is not "
     "seen.",
     nullptr, 1, 1},
#endif
#if AGAVE_HUB
    {kPull, "pull", "ORG/REPO[:QUANT|:FILE]", "download a model from Hugging Face",
     "Downloads a model into the cache that Hugging Face's own tools use, and prints its path. Of several "
     "GGUF "
     "files it takes Q4_K_M, or the nearest to it, unless QUANT or FILE says otherwise; of a repository "
     "without "
     "any, the SafeTensors model. Interrupted in any way, the same command goes on where it stopped; a file "
     "is "
     "installed only when its hash is right. HF_TOKEN, HF_HOME, HF_HUB_CACHE, HF_ENDPOINT and the usual "
     "proxy "
     "variables are honoured. Needs the system's libcurl, or the program curl.",
     nullptr, 1, 1},
    {kList, "list", "", "list the downloaded models",
     "Prints the models of the cache, with the names that stand for them wherever a command takes MODEL.",
     "`[{\"name\", \"path\", \"bytes\"}]`", 0, 0},
    {kShow, "show", "ORG/REPO", "show what of a repository is downloaded",
     "Prints where a repository lies in the cache, its revision, its models and its files.", nullptr, 1, 1},
    {kRemove, "rm", "ORG/REPO", "remove a downloaded repository",
     "Removes a repository from the cache, with all its models and revisions.", nullptr, 1, 1},
#endif
    {kCompletion, "completion", "bash|zsh|fish", "completion for a shell",
     "Prints a script that completes commands, options, their values, files and downloaded models. For bash, "
     "put "
     "`source <(agave completion bash)` into ~/.bashrc; for zsh, the same with zsh into ~/.zshrc; for fish, "
     "write it to "
     "~/.config/fish/completions/agave.fish.",
     nullptr, 1, 1},
    {kHelp, "help", "[COMMAND]", "explain a command",
     "Prints the help of a command, or the list of commands.", nullptr, 0, 1},
};

}  // namespace

std::span<const OptionInfo> option_table() {
    return options;
}
std::span<const CommandInfo> command_table() {
    return commands;
}

}  // namespace agave::cli
