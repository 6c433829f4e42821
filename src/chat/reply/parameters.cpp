#include "chat/reply/parameters.h"

#include "chat/reply/json_scanner.h"

namespace agave::chat {

void ParameterWriter::begin_call(std::string_view name) {
    tool_ = name;
    first_value_ = true;
    in_value_ = false;
    output_.begin_call(name);
}

void ParameterWriter::begin_value(std::string_view key) {
    std::string text = first_value_ ? "{\"" : ", \"";
    for (const char byte : key) append_json_byte(text, byte);
    text += "\": ";
    type_ = types_.types_of(tool_, key);
    if (type_ == type_string) text += '"';
    output_.arguments(text);
    first_value_ = false;
    in_value_ = at_start_ = true;
    held_break_ = false;
    kept_.clear();
}

void ParameterWriter::add(char byte) {
    const bool skip = line_breaks_ && at_start_ && byte == '\n';
    at_start_ = false;
    if (skip) return;
    if (held_break_) write('\n');
    held_break_ = line_breaks_ && byte == '\n';
    if (!held_break_) write(byte);
}

void ParameterWriter::write(char byte) {
    if (type_ != type_string) {
        kept_ += byte;
        return;
    }
    std::string text;
    append_json_byte(text, byte);
    output_.arguments(text);
}

void ParameterWriter::end_value() {
    in_value_ = false;
    std::string text;
    if (type_ == type_string)
        text = "\"";
    else
        append_typed_value(text, kept_, type_);
    output_.arguments(text);
}

void ParameterWriter::end_call() {
    output_.arguments(first_value_ ? "{}" : "}");
    output_.end_call();
}

void ParameterWriter::finish() {
    if (!in_value_ || type_ == type_string) return;
    std::string text = "\"";
    for (const char byte : kept_) append_json_byte(text, byte);
    output_.arguments(text);
}

}  // namespace agave::chat
