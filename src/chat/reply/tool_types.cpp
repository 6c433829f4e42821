#include "chat/reply/tool_types.h"

#include "chat/json.h"
#include "chat/reply/json_scanner.h"

namespace agave::chat {

using jinja::Type;
using jinja::Value;

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

uint8_t type_of_value(const Value& value) {
    switch (value.type()) {
        case Type::string:
            return type_string;
        case Type::integer:
            return type_integer;
        case Type::floating:
            return type_number;
        case Type::boolean:
            return type_boolean;
        case Type::none:
            return type_null;
        case Type::list:
            return type_array;
        case Type::dict:
            return type_object;
        default:
            return 0;
    }
}

/// What a JSON schema allows, as far as `type`, `enum`, `const`, `anyOf` and `oneOf` tell.
uint8_t types_of_schema(const Value& schema, int depth) {
    if (!schema.is(Type::dict) || depth > 8) return 0;
    uint8_t types = 0;
    const auto add_name = [&](const Value& name) {
        if (!name.is(Type::string)) return;
        for (const NamedType& row : named_types)
            if (name.text() == row.name) types |= row.type;
    };
    if (const Value* type = schema.find("type")) {
        add_name(*type);
        if (type->is(Type::list))
            for (const Value& name : type->items()) add_name(name);
    }
    if (const Value* nullable = schema.find("nullable");
        types != 0 && nullable && nullable->is(Type::boolean))
        if (nullable->to_boolean()) types |= type_null;
    if (types != 0) return types;
    for (const char* key : {"anyOf", "oneOf"})
        if (const Value* choices = schema.find(key); choices && choices->is(Type::list))
            for (const Value& choice : choices->items()) {
                const uint8_t more = types_of_schema(choice, depth + 1);
                if (more == 0) return 0;
                types |= more;
            }
    if (const Value* values = schema.find("enum"); types == 0 && values && values->is(Type::list))
        for (const Value& value : values->items()) types |= type_of_value(value);
    if (const Value* value = schema.find("const"); types == 0 && value) types = type_of_value(*value);
    return types;
}

}  // namespace

ToolTypes::ToolTypes(std::string_view tools_json) {
    if (tools_json.empty()) return;
    jinja::Heap heap;
    const jinja::HeapUse use(heap);
    const Value tools = jinja::parse_json(tools_json, "the list of tools");
    if (!tools.is(Type::list)) return;
    for (const Value& item : tools.items()) {
        const Value* function = item.is(Type::dict) ? item.find("function") : nullptr;
        const Value& tool = function && function->is(Type::dict) ? *function : item;
        const Value* name = tool.is(Type::dict) ? tool.find("name") : nullptr;
        if (!name || !name->is(Type::string)) continue;
        tools_.push_back({std::string(name->text()), {}});
        const Value* schema = tool.find("parameters");
        const Value* properties = schema && schema->is(Type::dict) ? schema->find("properties") : nullptr;
        if (!properties || !properties->is(Type::dict)) continue;
        for (const auto& entry : properties->dict_object().entries)
            tools_.back().parameters.push_back(
                {std::string(entry.key.text()), types_of_schema(entry.value, 0)});
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
