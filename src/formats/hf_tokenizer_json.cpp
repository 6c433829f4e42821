#include <algorithm>
#include <bit>
#include <cstring>

#include "base/error.h"
#include "base/hash_text.h"
#include "formats/hf_tokenizer_parts.h"

namespace agave::hf {

std::string_view TextArena::join(std::string_view a, std::string_view b, std::string_view c) {
    constexpr size_t block_bytes = 1 << 20;
    const size_t size = a.size() + b.size() + c.size();
    if (size > free_ || next_ == nullptr) {
        free_ = std::max(size, block_bytes);
        blocks_.push_back(std::make_unique_for_overwrite<char[]>(free_));
        next_ = blocks_.back().get();
    }
    char* const out = next_;
    for (const std::string_view part : {a, b, c}) {
        if (!part.empty()) std::memcpy(next_, part.data(), part.size());
        next_ += part.size();
    }
    free_ -= size;
    return {out, size};
}

void TextIndex::reserve(size_t n_texts) {
    const size_t n_slots = std::bit_ceil(std::max<size_t>(2 * n_texts, 64));
    if (n_slots <= slots_.size()) return;
    slots_.assign(n_slots, {});
    for (size_t i = 0; i < entries_.size(); i++) {
        const std::string_view text = entries_[i].text;
        const uint64_t hash = hash_text(text.data(), text.size());
        slots_[slot_of(text, hash, n_probes_)] = {static_cast<uint32_t>(hash >> 32),
                                                  static_cast<uint32_t>(i + 1)};
    }
}

size_t TextIndex::slot_of(std::string_view text, uint64_t hash, uint64_t& n_probes) const {
    const auto tag = static_cast<uint32_t>(hash >> 32);
    size_t at = hash & (slots_.size() - 1);
    for (; slots_[at].entry_plus_1 != 0; at = (at + 1) & (slots_.size() - 1)) {
        n_probes++;
        if (slots_[at].tag == tag && entries_[slots_[at].entry_plus_1 - 1].text == text) break;
    }
    return at;
}

void TextIndex::add(std::string_view text, int64_t id, const std::string& path) {
    reserve(entries_.size() + 1);
    const uint64_t hash = hash_text(text.data(), text.size());
    Slot& slot = slots_[slot_of(text, hash, n_probes_)];
    if (n_probes_ > 256 * entries_.size() + 65536)
        fail(ErrorKind::bad_file, "'%s': the tokens are made to collide in a hash table", path.c_str());
    if (slot.entry_plus_1 != 0) return;
    entries_.push_back({text, id});
    slot = {static_cast<uint32_t>(hash >> 32), static_cast<uint32_t>(entries_.size())};
}

int64_t TextIndex::find(std::string_view text) const {
    if (slots_.empty()) return -1;
    uint64_t n_probes = 0;
    const Slot& slot = slots_[slot_of(text, hash_text(text.data(), text.size()), n_probes)];
    return slot.entry_plus_1 != 0 ? entries_[slot.entry_plus_1 - 1].id : -1;
}

void fail_kind(const std::string& path, std::string_view where, const char* expected) {
    fail(ErrorKind::bad_file, "'%s': '%s' is missing or of another kind; expected %s", path.c_str(),
         printable(where).c_str(), expected);
}

std::string_view text_of(JsonValue value, const std::string& path, std::string_view where) {
    if (!value.is(JsonKind::text)) fail_kind(path, where, "a text");
    return value.as_text();
}

int64_t integer_of(JsonValue value, const std::string& path, std::string_view where, int64_t minimum,
                   int64_t maximum) {
    if (!value.is(JsonKind::integer) || value.as_integer() < minimum || value.as_integer() > maximum)
        fail_kind(path, where,
                  strprintf("an integer from %lld to %lld", static_cast<long long>(minimum),
                            static_cast<long long>(maximum))
                      .c_str());
    return value.as_integer();
}

bool boolean_of(JsonValue value, const std::string& path, std::string_view where, bool fallback) {
    if (is_missing(value)) return fallback;
    if (!value.is(JsonKind::boolean)) fail_kind(path, where, "true or false");
    return value.as_boolean();
}

namespace {

class TokenizerJsonReader {
  public:
    TokenizerJsonReader(JsonValue root, const std::string& path, int64_t n_vocab, TextArena& arena)
        : root_(root), path_(path), n_vocab_(n_vocab), arena_(arena) {}

