#include <bit>
#include <optional>

#include "tokenizer/merge_table.h"
#include "tokenizer/tokenizer_parts.h"
#include "tokenizer/unicode.h"

namespace agave {
namespace {

/// A key that is smaller the larger the (finite) score is.
uint32_t descending_key(float score) {
    const auto bits = std::bit_cast<uint32_t>(score + 0.0f);
    const uint32_t ascending = (bits >> 31) != 0 ? ~bits : bits | 0x80000000u;
    return ~ascending;
}

/// When a text gets a space in front (tokenizer.ggml.space_prefix).
enum class SpacePrefix {
    none,
    prepend,  ///< before all that stands between special tokens
    always,   ///< the same, unless a space is there already
    first     ///< at the start of the text alone, unless a space is there already
};

SpacePrefix read_space_prefix(const Metadata& metadata, bool by_default) {
    if (!metadata.boolean_or("tokenizer.ggml.add_space_prefix", by_default)) return SpacePrefix::none;
    const std::string_view scheme = metadata.text_or("tokenizer.ggml.space_prefix", "prepend");
    if (scheme == "prepend") return SpacePrefix::prepend;
    if (scheme == "always") return SpacePrefix::always;
    if (scheme == "first") return SpacePrefix::first;
    fail(ErrorKind::unsupported,
         "%s: tokenizer.ggml.space_prefix is \"%s\"; known are prepend, always and first",
         metadata.path().c_str(), printable(scheme).c_str());
}

class SentencePiece final : public Tokenizer {
  public:
    SentencePiece(std::unique_ptr<Parts> parts, const Metadata& metadata, bool merges_from_list)
        : Tokenizer(std::move(parts)),
          space_prefix_(read_space_prefix(metadata, metadata.text("tokenizer.ggml.model") == "llama")),
          removes_extra_spaces_(metadata.boolean_or("tokenizer.ggml.remove_extra_whitespaces", false)) {
        parts_->strips_space_prefix = space_prefix_ != SpacePrefix::none;
        if (merges_from_list)
            merges_.emplace(metadata, parts_->vocabulary);
        else if (!parts_->vocabulary.has_scores())
            fail(ErrorKind::bad_file, "%s: tokenizer.ggml.scores is missing; merging by score needs it",
                 metadata.path().c_str());
        find_byte_tokens(metadata);
        for (int c = 0; c < 128; c++) {
            const char text = static_cast<char>(c);
            ascii_ids_[c] = find_ordinary({&text, 1});
        }
        find_joining_bytes();
        find_space_runs();
    }

  protected:
    void encode_fragment(std::string_view text, bool at_start, Encoder& encoder) const override {
        const std::string_view escaped = escape(text, gets_space(text, at_start), encoder);
        size_t begin = 0;
        while (begin < escaped.size()) {
            const size_t end = piece_end(escaped, begin);
            const std::string_view piece = escaped.substr(begin, end - begin);
            if (bytes_complete_)
                encoder.add_piece(piece, [&](std::string_view part) { encode_piece(part, encoder); });
            else
                encode_piece(piece,
                             encoder);  // unknown tokens fuse over pieces, so the ids are no piece's own
            begin = end;
        }
    }

    void append_token(int32_t id, std::string& out) const override {
        std::string_view text = parts_->vocabulary.text(id);
        if (parts_->vocabulary.type(id) == TokenType::byte) {
            out.push_back(static_cast<char>(byte_of_token(text)));
            return;
        }
        for (size_t mark; (mark = text.find(space_mark)) != std::string_view::npos;) {
            out.append(text.substr(0, mark));
            out.push_back(' ');
            text.remove_prefix(mark + space_mark.size());
        }
        out.append(text);
    }

  private:
    bool gets_space(std::string_view text, bool at_start) const {
        if (space_prefix_ == SpacePrefix::none || (space_prefix_ == SpacePrefix::first && !at_start))
            return false;
        return space_prefix_ == SpacePrefix::prepend ||
               !(text.starts_with(' ') || text.starts_with(space_mark));
    }

