#pragma once

#include <cstdint>
#include <string>

namespace agave::chat {

/// Appends one byte of the inside of a JSON string, escaped where JSON demands it.
void append_json_byte(std::string& out, char byte);

bool is_json_space(char byte);

enum class Scan : uint8_t {
    more,
    done,         ///< the value ended with this byte
    done_before,  ///< the value (a number) had ended before this byte
    bad
};

/// Checks one JSON value (RFC 8259) byte by byte as it comes, without white space around it, and mends what
/// models write in strings and JSON forbids: control characters are escaped, halves of surrogate pairs become
/// U+FFFD.
class JsonScanner {
  public:
    /// Appends to `out` what the byte adds to the value; nothing when it is not part of it.
    Scan feed(char byte, std::string& out);
    /// The text has ended: true when it is a whole value.
    bool finish() const { return ended() || (open_.empty() && number_may_end()); }
    void reset() { *this = JsonScanner(); }

  private:
    enum class State : uint8_t {
        value,
        first_value,  ///< of an array: it may end here
        first_key,
        key,
        colon,
        string,
        escape,
        hex,
        low_backslash,  ///< after half of a surrogate pair
        low_u,
        minus,
        zero,
        integer,
        point,
        fraction,
        exponent,
        exponent_sign,
        exponent_digits,
        literal,
        after_value,
        end
    };
    bool ended() const { return state_ == State::end; }
    bool number_may_end() const;
    Scan begin_value(char byte);
    Scan feed_string(char byte, std::string& out);
    Scan feed_hex(char byte, std::string& out);
    Scan feed_number(char byte);
    Scan feed_structure(char byte);
    Scan close();
    Scan close_string();
    void lose_high(std::string& out);

    static constexpr size_t max_depth = 200;

    State state_ = State::value;
    bool in_key_ = false;
    std::string open_;               ///< { and [
    const char* literal_ = nullptr;  ///< what must follow
    uint32_t hex_ = 0, n_hex_ = 0;
    uint32_t high_ = 0;  ///< half of a surrogate pair that waits for the other
};

}  // namespace agave::chat
