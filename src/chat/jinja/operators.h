#pragma once

#include "chat/jinja/ast.h"
#include "chat/jinja/value.h"

/// Python's operators on values. All throw Failure where Python raises.
namespace agave::chat::jinja {

Value binary(Operator op, const Value& a, const Value& b);
Value negate(const Value& value, Operator op);
bool compare_values(Operator op, const Value& a, const Value& b);
bool contains(const Value& container, const Value& item);

/// object[key] in a template: an item, else an attribute of that name, else undefined.
Value subscript(const Value& object, const Value& key);
/// object.name in a template: an attribute, else an item, else undefined. Not for loops, see Interpreter.
Value attribute(const Value& object, const Value& name);
/// An attribute as Python's getattr finds it, or missing; unsafe ones are undefined.
Value own_attribute(const Value& object, const Value& name);
/// object[start:stop:step]; missing parts are Type::missing.
Value slice(const Value& object, const Value& start, const Value& stop, const Value& step);

/// What iterating over the value gives, as a list (the value itself if it is one). Consumes a generator.
Value iterate(const Value& value);
bool is_iterable(const Value& value);
/// The keys of a dict, the characters of a string.
Value keys_of(const DictObject& dict, ListKind kind);
Value characters_of(const Value& string);
/// The items of a dict as tuples.
Value items_of(const DictObject& dict, ListKind kind);
Value values_of(const DictObject& dict);

/// The order that sorts the keys by <, stable as Python's sorted() is, also in reverse.
std::vector<uint32_t> sorted_order(const std::vector<Value>& keys, bool reverse);

/// Characters [begin, end) of a string, counted in code points.
Value substring(const Value& string, size_t begin, size_t end);

/// int(value) for arguments: throws when the value is not an integer.
int64_t as_integer(const Value& value, const char* what);
/// A string argument: throws when the value is not a string.
std::string_view as_string(const Value& value, const char* what);

/// a + b of strings with Markup's escaping.
Value concatenate(const Value& a, const Value& b);
/// The string as Markup (escaped unless it is already).
Value escape(const Value& value);

/// text % arguments, see format.cpp.
Value format_percent(const Value& text, const Value& arguments);
/// text.format(...), see format.cpp.
Value format_braces(const Value& text, const std::vector<Value>& positional,
                    const std::vector<std::pair<Value, Value>>& keyword);

}  // namespace agave::chat::jinja
