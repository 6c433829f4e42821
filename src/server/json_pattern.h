#pragma once

#include <concepts>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

namespace agave::server {

/// JSON text that stands for itself.
struct RawJson {
    std::string_view text;
};

/// What takes the place of a '?' in a pattern.
class JsonArgument {
  public:
    JsonArgument(std::string_view value) : kind_(text), text_(value) {}
    JsonArgument(const std::string& value) : kind_(text), text_(value) {}
    JsonArgument(const char* value) : kind_(value ? text : null), text_(value ? value : "") {}
    JsonArgument(RawJson value) : kind_(raw), text_(value.text) {}
    JsonArgument(std::nullptr_t) : kind_(null), integer_(0) {}
    JsonArgument(float value) : kind_(real), real_(value) {}
    template <std::integral T>
    JsonArgument(T value)
        : kind_(std::same_as<T, bool> ? truth : integer), integer_(static_cast<int64_t>(value)) {}

  private:
    friend void append_json(std::string&, const char*, std::initializer_list<JsonArgument>);
    enum Kind : uint8_t { text, raw, integer, real, truth, null } kind_;
    union {
        std::string_view text_;
        int64_t integer_;
        float real_;
    };
};

/// Appends the pattern, JSON with a '?' for each argument: texts are quoted and escaped, nullptr is null, a
/// float has the digits that give it back (NaN is null). A pattern holds no other question mark.
void append_json(std::string& out, const char* pattern, std::initializer_list<JsonArgument> arguments);
std::string make_json(const char* pattern, std::initializer_list<JsonArgument> arguments);

}  // namespace agave::server
