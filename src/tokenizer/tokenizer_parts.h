#pragma once

#include <cstring>
#include <memory>
#include <string_view>
#include <vector>

#include "tokenizer/merge.h"
#include "tokenizer/special_tokens.h"
#include "tokenizer/tokenizer.h"
#include "tokenizer/vocabulary.h"

namespace agave {

struct Tokenizer::Parts {
    Parts(const Metadata& metadata, bool spaces_are_marked);

    Vocabulary vocabulary;
    SpecialTokens special_tokens;
    int32_t bos = -1;
    int32_t eos = -1;
    int32_t unknown = -1;
    bool adds_bos = false;
    bool adds_eos = false;
    /// What each text begins with, where the file says more than BOS (GLM-4's [gMASK]<sop>).
    std::vector<int32_t> prefix;
    /// Special tokens that take the white space on their left, or right, with them; sorted.
    std::vector<int32_t> left_strippers, right_strippers;
    bool strips_space_prefix = false;  ///< decode() drops the space that encode() put in front
    std::vector<int32_t> end_of_generation;
};

/// The ids that pieces of this text became, so that a word costs its merges once: the texts stay where they
/// were first seen and their ids where they were first written.
class PieceCache {
  public:
    /// For a text of n_bytes; a short one gets no cache.
    explicit PieceCache(size_t n_bytes);

    struct Entry {
        const char* text = nullptr;
        uint32_t length = 0;
        uint32_t n_ids = 0;
        size_t ids_begin = 0;
    };
    /// The place where a piece belongs, or nullptr if it is not to be cached; it holds the piece if
    /// matches() says so.
    Entry* slot(std::string_view piece) {
        if (entries_.empty() || piece.size() > longest_piece) return nullptr;
        return &entries_[hash_text(piece.data(), piece.size()) & (entries_.size() - 1)];
    }
    static bool matches(const Entry& entry, std::string_view piece) {
        return entry.length == piece.size() && std::memcmp(entry.text, piece.data(), piece.size()) == 0;
    }

  private:
    static constexpr size_t longest_piece = 64;
    std::vector<Entry> entries_;
};

/// The merges of pairs of tokens asked for so far: direct-mapped, each new pair replaces another.
class PairCache {
  public:
    explicit PairCache(size_t n_bytes);

    /// find(left, right), asked anew only when the pair has been replaced.
    template <typename Find>
    Merge get(int32_t left, int32_t right, const Find& find) {
        if (entries_.empty()) return find();
        const uint64_t pair =
            static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32 | static_cast<uint32_t>(right);
        Entry& entry = entries_[(pair * 0x9E3779B97F4A7C15u >> 32) & (entries_.size() - 1)];
        if (entry.pair != pair) entry = {pair, find()};
        return entry.merge;
    }

  private:
    struct Entry {
        uint64_t pair = ~uint64_t{0};
        Merge merge;
    };
    std::vector<Entry> entries_;
};

class Tokenizer::Encoder {
  public:
    Encoder(std::vector<int32_t>& ids_out, size_t n_bytes) : ids(ids_out), pairs(n_bytes), cache_(n_bytes) {}

    /// Appends the ids of a piece: those it had before, or what encode(piece) appends. The text must stay
    /// in place until the end.
    template <typename Encode>
    void add_piece(std::string_view piece, const Encode& encode) {
        PieceCache::Entry* entry = cache_.slot(piece);
        if (entry != nullptr && PieceCache::matches(*entry, piece)) {
            const size_t begin = ids.size();
            ids.resize(begin + entry->n_ids);
            std::memcpy(&ids[begin], &ids[entry->ids_begin], entry->n_ids * sizeof(int32_t));
            return;
        }
        const size_t begin = ids.size();
        encode(piece);
        if (entry != nullptr && ids.size() > begin)
            *entry = {piece.data(), static_cast<uint32_t>(piece.size()),
                      static_cast<uint32_t>(ids.size() - begin), begin};
    }

    /// Memory that lives as long as this.
    char* allocate(size_t n_bytes);

    std::vector<int32_t>& ids;
    Merger merger;
    PairCache pairs;
    std::vector<uint32_t> lengths;  ///< scratch of the pre-tokenizer

  private:
    PieceCache cache_;
    std::vector<std::unique_ptr<char[]>> blocks_;
    size_t free_ = 0;  ///< bytes left at the end of the last block
    char* next_ = nullptr;
};

/// tokenizer.ggml.model = "gpt2": byte-level BPE (Radford et al. 2019, "Language Models are Unsupervised
/// Multitask Learners", section 2.2).
std::unique_ptr<Tokenizer> load_byte_level_bpe(const Metadata& metadata);

/// tokenizer.ggml.model = "llama": SentencePiece BPE, merging by score (Kudo and Richardson 2018); with
/// `merges_from_list` ("gemma4", and "llama" from a tokenizer.json) the same text with merges from a list.
std::unique_ptr<Tokenizer> load_sentencepiece(const Metadata& metadata, bool merges_from_list);

}  // namespace agave
