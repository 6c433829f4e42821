#pragma once

#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "formats/model_file.h"

namespace agave {

/// tokenizer.ggml.token_type of a GGUF.
enum class TokenType : uint8_t {
    undefined = 0,
    normal = 1,
    unknown = 2,
    control = 3,
    user_defined = 4,
    unused = 5,
    byte = 6
};

/// SentencePiece writes a space as U+2581.
inline constexpr std::string_view space_mark = "\xE2\x96\x81";

/// A 64-bit hash of short text; equal on every machine of one byte order.
inline uint64_t hash_text(const char* data, size_t size) {
    const auto mix = [](uint64_t a, uint64_t b) {
        const unsigned __int128 product = static_cast<unsigned __int128>(a) * b;
        return static_cast<uint64_t>(product) ^ static_cast<uint64_t>(product >> 64);
    };
    const auto read8 = [](const char* p) {
        uint64_t value;
        std::memcpy(&value, p, 8);
        return value;
    };
    const auto read4 = [](const char* p) {
        uint32_t value;
        std::memcpy(&value, p, 4);
        return uint64_t{value};
    };
    constexpr uint64_t k0 = 0x9E3779B97F4A7C15u, k1 = 0xD6E8FEB86659FD93u, k2 = 0xA0761D6478BD642Fu;
    uint64_t seed = (size * k1) ^ k2;
    while (size > 16) {
        seed = mix(read8(data) ^ k0, read8(data + 8) ^ seed);
        data += 16;
        size -= 16;
    }
    uint64_t a = 0, b = 0;
    if (size >= 8) {
        a = read8(data);
        b = read8(data + size - 8);
    } else if (size >= 4) {
        a = read4(data);
        b = read4(data + size - 4);
    } else if (size > 0) {
        const auto byte = [&](size_t i) { return uint64_t{static_cast<uint8_t>(data[i])}; };
        a = byte(0) << 16 | byte(size / 2) << 8 | byte(size - 1);
    }
    return mix(mix(a ^ k0, b ^ seed), k1);
}

/// The tokens of a model file with their types and scores, and the way from a token's text to its id: one
/// open-addressing table over texts that stay in the mapped file.
class Vocabulary {
  public:
    /// Reads tokenizer.ggml.tokens, .token_type and .scores. Keeps views into `metadata`, which must live as
    /// long as this. Throws Error(bad_file).
    explicit Vocabulary(const Metadata& metadata);

    int32_t size() const { return static_cast<int32_t>(texts_.size()); }
    bool contains(int64_t id) const { return id >= 0 && id < size(); }
    /// The spelling of a token; id must be in [0, size()).
    std::string_view text(int32_t id) const { return texts_[static_cast<size_t>(id)]; }
    TokenType type(int32_t id) const { return types_[static_cast<size_t>(id)]; }
    bool has_scores() const { return !scores_.empty(); }
    float score(int32_t id) const { return scores_[static_cast<size_t>(id)]; }
    size_t longest_text() const { return longest_text_; }

    /// The lowest id spelled `text`, or -1; empty text is no token.
    int32_t find(std::string_view text) const { return find(text, hash_text(text.data(), text.size())); }
    int32_t find(std::string_view text, uint64_t hash) const;
    /// Brings the part of the table that `hash` looks at into the cache.
    void prefetch(uint64_t hash) const { __builtin_prefetch(&slots_[hash & mask_]); }
    /// find() for text that is known to be a token: the text itself is not compared unless it must be.
    int32_t find_known(std::string_view text, uint64_t hash) const;

  private:
    struct Slot {
        uint32_t tag = 0;  ///< upper half of the hash
        uint32_t id_plus_1 = 0;
    };
    void check_lengths(const std::string& path);
    void read_types(const Metadata& metadata);
    void read_scores(const Metadata& metadata);
    void build_table(const std::string& path);

    std::span<const std::string_view> texts_;
    std::vector<TokenType> types_;
    std::vector<float> scores_;  ///< empty when the file has none
    std::vector<Slot> slots_;
    uint64_t mask_ = 0;
    size_t longest_text_ = 0;
    bool tags_collide_ = false;  ///< two different texts share a tag, so that find_known must compare
};

/// The value of a byte token's spelling "<0xAB>", or -1.
int byte_of_token(std::string_view text);

/// An array of metadata that holds numbers, visited without copying it: calls use(span of int64_t, uint64_t
/// or double). Returns false when the key is absent and throws Error(bad_file) when it holds something else.
template <typename Use>
bool with_number_array(const Metadata& metadata, std::string_view key, Use&& use) {
    const MetadataValue* value = metadata.find(key);
    if (value == nullptr) return false;
    if (const auto* array = std::get_if<MetadataArray>(value)) {
        if (const auto* signed_integers = std::get_if<std::vector<int64_t>>(array)) {
            use(std::span(*signed_integers));
            return true;
        }
        if (const auto* unsigned_integers = std::get_if<std::vector<uint64_t>>(array)) {
            use(std::span(*unsigned_integers));
            return true;
        }
        if (const auto* numbers = std::get_if<std::vector<double>>(array)) {
            use(std::span(*numbers));
            return true;
        }
    }
    fail(ErrorKind::bad_file, "%s: %.*s is not an array of numbers", metadata.path().c_str(),
         static_cast<int>(key.size()), key.data());
}

}  // namespace agave
