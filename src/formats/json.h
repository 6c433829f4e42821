#pragma once

#include <cstddef>
#include <cstdint>
#include <iterator>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace agave {

class JsonDocument;
class JsonMembers;
class JsonElements;

enum class JsonType : uint8_t { null, boolean, number, text, array, object };

/// One value of a JsonDocument, which must outlive it. A value that was looked for and not found is absent:
/// false as a condition. The checked getters throw Error(bad_file) that names the file, the value's place
/// ("text_config.vocab_size"), what was found and what was expected.
class JsonValue {
  public:
    JsonValue() = default;
    explicit operator bool() const { return document_ != nullptr; }

    JsonType type() const;
    bool is_null() const { return type() == JsonType::null; }
    bool is_boolean() const { return type() == JsonType::boolean; }
    bool is_number() const { return type() == JsonType::number; }
    bool is_text() const { return type() == JsonType::text; }
    bool is_array() const { return type() == JsonType::array; }
    bool is_object() const { return type() == JsonType::object; }
    /// Whether it is a number without fraction and exponent.
    bool is_integer() const;

    bool boolean() const;
    /// An integer in [minimum, maximum].
    int64_t integer(int64_t minimum, int64_t maximum) const;
    /// A finite number.
    double number() const;
    std::string_view text() const;
    /// The elements of an array, the members of an object, in the file's order.
    JsonElements elements() const;
    JsonMembers members() const;
    /// A text's characters; any other value as the file spells it (arrays and objects: nothing).
    std::string_view spelling() const;
    /// How many elements or members an array or object has.
    size_t size() const;

    /// The member of this name; absent when there is none or this is no object.
    JsonValue find(std::string_view key) const;
    /// The same, required: throws when this is no object or has no such member.
    JsonValue require(std::string_view key) const;

    /// A member that may be missing or null: then `fallback`.
    bool boolean_or(std::string_view key, bool fallback) const;
    int64_t integer_or(std::string_view key, int64_t fallback, int64_t minimum, int64_t maximum) const;
    double number_or(std::string_view key, double fallback) const;
    std::string_view text_or(std::string_view key, std::string_view fallback) const;

    /// Where it stands, for messages: "text_config.layer_types[3]"; "" for the root.
    std::string place() const;
    /// Throws Error(bad_file): "'path': PLACE is FOUND; expected `expected`".
    [[noreturn]] void fail_expected(const char* expected) const;

  private:
    friend class JsonDocument;
    friend class JsonMembers;
    friend class JsonElements;
    JsonValue(const JsonDocument* document, uint32_t index) : document_(document), index_(index) {}
    JsonValue find_present(std::string_view key) const;

    const JsonDocument* document_ = nullptr;
    uint32_t index_ = 0;
};

struct JsonMember {
    std::string_view key;
    JsonValue value;
};

/// A JSON text (RFC 8259, and Python's NaN, Infinity and -Infinity as numbers) as one flat array of values.
/// Texts without escapes are views into the source. Its values point to it, so it must stay in place.
class JsonDocument {
  public:
    /// `path` names the file in messages. `text` must outlive the document. Throws Error(bad_file) with line
    /// and column where it is no JSON, no UTF-8, nested deeper than 100 or a key comes twice in one object.
    static JsonDocument parse(std::string_view text, std::string path);

    JsonValue root() const { return {this, 0}; }
    const std::string& path() const { return path_; }

  private:
    friend class JsonValue;
    friend class JsonMembers;
    friend class JsonElements;
    friend class JsonParser;

    /// The values in the order of the text: each array and object before its contents, each key (a text)
    /// before its value.
    struct Node {
        const char* begin;  ///< of the text's content, or of the value as the file spells it
        uint32_t size;      ///< bytes of a text or number, elements or members
        uint32_t next;      ///< index of the value behind this one and its contents
        JsonType type;
    };
    const Node& node(uint32_t index) const { return nodes_[index]; }
    std::string_view text_of(uint32_t index) const { return {nodes_[index].begin, nodes_[index].size}; }

    std::string path_;
    std::vector<Node> nodes_;
    std::unique_ptr<char[]> unescaped_;  ///< the texts with escapes
};

/// What `for (const JsonMember& m : value.members())` walks over.
class JsonMembers {
  public:
    class Iterator {
      public:
        JsonMember operator*() const { return {document_->text_of(at_), JsonValue(document_, at_ + 1)}; }
        Iterator& operator++() {
            at_ = document_->node(at_ + 1).next;
            return *this;
        }
        bool operator==(const Iterator& other) const { return at_ == other.at_; }

      private:
        friend class JsonMembers;
        Iterator(const JsonDocument* document, uint32_t at) : document_(document), at_(at) {}
        const JsonDocument* document_;
        uint32_t at_;
    };
    Iterator begin() const { return {object_.document_, object_.index_ + 1}; }
    Iterator end() const { return {object_.document_, object_.document_->node(object_.index_).next}; }

  private:
    friend class JsonValue;
    explicit JsonMembers(JsonValue object) : object_(object) {}
    JsonValue object_;
};

/// What `for (const JsonValue e : value.elements())` walks over.
class JsonElements {
  public:
    class Iterator {
      public:
        JsonValue operator*() const { return {document_, at_}; }
        Iterator& operator++() {
            at_ = document_->node(at_).next;
            return *this;
        }
        bool operator==(const Iterator& other) const { return at_ == other.at_; }

      private:
        friend class JsonElements;
        Iterator(const JsonDocument* document, uint32_t at) : document_(document), at_(at) {}
        const JsonDocument* document_;
        uint32_t at_;
    };
    Iterator begin() const { return {array_.document_, array_.index_ + 1}; }
    Iterator end() const { return {array_.document_, array_.document_->node(array_.index_).next}; }

  private:
    friend class JsonValue;
    explicit JsonElements(JsonValue array) : array_(array) {}
    JsonValue array_;
};

}  // namespace agave
