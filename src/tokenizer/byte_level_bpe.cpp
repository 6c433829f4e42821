#include <algorithm>

#include "tokenizer/merge_table.h"
#include "tokenizer/pre_tokenizer.h"
#include "tokenizer/tokenizer_parts.h"
#include "tokenizer/unicode.h"

namespace agave {
namespace {

/// GPT-2 spells each byte as one printable character: itself where Latin-1 has a printable one that is no
/// space, otherwise the next free one from U+0100 on (encoder.py of openai/gpt-2, bytes_to_unicode).
struct ByteAlphabet {
    uint32_t code_points[256];
    int16_t bytes[0x144];  ///< the byte that a code point stands for, or -1

    constexpr ByteAlphabet() : code_points{}, bytes{} {
        for (int16_t& byte : bytes) byte = -1;
        uint32_t free = 0x100;
        for (uint32_t byte = 0; byte < 256; byte++) {
            const bool printable = (byte > 0x20 && byte < 0x7F) || (byte > 0xA0 && byte != 0xAD);
            code_points[byte] = printable ? byte : free++;
            bytes[code_points[byte]] = static_cast<int16_t>(byte);
        }
    }
};
constexpr ByteAlphabet alphabet;

class ByteLevelBpe final : public Tokenizer {
  public:
    ByteLevelBpe(std::unique_ptr<Parts> parts, const Metadata& metadata, const PreTokenizer& pre_tokenizer)
        : Tokenizer(std::move(parts)),
          pre_tokenizer_(pre_tokenizer),
          ignore_merges_(metadata.boolean_or("tokenizer.ggml.ignore_merges", pre_tokenizer.ignore_merges)),
          normalizes_nfc_(metadata.boolean_or("tokenizer.ggml.normalizer.nfc", pre_tokenizer.normalizes_nfc)),
          merges_(metadata, parts_->vocabulary) {
        std::string text;
        for (uint32_t byte = 0; byte < 256; byte++) {
            text.clear();
            append_utf8(text, alphabet.code_points[byte]);
            const int32_t id = parts_->vocabulary.find(text);
            byte_ids_[byte] = id >= 0 && parts_->vocabulary.type(id) == TokenType::normal ? id : -1;
        }
    }

  protected:
    void encode_fragment(std::string_view text, bool, Encoder& encoder) const override {
        if (normalizes_nfc_ && !is_nfc_inert(text)) {
            const std::string normalized = normalize_nfc(text);
            char* copy = encoder.allocate(normalized.size());
            std::copy(normalized.begin(), normalized.end(), copy);
            text = {copy, normalized.size()};
        }
        encoder.lengths.clear();
        split_pieces(pre_tokenizer_, text, encoder.lengths);
        for (const uint32_t length : encoder.lengths) {
            encoder.add_piece(text.substr(0, length),
                              [&](std::string_view piece) { encode_piece(piece, encoder); });
            text.remove_prefix(length);
        }
    }

    void append_token(int32_t id, std::string& out) const override {
        const std::string_view text = parts_->vocabulary.text(id);
        const size_t begin = out.size();
        const bool spelled_in_bytes = parts_->vocabulary.type(id) != TokenType::user_defined;
        const char* end = text.data() + text.size();
        for (const char* p = text.data(); spelled_in_bytes && p != end;) {
            const Utf8Char c = decode_utf8(p, end);
            if (c.code_point >= std::size(alphabet.bytes) || alphabet.bytes[c.code_point] < 0) break;
            out.push_back(static_cast<char>(alphabet.bytes[c.code_point]));
            p += c.n_bytes;
            if (p == end) return;
        }
        // Not in the byte alphabet: the text stands for itself.
        out.resize(begin);
        out.append(text);
    }

  private:
    void encode_piece(std::string_view piece, Encoder& encoder) const {
        if (ignore_merges_ && piece.size() <= parts_->vocabulary.longest_text()) {
            std::string spelled;
            for (const char c : piece) append_utf8(spelled, alphabet.code_points[static_cast<uint8_t>(c)]);
            const int32_t id = parts_->vocabulary.find(spelled);
            if (id >= 0 && parts_->vocabulary.type(id) == TokenType::normal) {
                encoder.ids.push_back(id);
                return;
            }
        }
        std::vector<Symbol>& symbols = encoder.merger.symbols();
        symbols.clear();
        for (const char c : piece) add_byte(static_cast<uint8_t>(c), symbols);
        encoder.merger.run(
            [this](const Symbol& left, const Symbol& right) { return merges_.find(left.id, right.id); });
        for (const Symbol& symbol : symbols) encoder.ids.push_back(symbol.id);
    }

    /// A byte without a token is left out, as in Hugging Face's tokenizers; one that no UTF-8 text has
    /// (which that never sees) becomes U+FFFD first.
    void add_byte(uint8_t byte, std::vector<Symbol>& symbols) const {
        const auto add = [&](uint8_t b) {
            if (byte_ids_[b] >= 0) symbols.push_back({byte_ids_[b], 1, 0});
        };
        const bool never_in_utf8 = byte == 0xC0 || byte == 0xC1 || byte >= 0xF5;
        if (byte_ids_[byte] >= 0 || !never_in_utf8) {
            add(byte);
        } else {
            for (const uint8_t b : {uint8_t{0xEF}, uint8_t{0xBF}, uint8_t{0xBD}}) add(b);
        }
    }

    const PreTokenizer& pre_tokenizer_;
    const bool ignore_merges_;
    const bool normalizes_nfc_;
    MergeTable merges_;
    int32_t byte_ids_[256];
};

}  // namespace

std::unique_ptr<Tokenizer> load_byte_level_bpe(const Metadata& metadata) {
    const char* path = metadata.path().c_str();
    if (metadata.find("tokenizer.ggml.pre") == nullptr)
        fail(ErrorKind::unsupported,
             "%s: does not name its pre-tokenizer (tokenizer.ggml.pre is missing), so its tokens cannot be "
             "exact",
             path);
    const std::string_view name = metadata.text("tokenizer.ggml.pre");
    if (name == "gemma4") return load_sentencepiece(metadata, true);
    const PreTokenizer* pre_tokenizer = find_pre_tokenizer(name);
    if (pre_tokenizer == nullptr)
        fail(ErrorKind::unsupported, "%s: the pre-tokenizer \"%s\" (tokenizer.ggml.pre) is not known", path,
             printable(name).c_str());
    auto parts = std::make_unique<Tokenizer::Parts>(metadata, false);
    // The mixture-of-experts Nemotron shares the pre-tokenizer's name but its tokenizer.json adds no BOS.
    const bool adds_bos =
        pre_tokenizer->adds_bos && metadata.text_or("general.architecture", "") != "nemotron_h_moe";
    parts->adds_bos = metadata.boolean_or("tokenizer.ggml.add_bos_token", adds_bos);
    parts->adds_eos = metadata.boolean_or("tokenizer.ggml.add_eos_token", false);
    return std::make_unique<ByteLevelBpe>(std::move(parts), metadata, *pre_tokenizer);
}

}  // namespace agave
