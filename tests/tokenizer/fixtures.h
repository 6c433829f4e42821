#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "formats/model_file.h"

namespace agave {

/// Metadata of a vocabulary made in a test. The texts must live as long as what is loaded from it.
struct TinyVocabulary {
    std::string_view model = "llama";
    std::string_view pre;
    std::vector<std::string_view> tokens;
    std::vector<int64_t> types;
    std::vector<double> scores;
    std::vector<std::string_view> merges;
    std::vector<MetadataEntry> more;

    Metadata metadata() const {
        std::vector<MetadataEntry> entries = more;
        const auto add = [&](const char* key, MetadataValue value) {
            for (const MetadataEntry& entry : entries)
                if (entry.key == key) return;
            entries.push_back({key, std::move(value)});
        };
        add("tokenizer.ggml.model", model);
        if (!pre.empty()) add("tokenizer.ggml.pre", pre);
        add("tokenizer.ggml.tokens", MetadataArray(tokens));
        if (!types.empty()) add("tokenizer.ggml.token_type", MetadataArray(types));
        if (!scores.empty()) add("tokenizer.ggml.scores", MetadataArray(scores));
        if (!merges.empty()) add("tokenizer.ggml.merges", MetadataArray(merges));
        return Metadata("tiny.gguf", std::move(entries));
    }
};

/// SentencePiece: <unk> <s> </s>, the space mark, a few letters and words with scores.
inline TinyVocabulary tiny_sentencepiece() {
    TinyVocabulary tiny;
    tiny.tokens = {"<unk>", "<s>", "</s>", "▁", "a", "b", "c", "ab", "bc", "▁a", "▁ab", "<tag>"};
    tiny.types = {2, 3, 3, 1, 1, 1, 1, 1, 1, 1, 1, 4};
    tiny.scores = {0, 0, 0, -10, -11, -12, -13, -2, -1, -3, -4, 0};
    tiny.more = {{"tokenizer.ggml.bos_token_id", uint64_t{1}},
                 {"tokenizer.ggml.eos_token_id", uint64_t{2}},
                 {"tokenizer.ggml.unknown_token_id", uint64_t{0}}};
    return tiny;
}

/// Byte-level BPE: a few letters with the space before them, and an end token.
inline TinyVocabulary tiny_bpe() {
    TinyVocabulary tiny;
    tiny.model = "gpt2";
    tiny.pre = "gpt-2";
    tiny.tokens = {"a", "b", "c", "Ġ", "ab", "bc", "Ġab", "<|im_end|>", "Ċ", "ï", "¿", "½"};
    tiny.types = {1, 1, 1, 1, 1, 1, 1, 3, 1, 1, 1, 1};
    tiny.merges = {"a b", "b c", "Ġ ab"};
    tiny.more = {{"tokenizer.ggml.eos_token_id", uint64_t{7}}};
    return tiny;
}

}  // namespace agave
