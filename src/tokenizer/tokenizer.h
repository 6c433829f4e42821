#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace agave {

class Metadata;

struct EncodeOptions {
    /// BOS and EOS as add_bos_token and add_eos_token of the file (or its family's defaults) say, or the
    /// prefix that the file gives instead of BOS.
    bool add_special = true;
    /// "<|im_start|>" in the text becomes the control token; user-defined tokens are found in any case.
    bool parse_special = true;
};

/// Text to token ids and back, exactly as the family's reference tokenizer does. Safe to use from several
/// threads at once.
class Tokenizer {
  public:
    /// Builds the tokenizer that the metadata of a model file describes. Keeps views into `metadata`, which
    /// (like the mapped file below it) must live as long as the tokenizer. Throws Error(bad_file) for a
    /// vocabulary that disagrees with itself and Error(unsupported) for a kind of tokenizer or
    /// pre-tokenizer that is not known, named in the sentence.
    static std::unique_ptr<Tokenizer> load(const Metadata& metadata);
    virtual ~Tokenizer();
    Tokenizer(const Tokenizer&) = delete;
    Tokenizer& operator=(const Tokenizer&) = delete;

    /// The ids of `text`. Bytes that are no UTF-8 pass through the vocabulary's byte tokens; NUL is an
    /// ordinary byte. A byte that a byte-level vocabulary has no token for is left out, as by the reference
    /// (SmolLM2's has none for six control characters). Throws Error(usage) for a text of 2^31 bytes or more.
    std::vector<int32_t> encode(std::string_view text, EncodeOptions options = {}) const;

    /// Bytes of one token as it appears within a text (maybe part of a UTF-8 character); control tokens give
    /// "" unless `special`. Throws Error(usage) for an id outside the vocabulary, like all that take one.
    std::string token_bytes(int32_t id, bool special = false) const;

    /// The text of `ids`: decode(encode(text)) is `text` again, without what the encoder added. Text of a
    /// vocabulary with a dummy prefix loses the space at its beginning (and behind each special token).
    std::string decode(std::span<const int32_t> ids, bool special = false) const;

    int32_t n_vocab() const;
    /// A token as the file spells it.
    std::string_view token_text(int32_t id) const;
    /// The (lowest) id of the token that the file spells so.
    std::optional<int32_t> find(std::string_view token_text) const;

    /// -1 when there is none.
    int32_t bos() const;
    int32_t eos() const;
    bool adds_bos() const;
    /// Tokens after which generation stops: EOS, end of turn, end of message, and what the family uses.
    bool is_end_of_generation(int32_t id) const;
    /// All of them, ascending.
    const std::vector<int32_t>& end_of_generation() const;
    bool is_control(int32_t id) const;

    struct Parts;   ///< what every kind of tokenizer has: vocabulary, special tokens, ids
    class Encoder;  ///< the working memory of one encode()

  protected:
    explicit Tokenizer(std::unique_ptr<Parts> parts);

    /// Appends the ids of text without special tokens; `at_start` tells that it begins the text (otherwise
    /// it follows a special token).
    virtual void encode_fragment(std::string_view text, bool at_start, Encoder& encoder) const = 0;
    /// Appends the bytes of an ordinary token.
    virtual void append_token(int32_t id, std::string& out) const = 0;

    std::unique_ptr<Parts> parts_;
};

/// Streaming detokenisation: text comes out as soon as its characters are complete. Unlike decode() it keeps
/// a leading space, since a stream continues the text before it.
class StreamDecoder {
  public:
    /// `tokenizer` must live as long as this.
    explicit StreamDecoder(const Tokenizer& tokenizer, bool special = false);

    /// The text that `id` completes: whole UTF-8 characters only; bytes that can belong to none come as
    /// U+FFFD.
    std::string push(int32_t id);
    /// What is left: an unfinished character comes as U+FFFD.
    std::string finish();

  private:
    const Tokenizer& tokenizer_;
    bool special_;
    std::string pending_;  ///< bytes that may begin a character
};

}  // namespace agave
