#include "formats/json.h"

#include <algorithm>
#include <charconv>
#include <cinttypes>
#include <cmath>
#include <limits>

#include "base/error.h"

namespace agave {
namespace {

bool is_digit(char c) {
    return c >= '0' && c <= '9';
}

/// What a value is, for a message.
std::string describe(const JsonValue& value) {
    switch (value.type()) {
        case JsonType::null:
            return "null";
        case JsonType::boolean:
            return value.boolean() ? "true" : "false";
        case JsonType::number:
            return "the number " + printable(value.spelling(), 40);
        case JsonType::text:
            return "the text '" + printable(value.text(), 40) + "'";
        case JsonType::array:
            return strprintf("an array of %zu elements", value.size());
        case JsonType::object:
            return strprintf("an object of %zu members", value.size());
    }
    return "";
}

}  // namespace

JsonType JsonValue::type() const {
    return document_->node(index_).type;
}

std::string_view JsonValue::spelling() const {
    return document_->text_of(index_);
}

bool JsonValue::is_integer() const {
    return is_number() && spelling().find_first_of(".eENI") == std::string_view::npos;
}

bool JsonValue::boolean() const {
    if (!is_boolean()) fail_expected("true or false");
    return spelling() == "true";
}

int64_t JsonValue::integer(int64_t minimum, int64_t maximum) const {
    int64_t value = 0;
    const std::string_view digits = is_number() ? spelling() : std::string_view();
    const auto [stop, code] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    if (code != std::errc() || stop != digits.data() + digits.size() || value < minimum || value > maximum)
        fail_expected(strprintf("an integer from %" PRId64 " to %" PRId64, minimum, maximum).c_str());
    return value;
}

double JsonValue::number() const {
    double value = std::numeric_limits<double>::infinity();
    const std::string_view digits = is_number() ? spelling() : std::string_view();
    const auto [stop, code] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    if (code != std::errc() || stop != digits.data() + digits.size() || !std::isfinite(value))
        fail_expected("a finite number");
    return value;
}

std::string_view JsonValue::text() const {
    if (!is_text()) fail_expected("a text");
    return spelling();
}

JsonElements JsonValue::elements() const {
    if (!is_array()) fail_expected("an array");
    return JsonElements(*this);
}

JsonMembers JsonValue::members() const {
    if (!is_object()) fail_expected("an object");
    return JsonMembers(*this);
}

size_t JsonValue::size() const {
    if (!is_array() && !is_object()) fail_expected("an array or an object");
    return document_->node(index_).size;
}

JsonValue JsonValue::find(std::string_view key) const {
    if (!*this || !is_object()) return {};
    for (const JsonMember& member : members())
        if (member.key == key) return member.value;
    return {};
}

JsonValue JsonValue::require(std::string_view key) const {
    if (!is_object()) fail_expected("an object");
    const JsonValue value = find(key);
    if (value) return value;
    const std::string where = place();
    fail(ErrorKind::bad_file, "'%s': '%s%s%s' is missing", document_->path().c_str(), where.c_str(),
         where.empty() ? "" : ".", printable(key).c_str());
}

/// The member if it is there and not null, otherwise absent.
JsonValue JsonValue::find_present(std::string_view key) const {
    const JsonValue value = find(key);
    return value && !value.is_null() ? value : JsonValue();
}

bool JsonValue::boolean_or(std::string_view key, bool fallback) const {
    const JsonValue value = find_present(key);
    return value ? value.boolean() : fallback;
}

int64_t JsonValue::integer_or(std::string_view key, int64_t fallback, int64_t minimum,
                              int64_t maximum) const {
    const JsonValue value = find_present(key);
    return value ? value.integer(minimum, maximum) : fallback;
}

double JsonValue::number_or(std::string_view key, double fallback) const {
    const JsonValue value = find_present(key);
    return value ? value.number() : fallback;
}

std::string_view JsonValue::text_or(std::string_view key, std::string_view fallback) const {
    const JsonValue value = find_present(key);
    return value ? value.text() : fallback;
}

std::string JsonValue::place() const {
    std::string out;
    // Down from the root to the value: each container's contents lie between its index and its next.
    for (JsonValue at = document_->root(); at.index_ != index_;) {
        if (at.is_object()) {
            for (const JsonMember& member : at.members()) {
                if (index_ >= document_->node(member.value.index_).next) continue;
                if (!out.empty()) out += '.';
                out += printable(member.key);
                at = member.value;
                break;
            }
        } else {
            size_t i = 0;
            for (const JsonValue element : at.elements()) {
                if (index_ < document_->node(element.index_).next) {
                    out += strprintf("[%zu]", i);
                    at = element;
                    break;
                }
                i++;
            }
        }
    }
    return out;
}

void JsonValue::fail_expected(const char* expected) const {
    const std::string where = place();
    fail(ErrorKind::bad_file, "'%s': %s is %s; expected %s", document_->path().c_str(),
         where.empty() ? "the whole of it" : ("'" + where + "'").c_str(), describe(*this).c_str(), expected);
}

/// Recursive descent over the text; the depth limit keeps the stack small.
class JsonParser {
  public:
    JsonParser(std::string_view text, JsonDocument& document)
        : text_(text), p_(text.data()), end_(text.data() + text.size()), document_(document) {}