    static bool is_ordinary(TokenType type) {
        return type == TokenType::normal || type == TokenType::user_defined || type == TokenType::unused;
    }

    /// The id of a token that text may become without being parsed as a special one, or -1.
    int32_t find_ordinary(std::string_view text) const {
        const int32_t id = parts_->vocabulary.find(text);
        return id >= 0 && is_ordinary(parts_->vocabulary.type(id)) ? id : -1;
    }

    void find_byte_tokens(const Metadata& metadata) {
        bytes_complete_ = true;
        for (int byte = 0; byte < 256; byte++) {
            const std::string text = strprintf("<0x%02X>", static_cast<unsigned>(byte));
            const int32_t id = parts_->vocabulary.find(text);
            byte_ids_[byte] = id >= 0 && parts_->vocabulary.type(id) == TokenType::byte ? id : -1;
            bytes_complete_ &= byte_ids_[byte] >= 0;
        }
        if (!bytes_complete_ && parts_->unknown < 0)
            fail(ErrorKind::bad_file,
                 "%s: the vocabulary has neither all byte tokens <0x00> to <0xFF> nor an unknown token",
                 metadata.path().c_str());
    }

    void find_space_runs() {
        constexpr size_t longest = 64;
        space_runs_.assign(longest, -1);
        for (size_t n = 2; n < longest; n++) {
            std::string marks;
            for (size_t i = 0; i < n; i++) marks += space_mark;
            for (const std::string& text : {std::string(n, ' '), marks}) {
                const int32_t id = parts_->vocabulary.find(text);
                if (id >= 0 && parts_->vocabulary.type(id) == TokenType::user_defined) space_runs_[n] = id;
            }
        }
    }

    /// Text is cut before a space mark, since tokens begin with one; the few tokens that hold one further in
    /// forbid the cut after the byte that comes before it there.
    void find_joining_bytes() {
        for (int32_t id = 0; id < parts_->vocabulary.size(); id++) {
            const std::string_view text = parts_->vocabulary.text(id);
            if (text.size() <= space_mark.size() || !is_ordinary(parts_->vocabulary.type(id))) continue;
            for (size_t at = 1; (at = text.find(space_mark, at)) != std::string_view::npos; at++)
                joins_space_[static_cast<uint8_t>(text[at - 1])] = true;
        }
        // Within a run of space marks nothing is cut anyway; that byte also ends other characters.
        joins_space_[static_cast<uint8_t>(space_mark.back())] = true;
    }

    size_t piece_end(std::string_view text, size_t begin) const {
        size_t at = begin;
        do {
            at = text.find(space_mark, at + 1);
            if (at == std::string_view::npos) return text.size();
        } while (joins_space_[static_cast<uint8_t>(text[at - 1])]);
        return at;
    }

    /// The text with space marks for spaces, in memory of the encoder.
    std::string_view escape(std::string_view text, bool space_prefix, Encoder& encoder) const {
        size_t n_spaces = 1;
        for (const char c : text) n_spaces += c == ' ';
        char* out = encoder.allocate(text.size() + n_spaces * space_mark.size());
        char* end = out;
        const auto put_mark = [&] {
            for (const char c : space_mark) *end++ = c;
        };
        if (removes_extra_spaces_) {
            while (text.starts_with(' ')) text.remove_prefix(1);
            while (text.ends_with(' ')) text.remove_suffix(1);
        }
        if (space_prefix && !text.empty()) put_mark();
        char last = '\0';
        for (const char c : text) {
            if (c != ' ')
                *end++ = c;
            else if (!(removes_extra_spaces_ && last == ' '))
                put_mark();
            last = c;
        }
        return {out, static_cast<size_t>(end - out)};
    }

