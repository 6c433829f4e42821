#include "tokenizer/pre_tokenizer.h"

#include <gtest/gtest.h>

#include <numeric>
#include <random>

#include "cases.h"

namespace agave {
namespace {

std::vector<std::string_view> pieces_of(const char* name, std::string_view text) {
    const PreTokenizer* pre_tokenizer = find_pre_tokenizer(name);
    std::vector<uint32_t> lengths;
    split_pieces(*pre_tokenizer, text, lengths);
    std::vector<std::string_view> pieces;
    for (const uint32_t length : lengths) {
        pieces.push_back(text.substr(0, length));
        text.remove_prefix(length);
    }
    return pieces;
}

using Pieces = std::vector<std::string_view>;

TEST(PreTokenizer, CutsAsTheReferencePatterns) {
    const std::vector<TokenizerCase> cases = read_cases(AGAVE_TEST_DATA "/tokenizer/pieces.json");
    ASSERT_GT(cases.size(), 400u);
    for (const TokenizerCase& c : cases) {
        const PreTokenizer* pre_tokenizer = find_pre_tokenizer(c.name);
        ASSERT_NE(pre_tokenizer, nullptr) << c.name;
        std::vector<uint32_t> lengths;
        split_pieces(*pre_tokenizer, c.text, lengths);
        EXPECT_EQ(std::vector<int32_t>(lengths.begin(), lengths.end()), c.ids) << c.name << ": " << c.text;
    }
}

TEST(PreTokenizer, KnowsWhatTellsThePatternsApart) {
    EXPECT_EQ(pieces_of("llama-bpe", "12345"), (Pieces{"123", "45"}));
    EXPECT_EQ(pieces_of("qwen2", "12345"), (Pieces{"1", "2", "3", "4", "5"}));
    EXPECT_EQ(pieces_of("gpt-2", " 12345"), (Pieces{" 12345"}));
    EXPECT_EQ(pieces_of("smollm", "a 12"), (Pieces{"a", " ", "1", "2"}));
    EXPECT_EQ(pieces_of("llama-bpe", "I'LL\tgo  on"), (Pieces{"I", "'LL", "\tgo", " ", " on"}));
    EXPECT_EQ(pieces_of("gpt-4o", "camelCase's"), (Pieces{"camel", "Case's"}));
    EXPECT_EQ(pieces_of("tekken", "camelCase's"), (Pieces{"camel", "Case", "'s"}));
    EXPECT_EQ(pieces_of("qwen35", "a\u0902b"), (Pieces{"a\u0902b"}));
    EXPECT_EQ(pieces_of("qwen2", "a\u0902b"), (Pieces{"a", "\u0902b"}));
    EXPECT_EQ(pieces_of("deepseek-v3", "#include<x>"), (Pieces{"#include", "<x", ">"}));
}

TEST(PreTokenizer, RefusesUnknownNames) {
    EXPECT_EQ(find_pre_tokenizer("default"), nullptr);
    EXPECT_EQ(find_pre_tokenizer("llama-bpe2"), nullptr);
    EXPECT_EQ(find_pre_tokenizer(""), nullptr);
}

TEST(PreTokenizer, PiecesOfAnyBytesAddUpToTheText) {
    std::mt19937 random(7);
    const std::string_view parts[] = {" ",
                                      "\n",
                                      "\r\n",
                                      "a",
                                      "Z",
                                      "'s",
                                      "'S",
                                      "1",
                                      ".",
                                      "/",
                                      "\xE4\xB8\x80",
                                      "\xCC\x81",
                                      "\xC7\x85",
                                      "\xE2\x80\x83",
                                      "\xFF",
                                      "\xC3",
                                      "\xED\xA0\x80",
                                      {"\0", 1},
                                      "\xF0\x9F\x99\x82"};
    for (const PreTokenizer* p = known_pre_tokenizers(); p->name != nullptr; p++) {
        for (int i = 0; i < 300; i++) {
            std::string text;
            for (int n = 0; n < 20; n++) text += parts[random() % std::size(parts)];
            std::vector<uint32_t> lengths;
            split_pieces(*p, text, lengths);
            ASSERT_EQ(std::accumulate(lengths.begin(), lengths.end(), size_t{0}), text.size()) << p->name;
            ASSERT_EQ(std::count(lengths.begin(), lengths.end(), 0u), 0) << p->name;
        }
    }
}

TEST(PreTokenizer, LongRunsTakeLinearTime) {
    for (const char* name : {"gpt-2", "llama-bpe", "qwen35", "smollm", "gpt-4o", "tekken", "bloom",
                             "deepseek-llm", "deepseek-coder", "deepseek-v3"}) {
        const PreTokenizer* p = find_pre_tokenizer(name);
        for (const std::string_view unit :
             {" ", "\n", "a", "1", ".", " a", "\n ", "aA", "A", "\xE4\xB8\x80", "\xCC\x81", "\xFF", "\x01"}) {
            for (const std::string_view last : {"", "x", "x "}) {
                std::string text;
                while (text.size() < 100'000) text += unit;
                text += last;
                std::vector<uint32_t> lengths;
                split_pieces(*p, text, lengths);
                ASSERT_EQ(std::accumulate(lengths.begin(), lengths.end(), size_t{0}), text.size());
            }
        }
    }
}

}  // namespace
}  // namespace agave
