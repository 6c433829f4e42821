#pragma once

#include <string>
#include <string_view>

#include "chat/jinja/value.h"

namespace agave::chat::jinja {

struct JsonStyle {
    bool ensure_ascii = false;
    bool sort_keys = false;
    bool multi_line = false;  ///< with an indent, which may be empty
    std::string indent;
    std::string item_separator = ", ", key_separator = ": ";
};

/// Appends the value as Python's json.dumps writes it. Throws Failure for what JSON cannot hold.
void append_json(std::string& out, const Value& value, const JsonStyle& style);

/// Reads one JSON text into the heap in use; `what` names it in the message. Throws Error(usage) with the
/// place of the fault.
Value parse_json(std::string_view json, const char* what);

}  // namespace agave::chat::jinja
