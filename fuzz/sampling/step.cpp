#include "step.h"

#include <string>
#include <vector>

#include "base/error.h"

namespace {

struct Vocabulary {
    std::vector<std::string> tokens;
    int32_t end;
    agave::TokenTrie trie;

    Vocabulary()
        : tokens(make_tokens()), end(static_cast<int32_t>(tokens.size()) - 1), trie(tokens, {&end, 1}) {}
    static std::vector<std::string> make_tokens() {
        std::vector<std::string> all;
        for (int byte = 0; byte < 256; byte++) all.emplace_back(1, static_cast<char>(byte));
        for (const char* piece :
             {"{\"", "\":", "\",\"", "\"}", "true", "null", "abc", "a\"", "12", "]}", "\n  ", "[[",
              "\xC3\xA9", "\xE2\x82", "\\n", "some longer text", "\xFF<mark>"})
            all.emplace_back(piece);
        all.emplace_back();
        return all;
    }
};

}  // namespace

void step_through(const std::shared_ptr<const agave::Grammar>& grammar, std::string_view choices) {
    static const Vocabulary vocabulary;
    const auto constraint = agave::constrain(grammar, vocabulary.trie);
    std::string text;
    try {
        for (const char choice : choices.substr(0, 24)) {
            const auto mask = constraint->allowed();
            std::vector<int32_t> allowed;
            for (int32_t token = 0; token <= vocabulary.end; token++)
                if ((mask[static_cast<size_t>(token) / 32] >> (token % 32)) & 1) allowed.push_back(token);
            if (allowed.empty()) __builtin_trap();
            if ((allowed.back() == vocabulary.end) != grammar->matches(text)) __builtin_trap();
            const int32_t token = allowed[static_cast<unsigned char>(choice) % allowed.size()];
            if (token == vocabulary.end) return;
            try {
                constraint->accept(token);
            } catch (const agave::Error& error) {
                if (std::string_view(error.what()).find("does not allow") != std::string_view::npos)
                    __builtin_trap();
                throw;
            }
            text += vocabulary.tokens[static_cast<size_t>(token)];
        }
    } catch (const agave::Error&) {
        // A grammar that is too ambiguous, or needs too much memory.
    }
}
