#include "server/fields.h"

#include <cstdarg>

#include "base/json_writer.h"

namespace agave::server {

void refuse(const char* code, const std::string& param, const char* format, ...) {
    char message[400];
    va_list arguments;
    va_start(arguments, format);
    std::vsnprintf(message, sizeof message, format, arguments);
    va_end(arguments);
    throw ApiError(400, code, param, printable(param, 120) + " " + printable(message, 400));
}

Fields::Fields(JsonValue object, std::string path) : object_(object), path_(std::move(path)) {
    if (!object.is(JsonKind::object))
        throw ApiError(400, nullptr, path_,
                       (path_.empty() ? std::string("the request") : path_) + " must be a JSON object");
    taken_.resize(object.size());
}

std::string Fields::path_of(std::string_view name) const {
    return path_.empty() ? std::string(name) : path_ + "." + std::string(name);
}

JsonValue Fields::take(std::string_view name) {
    JsonValue found;
    size_t index = 0;
    for (auto member = object_.begin(); member != object_.end(); ++member, index++) {
        if (member.name() != name) continue;
        if (found) refuse(nullptr, path_of(name), "comes twice");
        found = *member;
        taken_[index] = true;
    }
    return found.is(JsonKind::null) ? JsonValue() : found;
}

JsonValue Fields::typed(std::string_view name, JsonKind kind, const char* what) {
    const JsonValue value = take(name);
    if (value && !value.is(kind)) refuse("invalid_type", path_of(name), "must be %s", what);
    return value;
}

bool Fields::boolean(std::string_view name, bool fallback) {
    const JsonValue value = typed(name, JsonKind::boolean, "true or false");
    return value ? value.as_boolean() : fallback;
}

int64_t Fields::integer(std::string_view name, int64_t fallback, int64_t minimum, int64_t maximum) {
    const JsonValue value = typed(name, JsonKind::integer, "a whole number");
    if (!value) return fallback;
    const int64_t number = value.as_integer();
    if (number < minimum || number > maximum)
        refuse("invalid_value", path_of(name), "is %lld, but must be from %lld to %lld",
               static_cast<long long>(number), static_cast<long long>(minimum),
               static_cast<long long>(maximum));
    return number;
}

double Fields::number(std::string_view name, double fallback, double minimum, double maximum) {
    const JsonValue value = take(name);
    if (!value) return fallback;
    if (!value.is(JsonKind::integer) && !value.is(JsonKind::number))
        refuse("invalid_type", path_of(name), "must be a number");
    const double number = value.as_number();
    if (!(number >= minimum && number <= maximum))
        refuse("invalid_value", path_of(name), "is %g, but must be from %g to %g", number, minimum, maximum);
    return number;
}

std::string_view Fields::text(std::string_view name, std::string_view fallback) {
    const JsonValue value = typed(name, JsonKind::text, "a string");
    return value ? value.as_text() : fallback;
}

std::string_view Fields::required_text(std::string_view name) {
    const JsonValue value = typed(name, JsonKind::text, "a string");
    if (!value) refuse("missing_required_parameter", path_of(name), "is missing: it must be a string");
    return value.as_text();
}

JsonValue Fields::array(std::string_view name) {
    return typed(name, JsonKind::array, "an array");
}
JsonValue Fields::object(std::string_view name) {
    return typed(name, JsonKind::object, "an object");
}

/// Takes the first word off.
static std::string_view next_word(std::string_view& words) {
    const size_t end = words.find(' ');
    const std::string_view word = words.substr(0, end);
    words.remove_prefix(end == std::string_view::npos ? words.size() : end + 1);
    return word;
}

int Fields::choice(std::string_view name, std::string_view choices) {
    const JsonValue value = typed(name, JsonKind::text, "a string");
    if (!value) return -1;
    int index = 0;
    for (std::string_view left = choices; !left.empty(); index++)
        if (next_word(left) == value.as_text()) return index;
    refuse("invalid_value", path_of(name), "is '%s', but must be one of: %s",
           printable(value.as_text(), 40).c_str(), std::string(choices).c_str());
}

void Fields::ignore(std::string_view names) {
    while (!names.empty()) take(next_word(names));
}

void Fields::refuse_unless(std::string_view name, std::string_view harmless, const char* why) {
    const JsonValue value = take(name);
    if (!value) return;
    JsonWriter text = JsonWriter::compact();
    text.value(value);
    if (text.text() != harmless) refuse("unsupported_parameter", path_of(name), "%s", why);
}

void Fields::finish() const {
    size_t index = 0;
    for (auto member = object_.begin(); member != object_.end(); ++member, index++)
        if (!taken_[index] && !(*member).is(JsonKind::null))
            refuse("unknown_parameter", path_of(member.name()), "is not a field that this server knows");
}

}  // namespace agave::server
