#include "tokenizer/pre_tokenizer.h"

#include "tokenizer/unicode.h"

namespace agave {
namespace {

constexpr CharSet set_upper_like = set_of(CharClass::uppercase) | set_of(CharClass::titlecase) |
                                   set_of(CharClass::modifier) | set_of(CharClass::other_letter) | set_mark;
constexpr CharSet set_lower_like =
    set_of(CharClass::lowercase) | set_of(CharClass::modifier) | set_of(CharClass::other_letter) | set_mark;

/// One character with its class; past the end it is empty and in no set.
struct Char {
    uint32_t code_point = 0;
    uint32_t n_bytes = 0;
    CharSet set = 0;

    bool in(CharSet other) const { return (set & other) != 0; }
    bool is_newline() const { return n_bytes == 1 && (code_point == '\r' || code_point == '\n'); }
};

Char char_at(const char* p, const char* end) {
    if (p == end) return {};
    const Utf8Char c = decode_utf8(p, end);
    return {c.code_point, c.n_bytes, set_of_code_point(c.code_point)};
}

/// The end of the run of at most `limit` characters in `set` from p.
const char* run_end(const char* p, const char* end, CharSet set, size_t limit = SIZE_MAX) {
    for (; limit > 0 && p != end; limit--) {
        const Char c = char_at(p, end);
        if (!c.in(set)) break;
        p += c.n_bytes;
    }
    return p;
}

const char* newlines_end(const char* p, const char* end, bool slash) {
    while (p != end && (*p == '\r' || *p == '\n' || (slash && *p == '/'))) p++;
    return p;
}

/// 's, 't, 're, 've, 'm, 'll, 'd; with `any_case` as (?i:...), where the long s (U+017F) folds to s.
const char* match_contraction(const char* p, const char* end, bool any_case) {
    const auto letter = [&](ptrdiff_t i) {
        const char c = i < end - p ? p[i] : '\0';
        return any_case && c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    };
    if (letter(0) != '\'') return p;
    const char a = letter(1), b = letter(2);
    if (a == 's' || a == 't' || a == 'm' || a == 'd') return p + 2;
    if ((a == 'r' && b == 'e') || (a == 'v' && b == 'e') || (a == 'l' && b == 'l')) return p + 3;
    if (any_case && a == '\xC5' && b == '\xBF') return p + 3;
    return p;
}

/// \s*[\r\n]+ | \s+(?!\S) | \s+
const char* match_spaces(const char* p, const char* end, bool newlines_first) {
    const char* last_begin = p;
    const char* after_newline = p;
    const char* run = p;
    while (run != end) {
        const Char c = char_at(run, end);
        if (!c.in(set_space)) break;
        last_begin = run;
        run += c.n_bytes;
        if (c.is_newline()) after_newline = run;
    }
    if (newlines_first && after_newline != p) return after_newline;
    return run == end || last_begin == p ? run : last_begin;
}

/// What tells the patterns of the GPT-4 kind apart.
struct Gpt4Style {
    size_t max_digits;
    CharSet word = set_letter;  ///< what follows the optional first character of a word
    bool newlines_after_symbols = true;
    bool slash_after_symbols = false;
};

/// The optional character before a word: [^\r\n\p{L}\p{N}]
bool may_precede_word(const Char& c) {
    return c.n_bytes != 0 && !c.is_newline() && !c.in(set_letter | set_number);
}

/// ` ?[^\s\p{L}\p{N}]+[\r\n]*` with what `style` changes in it.
const char* match_symbols(const char* p, const char* end, const Gpt4Style& style) {
    const CharSet symbols = ~(set_space | set_number | style.word | set_letter);
    const char* begin = *p == ' ' ? p + 1 : p;
    const char* q = begin;
    while (q != end) {
        const Char c = char_at(q, end);
        if (!c.in(symbols)) break;
        q += c.n_bytes;
    }
    if (q == begin) return p;
    return style.newlines_after_symbols ? newlines_end(q, end, style.slash_after_symbols) : q;
}

/// (?i:'s|...)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,k}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+
const char* match_gpt4(const char* p, const char* end, const Gpt4Style& style) {
    if (const char* q = match_contraction(p, end, true); q != p) return q;
    const Char first = char_at(p, end);
    if (may_precede_word(first)) {
        const char* word = p + first.n_bytes;
        if (const char* q = run_end(word, end, style.word); q != word) return q;
    }
    if (first.in(style.word)) return run_end(p, end, style.word);
    if (first.in(set_number)) return run_end(p, end, set_number, style.max_digits);
    if (const char* q = match_symbols(p, end, style); q != p) return q;
    return match_spaces(p, end, true);
}

/// [\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+ from p, or p.
const char* match_lower_word(const char* p, const char* end) {
    // The first part takes all it can and gives back until its last character fits the second part.
    const char* q = p;
    const char* after_last_fit = p;
    while (q != end) {
        const Char c = char_at(q, end);
        if (!c.in(set_upper_like)) break;
        q += c.n_bytes;
        if (c.in(set_lower_like)) after_last_fit = q;
    }
    const char* lower_end = run_end(q, end, set_lower_like);
    return lower_end != q ? lower_end : after_last_fit;
}

/// [\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]* from p, or p.
const char* match_upper_word(const char* p, const char* end) {
    const char* q = run_end(p, end, set_upper_like);
    return q == p ? p : run_end(q, end, set_lower_like);
}

/// The o200k pattern: words cut where an upper-case letter follows a lower-case one.
const char* match_cased(const char* p, const char* end, const Gpt4Style& style, bool contractions) {
    const Char first = char_at(p, end);
    const bool prefix = may_precede_word(first);
    const char* word = p + first.n_bytes;
    for (const auto match : {match_lower_word, match_upper_word}) {
        const char* q = prefix ? match(word, end) : word;
        if (q == word) {
            q = match(p, end);
            if (q == p) continue;
        }
        return contractions ? match_contraction(q, end, true) : q;
    }
    if (first.in(set_number)) return run_end(p, end, set_number, style.max_digits);
    if (const char* q = match_symbols(p, end, style); q != p) return q;
    return match_spaces(p, end, true);
}

const char* match_llama3(const char* p, const char* end) {
    return match_gpt4(p, end, {.max_digits = 3});
}
const char* match_qwen2(const char* p, const char* end) {
    return match_gpt4(p, end, {.max_digits = 1});
}
const char* match_qwen35(const char* p, const char* end) {
    return match_gpt4(p, end, {.max_digits = 1, .word = set_letter | set_mark});
}
const char* match_seed_coder(const char* p, const char* end) {
    return match_gpt4(p, end, {.max_digits = 1, .newlines_after_symbols = false});
}
const char* match_o200k(const char* p, const char* end) {
    return match_cased(p, end, {.max_digits = 3, .slash_after_symbols = true}, true);
}
const char* match_tekken(const char* p, const char* end) {
    return match_cased(p, end, {.max_digits = 1, .slash_after_symbols = true}, false);
}

/// 's|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+
const char* match_gpt2(const char* p, const char* end) {
    if (const char* q = match_contraction(p, end, false); q != p) return q;
    const char* begin = *p == ' ' ? p + 1 : p;
    const Char first = char_at(begin, end);
    for (const CharSet set : {set_letter, set_number, ~(set_letter | set_number | set_space)})
        if (first.in(set)) return run_end(begin, end, set);
    return match_spaces(p, end, false);
}

const char* match_digit(const char* p, const char* end) {
    return run_end(p, end, set_number, 1);
}
const char* match_three_digits(const char* p, const char* end) {
    return run_end(p, end, set_number, 3);
}
const char* match_digits(const char* p, const char* end) {
    return run_end(p, end, set_number);
}
const char* match_newline(const char* p, const char*) {
    return *p == '\r' || *p == '\n' ? p + 1 : p;
}

/// \s?[set]+
const char* match_run_after_space(const char* p, const char* end, CharSet set) {
    const Char first = char_at(p, end);
    const char* begin = first.in(set_space) ? p + first.n_bytes : p;
    const char* q = run_end(begin, end, set);
    return q == begin ? p : q;
}
const char* match_letters_after_space(const char* p, const char* end) {
    return match_run_after_space(p, end, set_letter);
}
const char* match_punctuation_after_space(const char* p, const char* end) {
    return match_run_after_space(p, end, set_punctuation);
}

struct CodePointRange {
    uint32_t first;
    uint32_t last;
};

template <size_t n>
const char* match_ranges(const char* p, const char* end, const CodePointRange (&ranges)[n]) {
    while (p != end) {
        const Utf8Char c = decode_utf8(p, end);
        bool inside = false;
        for (const CodePointRange& range : ranges)
            inside |= c.code_point >= range.first && c.code_point <= range.last;
        if (!inside) break;
        p += c.n_bytes;
    }
    return p;
}

/// \s?[ranges]+
template <size_t n>
const char* match_ranges_after_space(const char* p, const char* end, const CodePointRange (&ranges)[n]) {
    const Char first = char_at(p, end);
    const char* begin = first.in(set_space) ? p + first.n_bytes : p;
    const char* q = match_ranges(begin, end, ranges);
    return q != begin ? q : match_ranges(p, end, ranges);  // a space may itself be in the ranges
}

/// The cased letters that DeepSeek LLM's tokenizer.json lists.
const char* match_deepseek_letters(const char* p, const char* end) {
    static constexpr CodePointRange letters[] = {
        {0x41, 0x5A},       {0x61, 0x7A},       {0xB5, 0xB5},       {0xC0, 0xD6},       {0xD8, 0xF6},
        {0xF8, 0x1BA},      {0x1BC, 0x1BF},     {0x1C4, 0x293},     {0x295, 0x2AF},     {0x370, 0x373},
        {0x376, 0x376},     {0x377, 0x377},     {0x37B, 0x37D},     {0x37F, 0x37F},     {0x386, 0x386},
        {0x388, 0x38A},     {0x38C, 0x38C},     {0x38E, 0x3A1},     {0x3A3, 0x3F5},     {0x3F7, 0x481},
        {0x48A, 0x52F},     {0x531, 0x556},     {0x10A0, 0x10C5},   {0x13A0, 0x13F5},   {0x13F8, 0x13FD},
        {0x1C90, 0x1CBA},   {0x1CBD, 0x1CBF},   {0x1D00, 0x1D2B},   {0x1D6B, 0x1D77},   {0x1D79, 0x1D9A},
        {0x1E00, 0x1F15},   {0x1F18, 0x1F1D},   {0x1F20, 0x1F45},   {0x1F48, 0x1F4D},   {0x1F50, 0x1F57},
        {0x1F59, 0x1F59},   {0x1F5B, 0x1F5B},   {0x1F5D, 0x1F5D},   {0x1F5F, 0x1F7D},   {0x1F80, 0x1FB4},
        {0x1FB6, 0x1FBC},   {0x1FBE, 0x1FBE},   {0x1FC2, 0x1FC4},   {0x1FC6, 0x1FCC},   {0x1FD0, 0x1FD3},
        {0x1FD6, 0x1FDB},   {0x1FE0, 0x1FEC},   {0x1FF2, 0x1FF4},   {0x1FF6, 0x1FFC},   {0x2102, 0x2102},
        {0x2107, 0x2107},   {0x210A, 0x2113},   {0x2115, 0x2115},   {0x2119, 0x211D},   {0x2124, 0x2124},
        {0x2126, 0x2126},   {0x2128, 0x2128},   {0x212A, 0x212D},   {0x212F, 0x2134},   {0x2139, 0x2139},
        {0x213C, 0x213F},   {0x2145, 0x2149},   {0x214E, 0x214E},   {0x2183, 0x2183},   {0x2184, 0x2184},
        {0x2C00, 0x2C7B},   {0x2C7E, 0x2CE4},   {0x2CEB, 0x2CEE},   {0x2CF2, 0x2CF2},   {0x2CF3, 0x2CF3},
        {0xA640, 0xA66D},   {0xA680, 0xA69B},   {0xA722, 0xA76F},   {0xA771, 0xA787},   {0xA78B, 0xA78E},
        {0xAB70, 0xABBF},   {0xFB00, 0xFB06},   {0xFB13, 0xFB17},   {0xFF21, 0xFF3A},   {0xFF41, 0xFF5A},
        {0x10400, 0x1044F}, {0x104B0, 0x104D3}, {0x104D8, 0x104FB}, {0x10C80, 0x10CB2}, {0x10CC0, 0x10CF2},
        {0x118A0, 0x118DF}, {0x1E900, 0x1E943}};
    return match_ranges_after_space(p, end, letters);
}

/// \s?[!-/:-~！-／：-～‘-‟　-。]+ (DeepSeek LLM)
const char* match_deepseek_punctuation(const char* p, const char* end) {
    return match_ranges_after_space(
        p, end,
        {{0x21, 0x2F}, {0x3A, 0x7E}, {0xFF01, 0xFF0F}, {0xFF1A, 0xFF5E}, {0x2018, 0x201F}, {0x3000, 0x3002}});
}

/// Where \s+$ (DeepSeek LLM) begins in the text from p: anchored at the end, it is looked for but once.
const char* match_last_spaces(const char* p, const char* end) {
    const char* after_last_word = p;
    while (p != end) {
        const Char c = char_at(p, end);
        p += c.n_bytes;
        if (!c.in(set_space)) after_last_word = p;
    }
    return after_last_word;
}

/// [一-龥ࠀ-一가-퟿]+ (DeepSeek LLM and Coder)
const char* match_deepseek_cjk(const char* p, const char* end) {
    return match_ranges(p, end, {{0x800, 0x9FA5}, {0xAC00, 0xD7FF}});
}

/// [一-龥぀-ゟ゠-ヿ]+ (DeepSeek V3)
const char* match_deepseek3_cjk(const char* p, const char* end) {
    return match_ranges(p, end, {{0x4E00, 0x9FA5}, {0x3040, 0x30FF}});
}

bool is_ascii_letter(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
}
bool is_ascii_punctuation(char c) {
    return (c >= '!' && c <= '/') || (c >= ':' && c <= '@') || (c >= '[' && c <= '`') ||
           (c >= '{' && c <= '~');
}

/// [ASCII punctuation][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|
/// \s*[\r\n]+|\s+(?!\S)|\s+
const char* match_deepseek3(const char* p, const char* end) {
    if (is_ascii_punctuation(*p)) {
        const char* q = p + 1;
        while (q != end && is_ascii_letter(*q)) q++;
        if (q != p + 1) return q;
    }
    const Char first = char_at(p, end);
    constexpr CharSet word = set_letter | set_mark, symbols = set_punctuation | set_symbol;
    if (!first.is_newline() && !first.in(set_letter | symbols)) {
        const char* begin = p + first.n_bytes;
        if (const char* q = run_end(begin, end, word); q != begin) return q;
    }
    if (first.in(word)) return run_end(p, end, word);
    const char* begin = *p == ' ' ? p + 1 : p;
    if (const char* q = run_end(begin, end, symbols); q != begin) return newlines_end(q, end, false);
    return match_spaces(p, end, true);
}

/// ` ?[^(\s|.,!?…。，、।۔،)]+` (BLOOM)
const char* match_bloom(const char* p, const char* end) {
    const char* begin = *p == ' ' ? p + 1 : p;
    const char* q = begin;
    while (q != end) {
        const Char c = char_at(q, end);
        bool excluded = c.in(set_space);
        for (const uint32_t stop : {0x28u, 0x7Cu, 0x2Eu, 0x2Cu, 0x21u, 0x3Fu, 0x2026u, 0x3002u, 0xFF0Cu,
                                    0x3001u, 0x964u, 0x6D4u, 0x60Cu, 0x29u})
            excluded |= c.code_point == stop;
        if (excluded) break;
        q += c.n_bytes;
    }
    return q == begin ? p : q;
}

// The names are those that llama.cpp's converter writes; the second name of a pattern and the flags follow
// its list, ignore_merges and NFC the tokenizer.json of the family.
constexpr PreTokenizer table[] = {
    // name, stages, ignore_merges, adds_bos, normalizes_nfc
    {"llama3", {match_llama3}, true, true, false},
    {"llama-v3", {match_llama3}, true, true, false},
    {"llama-bpe", {match_llama3}, true, true, false},
    {"falcon3", {match_llama3}, true, true, false},
    {"falcon-h1", {match_llama3}, true, true, false},
    {"pixtral", {match_llama3}, true, true, false},
    {"lfm2", {match_llama3}, true, true, false},
    {"dbrx", {match_llama3}, false, false, false},
    {"smaug-bpe", {match_llama3}, false, false, false},
    {"glm4", {match_llama3}, false, false, false},
    {"chatglm-bpe", {match_llama3}, false, false, false},
    {"qwen2", {match_qwen2}, false, false, true},
    {"deepseek-r1-qwen", {match_qwen2}, false, false, true},
    {"qwen35", {match_qwen35}, false, false, true},
    {"gpt-2", {match_gpt2}, false, false, false},
    {"phi-2", {match_gpt2}, false, false, false},
    {"mpt", {match_gpt2}, false, false, true},
    {"olmo", {match_gpt2}, false, false, true},
    {"granite-docling", {match_gpt2}, false, false, false},
    {"smollm", {match_digit, match_gpt2}, false, false, false},
    {"starcoder", {match_digit, match_gpt2}, false, false, false},
    {"refact", {match_digit, match_gpt2}, false, false, false},
    {"codeshell", {match_digit, match_gpt2}, false, false, false},
    {"command-r", {match_digit, match_gpt2}, false, false, true},
    {"gpt-4o", {match_o200k}, true, false, false},
    {"llama4", {match_o200k}, true, false, false},
    {"tekken", {match_tekken}, true, true, false},
    {"seed-coder", {match_seed_coder}, false, false, false},
    {"bloom", {match_bloom}, false, false, false},
    {"deepseek-llm",
     {match_newline, match_deepseek_letters, match_deepseek_punctuation, match_last_spaces,
      match_deepseek_cjk, match_digits},
     false,
     false,
     false},
    {"deepseek-coder",
     {match_newline, match_letters_after_space, match_punctuation_after_space, match_deepseek_cjk,
      match_digit},
     false,
     false,
     false},
    {"deepseek-v3", {match_three_digits, match_deepseek3_cjk, match_deepseek3}, false, false, false},
    {nullptr, {}, false, false, false},
};

void split_stage(const PieceMatcher* stage, size_t n_stages, const char* begin, const char* end,
                 std::vector<uint32_t>& lengths) {
    while (n_stages > 0 && *stage == nullptr) n_stages--, stage++;
    if (n_stages == 0) {
        lengths.push_back(static_cast<uint32_t>(end - begin));
        return;
    }
    const auto piece = [&](const char* from, const char* to) {
        if (from != to) split_stage(stage + 1, n_stages - 1, from, to, lengths);
    };
    if (*stage == match_last_spaces) {
        const char* spaces = match_last_spaces(begin, end);
        piece(begin, spaces);
        piece(spaces, end);
        return;
    }
    const char* gap = begin;
    for (const char* p = begin; p != end;) {
        const char* q = (*stage)(p, end);
        if (q == p) {
            p += decode_utf8(p, end).n_bytes;
            continue;
        }
        piece(gap, p);
        piece(p, q);
        gap = p = q;
    }
    piece(gap, end);
}

}  // namespace

const PreTokenizer* known_pre_tokenizers() {
    return table;
}

const PreTokenizer* find_pre_tokenizer(std::string_view name) {
    for (const PreTokenizer& pre_tokenizer : table)
        if (pre_tokenizer.name != nullptr && name == pre_tokenizer.name) return &pre_tokenizer;
    return nullptr;
}

void split_pieces(const PreTokenizer& pre_tokenizer, std::string_view text, std::vector<uint32_t>& lengths) {
    if (text.empty()) return;
    split_stage(pre_tokenizer.stages, std::size(pre_tokenizer.stages), text.data(), text.data() + text.size(),
                lengths);
}

}  // namespace agave
