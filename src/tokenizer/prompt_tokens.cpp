#include "tokenizer/prompt_tokens.h"

namespace agave {

std::vector<int32_t> prompt_tokens(std::string_view text, const Tokenizer& tokenizer) {
    std::vector<int32_t> tokens = tokenizer.encode(text, {.add_special = false, .parse_special = true});
    const int32_t bos = tokenizer.bos();
    const bool has_bos = !tokens.empty() && tokens[0] == bos;
    if (tokenizer.adds_bos() && bos >= 0 && !has_bos) tokens.insert(tokens.begin(), bos);
    return tokens;
}

}  // namespace agave
