#pragma once

#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

/// The values of a template: Python's, as far as Jinja needs them. Strings, lists and dicts never change once
/// a template can see them (the sandbox forbids it), so copying a Value copies 16 bytes.
namespace agave::chat::jinja {

enum class Type : uint8_t {
    undefined,  ///< Jinja's Undefined: prints as nothing, is false, has no attributes
    missing,    ///< no value at all: an unset variable or an argument that was not passed
    none,
    boolean,
    integer,  ///< 64 bits; Python's are unbounded, here an overflow is an error
    floating,
    string,
    list,      ///< every row of values, see ListKind
    dict,      ///< keys in order of insertion
    space,     ///< namespace(): the one thing whose attributes a template may set
    function,  ///< a global, method, macro, cycler or joiner
    loop       ///< the `loop` of a for
};

enum class ListKind : uint8_t { list, tuple, group, range, keys, values, items, generator };

/// What an undefined value's text means.
enum class UndefinedReason : uint8_t { name, attribute, hint, unsafe };

/// The base of everything that values refer to. Not virtual: Heap switches over the type.
struct Object {
    explicit Object(Type object_type) : type(object_type) {}
    Object* next = nullptr;  ///< in its heap
    Type type;
};

/// Owns the objects behind values: they live as long as it does. A render has one of its own, so values need
/// no reference counts, may refer to each other in cycles, and are copied like numbers.
class Heap {
  public:
    Heap() = default;
    Heap(Heap&& other) noexcept : first_(std::exchange(other.first_, nullptr)) {}
    Heap& operator=(Heap&& other) noexcept {
        std::swap(first_, other.first_);
        return *this;
    }
    ~Heap();
    void adopt(Object* object) {
        object->next = first_;
        first_ = object;
    }

  private:
    Object* first_ = nullptr;
};

/// New values of this thread belong to the heap while this lives.
class HeapUse {
  public:
    explicit HeapUse(Heap& heap);
    ~HeapUse();
    HeapUse(const HeapUse&) = delete;
    HeapUse& operator=(const HeapUse&) = delete;

  private:
    Heap* outside_;
};

/// Gives the object to the heap in use; without one it throws.
void adopt(Object* object);

struct StringObject;
struct ListObject;
struct DictObject;

class Value {
  public:
    Value() noexcept = default;

    static Value none() { return Value(Type::none); }
    static Value missing() { return Value(Type::missing); }
    static Value boolean(bool value);
    static Value integer(int64_t value);
    static Value floating(double value);
    /// `markup`: MarkupSafe's Markup, which escapes what is added to it.
    static Value string(std::string&& text, bool markup = false);
    static Value string(std::string_view text, bool markup = false);
    static Value string(const char* text) { return string(std::string_view(text)); }
    static Value list(std::vector<Value>&& items, ListKind kind = ListKind::list);
    static Value list(std::initializer_list<Value> items, ListKind kind = ListKind::list) {
        return list_of(items.begin(), items.size(), kind);
    }
    /// An empty list to push() to.
    static Value new_list(ListKind kind = ListKind::list);
    static Value list_of(const Value* items, size_t n, ListKind kind = ListKind::list);
    static Value dict();
    /// `text`: the name, attribute or message by reason.
    static Value undefined(const Value& text, UndefinedReason reason);
    /// Takes a new object into the heap in use; its type becomes the value's.
    static Value of(Object* object);

    Type type() const { return type_; }
    bool is(Type type) const { return type_ == type; }
    /// True for both undefined and missing.
    bool is_undefined() const { return type_ <= Type::missing; }
    bool is_number() const { return type_ >= Type::boolean && type_ <= Type::floating; }
    /// Python's int: bool is one.
    bool is_integral() const { return type_ == Type::boolean || type_ == Type::integer; }
    bool is_list(ListKind kind) const;

    /// Unchecked access: the type must match (to_integer: boolean or integer).
    bool to_boolean() const { return data_.integer != 0; }
    int64_t to_integer() const { return data_.integer; }
    double to_floating() const { return data_.floating; }
    /// Of any number.
    double to_double() const {
        return type_ == Type::floating ? data_.floating : static_cast<double>(data_.integer);
    }
    std::string_view text() const;
    bool is_markup() const;
    StringObject& string_object() const;
    ListObject& list_object() const;
    const std::vector<Value>& items() const;
    DictObject& dict_object() const;
    Object* object() const { return data_.object; }
    UndefinedReason undefined_reason() const { return reason_; }

    /// Sets an entry of a dict (or namespace) under a string key.
    void set(std::string_view key, Value value);
    /// The entry of a dict (or namespace) under a string key, or null.
    const Value* find(std::string_view key) const;

  private:
    explicit Value(Type type) noexcept : type_(type) {}

