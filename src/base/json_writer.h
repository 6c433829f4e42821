#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "base/json.h"

namespace agave {

/// Writes one JSON value into a string. The caller keeps begin and end, and keys and values, in balance.
class JsonWriter {
  public:
    JsonWriter() = default;
    /// Without the spaces behind commas and colons.
    static JsonWriter compact() {
        JsonWriter writer;
        writer.compact_ = true;
        return writer;
    }

    void begin_object() { open('{'); }
    void end_object() { close('}'); }
    void begin_array() { open('['); }
    void end_array() { close(']'); }
    void key(std::string_view name);

    /// Invalid UTF-8 becomes U+FFFD.
    void value(std::string_view text);
    void value(const char* text) { value(std::string_view(text)); }
    void value(bool truth) { raw(truth ? "true" : "false"); }
    void value(int64_t number);
    void value(uint64_t number);
    void value(int32_t number) { value(static_cast<int64_t>(number)); }
    /// With the digits that give the same double back; JSON has no NaN and infinity, which become null.
    void value(double number);
    /// With the digits that give the same float back.
    void value_of_float(float number);
    /// A parsed value, as it was but for its white space.
    void value(JsonValue copied);
    /// One JSON value that is text already.
    void json(std::string_view text) { raw(text); }
    void null() { raw("null"); }

    template <typename T>
    void member(std::string_view name, const T& content) {
        key(name);
        value(content);
    }
    void array(std::span<const int32_t> numbers);

    const std::string& text() const { return text_; }
    std::string take() { return std::move(text_); }

  private:
    void open(char bracket);
    void close(char bracket);
    void separate();
    void raw(std::string_view token);

    std::string text_;
    bool compact_ = false;
    bool first_ = true;  ///< nothing stands in the innermost brackets yet
    bool after_key_ = false;
};

}  // namespace agave
