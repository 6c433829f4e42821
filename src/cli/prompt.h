#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "chat/reply/syntax.h"
#if AGAVE_CHAT
#include "chat/chat_template.h"
#endif
#include "cli/options.h"
#include "formats/model_file.h"
#include "tokenizer/tokenizer.h"

namespace agave::cli {

/// A prompt as the model gets it.
struct Prompt {
    std::string text;  ///< after the chat template, when `from_template`
    bool from_template = false;
    chat::ReplySyntax syntax;  ///< of the answer, when `from_template`
    std::vector<int32_t> tokens;
};

/// The user's words: the argument, or standard input without one newline at its end. Throws Error(usage) when
/// there is neither.
std::string read_prompt(const CommandLine& line);

/// Puts the words through the model's chat template (unless --raw, or when it has none) and tokenizes them.
/// BOS is added when the model wants it and the template has not written it. Throws Error(usage) for an empty
/// prompt, for
/// --system and --reasoning without a template, and for what the template refuses.
Prompt make_prompt(const std::string& words, const Options& options, const ModelFile& file,
                   const Tokenizer& tokenizer);

#if AGAVE_CHAT
/// What the options say about rendering a conversation.
chat::RenderOptions render_options(const Options& options, const Tokenizer& tokenizer);
#endif

/// What the sampling options say; those that are not given, as the model file recommends. Throws Error(usage)
/// that names the option.
SamplingParameters sampling_parameters(const CommandLine& line, const Metadata& metadata,
                                       const Tokenizer& tokenizer);

/// "temperature 0.6, top-k 20 (Qwen 3, thinking), top-p 0.9 (command line), ...": the parameters and where
/// each comes from.
std::string describe_sampling(const CommandLine& line, const Metadata& metadata,
                              const SamplingParameters& parameters);

}  // namespace agave::cli
