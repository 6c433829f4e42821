#pragma once

#include "chat/jinja/interpreter.h"
#include "chat/jinja/operators.h"

/// Jinja's built-in filters (jinja2, filters.py), but for random, urlize, wordwrap, striptags, xmlattr and
/// pprint, and with Hugging Face's tojson: in tables by what they work on.
namespace agave::chat::jinja {

extern const BuiltinTable text_filters, number_filters, sequence_filters;

inline bool flag(const Value& value) {
    return is_true(value);
}
inline int64_t integer_or(const Value& value, int64_t otherwise, const char* what) {
    return value.is(Type::missing) ? otherwise : as_integer(value, what);
}
inline bool absent(const Value& value) {
    return value.is(Type::missing) || value.is(Type::none);
}

/// str(value), but a string (or Markup) as it is.
inline Value soft_string(const Value& value) {
    return value.is(Type::string) ? value : Value::string(to_text(value));
}
inline Value like(const Value& model, std::string text) {
    return Value::string(std::move(text), model.is_markup());
}

}  // namespace agave::chat::jinja
