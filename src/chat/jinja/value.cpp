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

}  // namespace agave::chat::jinja