    void encode_piece(std::string_view piece, Encoder& encoder) const {
        std::vector<Symbol>& symbols = encoder.merger.symbols();
        symbols.clear();
        const char* end = piece.data() + piece.size();
        for (const char* p = piece.data(); p != end;) {
            const Utf8Char c = decode_utf8(p, end);
            const int32_t id = c.n_bytes == 1 && c.code_point < 0x80 ? ascii_ids_[c.code_point]
                                                                     : find_ordinary({p, c.n_bytes});
            symbols.push_back({id, c.n_bytes, static_cast<uint32_t>(p - piece.data())});
            p += c.n_bytes;
        }
        if (merges_)
            encoder.merger.run([this](const Symbol& left, const Symbol& right) {
                return left.id < 0 || right.id < 0 ? Merge{} : merges_->find(left.id, right.id);
            });
        else
            encoder.merger.run([&](const Symbol& left, const Symbol& right) {
                const auto find = [&] { return merge_by_score(piece, left, right); };
                return left.id < 0 || right.id < 0 ? find() : encoder.pairs.get(left.id, right.id, find);
            });
        for (const Symbol& symbol : symbols) {
            if (symbol.id >= 0)
                encoder.ids.push_back(symbol.id);
            else
                add_bytes(piece.substr(symbol.offset, symbol.length), encoder.ids);
        }
    }

    Merge merge_by_score(std::string_view piece, const Symbol& left, const Symbol& right) const {
        const std::string_view text = piece.substr(left.offset, size_t{left.length} + right.length);
        if (const Merge run = merge_space_run(text); run.priority != Merge::none) return run;
        if (text.size() > parts_->vocabulary.longest_text()) return {};
        const int32_t id = find_ordinary(text);
        if (id < 0) return {};
        return {descending_key(parts_->vocabulary.score(id)), id};
    }

    /// Runs of spaces that are user-defined tokens (Gemma's) merge before all else, the longest first.
    Merge merge_space_run(std::string_view text) const {
        const size_t n = text.size() / space_mark.size();
        if (!text.starts_with(space_mark) || n >= space_runs_.size() || space_runs_[n] < 0) return {};
        for (std::string_view rest = text; !rest.empty(); rest.remove_prefix(space_mark.size()))
            if (!rest.starts_with(space_mark)) return {};
        return {static_cast<uint32_t>(space_runs_.size() - n), space_runs_[n]};
    }

    /// A character that is no token: its bytes, or the unknown token (once for several in a row).
    void add_bytes(std::string_view character, std::vector<int32_t>& ids) const {
        bool complete = true;
        for (const char c : character) complete &= byte_ids_[static_cast<uint8_t>(c)] >= 0;
        if (complete) {
            for (const char c : character) ids.push_back(byte_ids_[static_cast<uint8_t>(c)]);
        } else if (ids.empty() || ids.back() != parts_->unknown) {
            ids.push_back(parts_->unknown);
        }
    }

    const SpacePrefix space_prefix_;
    const bool removes_extra_spaces_;
    std::optional<MergeTable> merges_;
    int32_t byte_ids_[256];
    bool bytes_complete_ = false;
    int32_t ascii_ids_[128];
    bool joins_space_[256] = {};
    std::vector<int32_t> space_runs_;  ///< by number of spaces: the user-defined token, or -1
};

}  // namespace

std::unique_ptr<Tokenizer> load_sentencepiece(const Metadata& metadata, bool merges_from_list) {
    auto parts = std::make_unique<Tokenizer::Parts>(metadata, true);
    // Gemma 4's tokenizer.json adds BOS; some of its files say otherwise by mistake (llama.cpp, pull request
    // 21500).
    const bool gemma4 = metadata.text("tokenizer.ggml.model") != "llama";
    parts->adds_bos = metadata.boolean_or("tokenizer.ggml.add_bos_token", true) || gemma4;
    parts->adds_eos = metadata.boolean_or("tokenizer.ggml.add_eos_token", false);
    return std::make_unique<SentencePiece>(std::move(parts), metadata, merges_from_list);
}

}  // namespace agave
