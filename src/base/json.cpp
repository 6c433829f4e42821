#include "base/json.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>

#include "base/error.h"
#include "base/parse_float.h"
#include "base/utf8.h"

namespace agave {

/// A recursive descent over the text; depth is bounded.
class JsonParser {
  public:
    JsonParser(Json& document, std::string_view text, const std::string& path, JsonSource source)
        : document_(document), text_(text), path_(path), from_file_(source == JsonSource::file) {}

    void parse_document() {
        if (text_.size() > std::numeric_limits<uint32_t>::max() / 2) refuse("it is larger than 2 GiB");
        if (const size_t length = valid_utf8_prefix(text_); length != text_.size()) {
            at_ = length;
            refuse("it is not valid UTF-8");
        }
        skip_space();
        parse_value(0);
        skip_space();
        if (at_ != text_.size()) refuse("something follows the value");
    }

  private:
    using Node = Json::Node;

    [[noreturn]] void refuse(const char* problem) const {
        const std::string_view before = text_.substr(0, at_);
        const size_t line_begin = before.rfind('\n') + 1;
        fail(from_file_ ? ErrorKind::bad_file : ErrorKind::usage,
             from_file_ ? "'%s' is not valid JSON: line %td, column %zu: %s"
                        : "%s is not valid JSON: line %td, column %zu: %s",
             path_.c_str(), std::count(before.begin(), before.end(), '\n') + 1, at_ - line_begin + 1,
             problem);
    }

    void skip_space() {
        while (at_ < text_.size() &&
               (text_[at_] == ' ' || text_[at_] == '\n' || text_[at_] == '\r' || text_[at_] == '\t'))
            at_++;
    }
    bool take(char wanted) {
        if (at_ >= text_.size() || text_[at_] != wanted) return false;
        at_++;
        return true;
    }
    bool take(std::string_view wanted) {
        if (!text_.substr(at_).starts_with(wanted)) return false;
        at_ += wanted.size();
        return true;
    }

    uint32_t add(JsonKind kind) {
        Node node;
        node.kind = kind;
        node.integer = 0;
        node.next = static_cast<uint32_t>(document_.nodes_.size() + 1);
        document_.nodes_.push_back(node);
        return node.next - 1;
    }
    Node& node(uint32_t index) { return document_.nodes_[index]; }

    void parse_value(int depth) {
        if (depth > Json::kMaxDepth) refuse("it is nested too deeply");
        if (at_ == text_.size()) refuse("the text ends where a value is expected");
        const char first = text_[at_];
        if (first == '{') return parse_object(depth);
        if (first == '[') return parse_array(depth);
        if (first == '"') return parse_text();
        if (take("null")) return static_cast<void>(add(JsonKind::null));
        if (take("true")) return static_cast<void>(node(add(JsonKind::boolean)).boolean = true);
        if (take("false")) return static_cast<void>(node(add(JsonKind::boolean)).boolean = false);
        if (!from_file_) return parse_number();
        if (take("NaN")) return add_number(std::numeric_limits<double>::quiet_NaN());
        if (take("Infinity")) return add_number(std::numeric_limits<double>::infinity());
        if (take("-Infinity")) return add_number(-std::numeric_limits<double>::infinity());
        parse_number();
    }

    void close(uint32_t container, uint32_t size) {
        node(container).size = size;
        node(container).next = static_cast<uint32_t>(document_.nodes_.size());
    }

    void parse_object(int depth) {
        const uint32_t object = add(JsonKind::object);
        at_++;
        uint32_t size = 0;
        skip_space();
        if (!take('}')) {
            do {
                skip_space();
                if (at_ == text_.size() || text_[at_] != '"') refuse("a name in quotes is expected");
                parse_text();
                skip_space();
                if (!take(':')) refuse("':' is expected");
                skip_space();
                parse_value(depth + 1);
                size++;
                skip_space();
            } while (take(','));
            if (!take('}')) refuse("',' or '}' is expected");
        }
        close(object, size);
        if (from_file_) check_names(object);
    }

    void parse_array(int depth) {
        const uint32_t array = add(JsonKind::array);
        at_++;
        uint32_t size = 0;
        skip_space();
        if (!take(']')) {
            do {
                skip_space();
                parse_value(depth + 1);
                size++;
                skip_space();
            } while (take(','));
            if (!take(']')) refuse("',' or ']' is expected");
        }
        close(array, size);
    }

    std::string_view text_of(uint32_t index) { return {node(index).text, node(index).size}; }

    void check_names(uint32_t object) {
        names_.clear();
        for (uint32_t at = object + 1; at < node(object).next; at = node(at + 1).next)
            names_.push_back(text_of(at));
        std::sort(names_.begin(), names_.end());
        const auto twice = std::adjacent_find(names_.begin(), names_.end());
        if (twice != names_.end())
            refuse(("the object that ends here has the name '" + printable(*twice) + "' twice").c_str());
    }

    void parse_text() {
        const size_t begin = ++at_;
        bool escaped = false;
        while (true) {
            if (at_ == text_.size()) refuse("a text has no closing quote");
            const unsigned char c = static_cast<unsigned char>(text_[at_]);
            if (c == '"') break;
            if (c < 0x20) refuse("a control character inside a text");
            escaped |= c == '\\';
            at_ += c == '\\' ? 2 : 1;
            if (at_ > text_.size()) at_ = text_.size();
        }
        const std::string_view raw = text_.substr(begin, at_ - begin);
        const uint32_t index = add(JsonKind::text);
        if (escaped) {
            at_ = begin;
            unescape(index, raw);
        } else {
            node(index).text = raw.data();
            node(index).size = static_cast<uint32_t>(raw.size());
        }
        at_++;
    }

