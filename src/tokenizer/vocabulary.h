#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/hash_text.h"
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