    Type type_ = Type::undefined;
    UndefinedReason reason_ = UndefinedReason::hint;
    union {
        int64_t integer = 0;
        double floating;
        Object* object;  ///< of an undefined value: its text, or null
    } data_;
};

/// A string, or the beginning of a longer one: adding to a string that ends where its storage ends appends in
/// place, so that text put together piece by piece costs no more than its length.
struct StringObject : Object {
    explicit StringObject(std::string&& content);
    StringObject(StringObject& longer, size_t first_bytes);
    std::string_view view() const { return {source->storage.data(), length}; }
    std::string storage;
    StringObject* source;  ///< whose storage it is; itself as a rule
    size_t length;
    int64_t n_characters = -1;  ///< code points, once counted
    uint64_t hash = 0;          ///< once computed
    bool markup = false;
    bool fixed = false;  ///< not to be appended to: shared between threads
};

struct ListObject : Object {
    explicit ListObject(std::vector<Value>&& content, ListKind list_kind = ListKind::list);
    std::vector<Value> items;
    size_t position = 0;  ///< of a generator: items before it are consumed
    ListKind kind;
};

/// A dict or namespace: entries in order, and buckets of open addressing once there are more than a few.
struct DictObject : Object {
    struct Entry {
        Value key, value;
        uint64_t hash;
    };
    explicit DictObject(Type object_type = Type::dict) : Object(object_type) {}
    std::vector<Entry> entries;
    std::vector<uint32_t> buckets;  ///< index + 1 of the entry, 0 = free; size a power of two

    /// Throws Failure for a key that is not hashable.
    const Value* find(const Value& key) const;
    const Value* find(std::string_view key) const;
    void set(Value key, Value value);
};

/// Appends to a list that no template has seen yet, and charges the memory. (Out of line, as std::vector's
/// own way costs its code wherever it is used.)
void push(Value& list, Value item);
void append(Value& list, const Value* items, size_t n);

/// Thrown by operations on values; the interpreter adds line and column.
struct Failure {
    enum Kind { error, limit, raised } kind;  ///< raised: by the template's own raise_exception
    std::string message;
};
[[noreturn, gnu::format(printf, 1, 2)]] void fail_value(const char* format, ...);

/// What a render may use. The one in force on this thread is found through `current_budget`.
struct Budget {
    uint64_t steps_left;
    uint64_t bytes_left;  ///< of memory in values
    uint32_t depth_left;  ///< of nested evaluation
};
extern constinit thread_local Budget* current_budget;
/// Takes steps from the budget; throws Failure when there are none left.
void spend(uint64_t steps);
/// Counts memory that a value is about to own; throws Failure when it is too much.
void reserve_bytes(size_t bytes);

/// Throws Failure when a text of this size would be too much memory.
void check_room(size_t bytes);
/// The same, and charges the work of making it.
void check_size(size_t bytes);

/// string + more, keeping the string's markup.
Value append_text(const Value& string, std::string_view more);
/// Makes a value safe to read on several threads: caches are filled, its text stays as it is.
void fix(const Value& value);

/// The Python type's name, for messages.
const char* type_name(const Value& value);
bool is_true(const Value& value);
/// str(value)
std::string to_text(const Value& value);
void append_text(std::string& out, const Value& value);
void append_repr(std::string& out, const Value& value);
/// ==
bool equal(const Value& a, const Value& b);
/// Negative, 0, positive for a < b, a == b, a > b; 2 when unordered (NaN). Throws for types without an order.
int compare(const Value& a, const Value& b, const char* operation);
/// Throws for values that are not hashable: lists and dicts.
uint64_t hash(const Value& value);
bool is_hashable(const Value& value);
/// len(); throws for values without one.
int64_t length(const Value& value);
size_t n_characters(const Value& string);

/// The message of Jinja's UndefinedError for this value.
[[noreturn]] void fail_undefined(const Value& value);

/// Keeps recursion into nested values (repr, ==, tojson) from overflowing the stack.
struct Nesting {
    Nesting();
    ~Nesting();
    Nesting(const Nesting&) = delete;
    Nesting& operator=(const Nesting&) = delete;
};

inline std::string_view Value::text() const {
    return static_cast<StringObject*>(data_.object)->view();
}
inline bool Value::is_markup() const {
    return type_ == Type::string && static_cast<StringObject*>(data_.object)->markup;
}
inline StringObject& Value::string_object() const {
    return *static_cast<StringObject*>(data_.object);
}
inline ListObject& Value::list_object() const {
    return *static_cast<ListObject*>(data_.object);
}
inline const std::vector<Value>& Value::items() const {
    return list_object().items;
}
inline DictObject& Value::dict_object() const {
    return *static_cast<DictObject*>(data_.object);
}
inline bool Value::is_list(ListKind kind) const {
    return type_ == Type::list && list_object().kind == kind;
}

}  // namespace agave::chat::jinja
