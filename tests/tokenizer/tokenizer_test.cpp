#include "tokenizer/tokenizer.h"

#include <gtest/gtest.h>

#include <thread>

#include "base/error.h"
#include "fixtures.h"

namespace agave {
namespace {

constexpr EncodeOptions plain{.add_special = false, .parse_special = true};
using Ids = std::vector<int32_t>;

std::string error_of(const Metadata& metadata, ErrorKind kind) {
    try {
        Tokenizer::load(metadata);
    } catch (const Error& error) {
        EXPECT_EQ(error.kind(), kind) << error.what();
        return error.what();
    }
    return "no error";
}

TEST(SentencePiece, MergesByScoreThenFromTheLeft) {
    const TinyVocabulary tiny = tiny_sentencepiece();
    const Metadata metadata = tiny.metadata();
    const auto tokenizer = Tokenizer::load(metadata);
    EXPECT_EQ(tokenizer->encode("abc"), (Ids{1, 9, 8}));  // BOS, then "bc" (-1) goes before "ab" (-2)
    EXPECT_EQ(tokenizer->encode("ab", plain), (Ids{10}));
    EXPECT_EQ(tokenizer->encode("", plain), Ids{});
    EXPECT_EQ(tokenizer->encode(""), (Ids{1}));
    EXPECT_EQ(tokenizer->encode("a  a", plain), (Ids{9, 3, 9}));
}

TEST(SentencePiece, UnknownCharactersFuse) {
    const TinyVocabulary tiny = tiny_sentencepiece();
    const Metadata metadata = tiny.metadata();
    const auto tokenizer = Tokenizer::load(metadata);
    EXPECT_EQ(tokenizer->encode("axyza", plain), (Ids{9, 0, 4}));
    EXPECT_EQ(tokenizer->encode("a\xFF\xC3z\xE4\xB8\xAD", plain), (Ids{9, 0}));
}

TEST(SentencePiece, SpecialTokensAreFoundAndEachGetsAPrefixBehindIt) {
    const TinyVocabulary tiny = tiny_sentencepiece();
    const Metadata metadata = tiny.metadata();
    const auto tokenizer = Tokenizer::load(metadata);
    EXPECT_EQ(tokenizer->encode("ab<s>ab</s>", plain), (Ids{10, 1, 10, 2}));
    EXPECT_EQ(tokenizer->encode("ab<tag>ab", {.add_special = false, .parse_special = false}),
              (Ids{10, 11, 10}));
    const Ids unparsed = tokenizer->encode("<s>", {.add_special = false, .parse_special = false});
    EXPECT_EQ(std::count(unparsed.begin(), unparsed.end(), 1), 0);
}

TEST(SentencePiece, DecodingStripsWhatEncodingAdded) {
    const TinyVocabulary tiny = tiny_sentencepiece();
    const Metadata metadata = tiny.metadata();
    const auto tokenizer = Tokenizer::load(metadata);
    for (const std::string text : {"ab", " ab", "  a b ", "abc<tag>ab<tag> c", ""})
        EXPECT_EQ(tokenizer->decode(tokenizer->encode(text)), text);
    EXPECT_EQ(tokenizer->decode(tokenizer->encode("a<s>b"), true), "<s>a<s>b");
    EXPECT_EQ(tokenizer->token_bytes(10), " ab");
    EXPECT_EQ(tokenizer->token_bytes(1), "");
    EXPECT_EQ(tokenizer->token_bytes(1, true), "<s>");
}

TEST(SentencePiece, ScoresOfEveryMagnitudeKeepTheirOrder) {
    TinyVocabulary tiny = tiny_sentencepiece();
    tiny.scores[7] = 3e38, tiny.scores[8] = -0.0;  // "ab" before "bc"
    const Metadata metadata = tiny.metadata();
    EXPECT_EQ(Tokenizer::load(metadata)->encode("cabc", plain), (Ids{3, 6, 7, 6}));
    tiny.scores[7] = -0.0, tiny.scores[8] = 0.0;  // equal: the left one
    const Metadata equal = tiny.metadata();
    EXPECT_EQ(Tokenizer::load(equal)->encode("cabc", plain), (Ids{3, 6, 7, 6}));
}

TEST(SentencePiece, ExtraSpacesAreRemovedWhereTheFileSaysSo) {
    TinyVocabulary tiny = tiny_sentencepiece();
    tiny.more.push_back({"tokenizer.ggml.remove_extra_whitespaces", true});
    const Metadata metadata = tiny.metadata();
    EXPECT_EQ(Tokenizer::load(metadata)->encode("  a   ab ", plain), (Ids{9, 10}));
}

TEST(ByteLevelBpe, MergesByRank) {
    const TinyVocabulary tiny = tiny_bpe();
    const Metadata metadata = tiny.metadata();
    const auto tokenizer = Tokenizer::load(metadata);
    EXPECT_EQ(tokenizer->encode("abc ab"), (Ids{4, 2, 6}));
    EXPECT_EQ(tokenizer->decode(Ids{4, 2, 6}), "abc ab");
    EXPECT_FALSE(tokenizer->adds_bos());
    EXPECT_EQ(tokenizer->bos(), -1);
    EXPECT_EQ(tokenizer->eos(), 7);
}

TEST(ByteLevelBpe, BytesOutsideTheVocabulary) {
    const TinyVocabulary tiny = tiny_bpe();
    const Metadata metadata = tiny.metadata();
    const auto tokenizer = Tokenizer::load(metadata);
    EXPECT_EQ(tokenizer->encode("axa"), (Ids{0, 0}));  // no token for x: left out as by the reference
    EXPECT_EQ(tokenizer->encode("a\xFF"), (Ids{0, 9, 10, 11}));  // a byte of no UTF-8 text: U+FFFD
    EXPECT_EQ(tokenizer->decode(Ids{9, 10, 11}), "\uFFFD");
}

TEST(Tokenizer, LongestSpecialTokenFromTheLeft) {
    TinyVocabulary tiny = tiny_bpe();
    tiny.tokens = {"a", "b", "ab", "<x>", "<x><y>", "x><", "Ġ"};
    tiny.types = {1, 1, 1, 3, 3, 4, 1};
    tiny.merges = {"a b"};
    tiny.more.clear();
    const Metadata metadata = tiny.metadata();
    const auto tokenizer = Tokenizer::load(metadata);
    EXPECT_EQ(tokenizer->encode("<x><y><x>ab"), (Ids{4, 3, 2}));
    EXPECT_EQ(tokenizer->encode("<x><x>"), (Ids{3, 3}));
    EXPECT_EQ(tokenizer->encode("ax><", {.parse_special = false}), (Ids{0, 5}));
    EXPECT_EQ(tokenizer->encode("<x"), Ids{});
}

TEST(Tokenizer, EndOfGeneration) {
    TinyVocabulary tiny = tiny_bpe();
    tiny.tokens = {"a", "<|end|>", "<|return|>", "<|call|>", "<|endoftext|>", "</s>", "b", "<|eot_id|>"};
    tiny.types = {1, 3, 3, 3, 3, 4, 3, 3};
    tiny.merges = {};
    tiny.more = {{"tokenizer.ggml.merges", MetadataArray(std::vector<std::string_view>{})},
                 {"tokenizer.ggml.eot_token_id", uint64_t{6}}};
    const Metadata metadata = tiny.metadata();
    const auto tokenizer = Tokenizer::load(metadata);
    for (const int32_t id : {2, 3, 4, 6, 7}) EXPECT_TRUE(tokenizer->is_end_of_generation(id)) << id;
    for (const int32_t id : {0, 1, 5, -1, 99}) EXPECT_FALSE(tokenizer->is_end_of_generation(id)) << id;
    EXPECT_TRUE(tokenizer->is_control(1));
    EXPECT_FALSE(tokenizer->is_control(5));
}

TEST(Tokenizer, FindAndText) {
    TinyVocabulary tiny = tiny_bpe();
    tiny.tokens[1] = "a";  // spelled twice: the lower id counts
    tiny.tokens[2] = "";
    tiny.merges.clear();
    tiny.more.push_back({"tokenizer.ggml.merges", MetadataArray(std::vector<std::string_view>{})});
    const Metadata metadata = tiny.metadata();
    const auto tokenizer = Tokenizer::load(metadata);
    EXPECT_EQ(tokenizer->find("a"), 0);
    EXPECT_EQ(tokenizer->find(""), std::nullopt);
    EXPECT_EQ(tokenizer->find("nothing"), std::nullopt);
    EXPECT_EQ(tokenizer->token_text(6), "Ġab");
    EXPECT_EQ(tokenizer->n_vocab(), 12);
    for (const int32_t id : {-1, 12, INT32_MAX, INT32_MIN}) {
        EXPECT_THROW(tokenizer->token_text(id), Error);
        EXPECT_THROW(tokenizer->token_bytes(id), Error);
        EXPECT_THROW(tokenizer->decode(Ids{id}), Error);
        EXPECT_THROW(tokenizer->is_control(id), Error);
    }
}

TEST(Tokenizer, BosAndEosAsTheFileSays) {
    TinyVocabulary tiny = tiny_sentencepiece();
    tiny.more.push_back({"tokenizer.ggml.add_bos_token", false});
    tiny.more.push_back({"tokenizer.ggml.add_eos_token", true});
    const Metadata metadata = tiny.metadata();
    const auto tokenizer = Tokenizer::load(metadata);
    EXPECT_EQ(tokenizer->encode("ab"), (Ids{10, 2}));
    EXPECT_FALSE(tokenizer->adds_bos());
    TinyVocabulary llama3 = tiny_bpe();
    llama3.pre = "llama-bpe";
    llama3.more.push_back({"tokenizer.ggml.bos_token_id", uint64_t{7}});
    const Metadata llama3_metadata = llama3.metadata();
    EXPECT_EQ(Tokenizer::load(llama3_metadata)->encode("a"), (Ids{7, 0}));
}

TEST(Tokenizer, HostileVocabulariesGetASentence) {
    const auto expect = [](const TinyVocabulary& tiny, ErrorKind kind, const char* words) {
        const std::string message = error_of(tiny.metadata(), kind);
        EXPECT_NE(message.find(words), std::string::npos) << message << "\n  should say: " << words;
        EXPECT_EQ(message.find('\n'), std::string::npos);
    };
    for (const char* spelling : {"<0x-1>", "<0xZZ>", "<0x100>", "0x00", "<0x0>"}) {
        TinyVocabulary tiny = tiny_sentencepiece();
        tiny.tokens[4] = spelling, tiny.types[4] = 6;
        expect(tiny, ErrorKind::bad_file, "byte token");
    }
    TinyVocabulary tiny = tiny_sentencepiece();
    tiny.types.pop_back();
    expect(tiny, ErrorKind::bad_file, "token_type has 11 elements");
    tiny = tiny_sentencepiece();
    tiny.types[3] = 7;
    expect(tiny, ErrorKind::bad_file, "type 7");
    tiny = tiny_sentencepiece();
    tiny.types[3] = -1;
    expect(tiny, ErrorKind::bad_file, "type -1");
    tiny = tiny_sentencepiece();
    tiny.scores.push_back(1);
    expect(tiny, ErrorKind::bad_file, "scores has 13 elements");
    tiny = tiny_sentencepiece();
    tiny.scores[5] = std::numeric_limits<double>::quiet_NaN();
    expect(tiny, ErrorKind::bad_file, "score of token 5");
    tiny = tiny_sentencepiece();
    tiny.scores.clear();
    expect(tiny, ErrorKind::bad_file, "scores is missing");
    tiny = tiny_sentencepiece();
    tiny.more[2].value = int64_t{-1};
    expect(tiny, ErrorKind::bad_file, "unknown_token_id");
    for (const uint64_t id : {uint64_t{12}, uint64_t{1} << 31, ~uint64_t{0}}) {
        tiny = tiny_sentencepiece();
        tiny.more[0].value = id;
        expect(tiny, ErrorKind::bad_file, "bos_token_id");
    }
    tiny = tiny_sentencepiece();
    tiny.more.erase(tiny.more.begin() + 2);
    expect(tiny, ErrorKind::bad_file, "neither all byte tokens");
    tiny = tiny_sentencepiece();
    tiny.more.erase(tiny.more.begin());
    expect(tiny, ErrorKind::bad_file, "BOS");
    tiny = tiny_sentencepiece();
    tiny.tokens.clear(), tiny.types.clear(), tiny.scores.clear();
    expect(tiny, ErrorKind::bad_file, "vocabulary");
    const std::string long_text(2000, 'x');
    tiny = tiny_sentencepiece();
    tiny.tokens[1] = long_text;
    expect(tiny, ErrorKind::bad_file, "2000 bytes long");

    tiny = tiny_bpe();
    tiny.merges[1] = "a z";
    expect(tiny, ErrorKind::bad_file, "merge 1 (\"a z\") names a token");
    for (const char* merge : {"", " ", "a", "a ", " a", "ab"}) {
        tiny = tiny_bpe();
        tiny.merges[0] = merge;
        expect(tiny, ErrorKind::bad_file, "merge 0");
    }
    tiny = tiny_bpe();
    tiny.merges.clear();
    expect(tiny, ErrorKind::bad_file, "merges is missing");
    tiny = tiny_bpe();
    tiny.pre = "my-own\n";
    expect(tiny, ErrorKind::unsupported, "\"my-own?\"");
    tiny.pre = "";
    expect(tiny, ErrorKind::unsupported, "tokenizer.ggml.pre is missing");
    tiny.model = "rwkv";
    expect(tiny, ErrorKind::unsupported, "\"rwkv\"");
    tiny = tiny_bpe();
    tiny.more.push_back({"tokenizer.ggml.token_type", std::string_view("normal")});
    expect(tiny, ErrorKind::bad_file, "not an array of numbers");
}

TEST(Tokenizer, AnyBytesEncodeAndDecode) {
    for (const TinyVocabulary& tiny : {tiny_sentencepiece(), tiny_bpe()}) {
        const Metadata metadata = tiny.metadata();
        const auto tokenizer = Tokenizer::load(metadata);
        for (int first = 0; first < 256; first++)
            for (const char* rest : {"", "a", "\x80", "\xBF\xBF", "\xFF"}) {
                std::string text(1, static_cast<char>(first));
                text += rest;
                tokenizer->decode(tokenizer->encode(text), true);
            }
    }
}

TEST(Tokenizer, ThreadsMayShareOne) {
    const TinyVocabulary tiny = tiny_bpe();
    const Metadata metadata = tiny.metadata();
    const auto tokenizer = Tokenizer::load(metadata);
    std::string text;
    for (int i = 0; i < 2000; i++) text += i % 3 == 0 ? "abc " : "ab\xCC\x81 ";
    const Ids expected = tokenizer->encode(text);
    std::vector<std::thread> threads;
    std::vector<int> equal(4);
    for (size_t t = 0; t < equal.size(); t++)
        threads.emplace_back([&, t] { equal[t] = tokenizer->encode(text) == expected; });
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(equal, (std::vector<int>{1, 1, 1, 1}));
}

/// Byte tokens, so that any bytes can be pushed.
struct ByteVocabulary {
    std::vector<std::string> texts;
    TinyVocabulary tiny;
    ByteVocabulary() {
        for (unsigned byte = 0; byte < 256; byte++) texts.push_back(strprintf("<0x%02X>", byte));
        tiny.tokens.assign(texts.begin(), texts.end());
        tiny.types.assign(256, 6);
        tiny.scores.assign(256, 0);
        tiny.more = {{"tokenizer.ggml.add_bos_token", false}};
    }
};

TEST(StreamDecoder, EmitsWholeCharactersOnly) {
    const ByteVocabulary bytes;
    const Metadata metadata = bytes.tiny.metadata();
    const auto tokenizer = Tokenizer::load(metadata);
    StreamDecoder decoder(*tokenizer);
    EXPECT_EQ(decoder.push(0xF0), "");
    EXPECT_EQ(decoder.push(0x9F), "");
    EXPECT_EQ(decoder.push(0x99), "");
    EXPECT_EQ(decoder.push(0x82), "\xF0\x9F\x99\x82");
    EXPECT_EQ(decoder.push(0x00), std::string(1, '\0'));
    EXPECT_EQ(decoder.push(0xE4), "");
    EXPECT_EQ(decoder.push('x'), "\uFFFDx");
    EXPECT_EQ(decoder.push(0xC3), "");
    EXPECT_EQ(decoder.finish(), "\uFFFD");
    EXPECT_EQ(decoder.finish(), "");
    EXPECT_THROW(decoder.push(256), Error);
}

TEST(StreamDecoder, ReplacesAsTheUnicodeStandardRecommends) {
    const ByteVocabulary bytes;
    const Metadata metadata = bytes.tiny.metadata();
    const auto tokenizer = Tokenizer::load(metadata);
    // Tables 3-8 to 3-11 of The Unicode Standard 15, section 3.9.
    const std::pair<std::string_view, std::string_view> cases[] = {
        {"\xC0\xAF\xE0\x80\xBF\xF0\x81\x82\x41", "????????A"},
        {"\xED\xA0\x80\xED\xBF\xBF\xED\xAF\x41", "????????A"},
        {"\xF4\x91\x92\x93\xFF\x41\x80\xBF\x42", "?????A??B"},
        {"\xE1\x80\xE2\xF0\x91\x92\xF1\xBF\x41", "????A"},
    };
    for (const auto& [text, pattern] : cases) {
        std::string expected;
        for (const char c : pattern) expected += c == '?' ? "\uFFFD" : std::string(1, c);
        StreamDecoder decoder(*tokenizer);
        std::string out;
        for (const char c : text) out += decoder.push(static_cast<uint8_t>(c));
        EXPECT_EQ(out + decoder.finish(), expected);
    }
}

}  // namespace
}  // namespace agave
