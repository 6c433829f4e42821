#include <bit>
#include <cmath>
#include <cstring>

#include "base/error.h"
#include "formats/hf_tokenizer_parts.h"

namespace agave::hf {
namespace {

/// One field of a protobuf message (https://protobuf.dev/programming-guides/encoding/).
struct Field {
    uint64_t number = 0;
    uint64_t value = 0;      ///< of a varint, or the bits of a fixed-size number
    std::string_view bytes;  ///< of a text or a message
};

class Message {
  public:
    Message(std::string_view bytes, const std::string& path) : rest_(bytes), path_(path) {}

    /// Takes the next field; false at the end.
    bool next(Field& field) {
        if (rest_.empty()) return false;
        const uint64_t tag = varint();
        field = {};
        field.number = tag >> 3;
        switch (tag & 7) {
            case 0:
                field.value = varint();
                break;
            case 1:
                field.value = fixed(8);
                break;
            case 2:
                field.bytes = take(varint());
                break;
            case 5:
                field.value = fixed(4);
                break;
            default:
                fail(ErrorKind::bad_file,
                     "'%s': is no SentencePiece model: a field has the unknown wire type %d", path_.c_str(),
                     static_cast<int>(tag & 7));
        }
        return true;
    }

  private:
    std::string_view take(uint64_t size) {
        if (size > rest_.size())
            fail(ErrorKind::bad_file, "'%s': is no SentencePiece model, or it is cut off", path_.c_str());
        const std::string_view out = rest_.substr(0, size);
        rest_.remove_prefix(size);
        return out;
    }
    uint64_t fixed(size_t size) {
        const std::string_view bytes = take(size);
        uint64_t value = 0;
        std::memcpy(&value, bytes.data(), size);
        return value;
    }
    uint64_t varint() {
        uint64_t value = 0;
        for (unsigned shift = 0; shift < 64; shift += 7) {
            const auto byte = static_cast<uint8_t>(take(1)[0]);
            value |= uint64_t{byte & 0x7Fu} << shift;
            if (byte < 0x80) return value;
        }
        fail(ErrorKind::bad_file, "'%s': is no SentencePiece model: a number of more than ten bytes",
             path_.c_str());
    }

    std::string_view rest_;
    const std::string& path_;
};

/// ModelProto.SentencePiece.Type is in the order of GGUF's token types.
TokenKind kind_of(uint64_t type, const std::string& path) {
    if (type < 1 || type > 6)
        fail(ErrorKind::bad_file, "'%s': a piece has the unknown type %llu", path.c_str(),
             static_cast<unsigned long long>(type));
    return static_cast<TokenKind>(type);
}

class ModelReader {
  public:
    ModelReader(const std::string& path, int64_t n_vocab, TextArena& arena)
        : path_(path), n_vocab_(n_vocab), arena_(arena) {}

    Vocabulary read(std::string_view bytes) {
        Message model(bytes, path_);
        for (Field field; model.next(field);) {
            if (field.number == 1) add_piece(field.bytes);
            if (field.number == 2) read_trainer(field.bytes);
            if (field.number == 3) read_normalizer(field.bytes);
        }
        if (out_.tokens.empty())
            fail(ErrorKind::bad_file, "'%s': is no SentencePiece model: it has no pieces", path_.c_str());
        if (model_type_ != 2)
            fail(ErrorKind::unsupported,
                 "'%s': a SentencePiece model of the type %s is not supported; supported is BPE",
                 path_.c_str(),
                 model_type_ == 1   ? "Unigram"
                 : model_type_ == 3 ? "Word"
                 : model_type_ == 4 ? "Char"
                                    : "unknown");
        out_.pre_tokenization.space_prefix = adds_dummy_prefix_ ? SpacePrefix::prepend : SpacePrefix::none;
        return std::move(out_);
    }

  private:
    void add_piece(std::string_view bytes) {
        std::string_view text;
        float score = 0;
        uint64_t type = 1;
        Message piece(bytes, path_);
        for (Field field; piece.next(field);) {
            if (field.number == 1) text = field.bytes;
            if (field.number == 2) score = std::bit_cast<float>(static_cast<uint32_t>(field.value));
            if (field.number == 3) type = field.value;
        }
        if (!std::isfinite(score))
            fail(ErrorKind::bad_file, "'%s': the score of piece %zu is not a finite number", path_.c_str(),
                 out_.tokens.size());
        if (static_cast<int64_t>(out_.tokens.size()) >= n_vocab_)
            return;  // the model has no embedding for it
        out_.tokens.push_back(arena_.copy(text));
        out_.index.add(out_.tokens.back(), static_cast<int64_t>(out_.tokens.size()) - 1, path_);
        out_.kinds.push_back(kind_of(type, path_));
        out_.scores.push_back(static_cast<double>(score));
    }

    void read_trainer(std::string_view bytes) {
        Message trainer(bytes, path_);
        out_.unknown = 0, out_.bos = 1, out_.eos = 2;
        // Negative numbers are written as 64-bit two's complement.
        const auto id = [&](const Field& field) {
            const auto value = static_cast<int64_t>(field.value);
            return value >= 0 && value < n_vocab_ ? value : -1;
        };
        for (Field field; trainer.next(field);) {
            if (field.number == 3) model_type_ = field.value;
            if (field.number == 24 && field.value != 0)
                fail(ErrorKind::unsupported,
                     "'%s': a SentencePiece model that puts the space mark behind words is not supported",
                     path_.c_str());
            if (field.number == 40) out_.unknown = id(field);
            if (field.number == 41) out_.bos = id(field);
            if (field.number == 42) out_.eos = id(field);
            if (field.number == 43) out_.pad = id(field);
        }
    }

    void read_normalizer(std::string_view bytes) {
        Message normalizer(bytes, path_);
        for (Field field; normalizer.next(field);) {
            if (field.number == 2 && !field.bytes.empty())
                fail(ErrorKind::unsupported,
                     "'%s': a SentencePiece model that normalizes text by a table (precompiled_charsmap) is "
                     "not supported",
                     path_.c_str());
            if (field.number == 3) adds_dummy_prefix_ = field.value != 0;
            if (field.number == 5 && field.value == 0)
                fail(ErrorKind::unsupported,
                     "'%s': a SentencePiece model that does not escape spaces is not supported",
                     path_.c_str());
        }
    }

    const std::string& path_;
    const int64_t n_vocab_;
    TextArena& arena_;
    Vocabulary out_;
    uint64_t model_type_ = 1;  ///< TrainerSpec's default: Unigram
    bool adds_dummy_prefix_ = true;
};

}  // namespace

Vocabulary read_sentencepiece_model(std::span<const std::byte> bytes, const std::string& path,
                                    int64_t n_vocab, TextArena& arena) {
    return ModelReader(path, n_vocab, arena)
        .read({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}

}  // namespace agave::hf