    void parse() {
        if (text_.starts_with("\xEF\xBB\xBF")) p_ += 3;
        skip_space();
        parse_value(0);
        skip_space();
        if (p_ != end_) fail_here("nothing more");
    }

  private:
    static constexpr int max_depth = 100;
    using Node = JsonDocument::Node;

    [[noreturn]] void fail_because(const char* reason, const char* at) const {
        const std::string_view before = text_.substr(0, static_cast<size_t>(at - text_.data()));
        const size_t line = static_cast<size_t>(std::count(before.begin(), before.end(), '\n')) + 1;
        const size_t column = before.size() - (before.rfind('\n') + 1) + 1;  // npos + 1 is 0
        fail(ErrorKind::bad_file, "'%s': is not valid JSON: line %zu, column %zu: %s",
             document_.path_.c_str(), line, column, reason);
    }
    [[noreturn]] void fail_here(const char* expected) const {
        const std::string found = p_ == end_ ? "the end of the file" : "'" + printable({p_, 1}) + "'";
        fail_because(strprintf("found %s, expected %s", found.c_str(), expected).c_str(), p_);
    }

    void skip_space() {
        while (p_ != end_ && (*p_ == ' ' || *p_ == '\n' || *p_ == '\r' || *p_ == '\t')) p_++;
    }

    uint32_t add(JsonType type, const char* begin, size_t size) {
        const auto index = static_cast<uint32_t>(document_.nodes_.size());
        document_.nodes_.push_back({begin, static_cast<uint32_t>(size), index + 1, type});
        return index;
    }

    /// Behind each value the cursor stands at the next byte that is no space.
    void parse_value(int depth) {
        if (p_ == end_) fail_here("a value");
        switch (*p_) {
            case '{':
                return parse_object(depth);
            case '[':
                return parse_array(depth);
            case '"':
                return parse_text();
            case 't':
                return parse_word("true", JsonType::boolean);
            case 'f':
                return parse_word("false", JsonType::boolean);
            case 'n':
                return parse_word("null", JsonType::null);
            case 'N':
                return parse_word("NaN", JsonType::number);
            case 'I':
                return parse_word("Infinity", JsonType::number);
            default:
                return parse_number();
        }
    }

    void parse_word(std::string_view word, JsonType type) {
        if (!std::string_view(p_, static_cast<size_t>(end_ - p_)).starts_with(word)) fail_here("a value");
        add(type, p_, word.size());
        p_ += word.size();
        skip_space();
    }

