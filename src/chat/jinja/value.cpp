#include "chat/jinja/value.h"

#include <algorithm>
#include <cmath>
#include <cstdarg>
#include <cstdio>

#include "base/error.h"
#include "chat/jinja/function.h"
#include "chat/jinja/text.h"

namespace agave::chat::jinja {

constinit thread_local Budget* current_budget = nullptr;

namespace {

constexpr size_t max_linear_entries = 8;
constexpr int max_nesting = 400;
thread_local int nesting = 0;
constinit thread_local Heap* current_heap = nullptr;

void destroy(Object* object) {
    switch (object->type) {
        case Type::string:
            delete static_cast<StringObject*>(object);
            break;
        case Type::list:
            delete static_cast<ListObject*>(object);
            break;
        case Type::dict:
        case Type::space:
            delete static_cast<DictObject*>(object);
            break;
        case Type::function:
            delete static_cast<FunctionObject*>(object);
            break;
        case Type::loop:
            delete static_cast<LoopObject*>(object);
            break;
        default:
            delete static_cast<Scope*>(object);
    }
}

uint64_t hash_text(std::string_view text) {
    uint64_t h = 14695981039346656037u;
    for (char c : text) h = (h ^ static_cast<unsigned char>(c)) * 1099511628211u;
    return h ? h : 1;
}

uint64_t hash_integer(int64_t value) {
    uint64_t h = static_cast<uint64_t>(value) * 0x9E3779B97F4A7C15u;
    return h ^ h >> 32;
}

}  // namespace

Heap::~Heap() {
    while (Object* object = first_) {
        first_ = object->next;
        destroy(object);
    }
}

HeapUse::HeapUse(Heap& heap) : outside_(current_heap) {
    current_heap = &heap;
}
HeapUse::~HeapUse() {
    current_heap = outside_;
}

void adopt(Object* object) {
    if (!current_heap) fail(ErrorKind::runtime, "a template value was made without a heap");
    current_heap->adopt(object);
}

void fail_value(const char* format, ...) {
    char message[400];
    va_list args;
    va_start(args, format);
    std::vsnprintf(message, sizeof message, format, args);
    va_end(args);
    throw Failure{Failure::error, message};
}

void spend(uint64_t steps) {
    if (!current_budget) return;
    if (current_budget->steps_left < steps) throw Failure{Failure::limit, "the template runs too long"};
    current_budget->steps_left -= steps;
}

void reserve_bytes(size_t bytes) {
    check_room(bytes);
    if (current_budget) current_budget->bytes_left -= bytes;
}

void check_room(size_t bytes) {
    if (current_budget && current_budget->bytes_left < bytes)
        throw Failure{Failure::limit, "the template uses too much memory"};
}

void check_size(size_t bytes) {
    spend(bytes / 64);
    check_room(bytes);
}

Nesting::Nesting() {
    if (nesting >= max_nesting) throw Failure{Failure::limit, "values are nested too deeply"};
    nesting++;
}

Nesting::~Nesting() {
    nesting--;
}

StringObject::StringObject(std::string&& content)
    : Object(Type::string), storage(std::move(content)), source(this), length(storage.size()) {
    spend(1 + length / 64);
    reserve_bytes(sizeof(StringObject) + length);
}

StringObject::StringObject(StringObject& longer, size_t first_bytes)
    : Object(Type::string), source(&longer), length(first_bytes), markup(longer.markup) {
    spend(1);
    reserve_bytes(sizeof(StringObject));
}

ListObject::ListObject(std::vector<Value>&& content, ListKind list_kind)
    : Object(Type::list), items(std::move(content)), kind(list_kind) {
    spend(1 + items.size() / 8);
    reserve_bytes(sizeof(ListObject) + items.size() * sizeof(Value));
}

Value append_text(const Value& string, std::string_view more) {
    constexpr size_t shortest = 256;
    StringObject& whole = string.string_object();
    StringObject& source = *whole.source;
    if (whole.length >= shortest && whole.length == source.storage.size() && !source.fixed) {
        spend(more.size() / 64);
        reserve_bytes(more.size());
        source.storage.append(more.data(), more.size());
        return Value::of(new StringObject(source, source.storage.size()));
    }
    std::string text;
    text.reserve(whole.length + more.size());
    text += whole.view();
    text += more;
    return Value::string(std::move(text), whole.markup);
}

void fix(const Value& value) {
    if (!value.is(Type::string)) return;
    value.string_object().fixed = true;
    hash(value);
    n_characters(value);
}

const Value* DictObject::find(const Value& key) const {
    const uint64_t h = hash(key);
    if (buckets.empty()) {
        for (const Entry& entry : entries)
            if (entry.hash == h && equal(entry.key, key)) return &entry.value;
        return nullptr;
    }
    for (size_t i = h & (buckets.size() - 1); buckets[i]; i = (i + 1) & (buckets.size() - 1)) {
        const Entry& entry = entries[buckets[i] - 1];
        if (entry.hash == h && equal(entry.key, key)) return &entry.value;
    }
    return nullptr;
}

const Value* DictObject::find(std::string_view key) const {
    return entries.empty() ? nullptr : find(Value::string(key));
}

void DictObject::set(Value key, Value value) {
    if (const Value* found = find(key)) {
        *const_cast<Value*>(found) = std::move(value);
        return;
    }
    reserve_bytes(sizeof(Entry));
    const uint64_t h = hash(key);
    entries.push_back({std::move(key), std::move(value), h});
    if (entries.size() <= max_linear_entries) return;
    size_t n_buckets = buckets.size();
    size_t first = entries.size() - 1;
    if (entries.size() * 2 > n_buckets) {
        n_buckets = n_buckets ? n_buckets * 2 : max_linear_entries * 4;
        buckets.assign(n_buckets, 0);
        first = 0;
    }
    for (size_t entry = first; entry < entries.size(); entry++) {
        size_t i = entries[entry].hash & (n_buckets - 1);
        while (buckets[i]) i = (i + 1) & (n_buckets - 1);
        buckets[i] = static_cast<uint32_t>(entry + 1);
    }
}

Value Value::boolean(bool value) {
    Value result(Type::boolean);
    result.data_.integer = value;
    return result;
}

Value Value::integer(int64_t value) {
    Value result(Type::integer);
    result.data_.integer = value;
    return result;
}

Value Value::floating(double value) {
    Value result(Type::floating);
    result.data_.floating = value;
    return result;
}

Value Value::of(Object* object) {
    Value result(object->type);
    result.data_.object = object;
    adopt(object);
    return result;
}

Value Value::string(std::string&& text, bool markup) {
    auto* object = new StringObject(std::move(text));
    object->markup = markup;
    return of(object);
}

Value Value::string(std::string_view text, bool markup) {
    return string(std::string(text), markup);
}

Value Value::list(std::vector<Value>&& items, ListKind kind) {
    return of(new ListObject(std::move(items), kind));
}

Value Value::new_list(ListKind kind) {
    return list(std::vector<Value>(), kind);
}

Value Value::list_of(const Value* items, size_t n, ListKind kind) {
    Value list = new_list(kind);
    append(list, items, n);
    return list;
}

void push(Value& list, Value item) {
    spend(1);
    reserve_bytes(sizeof(Value));
    list.list_object().items.push_back(std::move(item));
}

void append(Value& list, const Value* items, size_t n) {
    for (size_t i = 0; i < n; i++) push(list, items[i]);
}

Value Value::dict() {
    return of(new DictObject);
}

Value Value::undefined(const Value& text, UndefinedReason reason) {
    Value result;
    result.reason_ = reason;
    result.data_.object = text.data_.object;
    return result;
}

void Value::set(std::string_view key, Value value) {
    dict_object().set(string(key), std::move(value));
}

const Value* Value::find(std::string_view key) const {
    return dict_object().find(key);
}

const char* type_name(const Value& value) {
    constexpr const char* list_names[] = {"list",      "tuple",       "tuple",      "range",
                                          "dict_keys", "dict_values", "dict_items", "generator"};
    switch (value.type()) {
        case Type::undefined:
        case Type::missing:
            return "Undefined";
        case Type::none:
            return "NoneType";
        case Type::boolean:
            return "bool";
        case Type::integer:
            return "int";
        case Type::floating:
            return "float";
        case Type::string:
            return "str";
        case Type::list:
            return list_names[static_cast<int>(value.list_object().kind)];
        case Type::dict:
            return "dict";
        case Type::space:
            return "Namespace";
        case Type::loop:
            return "LoopContext";
        case Type::function:
            break;
    }
    return "function";
}

void fail_undefined(const Value& value) {
    if (!value.object()) fail_value("a value is undefined");
    const std::string_view text = static_cast<StringObject*>(value.object())->view();
    const int n = static_cast<int>(std::min<size_t>(text.size(), 200));
    switch (value.undefined_reason()) {
        case UndefinedReason::name:
            fail_value("'%.*s' is undefined", n, text.data());
        case UndefinedReason::attribute:
            fail_value("a value has no attribute or element '%.*s'", n, text.data());
        case UndefinedReason::unsafe:
            fail_value("the attribute '%.*s' may not be used in a template", n, text.data());
        case UndefinedReason::hint:
            break;
    }
    fail_value("%.*s", n, text.data());
}

bool is_true(const Value& value) {
    switch (value.type()) {
        case Type::undefined:
        case Type::missing:
        case Type::none:
            return false;
        case Type::boolean:
        case Type::integer:
            return value.to_integer() != 0;
        case Type::floating:
            return value.to_floating() != 0;
        case Type::string:
            return !value.text().empty();
        case Type::list:
            return value.list_object().kind == ListKind::generator || !value.items().empty();
        case Type::dict:
            return !value.dict_object().entries.empty();
        default:
            return true;
    }
}

size_t n_characters(const Value& string) {
    StringObject& object = string.string_object();
    if (object.n_characters < 0)
        object.n_characters = static_cast<int64_t>(text::count_code_points(object.view()));
    return static_cast<size_t>(object.n_characters);
}

int64_t length(const Value& value) {
    switch (value.type()) {
        case Type::undefined:
        case Type::missing:
            return 0;
        case Type::string:
            return static_cast<int64_t>(n_characters(value));
        case Type::list:
            if (value.list_object().kind == ListKind::generator) break;
            return static_cast<int64_t>(value.items().size());
        case Type::dict:
            return static_cast<int64_t>(value.dict_object().entries.size());
        case Type::loop: {
            const auto& loop = *static_cast<LoopObject*>(value.object());
            if (loop.length >= 0) return loop.length;
            break;
        }
        default:
            break;
    }
    fail_value("object of type '%s' has no len()", type_name(value));
}

namespace {

void append_dict_repr(std::string& out, const DictObject& dict) {
    out += '{';
    for (size_t i = 0; i < dict.entries.size(); i++) {
        if (i) out += ", ";
        append_repr(out, dict.entries[i].key);
        out += ": ";
        append_repr(out, dict.entries[i].value);
    }
    out += '}';
}

void append_list_repr(std::string& out, const ListObject& list) {
    if (list.kind == ListKind::generator) {
        out += "<generator object>";
        return;
    }
    const bool tuple = list.kind == ListKind::tuple || list.kind == ListKind::group;
    if (list.kind >= ListKind::keys) {
        constexpr const char* names[] = {"dict_keys(", "dict_values(", "dict_items("};
        out += names[static_cast<int>(list.kind) - static_cast<int>(ListKind::keys)];
    }
    out += tuple ? '(' : '[';
    for (size_t i = 0; i < list.items.size(); i++) {
        if (i) out += ", ";
        append_repr(out, list.items[i]);
    }
    if (tuple && list.items.size() == 1) out += ',';
    out += tuple ? ')' : ']';
    if (list.kind >= ListKind::keys) out += ')';
}

/// A range is kept as its numbers; Python prints how it was made.
void append_range_repr(std::string& out, const ListObject& list) {
    const size_t n = list.items.size();
    const int64_t start = n ? list.items[0].to_integer() : 0;
    const int64_t step = n > 1 ? list.items[1].to_integer() - start : 1;
    const int64_t stop = n > 1 ? list.items[n - 1].to_integer() + step : start + static_cast<int64_t>(n);
    out += "range(";
    text::append_integer(out, start);
    out += ", ";
    text::append_integer(out, stop);
    if (step != 1) {
        out += ", ";
        text::append_integer(out, step);
    }
    out += ')';
}

}  // namespace

void append_repr(std::string& out, const Value& value) {
    const Nesting guard;
    spend(1);
    check_room(out.size());
    switch (value.type()) {
        case Type::undefined:
        case Type::missing:
            out += "Undefined";
            break;
        case Type::none:
            out += "None";
            break;
        case Type::boolean:
            out += value.to_boolean() ? "True" : "False";
            break;
        case Type::integer:
            text::append_integer(out, value.to_integer());
            break;
        case Type::floating:
            text::append_float(out, value.to_floating());
            break;
        case Type::string:
            if (value.is_markup()) out += "Markup(";
            text::append_repr(out, value.text());
            if (value.is_markup()) out += ')';
            break;
        case Type::list:
            if (value.list_object().kind == ListKind::range)
                append_range_repr(out, value.list_object());
            else
                append_list_repr(out, value.list_object());
            break;
        case Type::dict:
            append_dict_repr(out, value.dict_object());
            break;
        case Type::space:
            out += "<Namespace ";
            append_dict_repr(out, value.dict_object());
            out += '>';
            break;
        default:
            out += '<';
            out += type_name(value);
            out += '>';
    }
}

void append_text(std::string& out, const Value& value) {
    if (value.is(Type::string))
        out += value.text();
    else if (!value.is_undefined())
        append_repr(out, value);
}

std::string to_text(const Value& value) {
    std::string out;
    append_text(out, value);
    return out;
}

namespace {

bool equal_lists(const ListObject& a, const ListObject& b) {
    const auto family = [](const ListObject& list) {
        return list.kind == ListKind::group ? ListKind::tuple : list.kind;
    };
    if (&a == &b) return true;
    if (family(a) != family(b) || a.kind == ListKind::generator || a.kind == ListKind::values) return false;
    if (a.items.size() != b.items.size()) return false;
    for (size_t i = 0; i < a.items.size(); i++)
        if (!equal(a.items[i], b.items[i])) return false;
    return true;
}

bool equal_dicts(const DictObject& a, const DictObject& b) {
    if (a.entries.size() != b.entries.size()) return false;
    for (const DictObject::Entry& entry : a.entries) {
        const Value* other = b.find(entry.key);
        if (!other || !equal(entry.value, *other)) return false;
    }
    return true;
}

}  // namespace

bool equal(const Value& a, const Value& b) {
    if (a.is(Type::string) && b.is(Type::string)) return a.object() == b.object() || a.text() == b.text();
    if (a.is_number() && b.is_number()) {
        if (a.is_integral() && b.is_integral()) return a.to_integer() == b.to_integer();
        return a.to_double() == b.to_double();
    }
    if (a.is_undefined() || b.is_undefined()) return a.is_undefined() && b.is_undefined();
    if (a.type() != b.type()) return false;
    const Nesting guard;
    spend(1);
    if (a.is(Type::list)) return equal_lists(a.list_object(), b.list_object());
    if (a.is(Type::dict)) return equal_dicts(a.dict_object(), b.dict_object());
    if (a.is(Type::none)) return true;
    return a.object() == b.object();
}

int compare(const Value& a, const Value& b, const char* operation) {
    const auto order = [](auto x, auto y) { return x < y ? -1 : x > y ? 1 : x == y ? 0 : 2; };
    if (a.is(Type::string) && b.is(Type::string)) return order(a.text().compare(b.text()), 0);
    if (a.is_number() && b.is_number()) {
        if (a.is_integral() && b.is_integral()) return order(a.to_integer(), b.to_integer());
        return order(a.to_double(), b.to_double());
    }
    if (a.is_undefined()) fail_undefined(a);
    if (b.is_undefined()) fail_undefined(b);
    const auto row = [](const Value& v) {
        return v.is(Type::list) && v.list_object().kind <= ListKind::group;
    };
    const auto plain = [](const Value& v) { return v.list_object().kind == ListKind::list; };
    if (row(a) && row(b) && plain(a) == plain(b)) {
        const Nesting guard;
        const std::vector<Value>&x = a.items(), &y = b.items();
        for (size_t i = 0; i < x.size() && i < y.size(); i++) {
            spend(1);
            if (!equal(x[i], y[i])) return compare(x[i], y[i], operation);
        }
        return order(x.size(), y.size());
    }
    fail_value("'%s' is not supported between '%s' and '%s'", operation, type_name(a), type_name(b));
}

bool is_hashable(const Value& value) {
    if (value.is(Type::dict)) return false;
    if (!value.is(Type::list)) return true;
    const ListKind kind = value.list_object().kind;
    if (kind == ListKind::tuple || kind == ListKind::group) {
        const Nesting guard;
        for (const Value& item : value.items())
            if (!is_hashable(item)) return false;
        return true;
    }
    return kind == ListKind::range || kind == ListKind::generator;
}

uint64_t hash(const Value& value) {
    switch (value.type()) {
        case Type::string: {
            StringObject& string = value.string_object();
            if (!string.hash) string.hash = hash_text(string.view());
            return string.hash;
        }
        case Type::boolean:
        case Type::integer:
            return hash_integer(value.to_integer());
        case Type::floating: {
            const double number = value.to_floating();
            if (number == std::floor(number) && std::fabs(number) < 9e18)
                return hash_integer(static_cast<int64_t>(number));
            return hash_text({reinterpret_cast<const char*>(&number), sizeof number});
        }
        case Type::none:
        case Type::undefined:
        case Type::missing:
            return 1 + static_cast<uint64_t>(value.type());
        case Type::list: {
            const ListKind kind = value.list_object().kind;
            if (kind == ListKind::generator) return hash_integer(reinterpret_cast<intptr_t>(value.object()));
            if (kind != ListKind::tuple && kind != ListKind::group && kind != ListKind::range) break;
            const Nesting guard;
            spend(1);
            uint64_t h = 3;
            for (const Value& item : value.items()) h = h * 1099511628211u + hash(item);
            return h;
        }
        case Type::dict:
            break;
        default:
            return hash_integer(static_cast<int64_t>(reinterpret_cast<intptr_t>(value.object())));
    }
    fail_value("unhashable type: '%s'", type_name(value));
}

}  // namespace agave::chat::jinja
