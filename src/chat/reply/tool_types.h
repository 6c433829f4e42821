#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace agave::chat {

/// The JSON types that a parameter may have; none known: 0.
enum JsonTypes : uint8_t {
    type_string = 1,
    type_integer = 2,
    type_number = 4,
    type_boolean = 8,
    type_null = 16,
    type_array = 32,
    type_object = 64
};

/// What the tools of a request tell about their parameters, for the syntaxes whose calls do not tell a string
/// from a number.
class ToolTypes {
  public:
    ToolTypes() = default;
    /// `tools_json`: as RenderOptions has it. Throws Error(usage) for JSON that is none.
    explicit ToolTypes(std::string_view tools_json);

    bool has_tools() const { return !tools_.empty(); }
    bool has_tool(std::string_view name) const;
    /// JsonTypes of a parameter.
    uint8_t types_of(std::string_view tool, std::string_view parameter) const;

  private:
    struct Parameter {
        std::string name;
        uint8_t types;
    };
    struct Tool {
        std::string name;
        std::vector<Parameter> parameters;
    };
    std::vector<Tool> tools_;
};

/// Appends a parameter's value, written as plain text, as JSON: what is JSON of another type than string (or
/// Python's True, False or None), and allowed by the types, as that; else as a string.
void append_typed_value(std::string& out, std::string_view text, uint8_t types);

/// Whether a text can be the name of a function: no space, quote, bracket or control character in it.
bool is_name_byte(char byte);
constexpr size_t max_name_bytes = 256;

}  // namespace agave::chat
