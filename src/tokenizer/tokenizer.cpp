#include "tokenizer/tokenizer.h"

#include <algorithm>
#include <bit>
#include <cinttypes>

#include "base/error.h"
#include "tokenizer/tokenizer_parts.h"
#include "tokenizer/unicode.h"

namespace agave {
namespace {

/// Spellings that end a generation whatever id the file calls EOS: the ends of turns, messages and texts of
/// the families (their chat templates and generation_config.json files; llama.cpp keeps a like list).
constexpr std::string_view end_texts[] = {
    "<|eot_id|>",    "<|eom_id|>", "<|end_of_text|>", "<|im_end|>",         "<|endoftext|>",
    "<|end|>",       "<|return|>", "<|call|>",        "<|flush|>",          "<|calls|>",
    "<end_of_turn>", "<eos>",      "<turn|>",         "<|tool_response>",   "<EOT>",
    "_<EOT>",        "[EOT]",      "[EOS]",           "<end_of_utterance>", "<｜end▁of▁sentence｜>",
};

int32_t special_id(const Metadata& metadata, const char* key, int32_t n_vocab) {
    if (metadata.find(key) == nullptr) return -1;
    return static_cast<int32_t>(metadata.integer(key, 0, n_vocab - 1));
}

/// Ids of an array of the metadata, in its order; empty when the key is absent.
std::vector<int32_t> ids_of(const Metadata& metadata, const char* key, const Vocabulary& vocabulary) {
    std::vector<int32_t> ids;
    const std::optional<std::vector<int64_t>> given = metadata.integers(key);
    if (!given) return ids;
    for (const int64_t id : *given) {
        if (!vocabulary.contains(id))
            fail(ErrorKind::bad_file,
                 "%s: %s has the id %" PRId64 ", which is not in the vocabulary of %d tokens",
                 metadata.path().c_str(), key, id, vocabulary.size());
        ids.push_back(static_cast<int32_t>(id));
    }
    return ids;
}

std::vector<int32_t> sorted(std::vector<int32_t> ids) {
    std::sort(ids.begin(), ids.end());
    return ids;
}

std::vector<int32_t> find_end_of_generation(const Metadata& metadata, const Vocabulary& vocabulary) {
    std::vector<int32_t> ids = ids_of(metadata, "tokenizer.ggml.eos_token_ids", vocabulary);
    for (const char* key :
         {"tokenizer.ggml.eos_token_id", "tokenizer.ggml.eot_token_id", "tokenizer.ggml.eom_token_id"})
        ids.push_back(special_id(metadata, key, vocabulary.size()));
    // In the harmony format <|end|> closes one message of several; <|return|> and <|call|> (in Solar's
    // likeness of it <|flush|> and <|calls|>) close the turn.
    const bool harmony = vocabulary.find("<|end|>") >= 0 &&
                         ((vocabulary.find("<|return|>") >= 0 && vocabulary.find("<|call|>") >= 0) ||
                          (vocabulary.find("<|flush|>") >= 0 && vocabulary.find("<|calls|>") >= 0));
    for (const std::string_view text : end_texts)
        if (!(harmony && text == "<|end|>")) ids.push_back(vocabulary.find(text));
    std::sort(ids.begin(), ids.end());
    ids.erase(std::unique(ids.begin(), ids.end()), ids.end());
    std::erase(ids, -1);
    return ids;
}

/// Where the white space at the end of text[from, end) begins.
size_t spaces_before(std::string_view text, size_t from, size_t end) {
    while (end > from) {
        size_t begin = end - 1;
        while (begin > from && end - begin < 4 && (static_cast<uint8_t>(text[begin]) & 0xC0) == 0x80) begin--;
        const Utf8Char c = decode_utf8(text.data() + begin, text.data() + end);
        if (begin + c.n_bytes != end || (set_of_code_point(c.code_point) & set_space) == 0) break;
        end = begin;
    }
    return end;
}

/// Where the white space from `at` on ends.
size_t spaces_behind(std::string_view text, size_t at) {
    while (at < text.size()) {
        const Utf8Char c = decode_utf8(text.data() + at, text.data() + text.size());
        if ((set_of_code_point(c.code_point) & set_space) == 0) break;
        at += c.n_bytes;
    }
    return at;
}

void check_id(const Vocabulary& vocabulary, int32_t id) {
    if (!vocabulary.contains(id))
        fail(ErrorKind::usage, "token id %d is not in the vocabulary of %d tokens", id, vocabulary.size());
}

bool is_hidden(TokenType type) {
    return type == TokenType::control || type == TokenType::unknown;
}

/// Moves the complete characters at the front of `pending` to `out`, with U+FFFD for each longest part of a
/// sequence that cannot become one (The Unicode Standard, section 3.9, "U+FFFD Substitution").
void take_complete(std::string& pending, bool all, std::string& out) {
    constexpr std::string_view replacement = "\xEF\xBF\xBD";
    const char* p = pending.data();
    const char* end = p + pending.size();
    while (p != end) {
        const Utf8Char c = decode_utf8(p, end);
        if (c.code_point != invalid_code_point) {
            out.append(p, c.n_bytes);
            p += c.n_bytes;
            continue;
        }
        // How far do the bytes go that could begin a character?
        const auto first = static_cast<uint8_t>(*p);
        const ptrdiff_t length = first >= 0xC2 && first <= 0xF4 ? (first < 0xE0   ? 2
                                                                   : first < 0xF0 ? 3
                                                                                  : 4)
                                                                : 1;
        ptrdiff_t n = 1;
        while (n < length && p + n != end) {
            const auto byte = static_cast<uint8_t>(p[n]);
            const uint8_t low = n > 1 ? 0x80 : first == 0xE0 ? 0xA0 : first == 0xF0 ? 0x90 : 0x80;
            const uint8_t high = n > 1 ? 0xBF : first == 0xED ? 0x9F : first == 0xF4 ? 0x8F : 0xBF;
            if (byte < low || byte > high) break;
            n++;
        }
        if (n < length && p + n == end && length > 1 && !all) break;
        out.append(replacement);
        p += n;
    }
    pending.erase(0, static_cast<size_t>(p - pending.data()));
}

}  // namespace

Tokenizer::Parts::Parts(const Metadata& metadata, bool spaces_are_marked)
    : vocabulary(metadata),
      special_tokens(vocabulary, spaces_are_marked),
      bos(special_id(metadata, "tokenizer.ggml.bos_token_id", vocabulary.size())),
      eos(special_id(metadata, "tokenizer.ggml.eos_token_id", vocabulary.size())),
      unknown(special_id(metadata, "tokenizer.ggml.unknown_token_id", vocabulary.size())),
      prefix(ids_of(metadata, "tokenizer.ggml.prefix_token_ids", vocabulary)),
      left_strippers(sorted(ids_of(metadata, "tokenizer.ggml.lstrip_token_ids", vocabulary))),
      right_strippers(sorted(ids_of(metadata, "tokenizer.ggml.rstrip_token_ids", vocabulary))),
      end_of_generation(find_end_of_generation(metadata, vocabulary)) {}

PieceCache::PieceCache(size_t n_bytes) {
    constexpr size_t worth_it = 512, most_entries = 65536;
    if (n_bytes >= worth_it) entries_.resize(std::min(most_entries, std::bit_ceil(n_bytes / 8)));
}

PairCache::PairCache(size_t n_bytes) {
    constexpr size_t worth_it = 512, most_entries = 32768;
    if (n_bytes >= worth_it) entries_.resize(std::min(most_entries, std::bit_ceil(n_bytes)));
}

char* Tokenizer::Encoder::allocate(size_t n_bytes) {
    constexpr size_t block_bytes = 65536;
    if (n_bytes > free_) {
        free_ = std::max(n_bytes, block_bytes);
        blocks_.push_back(std::make_unique_for_overwrite<char[]>(free_));
        next_ = blocks_.back().get();
    }
    char* memory = next_;
    next_ += n_bytes;
    free_ -= n_bytes;
    return memory;
}

Tokenizer::Tokenizer(std::unique_ptr<Parts> parts) : parts_(std::move(parts)) {}
Tokenizer::~Tokenizer() = default;

std::unique_ptr<Tokenizer> Tokenizer::load(const Metadata& metadata) {
    const char* path = metadata.path().c_str();
    const std::string_view model = metadata.text("tokenizer.ggml.model");
    std::unique_ptr<Tokenizer> tokenizer;
    if (model == "gpt2")
        tokenizer = load_byte_level_bpe(metadata);
    else if (model == "llama")
        tokenizer = load_sentencepiece(metadata, metadata.find("tokenizer.ggml.merges") != nullptr);
    else if (model == "gemma4")
        tokenizer = load_sentencepiece(metadata, true);
    else
        fail(ErrorKind::unsupported,
             "%s: the tokenizer \"%s\" (tokenizer.ggml.model) is not known; known are llama, gpt2 and gemma4",
             path, printable(model).c_str());
    const Parts& parts = *tokenizer->parts_;
    if ((parts.adds_bos && parts.bos < 0) || (parts.adds_eos && parts.eos < 0))
        fail(ErrorKind::bad_file,
             "%s: every text should get a %s token but the file does not say which it is", path,
             parts.adds_bos && parts.bos < 0 ? "BOS" : "EOS");
    return tokenizer;
}

std::vector<int32_t> Tokenizer::encode(std::string_view text, EncodeOptions options) const {
    if (text.size() > INT32_MAX)
        fail(ErrorKind::usage, "a text of %zu bytes is too long to tokenize; at most %d are supported",
             text.size(), INT32_MAX);
    std::vector<int32_t> ids;
    ids.reserve(text.size() / 4 + 8);
    if (options.add_special) {
        if (parts_->adds_bos && parts_->prefix.empty()) ids.push_back(parts_->bos);
        ids.insert(ids.end(), parts_->prefix.begin(), parts_->prefix.end());
    }
    Encoder encoder(ids, text.size());
    for (size_t at = 0; at < text.size();) {
        const SpecialTokens::Match match = parts_->special_tokens.next(text, at, options.parse_special);
        size_t end = match.id >= 0 ? match.begin : text.size();
        size_t next = end + match.length;
        const auto strips = [&](const std::vector<int32_t>& ids_that_do) {
            return match.id >= 0 && std::binary_search(ids_that_do.begin(), ids_that_do.end(), match.id);
        };
        if (strips(parts_->left_strippers)) end = spaces_before(text, at, end);
        if (strips(parts_->right_strippers)) next = spaces_behind(text, next);
        if (end > at) encode_fragment(text.substr(at, end - at), at == 0, encoder);
        if (match.id >= 0) ids.push_back(match.id);
        at = next;
    }
    if (options.add_special && parts_->adds_eos) ids.push_back(parts_->eos);
    return ids;
}

std::string Tokenizer::token_bytes(int32_t id, bool special) const {
    check_id(parts_->vocabulary, id);
    std::string out;
    if (!is_hidden(parts_->vocabulary.type(id)))
        append_token(id, out);
    else if (special)
        out = parts_->vocabulary.text(id);
    return out;
}

std::string Tokenizer::decode(std::span<const int32_t> ids, bool special) const {
    std::string out;
    bool at_start = true;
    for (const int32_t id : ids) {
        check_id(parts_->vocabulary, id);
        const TokenType type = parts_->vocabulary.type(id);
        const bool ordinary = !is_hidden(type) && type != TokenType::user_defined;
        if (is_hidden(type)) {
            if (special) out.append(parts_->vocabulary.text(id));
        } else {
            const size_t begin = out.size();
            append_token(id, out);
            if (parts_->strips_space_prefix && at_start && ordinary && begin < out.size() &&
                out[begin] == ' ')
                out.erase(begin, 1);
        }
        at_start = !ordinary;
    }
    return out;
}

int32_t Tokenizer::n_vocab() const {
    return parts_->vocabulary.size();
}

std::string_view Tokenizer::token_text(int32_t id) const {
    check_id(parts_->vocabulary, id);
    return parts_->vocabulary.text(id);
}

std::optional<int32_t> Tokenizer::find(std::string_view token_text) const {
    const int32_t id = parts_->vocabulary.find(token_text);
    return id >= 0 ? std::optional(id) : std::nullopt;
}

int32_t Tokenizer::bos() const {
    return parts_->bos;
}
int32_t Tokenizer::eos() const {
    return parts_->eos;
}
bool Tokenizer::adds_bos() const {
    return parts_->adds_bos;
}

bool Tokenizer::is_end_of_generation(int32_t id) const {
    return std::binary_search(parts_->end_of_generation.begin(), parts_->end_of_generation.end(), id);
}

const std::vector<int32_t>& Tokenizer::end_of_generation() const {
    return parts_->end_of_generation;
}

bool Tokenizer::is_control(int32_t id) const {
    check_id(parts_->vocabulary, id);
    return is_hidden(parts_->vocabulary.type(id));
}

StreamDecoder::StreamDecoder(const Tokenizer& tokenizer, bool special)
    : tokenizer_(tokenizer), special_(special) {}

std::string StreamDecoder::push(int32_t id) {
    std::string out;
    pending_ += tokenizer_.token_bytes(id, special_);
    take_complete(pending_, false, out);
    return out;
}

std::string StreamDecoder::finish() {
    std::string out;
    take_complete(pending_, true, out);
    return out;
}

}  // namespace agave
