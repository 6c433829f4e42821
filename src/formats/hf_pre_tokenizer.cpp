#include "base/error.h"
#include "formats/hf_tokenizer_parts.h"

namespace agave::hf {
namespace {

constexpr const char* gpt2 = R"('s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+)";
constexpr const char* digit = R"(\p{N})";

/// A chain of patterns, each cutting the pieces of the one before it, as tokenizer.json spells them.
struct KnownChain {
    const char* name;    ///< what llama.cpp's converter calls it
    bool ignore_merges;  ///< told apart where two names share the patterns; otherwise whichever comes first
    const char* patterns[6];
};

constexpr const char* llama3 = R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}|)"
                               R"( ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

constexpr KnownChain known_chains[] = {
    {"llama-bpe", true, {llama3}},
    {"glm4", false, {llama3}},
    {"qwen2",
     false,
     {R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}|)"
      R"( ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)"}},
    {"qwen35",
     false,
     {R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}|)"
      R"( ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)"}},
    {"gpt-4o",
     true,
     {R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+)"
      R"((?i:'s|'t|'re|'ve|'m|'ll|'d)?|)"
      R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*)"
      R"((?i:'s|'t|'re|'ve|'m|'ll|'d)?|)"
      R"(\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)"}},
    {"tekken",
     true,
     {R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|)"
      R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|)"
      R"(\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)"}},
    {"seed-coder",
     false,
     {R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1}|)"
      R"( ?[^\s\p{L}\p{N}\r\n]+|\s*[\r\n]+|\s+(?!\S)|\s+)"}},
    {"smollm", false, {digit, gpt2}},
    {"gpt-2", false, {gpt2}},
    {"deepseek-v3",
     false,
     {R"(\p{N}{1,3})", "[一-龥぀-ゟ゠-ヿ]+",
      R"([!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+|)"
      R"( ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)"}},
    {"deepseek-coder",
     false,
     {R"([\r\n])", R"(\s?\p{L}+)", R"(\s?\p{P}+)", "[一-龥ࠀ-一가-퟿]+", digit}},
    {"bloom", false, {R"( ?[^(\s|.,!?…。，、।۔،)]+)"}},
};

/// The parts of a "Sequence" under `list`, or the value alone; nothing where it is missing.
std::vector<JsonValue> parts_of(JsonValue value, std::string_view list, const std::string& path,
                                const char* where) {
    std::vector<JsonValue> parts;
    if (is_missing(value)) return parts;
    if (text_of(value["type"], path, where) != "Sequence") return {value};
    const JsonValue sequence = value[list];
    if (!sequence.is(JsonKind::array)) fail_kind(path, where, "a Sequence with its list");
    for (const JsonValue part : sequence) {
        // A Sequence within a Sequence does not occur; it is refused as an unknown part.
        parts.push_back(part);
    }
    return parts;
}

[[noreturn]] void refuse(const std::string& path, const char* what, std::string_view type,
                         const char* detail) {
    fail(ErrorKind::unsupported, "'%s': the %s \"%s\" %s", path.c_str(), what, printable(type).c_str(),
         detail);
}

/// A pattern written with the characters themselves where others write escapes (DeepSeek's \r and \n).
std::string spelled_with_escapes(std::string_view pattern) {
    std::string out;
    for (const char c : pattern) {
        if (c == '\r' || c == '\n')
            out += c == '\r' ? "\\r" : "\\n";
        else
            out += c;
    }
    return out;
}

/// The patterns of a byte-level pre-tokenizer, in order.
class Chain {
  public:
    explicit Chain(const std::string& path) : path_(path) {}

    void add(JsonValue part) {
        if (finished_)
            refuse(path_, "pre-tokenizer", "ByteLevel", "is followed by another, which is not known");
        const std::string_view type = text_of(part["type"], path_, "pre_tokenizer.type");
        if (type == "Split")
            add_split(part);
        else if (type == "Digits")
            patterns_.emplace_back(boolean_of(part["individual_digits"], path_, "individual_digits", false)
                                       ? digit
                                       : R"(\p{N}+)");
        else if (type == "ByteLevel")
            add_byte_level(part);
        else
            refuse(path_, "pre-tokenizer", type, "is not known");
    }

    const std::vector<std::string>& patterns() const { return patterns_; }
    bool finished() const { return finished_; }

  private:
    void add_split(JsonValue part) {
        const JsonValue pattern = part["pattern"];
        if (!pattern["Regex"])
            refuse(path_, "pre-tokenizer", "Split",
                   "has a pattern that is no Regex, which is not known before ByteLevel");
        patterns_.push_back(
            spelled_with_escapes(text_of(pattern["Regex"], path_, "pre_tokenizer.pattern.Regex")));
        const std::string_view behavior = text_of(part["behavior"], path_, "pre_tokenizer.behavior");
        const bool invert = boolean_of(part["invert"], path_, "pre_tokenizer.invert", false);
        // What a pattern that leaves no gaps matches is the same, kept apart or kept when the gaps are
        // removed.
        const bool same = (behavior == "Isolated" && !invert) ||
                          (behavior == "Removed" && invert && patterns_.back().ends_with(R"(|\s+)"));
        if (!same)
            fail(ErrorKind::unsupported,
                 "'%s': the pre-tokenizer \"Split\" with the behavior \"%s\"%s is not known; known is "
                 "Isolated",
                 path_.c_str(), printable(behavior).c_str(), invert ? ", inverted," : "");
    }

