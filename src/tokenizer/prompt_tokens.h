#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "tokenizer/tokenizer.h"

namespace agave {

/// The token ids of a prompt in which control tokens are spelled out, e.g. by a chat template; BOS is added
/// when the model wants it and the text has not got it.
std::vector<int32_t> prompt_tokens(std::string_view text, const Tokenizer& tokenizer);

}  // namespace agave
