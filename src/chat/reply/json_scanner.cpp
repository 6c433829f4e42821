#include "chat/reply/json_scanner.h"

#include <cstring>

namespace agave::chat {

namespace {

bool is_digit(char byte) {
    return byte >= '0' && byte <= '9';
}
void append_escape(std::string& out, uint32_t code) {
    constexpr char digits[] = "0123456789abcdef";
    out += "\\u";
    for (int shift = 12; shift >= 0; shift -= 4) out += digits[code >> shift & 15];
}

}  // namespace

bool is_json_space(char byte) {
    return byte == ' ' || byte == '\n' || byte == '\r' || byte == '\t';
}

void append_json_byte(std::string& out, char byte) {
    const auto code = static_cast<unsigned char>(byte);
    if (byte == '"' || byte == '\\') out += '\\';
    if (byte == '\n' || byte == '\t' || byte == '\r')
        out += byte == '\n' ? "\\n" : byte == '\t' ? "\\t" : "\\r";
    else if (code < 0x20)
        append_escape(out, code);
    else
        out += byte;
}

bool JsonScanner::number_may_end() const {
    return state_ == State::zero || state_ == State::integer || state_ == State::fraction ||
           state_ == State::exponent_digits;
}

/// A container or a value within one has ended.
Scan JsonScanner::close() {
    state_ = open_.empty() ? State::end : State::after_value;
    return open_.empty() ? Scan::done : Scan::more;
}

Scan JsonScanner::close_string() {
    if (!in_key_) return close();
    in_key_ = false;
    state_ = State::colon;
    return Scan::more;
}

Scan JsonScanner::begin_value(char byte) {
    switch (byte) {
        case '"':
            state_ = State::string;
            return Scan::more;
        case '{':
        case '[':
            if (open_.size() == max_depth) return Scan::bad;
            open_ += byte;
            state_ = byte == '{' ? State::first_key : State::first_value;
            return Scan::more;
        case '-':
            state_ = State::minus;
            return Scan::more;
        case '0':
            state_ = State::zero;
            return Scan::more;
        case 't':
            literal_ = "rue";
            break;
        case 'f':
            literal_ = "alse";
            break;
        case 'n':
            literal_ = "ull";
            break;
        default:
            if (!is_digit(byte)) return Scan::bad;
            state_ = State::integer;
            return Scan::more;
    }
    state_ = State::literal;
    return Scan::more;
}

Scan JsonScanner::feed_number(char byte) {
    const bool digit = is_digit(byte);
    const bool exponent = byte == 'e' || byte == 'E';
    State next = State::end;
    switch (state_) {
        case State::minus:
            next = byte == '0' ? State::zero : digit ? State::integer : State::end;
            break;
        case State::zero:
        case State::integer:
            if (digit && state_ == State::integer) next = State::integer;
            if (byte == '.') next = State::point;
            if (exponent) next = State::exponent;
            break;
        case State::point:
        case State::fraction:
            if (digit) next = State::fraction;
            if (exponent && state_ == State::fraction) next = State::exponent;
            break;
        case State::exponent:
            if (byte == '+' || byte == '-') next = State::exponent_sign;
            [[fallthrough]];
        default:
            if (digit) next = State::exponent_digits;
            break;
    }
    if (next != State::end) {
        state_ = next;
        return Scan::more;
    }
    if (!number_may_end()) return Scan::bad;
    if (close() == Scan::done) return Scan::done_before;
    return feed_structure(byte);
}

void JsonScanner::lose_high(std::string& out) {
    if (high_ != 0) out += "\\ufffd";
    high_ = 0;
}

Scan JsonScanner::feed_hex(char byte, std::string& out) {
    const char lower = static_cast<char>(byte | 0x20);
    if (is_digit(byte))
        hex_ = hex_ * 16 + static_cast<uint32_t>(byte - '0');
    else if (lower >= 'a' && lower <= 'f')
        hex_ = hex_ * 16 + static_cast<uint32_t>(lower - 'a' + 10);
    else
        return Scan::bad;
    if (++n_hex_ < 4) return Scan::more;
    state_ = State::string;
    const bool is_low = hex_ >= 0xDC00 && hex_ <= 0xDFFF;
    if (is_low && high_ != 0) {
        append_escape(out, high_);
        append_escape(out, hex_);
        high_ = 0;
        return Scan::more;
    }
    lose_high(out);
    if (hex_ >= 0xD800 && hex_ <= 0xDBFF) {
        high_ = hex_;
        state_ = State::low_backslash;
    } else {
        append_escape(out, is_low ? 0xFFFD : hex_);
    }
    return Scan::more;
}

Scan JsonScanner::feed_string(char byte, std::string& out) {
    if (state_ == State::hex) return feed_hex(byte, out);
    if (state_ == State::low_backslash) {
        state_ = State::string;
        if (byte == '\\') {
            state_ = State::low_u;
            return Scan::more;
        }
    }
    if (state_ == State::low_u) {
        state_ = State::escape;
        if (byte != 'u') lose_high(out);
    }
    if (state_ == State::escape) {
        if (byte == 'u') {
            hex_ = n_hex_ = 0;
            state_ = State::hex;
            return Scan::more;
        }
        if (byte == '\0' || std::strchr("\"\\/bfnrt", byte) == nullptr) return Scan::bad;
        out += '\\';
        out += byte;
        state_ = State::string;
        return Scan::more;
    }
    lose_high(out);
    if (byte == '\\') {
        state_ = State::escape;
    } else if (byte == '"') {
        out += byte;
        return close_string();
    } else {
        append_json_byte(out, byte);
    }
    return Scan::more;
}

/// A byte between values: braces, brackets, commas, colons and white space.
Scan JsonScanner::feed_structure(char byte) {
    if (is_json_space(byte) && (!open_.empty() || state_ != State::value)) return Scan::more;
    switch (state_) {
        case State::first_value:
            if (byte != ']') return begin_value(byte);
            open_.pop_back();
            return close();
        case State::value:
            return begin_value(byte);
        case State::first_key:
        case State::key:
            if (byte == '}' && state_ == State::first_key) {
                open_.pop_back();
                return close();
            }
            if (byte != '"') return Scan::bad;
            in_key_ = true;
            state_ = State::string;
            return Scan::more;
        case State::colon:
            if (byte != ':') return Scan::bad;
            state_ = State::value;
            return Scan::more;
        case State::after_value:
            if (byte == ',') {
                state_ = open_.back() == '{' ? State::key : State::value;
                return Scan::more;
            }
            if (byte != (open_.back() == '{' ? '}' : ']')) return Scan::bad;
            open_.pop_back();
            return close();
        default:
            return Scan::bad;
    }
}

Scan JsonScanner::feed(char byte, std::string& out) {
    if (state_ >= State::string && state_ <= State::low_u) return feed_string(byte, out);
    Scan result = Scan::more;
    if (state_ >= State::minus && state_ <= State::exponent_digits) {
        result = feed_number(byte);
    } else if (state_ == State::literal) {
        if (byte != *literal_) return Scan::bad;
        if (*++literal_ == '\0') result = close();
    } else {
        result = feed_structure(byte);
    }
    if (result == Scan::more || result == Scan::done) out += byte;
    return result;
}

}  // namespace agave::chat