    Vocabulary read() {
        const JsonValue model = root_["model"];
        check_model(model);
        const bool byte_fallback = boolean_of(model["byte_fallback"], path_, "model.byte_fallback", false);
        out_.ignore_merges = boolean_of(model["ignore_merges"], path_, "model.ignore_merges", false);
        out_.pre_tokenization = recognise_pre_tokenizer(root_, path_, byte_fallback, out_.ignore_merges);
        out_.byte_level = out_.pre_tokenization.byte_level;
        if (!out_.byte_level && out_.ignore_merges)
            fail(ErrorKind::unsupported, "'%s': model.ignore_merges with byte_fallback is not supported",
                 path_.c_str());
        read_tokens(model["vocab"]);
        read_merges(model["merges"]);
        if (!out_.byte_level) score_merges();
        if (const JsonValue unknown = model["unk_token"]; !is_missing(unknown))
            out_.unknown = out_.index.find(text_of(unknown, path_, "model.unk_token"));
        read_added_tokens(root_["added_tokens"]);
        read_post_processor(root_["post_processor"]);
        return std::move(out_);
    }

  private:
    void check_model(JsonValue model) const {
        if (!model.is(JsonKind::object)) fail_kind(path_, "model", "an object");
        // Files of old versions of the library do not say the type of a BPE.
        const std::string_view type = is_missing(model["type"]) ? (model["merges"] ? "BPE" : "")
                                                                : text_of(model["type"], path_, "model.type");
        if (type != "BPE")
            fail(ErrorKind::unsupported,
                 "'%s': a tokenizer of the type \"%s\" is not supported; supported is BPE", path_.c_str(),
                 printable(type).c_str());
        for (const char* affix : {"continuing_subword_prefix", "end_of_word_suffix"})
            if (const JsonValue value = model[affix];
                !is_missing(value) && !text_of(value, path_, affix).empty())
                fail(ErrorKind::unsupported, "'%s': a BPE with a %s is not supported", path_.c_str(), affix);
    }

    void read_tokens(JsonValue vocab) {
        if (!vocab.is(JsonKind::object) || vocab.size() == 0)
            fail_kind(path_, "model.vocab", "an object of tokens and their ids");
        out_.tokens.reserve(vocab.size());
        out_.index.reserve(vocab.size());
        for (auto token = vocab.begin(); token != vocab.end(); ++token) {
            const JsonValue id = *token;
            if (!id.is(JsonKind::integer) || id.as_integer() < 0 || id.as_integer() >= n_vocab_)
                fail(ErrorKind::bad_file,
                     "'%s': the id of the token \"%s\" is no integer from 0 to %lld, the last that the model "
                     "embeds",
                     path_.c_str(), printable(token.name()).c_str(), static_cast<long long>(n_vocab_ - 1));
            place(id.as_integer(), token.name());
        }
        if (!out_.byte_level)
            for (size_t id = 0; id < out_.tokens.size(); id++)
                if (is_byte(out_.tokens[id])) out_.kinds[id] = TokenKind::byte;
    }

    static bool is_byte(std::string_view text) {
        const auto hex = [](char c) {
            return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'F') || (c >= 'a' && c <= 'f');
        };
        return text.size() == 6 && text.starts_with("<0x") && hex(text[3]) && hex(text[4]) && text[5] == '>';
    }

    /// Gives `id` to a text; the file's own is copied.
    void place(int64_t id, std::string_view text) {
        const auto index = static_cast<size_t>(id);
        if (index >= out_.tokens.size()) {
            out_.tokens.resize(index + 1);
            out_.kinds.resize(index + 1, TokenKind::unused);
        }
        if (out_.tokens[index].data() != nullptr && out_.tokens[index] != text)
            fail(ErrorKind::bad_file, "'%s': the id %lld is given to the token \"%s\" and to \"%s\"",
                 path_.c_str(), static_cast<long long>(id), printable(out_.tokens[index]).c_str(),
                 printable(text).c_str());
        if (out_.tokens[index].data() != nullptr) return;
        out_.tokens[index] = arena_.copy(text);
        out_.kinds[index] = TokenKind::normal;
        out_.index.add(out_.tokens[index], id, path_);
    }

    /// "left right", or ["left", "right"]. A text with a space in it can name no token that text becomes, as
    /// no space is left when merging begins.
    void read_merges(JsonValue merges) {
        if (!merges.is(JsonKind::array)) fail_kind(path_, "model.merges", "an array");
        out_.has_merges = true;
        out_.merges.reserve(merges.size());
        for (const JsonValue merge : merges) {
            if (merge.is(JsonKind::text)) {
                out_.merges.push_back(arena_.copy(merge.as_text()));
                continue;
            }
            const JsonValue left = merge.at(0), right = merge.at(1);
            if (merge.size() != 2 || !left.is(JsonKind::text) || !right.is(JsonKind::text))
                fail_kind(path_, strprintf("model.merges[%zu]", out_.merges.size()), "two tokens");
            if (left.as_text().find(' ') != std::string_view::npos ||
                right.as_text().find(' ') != std::string_view::npos)
                continue;
            out_.merges.push_back(arena_.join(left.as_text(), " ", right.as_text()));
        }
    }