    void parse_number() {
        const char* begin = p_;
        if (*p_ == '-') p_++;
        if (p_ != end_ && *p_ == 'I' && p_ != begin) {
            parse_word("Infinity", JsonType::number);
            Node& node = document_.nodes_.back();
            node.begin--, node.size++;
            return;
        }
        const auto digits = [&] {
            const char* first = p_;
            while (p_ != end_ && is_digit(*p_)) p_++;
            if (p_ == first) fail_here(first == begin ? "a value" : "a digit");
        };
        const char* whole = p_;
        digits();
        if (*whole == '0' && p_ - whole > 1) fail_because("a number begins with 0", whole);
        if (p_ != end_ && *p_ == '.') p_++, digits();
        if (p_ != end_ && (*p_ == 'e' || *p_ == 'E')) {
            p_++;
            if (p_ != end_ && (*p_ == '+' || *p_ == '-')) p_++;
            digits();
        }
        add(JsonType::number, begin, static_cast<size_t>(p_ - begin));
        skip_space();
    }

    void open(int depth) {
        if (depth >= max_depth) fail_because("it is nested deeper than 100 levels", p_);
        p_++;
        skip_space();
    }

    void close(uint32_t index, size_t n_inside) {
        Node& node = document_.nodes_[index];
        node.size = static_cast<uint32_t>(n_inside);
        node.next = static_cast<uint32_t>(document_.nodes_.size());
        p_++;
        skip_space();
    }

    bool take_comma() {
        if (p_ == end_ || *p_ != ',') return false;
        p_++;
        skip_space();
        return true;
    }

    void parse_array(int depth) {
        const uint32_t index = add(JsonType::array, p_, 0);
        open(depth);
        size_t n = 0;
        if (p_ == end_ || *p_ != ']') {
            do {
                parse_value(depth + 1);
                n++;
            } while (take_comma());
            if (p_ == end_ || *p_ != ']') fail_here("',' or ']'");
        }
        close(index, n);
    }

    void parse_object(int depth) {
        const uint32_t index = add(JsonType::object, p_, 0);
        open(depth);
        size_t n = 0;
        if (p_ == end_ || *p_ != '}') {
            do {
                if (p_ == end_ || *p_ != '"') fail_here("a key");
                parse_text();
                if (p_ == end_ || *p_ != ':') fail_here("':'");
                p_++;
                skip_space();
                parse_value(depth + 1);
                n++;
            } while (take_comma());
            if (p_ == end_ || *p_ != '}') fail_here("',' or '}'");
        }
        close(index, n);
        check_keys(index, n);
    }

    /// A key that comes twice makes an object mean different things to different readers.
    void check_keys(uint32_t object, size_t n) {
        keys_.clear();
        keys_.reserve(n);
        uint32_t at = object + 1;
        for (size_t member = 0; member < n; member++, at = document_.nodes_[at + 1].next) {
            const std::string_view key = document_.text_of(at);
            uint64_t first = 0;  // the first bytes in front, so that most comparisons end there
            for (size_t i = 0; i < 8; i++)
                first = first << 8 | (i < key.size() ? static_cast<uint8_t>(key[i]) : 0u);
            keys_.push_back({first, key});
        }
        std::sort(keys_.begin(), keys_.end(), [](const Key& a, const Key& b) {
            return a.first != b.first ? a.first < b.first : a.text < b.text;
        });
        for (size_t i = 1; i < n; i++)
            if (keys_[i - 1].text == keys_[i].text)
                fail(ErrorKind::bad_file, "'%s': the key '%s' comes twice in one object",
                     document_.path_.c_str(), printable(keys_[i].text).c_str());
    }

    /// The end of the UTF-8 character that begins at p with a byte >= 0x80 (Unicode, table 3-7).
    const char* character_end(const char* p) const {
        const auto byte = [&](ptrdiff_t i) { return i < end_ - p ? static_cast<uint8_t>(p[i]) : uint8_t{0}; };
        const auto follows = [&](ptrdiff_t i) { return byte(i) >= 0x80 && byte(i) <= 0xBF; };
        const uint8_t first = byte(0), second = byte(1);
        if (first >= 0xC2 && first <= 0xDF && follows(1)) return p + 2;
        const bool second_fits = follows(1) && !(first == 0xE0 && second < 0xA0) &&
                                 !(first == 0xED && second > 0x9F) && !(first == 0xF0 && second < 0x90) &&
                                 !(first == 0xF4 && second > 0x8F);
        if (second_fits && first >= 0xE0 && first <= 0xEF && follows(2)) return p + 3;
        if (second_fits && first >= 0xF0 && first <= 0xF4 && follows(2) && follows(3)) return p + 4;
        fail_because("the text is no valid UTF-8", p);
    }

