#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"

namespace agave::hf {

/// Texts that stay in place until the arena goes.
class TextArena {
  public:
    /// A copy of `text`, or of the parts one after the other.
    std::string_view copy(std::string_view text) { return join(text, {}, {}); }
    std::string_view join(std::string_view a, std::string_view b, std::string_view c);

  private:
    std::vector<std::unique_ptr<char[]>> blocks_;
    size_t free_ = 0;  ///< bytes left at the end of the last block
    char* next_ = nullptr;
};

/// From texts to ids: an open-addressing table over texts that stay where they are. Of two equal texts the
/// first counts.
class TextIndex {
  public:
    void reserve(size_t n_texts);
    /// Throws Error(bad_file) that names `path` when the texts are made to meet in one place of the table.
    void add(std::string_view text, int64_t id, const std::string& path);
    /// The id of the text, or -1.
    int64_t find(std::string_view text) const;

  private:
    struct Entry {
        std::string_view text;
        int64_t id;
    };
    struct Slot {
        uint32_t tag = 0;  ///< upper half of the hash
        uint32_t entry_plus_1 = 0;
    };
    /// The slot that holds the text, or the free one where it belongs.
    size_t slot_of(std::string_view text, uint64_t hash, uint64_t& n_probes) const;

    std::vector<Entry> entries_;
    std::vector<Slot> slots_;
    uint64_t n_probes_ = 0;
};

/// tokenizer.ggml.token_type.
enum TokenKind : int64_t { normal = 1, unknown = 2, control = 3, user_defined = 4, unused = 5, byte = 6 };

enum class SpacePrefix { none, prepend, first, always };

/// How text becomes pieces, as far as it has a name.
struct PreTokenization {
    bool byte_level = false;
    std::string_view name;  ///< tokenizer.ggml.pre
    SpacePrefix space_prefix = SpacePrefix::none;
    bool nfc = false;
};

/// One added token: looked for in the text before anything else.
struct AddedToken {
    int64_t id = 0;
    std::string_view text;
    bool special = false;
    bool strips_left = false;
    bool strips_right = false;
};

/// A vocabulary as its file gives it.
struct Vocabulary {
    bool byte_level = false;
    PreTokenization pre_tokenization;
    bool ignore_merges = false;
    std::vector<std::string_view> tokens;  ///< by id; a null view where the file has none
    std::vector<int64_t> kinds;            ///< TokenKind, by id
    std::vector<double> scores;            ///< by id; empty for byte-level
    std::vector<std::string_view> merges;  ///< "left right", best first
    bool has_merges = false;
    std::vector<AddedToken> added;
    TextIndex index;  ///< of all tokens by the texts that the file gives
    int64_t unknown = -1;
    int64_t bos = -1, eos = -1, pad = -1;  ///< as the vocabulary itself says (tokenizer.model)
    /// The tokens that a post-processor puts around a text.
    std::vector<int64_t> prefix, suffix;
    bool has_template = false;  ///< whether it says so at all
};

/// JSON values with a kind that must be so; `where` names the value in messages, as in "model.vocab".
[[noreturn]] void fail_kind(const std::string& path, std::string_view where, const char* expected);
std::string_view text_of(JsonValue value, const std::string& path, std::string_view where);
int64_t integer_of(JsonValue value, const std::string& path, std::string_view where, int64_t minimum,
                   int64_t maximum);
bool boolean_of(JsonValue value, const std::string& path, std::string_view where, bool fallback);
/// Whether the value is absent or null.
inline bool is_missing(JsonValue value) {
    return !value || value.is(JsonKind::null);
}

/// More tokens than any model has.
inline constexpr int64_t max_tokens = int64_t{1} << 24;

/// tokenizer.json of the `tokenizers` library. `n_vocab` is the number of tokens that the model can embed.
/// Texts go into `arena`.
Vocabulary read_tokenizer_json(std::string_view json, const std::string& path, int64_t n_vocab,
                               TextArena& arena);

/// Recognises "normalizer" and "pre_tokenizer" of a tokenizer.json; `ignore_merges` tells names apart that
/// share a pattern.
PreTokenization recognise_pre_tokenizer(JsonValue tokenizer, const std::string& path, bool byte_fallback,
                                        bool ignore_merges);

/// tokenizer.model: SentencePiece's ModelProto
/// (https://github.com/google/sentencepiece/blob/master/src/sentencepiece_model.proto).
Vocabulary read_sentencepiece_model(std::span<const std::byte> bytes, const std::string& path,
                                    int64_t n_vocab, TextArena& arena);

}  // namespace agave::hf