    /// Scores that give SentencePiece's algorithm the order of the merges, for programs that know only those.
    void score_merges() {
        out_.scores.assign(out_.tokens.size(), 0);
        std::string merged;
        for (size_t rank = 0; rank < out_.merges.size(); rank++) {
            const std::string_view merge = out_.merges[rank];
            const size_t space = merge.find(' ', 1);
            if (space == std::string_view::npos) continue;  // the tokenizer refuses it
            merged.assign(merge.substr(0, space)).append(merge.substr(space + 1));
            const int64_t id = out_.index.find(merged);
            if (id < 0) continue;
            double& score = out_.scores[static_cast<size_t>(id)];
            if (score == 0) score = -static_cast<double>(rank + 1);
        }
    }

    void read_added_tokens(JsonValue added) {
        if (is_missing(added)) return;
        if (!added.is(JsonKind::array)) fail_kind(path_, "added_tokens", "an array");
        for (const JsonValue entry : added) {
            AddedToken token;
            token.id = integer_of(entry["id"], path_, "added_tokens.id", 0, max_tokens);
            const std::string_view text = text_of(entry["content"], path_, "added_tokens.content");
            token.special = boolean_of(entry["special"], path_, "added_tokens.special", false);
            token.strips_left = boolean_of(entry["lstrip"], path_, "added_tokens.lstrip", false);
            token.strips_right = boolean_of(entry["rstrip"], path_, "added_tokens.rstrip", false);
            if (boolean_of(entry["single_word"], path_, "added_tokens.single_word", false))
                fail(ErrorKind::unsupported,
                     "'%s': the added token \"%s\" is found only as a single word, which is not supported",
                     path_.c_str(), printable(text).c_str());
            // A token that the model has no embedding for (an image's place, in a model of text alone).
            if (token.id >= n_vocab_ || text.empty()) continue;
            place(token.id, text);
            token.text = out_.tokens[static_cast<size_t>(token.id)];
            out_.added.push_back(token);
        }
    }

    void read_post_processor(JsonValue processor) {
        if (is_missing(processor)) return;
        const std::string_view type = text_of(processor["type"], path_, "post_processor.type");
        if (type == "Sequence") {
            for (const JsonValue part : processor["processors"]) read_single_processor(part);
        } else {
            read_single_processor(processor);
        }
    }

    void read_single_processor(JsonValue processor) {
        const std::string_view type = text_of(processor["type"], path_, "post_processor.type");
        if (type == "ByteLevel") return;
        if (type != "TemplateProcessing" || out_.has_template)
            fail(ErrorKind::unsupported, "'%s': the post-processor \"%s\"%s is not supported", path_.c_str(),
                 printable(type).c_str(), out_.has_template ? " after another" : "");
        out_.has_template = true;
        bool behind_text = false;
        for (const JsonValue piece : processor["single"]) {
            if (piece["Sequence"]) {
                if (behind_text)
                    fail(ErrorKind::unsupported, "'%s': a template that has its text twice is not supported",
                         path_.c_str());
                behind_text = true;
                continue;
            }
            const std::string_view name =
                text_of(piece["SpecialToken"]["id"], path_, "post_processor.single.SpecialToken.id");
            const JsonValue ids = processor["special_tokens"][name]["ids"];
            if (!ids.is(JsonKind::array))
                fail_kind(path_, "post_processor.special_tokens",
                          "the ids of each special token of the template");
            for (const JsonValue id : ids) {
                std::vector<int64_t>& side = behind_text ? out_.suffix : out_.prefix;
                if (side.size() == 64)
                    fail(ErrorKind::unsupported, "'%s': the template puts more than 64 tokens around a text",
                         path_.c_str());
                side.push_back(integer_of(id, path_, "post_processor.special_tokens.ids", 0, n_vocab_ - 1));
            }
        }
        if (!behind_text) fail_kind(path_, "post_processor.single", "a template with the text in it");
    }

    const JsonValue root_;
    const std::string& path_;
    const int64_t n_vocab_;
    TextArena& arena_;
    Vocabulary out_;
};

}  // namespace

Vocabulary read_tokenizer_json(std::string_view json, const std::string& path, int64_t n_vocab,
                               TextArena& arena) {
    const Json document(json, path);
    return TokenizerJsonReader(document.root(), path, n_vocab, arena).read();
}

}  // namespace agave::hf
