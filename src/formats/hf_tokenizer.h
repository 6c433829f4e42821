#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "formats/model_file.h"

namespace agave {

/// What the model says about its vocabulary.
struct HfTokenizerRequest {
    std::string_view architecture;  ///< general.architecture of the GGUF that the folder would become
    int64_t n_vocab = 0;            ///< rows of the embedding; 0: as many as the tokenizer has
};

/// Reads the tokenizer of a Hugging Face folder (tokenizer.json, or tokenizer.model where that is missing;
/// with tokenizer_config.json, special_tokens_map.json, chat_template.jinja, config.json and
/// generation_config.json) and appends what a GGUF's metadata would say of it: tokenizer.ggml.*,
/// tokenizer.chat_template* and general.sampling.*. Beyond llama.cpp's keys there are, because tokenizer.json
/// tells them apart:
/// - tokenizer.ggml.normalizer.nfc, tokenizer.ggml.ignore_merges (booleans): instead of the defaults of the
///   name in tokenizer.ggml.pre;
/// - tokenizer.ggml.merges beside the model "llama": merge by this list, not by the scores;
/// - tokenizer.ggml.space_prefix ("first" or "always"): a Metaspace pre-tokenizer's prepend_scheme, which
/// adds
///   no space where one is;
/// - tokenizer.ggml.lstrip_token_ids, .rstrip_token_ids: special tokens that swallow the space beside them;
/// - tokenizer.ggml.prefix_token_ids: what each text begins with, where that is not just BOS;
/// - tokenizer.ggml.eos_token_ids: all tokens that end a generation (generation_config.json).
///
/// The texts of the entries live in the returned storage. Throws Error(bad_file) for a damaged or
/// contradictory file and Error(unsupported) that names the normalizer, pre-tokenizer (with its pattern),
/// model or post-processor that is not known.
std::shared_ptr<const void> read_hf_tokenizer(const std::string& folder, const HfTokenizerRequest& request,
                                              std::vector<MetadataEntry>& entries);

/// Whether the folder holds a tokenizer.json or a tokenizer.model.
bool has_hf_tokenizer(const std::string& folder);

}  // namespace agave
