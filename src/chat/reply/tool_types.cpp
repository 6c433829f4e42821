#include "chat/reply/tool_types.h"

#include "base/json.h"
#include "chat/reply/json_scanner.h"

namespace agave::chat {

namespace {

struct NamedType {
    const char* name;
    uint8_t type;
};
constexpr NamedType named_types[] = {
    {"string", type_string},   {"integer", type_integer}, {"number", type_number | type_integer},
    {"boolean", type_boolean}, {"null", type_null},       {"array", type_array},
    {"object", type_object},
};

uint8_t type_of(const JsonValue& value) {
    switch (value.kind()) {
        case JsonKind::text:
            return type_string;
        case JsonKind::integer:
            return type_integer;
        case JsonKind::number:
            return type_number;
        case JsonKind::boolean:
            return type_boolean;
        case JsonKind::null:
            return type_null;
        case JsonKind::array:
            return type_array;
        case JsonKind::object:
            return type_object;
        default:
            return 0;
    }
}

uint8_t type_named(const JsonValue& name) {
    if (name.is(JsonKind::text))
        for (const NamedType& row : named_types)
            if (name.as_text() == row.name) return row.type;
    return 0;
}

/// What a JSON schema allows, as far as `type`, `enum`, `const`, `anyOf` and `oneOf` tell.
uint8_t types_of_schema(const JsonValue& schema, int depth) {
    if (depth > 8) return 0;
    const JsonValue type = schema["type"];
    uint8_t types = type_named(type);
    if (type.is(JsonKind::array))
        for (const JsonValue name : type) types |= type_named(name);
    if (const JsonValue nullable = schema["nullable"];
        types != 0 && nullable.is(JsonKind::boolean) && nullable.as_boolean())
        types |= type_null;
    if (types != 0) return types;
    for (const char* key : {"anyOf", "oneOf"}) {
        const JsonValue choices = schema[key];
        if (!choices.is(JsonKind::array)) continue;
        for (const JsonValue choice : choices) {
            const uint8_t more = types_of_schema(choice, depth + 1);
            if (more == 0) return 0;
            types |= more;
        }
    }
    if (types != 0) return types;
    if (const JsonValue values = schema["enum"]; values.is(JsonKind::array))
        for (const JsonValue value : values) types |= type_of(value);
    return types != 0 ? types : type_of(schema["const"]);
}

}  // namespace

ToolTypes::ToolTypes(std::string_view tools_json) {
    if (tools_json.empty()) return;
    const Json json(tools_json, "the list of tools", JsonSource::request);
    if (!json.root().is(JsonKind::array)) return;
    for (const JsonValue item : json.root()) {
        const JsonValue function = item["function"];
        const JsonValue tool = function.is(JsonKind::object) ? function : item;
        const JsonValue name = tool["name"];
        if (!name.is(JsonKind::text)) continue;
        tools_.push_back({std::string(name.as_text()), {}});
        const JsonValue properties = tool["parameters"]["properties"];
        for (auto property = properties.begin(); property != properties.end(); ++property)
            if (properties.is(JsonKind::object))
                tools_.back().parameters.push_back(
                    {std::string(property.name()), types_of_schema(*property, 0)});
    }
}

bool ToolTypes::has_tool(std::string_view name) const {
    for (const Tool& tool : tools_)
        if (tool.name == name) return true;
    return false;
}

uint8_t ToolTypes::types_of(std::string_view tool_name, std::string_view parameter_name) const {
    for (const Tool& tool : tools_)
        if (tool.name == tool_name)
            for (const Parameter& parameter : tool.parameters)
                if (parameter.name == parameter_name) return parameter.types;
    return 0;
}

void append_typed_value(std::string& out, std::string_view text, uint8_t types) {
    std::string_view trimmed = text;
    while (!trimmed.empty() && is_json_space(trimmed.front())) trimmed.remove_prefix(1);
    while (!trimmed.empty() && is_json_space(trimmed.back())) trimmed.remove_suffix(1);
    if (trimmed == "True" || trimmed == "False" || trimmed == "None")
        trimmed = trimmed == "True" ? "true" : trimmed == "False" ? "false" : "null";

    uint8_t type = type_string;
    if (!trimmed.empty()) switch (trimmed[0]) {
            case '{':
                type = type_object;
                break;
            case '[':
                type = type_array;
                break;
            case 't':
            case 'f':
                type = type_boolean;
                break;
            case 'n':
                type = type_null;
                break;
            case '"':
                break;
            default:
                type = trimmed.find_first_of(".eE") == std::string_view::npos ? type_integer : type_number;
        }
    if (type != type_string && (types == 0 || (types & type) != 0)) {
        JsonScanner scanner;
        std::string json;
        Scan result = Scan::more;
        size_t n = 0;
        while (n < trimmed.size() && result == Scan::more) result = scanner.feed(trimmed[n++], json);
        if (n == trimmed.size() && (result == Scan::done || (result == Scan::more && scanner.finish()))) {
            out += json;
            return;
        }
    }
    out += '"';
    for (const char byte : text) append_json_byte(out, byte);
    out += '"';
}

bool is_name_byte(char byte) {
    const auto code = static_cast<unsigned char>(byte);
    return code > ' ' && code != 0x7F &&
           std::string_view("\"'\\<>{}[](),;|").find(byte) == std::string_view::npos;
}

}  // namespace agave::chat