    void add_byte_level(JsonValue part) {
        if (boolean_of(part["add_prefix_space"], path_, "pre_tokenizer.add_prefix_space", true))
            refuse(path_, "pre-tokenizer", "ByteLevel", "with add_prefix_space is not supported");
        if (boolean_of(part["use_regex"], path_, "pre_tokenizer.use_regex", true))
            patterns_.emplace_back(gpt2);
        finished_ = true;
    }

    const std::string& path_;
    std::vector<std::string> patterns_;
    bool finished_ = false;
};

bool matches(const KnownChain& known, const std::vector<std::string>& patterns) {
    size_t i = 0;
    for (const char* pattern : known.patterns) {
        if (pattern == nullptr) break;
        if (i == patterns.size() || patterns[i] != pattern) return false;
        i++;
    }
    return i == patterns.size();
}

PreTokenization recognise_byte_level(const std::vector<JsonValue>& parts, const std::string& path,
                                     bool ignore_merges) {
    Chain chain(path);
    for (const JsonValue part : parts) chain.add(part);
    if (!chain.finished())
        fail(ErrorKind::unsupported,
             "'%s': the pre-tokenizer has no ByteLevel part, and the model no byte_fallback; such a "
             "vocabulary is not supported",
             path.c_str());
    PreTokenization out;
    out.byte_level = true;
    for (const KnownChain& known : known_chains)
        if (matches(known, chain.patterns()) && (out.name.empty() || known.ignore_merges == ignore_merges))
            out.name = known.name;
    if (!out.name.empty()) return out;
    std::string all;
    for (const std::string& pattern : chain.patterns()) all += (all.empty() ? "" : "  then  ") + pattern;
    fail(ErrorKind::unsupported, "'%s': the pre-tokenizer's pattern is not known: %s", path.c_str(),
         printable(all, 600).c_str());
}

bool is_pattern(JsonValue part, std::string_view text) {
    const JsonValue string = part["pattern"]["String"];
    return string.is(JsonKind::text) && string.as_text() == text;
}
bool is_text(JsonValue value, std::string_view text) {
    return value.is(JsonKind::text) && value.as_text() == text;
}

constexpr std::string_view space_mark = "\xE2\x96\x81";

/// SentencePiece's text: each space a mark, maybe one in front.
PreTokenization recognise_sentencepiece(const std::vector<JsonValue>& normalizers,
                                        const std::vector<JsonValue>& parts, const std::string& path) {
    PreTokenization out;
    bool marks_spaces = false;
    for (const JsonValue part : normalizers) {
        const std::string_view type = text_of(part["type"], path, "normalizer.type");
        if (type == "Replace" && is_pattern(part, " ") && is_text(part["content"], space_mark) &&
            !marks_spaces)
            marks_spaces = true;
        else if (type == "Prepend" && is_text(part["prepend"], space_mark) &&
                 out.space_prefix == SpacePrefix::none && !marks_spaces)
            out.space_prefix = SpacePrefix::prepend;
        else
            refuse(path, "normalizer", type,
                   "is not known before a vocabulary with byte_fallback; known are Prepend and Replace of "
                   "SentencePiece's space mark");
    }
    for (const JsonValue part : parts) {
        const std::string_view type = text_of(part["type"], path, "pre_tokenizer.type");
        // No space is left to split at.
        if (type == "Split" && is_pattern(part, " ") && marks_spaces) continue;
        if (type != "Metaspace" || marks_spaces || !normalizers.empty())
            refuse(path, "pre-tokenizer", type, "is not known here");
        if (!is_text(part["replacement"], space_mark))
            refuse(path, "pre-tokenizer", type, "with another mark than U+2581 is not supported");
        if (boolean_of(part["split"], path, "pre_tokenizer.split", true))
            refuse(path, "pre-tokenizer", type, "that splits at spaces is not supported");
        const std::string_view scheme =
            is_missing(part["prepend_scheme"])
                ? "always"
                : text_of(part["prepend_scheme"], path, "pre_tokenizer.prepend_scheme");
        if (scheme == "first")
            out.space_prefix = SpacePrefix::first;
        else if (scheme == "always")
            out.space_prefix = SpacePrefix::always;
        else if (scheme != "never")
            refuse(path, "pre-tokenizer's prepend_scheme", scheme, "is not known");
        marks_spaces = true;
    }
    if (!marks_spaces)
        fail(ErrorKind::unsupported,
             "'%s': neither normalizer nor pre-tokenizer turns spaces into U+2581, as a vocabulary with "
             "byte_fallback needs",
             path.c_str());
    return out;
}

}  // namespace

PreTokenization recognise_pre_tokenizer(JsonValue tokenizer, const std::string& path, bool byte_fallback,
                                        bool ignore_merges) {
    std::vector<JsonValue> normalizers = parts_of(tokenizer["normalizer"], "normalizers", path, "normalizer");
    const std::vector<JsonValue> parts =
        parts_of(tokenizer["pre_tokenizer"], "pretokenizers", path, "pre_tokenizer");
    if (byte_fallback) return recognise_sentencepiece(normalizers, parts, path);
    PreTokenization out = recognise_byte_level(parts, path, ignore_merges);
    for (const JsonValue part : normalizers) {
        const std::string_view type = text_of(part["type"], path, "normalizer.type");
        if (type != "NFC")
            refuse(path, "normalizer", type, "is not known before a byte-level vocabulary; known is NFC");
        out.nfc = true;
    }
    return out;
}

}  // namespace agave::hf