    /// The text of `raw`, which begins at at_; leaves at_ behind it. An escape is never shorter than what it
    /// stands for.
    void unescape(uint32_t index, std::string_view raw) {
        document_.unescaped_.push_back(std::make_unique<char[]>(raw.size()));
        char* const out = document_.unescaped_.back().get();
        const size_t end = at_ + raw.size();
        size_t length = 0;
        while (at_ < end) {
            if (text_[at_] != '\\') {
                out[length++] = text_[at_++];
                continue;
            }
            const char kind = text_[at_ + 1];
            if (kind == 'u') {
                length += write_utf8(code_point(), out + length);
                continue;
            }
            constexpr std::string_view kinds = "\"\\/bfnrt", characters = "\"\\/\b\f\n\r\t";
            const size_t found = kinds.find(kind);
            if (found == std::string_view::npos) refuse("an unknown escape");
            out[length++] = characters[found];
            at_ += 2;
        }
        node(index).text = out;
        node(index).size = static_cast<uint32_t>(length);
    }

    /// Takes \uXXXX, or two of them that are a surrogate pair.
    uint32_t code_point() {
        const size_t begin = at_;
        const uint32_t unit = code_unit();
        if (unit < 0xD800 || unit >= 0xE000) return unit;
        const bool low_follows = unit < 0xDC00 && text_.substr(at_).starts_with("\\u");
        const uint32_t low = low_follows ? code_unit() : 0;
        if (low < 0xDC00 || low >= 0xE000) {
            at_ = begin;
            refuse("a surrogate without its other half");
        }
        return 0x10000 + ((unit - 0xD800) << 10) + (low - 0xDC00);
    }
    uint32_t code_unit() {
        uint32_t unit = 0;
        const std::string_view digits = text_.substr(at_ + 2, 4);
        const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), unit, 16);
        if (error != std::errc() || end != digits.data() + 4) refuse("\\u without four hexadecimal digits");
        at_ += 6;
        return unit;
    }

    void add_number(double value) { node(add(JsonKind::number)).number = value; }

    size_t count_digits() {
        const size_t begin = at_;
        while (at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9') at_++;
        return at_ - begin;
    }

    void parse_number() {
        const size_t begin = at_;
        take('-');
        const bool leading_zero = at_ < text_.size() && text_[at_] == '0';
        const size_t whole_digits = count_digits();
        if (whole_digits == 0 || (leading_zero && whole_digits > 1)) {
            at_ = begin;
            refuse("a value is expected");
        }
        bool whole = true;
        if (take('.')) {
            whole = false;
            if (count_digits() == 0) refuse("a digit is expected");
        }
        if (take('e') || take('E')) {
            whole = false;
            if (!take('+')) take('-');
            if (count_digits() == 0) refuse("a digit is expected");
        }
        const std::string_view digits = text_.substr(begin, at_ - begin);
        const char* const end = digits.data() + digits.size();
        int64_t integer = 0;
        if (whole && std::from_chars(digits.data(), end, integer).ec == std::errc()) {
            node(add(JsonKind::integer)).integer = integer;
            return;
        }
        if (whole && !from_file_) refuse("a whole number does not fit into 64 bits");
        double value = 0;
        if (!parse_float(digits, value) || std::isinf(value)) refuse("a number is out of range");
        add_number(value);
    }

    Json& document_;
    std::string_view text_;
    const std::string& path_;
    const bool from_file_;
    size_t at_ = 0;
    std::vector<std::string_view> names_;
};

Json::Json(std::string_view text, const std::string& path, JsonSource source) {
    JsonParser(*this, text, path, source).parse_document();
}

JsonKind JsonValue::kind() const {
    return document_ ? document_->nodes_[node_].kind : JsonKind::absent;
}
bool JsonValue::as_boolean() const {
    return document_->nodes_[node_].boolean;
}
int64_t JsonValue::as_integer() const {
    return document_->nodes_[node_].integer;
}
double JsonValue::as_number() const {
    const Json::Node& node = document_->nodes_[node_];
    return node.kind == JsonKind::integer ? static_cast<double>(node.integer) : node.number;
}
std::string_view JsonValue::as_text() const {
    const Json::Node& node = document_->nodes_[node_];
    return {node.text, node.size};
}
size_t JsonValue::size() const {
    return is(JsonKind::array) || is(JsonKind::object) ? document_->nodes_[node_].size : 0;
}

JsonValue JsonValue::operator[](std::string_view name) const {
    if (!is(JsonKind::object)) return {};
    for (Iterator member = begin(); member != end(); ++member)
        if (member.name() == name) return *member;
    return {};
}

JsonValue JsonValue::at(size_t index) const {
    if (!is(JsonKind::array) || index >= size()) return {};
    return *std::next(begin(), static_cast<std::ptrdiff_t>(index));
}

JsonValue::Iterator JsonValue::begin() const {
    Iterator iterator;
    if (size() == 0) return iterator;
    iterator.document_ = document_;
    iterator.node_ = node_ + 1;
    iterator.named_ = is(JsonKind::object);
    return iterator;
}
JsonValue::Iterator JsonValue::end() const {
    Iterator iterator;
    if (size() != 0) iterator.node_ = document_->nodes_[node_].next;
    return iterator;
}

JsonValue JsonValue::Iterator::operator*() const {
    return {document_, named_ ? node_ + 1 : node_};
}
std::string_view JsonValue::Iterator::name() const {
    return named_ ? JsonValue(document_, node_).as_text() : std::string_view();
}
JsonValue::Iterator& JsonValue::Iterator::operator++() {
    node_ = document_->nodes_[named_ ? node_ + 1 : node_].next;
    return *this;
}

}  // namespace agave
