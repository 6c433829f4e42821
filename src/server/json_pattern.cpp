#include "server/json_pattern.h"

#include <cstring>

#include "base/json_writer.h"

namespace agave::server {

void append_json(std::string& out, const char* pattern, std::initializer_list<JsonArgument> arguments) {
    for (const JsonArgument& argument : arguments) {
        const char* place = std::strchr(pattern, '?');
        out.append(pattern, place);
        pattern = place + 1;
        JsonWriter json;
        switch (argument.kind_) {
            case JsonArgument::raw:
                out += argument.text_;
                continue;
            case JsonArgument::text:
                json.value(argument.text_);
                break;
            case JsonArgument::integer:
                json.value(argument.integer_);
                break;
            case JsonArgument::real:
                json.value_of_float(argument.real_);
                break;
            case JsonArgument::truth:
                json.value(argument.integer_ != 0);
                break;
            case JsonArgument::null:
                json.null();
                break;
        }
        out += json.text();
    }
    out += pattern;
}

std::string make_json(const char* pattern, std::initializer_list<JsonArgument> arguments) {
    std::string out;
    append_json(out, pattern, arguments);
    return out;
}

}  // namespace agave::server