    /// Moves over bytes that stand for themselves, to the quote or the next escape.
    void skip_plain() {
        while (p_ != end_) {
            const auto c = static_cast<uint8_t>(*p_);
            if (c == '"' || c == '\\') return;
            if (c < 0x20) fail_because("a control character within a text", p_);
            p_ = c < 0x80 ? p_ + 1 : character_end(p_);
        }
        fail_here("'\"'");
    }

    void parse_text() {
        const char* begin = ++p_;
        skip_plain();
        if (*p_ == '"') {
            add(JsonType::text, begin, static_cast<size_t>(p_ - begin));
        } else {
            // What an escape stands for is never longer than the escape.
            if (!document_.unescaped_)
                document_.unescaped_ = std::make_unique_for_overwrite<char[]>(text_.size());
            char* out = document_.unescaped_.get() + n_unescaped_;
            char* out_end = std::copy(begin, p_, out);
            while (*p_ != '"') {
                out_end = unescape(out_end);
                const char* plain = p_;
                skip_plain();
                out_end = std::copy(plain, p_, out_end);
            }
            n_unescaped_ += static_cast<size_t>(out_end - out);
            add(JsonType::text, out, static_cast<size_t>(out_end - out));
        }
        p_++;
        skip_space();
    }

    char* unescape(char* out) {
        const char* begin = p_++;
        if (p_ == end_) fail_here("an escape");
        const char c = *p_++;
        constexpr std::string_view letters = "\"\\/bfnrt", meanings = "\"\\/\b\f\n\r\t";
        if (const size_t i = letters.find(c); i != std::string_view::npos) {
            *out++ = meanings[i];
            return out;
        }
        if (c != 'u') fail_because("an unknown escape", begin);
        uint32_t code_point = hex4();
        if (code_point >= 0xD800 && code_point <= 0xDFFF) {
            const bool pair = code_point <= 0xDBFF && end_ - p_ >= 2 && p_[0] == '\\' && p_[1] == 'u';
            if (pair) p_ += 2;
            const uint32_t low = pair ? hex4() : 0;
            if (low < 0xDC00 || low > 0xDFFF) fail_because("half of a surrogate pair", begin);
            code_point = 0x10000 + ((code_point - 0xD800) << 10) + (low - 0xDC00);
        }
        const auto put = [&](uint32_t byte) { *out++ = static_cast<char>(byte); };
        if (code_point < 0x80) {
            put(code_point);
        } else if (code_point < 0x800) {
            put(0xC0 | code_point >> 6);
            put(0x80 | (code_point & 0x3F));
        } else {
            if (code_point < 0x10000) {
                put(0xE0 | code_point >> 12);
            } else {
                put(0xF0 | code_point >> 18);
                put(0x80 | (code_point >> 12 & 0x3F));
            }
            put(0x80 | (code_point >> 6 & 0x3F));
            put(0x80 | (code_point & 0x3F));
        }
        return out;
    }

    uint32_t hex4() {
        uint32_t value = 0;
        const char* stop = end_ - p_ < 4 ? end_ : p_ + 4;
        const auto [last, code] = std::from_chars(p_, stop, value, 16);
        if (code != std::errc() || last != p_ + 4) fail_here("four hexadecimal digits");
        p_ = last;
        return value;
    }

    struct Key {
        uint64_t first;
        std::string_view text;
    };
    const std::string_view text_;
    const char* p_;
    const char* const end_;
    JsonDocument& document_;
    size_t n_unescaped_ = 0;
    std::vector<Key> keys_;  ///< scratch
};

JsonDocument JsonDocument::parse(std::string_view text, std::string path) {
    JsonDocument document;
    document.path_ = std::move(path);
    if (text.size() > INT32_MAX)
        fail(ErrorKind::bad_file, "'%s': is %zu bytes long; JSON of at most %d is read",
             document.path_.c_str(), text.size(), INT32_MAX);
    JsonParser(text, document).parse();
    return document;
}

}  // namespace agave
