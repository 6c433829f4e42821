#pragma once

#include <cstdint>
#include <iterator>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace agave {

enum class JsonKind : uint8_t { absent, null, boolean, integer, number, text, array, object };

class Json;

/// One value of a Json document, as cheap to copy as a pointer; it lives as long as the document. A value
/// that was looked up and is not there is `absent`, and so is everything inside it.
class JsonValue {
  public:
    JsonValue() = default;

    JsonKind kind() const;
    /// Whether it is there at all: null is, absent is not.
    explicit operator bool() const { return document_ != nullptr; }
    bool is(JsonKind wanted) const { return kind() == wanted; }

    /// What it holds; only for a value of this kind (as_number also for an integer).
    bool as_boolean() const;
    int64_t as_integer() const;
    double as_number() const;
    std::string_view as_text() const;

    /// Entries of an array or members of an object; 0 for every other kind.
    size_t size() const;
    /// The member of this name, or absent; linear in the members. Also for what is no object: absent.
    JsonValue operator[](std::string_view name) const;
    /// The entry of this index, or absent; linear. Also for what is no array: absent.
    JsonValue at(size_t index) const;

    /// Walks over the entries of an array or the members of an object, in the text's order.
    class Iterator {
      public:
        using value_type = JsonValue;
        using difference_type = std::ptrdiff_t;
        JsonValue operator*() const;
        /// The member's name; empty for an entry of an array.
        std::string_view name() const;
        Iterator& operator++();
        Iterator operator++(int) {
            Iterator before = *this;
            ++*this;
            return before;
        }
        bool operator==(const Iterator& other) const { return node_ == other.node_; }

      private:
        friend class JsonValue;
        const Json* document_ = nullptr;
        uint32_t node_ = 0;
        bool named_ = false;
    };
    Iterator begin() const;
    Iterator end() const;

  private:
    friend class Json;
    JsonValue(const Json* document, uint32_t node) : document_(document), node_(node) {}
    const Json* document_ = nullptr;
    uint32_t node_ = 0;
};

/// Where a JSON text comes from.
enum class JsonSource : uint8_t {
    /// A model's file. NaN, Infinity and -Infinity are numbers, because Python's json module writes them; a
    /// whole number beyond 64 bits is one with a fraction; no object may have one name twice.
    file,
    /// A request, or a model's words: strictly RFC 8259; whole numbers must fit 64 bits; a name may come
    /// twice. Errors are Error(usage).
    request
};

/// A JSON text (RFC 8259) as a tree. Texts view the parsed text where they hold no escapes.
class Json {
  public:
    /// Parses `text`, which must outlive the document. Throws Error(bad_file) that names `path`, the line and
    /// the column for what is no JSON, no UTF-8, nested deeper than kMaxDepth, or not as its source allows.
    Json(std::string_view text, const std::string& path, JsonSource source = JsonSource::file);
    Json(Json&&) = delete;

    static constexpr int kMaxDepth = 200;

    JsonValue root() const { return {this, 0}; }

  private:
    friend class JsonValue;
    friend class JsonParser;
    /// The nodes lie in the text's order: a container before what it contains, a member's name before its
    /// value.
    struct Node {
        JsonKind kind = JsonKind::null;
        uint32_t size = 0;  ///< of a text in bytes; of a container in entries
        uint32_t next = 0;  ///< the first node behind this one and all that it contains
        union {
            bool boolean;
            int64_t integer;
            double number;
            const char* text;
        };
    };
    std::vector<Node> nodes_;
    std::vector<std::unique_ptr<char[]>> unescaped_;
};

}  // namespace agave
