#include "tokenizer/vocabulary.h"

#include <bit>
#include <cmath>

namespace agave {
namespace {

constexpr std::string_view tokens_key = "tokenizer.ggml.tokens";
constexpr std::string_view types_key = "tokenizer.ggml.token_type";
constexpr std::string_view scores_key = "tokenizer.ggml.scores";
constexpr size_t max_tokens = size_t{1} << 24;
constexpr size_t max_token_bytes = size_t{1} << 16;
// A special token is looked for at every place of a text.
constexpr size_t max_special_token_bytes = 1024;

[[noreturn]] void fail_length(const Metadata& metadata, std::string_view key, size_t found, size_t expected) {
    fail(ErrorKind::bad_file, "%s: %.*s has %zu elements where the vocabulary has %zu tokens",
         metadata.path().c_str(), static_cast<int>(key.size()), key.data(), found, expected);
}

}  // namespace

int byte_of_token(std::string_view text) {
    if (text.size() != 6 || text.substr(0, 3) != "<0x" || text[5] != '>') return -1;
    int value = 0;
    for (const char c : text.substr(3, 2)) {
        if (c >= '0' && c <= '9')
            value = value * 16 + (c - '0');
        else if (c >= 'A' && c <= 'F')
            value = value * 16 + (c - 'A' + 10);
        else if (c >= 'a' && c <= 'f')
            value = value * 16 + (c - 'a' + 10);
        else
            return -1;
    }
    return value;
}

Vocabulary::Vocabulary(const Metadata& metadata) {
    const std::vector<std::string_view>* texts = metadata.texts(tokens_key);
    if (texts == nullptr || texts->empty())
        fail(ErrorKind::bad_file, "%s: has no vocabulary: tokenizer.ggml.tokens is missing or empty",
             metadata.path().c_str());
    if (texts->size() > max_tokens)
        fail(ErrorKind::bad_file, "%s: tokenizer.ggml.tokens has %zu tokens; at most %zu are supported",
             metadata.path().c_str(), texts->size(), max_tokens);
    texts_ = *texts;
    read_types(metadata);
    check_lengths(metadata.path());
    read_scores(metadata);
    build_table(metadata.path());
}

void Vocabulary::check_lengths(const std::string& path) {
    for (size_t i = 0; i < texts_.size(); i++) {
        const TokenType type = types_[i];
        const bool special =
            type == TokenType::control || type == TokenType::user_defined || type == TokenType::unknown;
        const size_t limit = special ? max_special_token_bytes : max_token_bytes;
        if (texts_[i].size() > limit)
            fail(ErrorKind::bad_file, "%s: token %zu is %zu bytes long; at most %zu are supported",
                 path.c_str(), i, texts_[i].size(), limit);
        longest_text_ = std::max(longest_text_, texts_[i].size());
    }
}

void Vocabulary::read_types(const Metadata& metadata) {
    types_.assign(texts_.size(), TokenType::normal);
    const bool found = with_number_array(metadata, types_key, [&](auto values) {
        if (values.size() != texts_.size()) fail_length(metadata, types_key, values.size(), texts_.size());
        for (size_t i = 0; i < values.size(); i++) {
            const auto value = values[i];
            if (!(value >= 0 && value <= 6))
                fail(ErrorKind::bad_file, "%s: token %zu has type %g; the types are 0 to 6",
                     metadata.path().c_str(), i, static_cast<double>(value));
            types_[i] = static_cast<TokenType>(value);
            if (types_[i] == TokenType::byte && byte_of_token(texts_[i]) < 0)
                fail(ErrorKind::bad_file,
                     "%s: token %zu is a byte token but is spelled \"%s\", not <0x00> to <0xFF>",
                     metadata.path().c_str(), i, printable(texts_[i]).c_str());
        }
    });
    if (found) return;
    for (size_t i = 0; i < texts_.size(); i++)
        if (byte_of_token(texts_[i]) >= 0) types_[i] = TokenType::byte;
}

void Vocabulary::read_scores(const Metadata& metadata) {
    with_number_array(metadata, scores_key, [&](auto values) {
        if (values.size() != texts_.size()) fail_length(metadata, scores_key, values.size(), texts_.size());
        scores_.resize(values.size());
        for (size_t i = 0; i < values.size(); i++) {
            scores_[i] = static_cast<float>(values[i]);
            if (!std::isfinite(scores_[i]))
                fail(ErrorKind::bad_file, "%s: the score of token %zu is not a finite number",
                     metadata.path().c_str(), i);
        }
    });
}

void Vocabulary::build_table(const std::string& path) {
    slots_.resize(std::bit_ceil(texts_.size() * 2));
    mask_ = slots_.size() - 1;
    constexpr size_t batch = 16;
    // A made-up vocabulary whose hashes all meet in one place must not take quadratic time.
    uint64_t probes_left = 64 * texts_.size() + 4096;
    uint64_t hashes[batch];
    for (size_t begin = 0; begin < texts_.size(); begin += batch) {
        const size_t n = std::min(batch, texts_.size() - begin);
        for (size_t i = 0; i < n; i++) {
            hashes[i] = hash_text(texts_[begin + i].data(), texts_[begin + i].size());
            __builtin_prefetch(&slots_[hashes[i] & mask_], 1);
        }
        for (size_t i = 0; i < n; i++) {
            const std::string_view text = texts_[begin + i];
            if (text.empty()) continue;
            const auto tag = static_cast<uint32_t>(hashes[i] >> 32);
            uint64_t at = hashes[i] & mask_;
            bool duplicate = false;
            for (; slots_[at].id_plus_1 != 0 && !duplicate; at = (at + 1) & mask_) {
                if (probes_left-- == 0)
                    fail(ErrorKind::bad_file, "%s: the tokens are made to collide in a hash table",
                         path.c_str());
                if (slots_[at].tag != tag) continue;
                duplicate = texts_[slots_[at].id_plus_1 - 1] == text;
                tags_collide_ |= !duplicate;
            }
            if (!duplicate) slots_[at] = {tag, static_cast<uint32_t>(begin + i + 1)};
        }
    }
}

int32_t Vocabulary::find(std::string_view text, uint64_t hash) const {
    const auto tag = static_cast<uint32_t>(hash >> 32);
    for (uint64_t at = hash & mask_; slots_[at].id_plus_1 != 0; at = (at + 1) & mask_)
        if (slots_[at].tag == tag && texts_[slots_[at].id_plus_1 - 1] == text)
            return static_cast<int32_t>(slots_[at].id_plus_1 - 1);
    return -1;
}

int32_t Vocabulary::find_known(std::string_view text, uint64_t hash) const {
    if (tags_collide_) return find(text, hash);
    const auto tag = static_cast<uint32_t>(hash >> 32);
    for (uint64_t at = hash & mask_; slots_[at].id_plus_1 != 0; at = (at + 1) & mask_)
        if (slots_[at].tag == tag) return static_cast<int32_t>(slots_[at].id_plus_1 - 1);
    return -1;
}

}  // namespace agave
