// Gemma 4's calls: <|tool_call>call:NAME{KEY:VALUE,...}<tool_call|>. Strings stand between <|"|> marks, keys
// are bare, objects and lists nest; other values are bare words.
#include "chat/reply/call_reader.h"
#include "chat/reply/json_scanner.h"

namespace agave::chat {

namespace {

class GemmaCalls : public CallReader {
  public:
    GemmaCalls(const ToolTypes& types, ReplyOutput& output) : types_(types), output_(output) {}

    void begin() override {
        state_ = State::prefix;
        name_.clear();
        word_.clear();
        open_.clear();
        in_key_ = false;
    }

    Step take(const Symbol& symbol) override {
        if (symbol.marker == Marker::call_close && state_ == State::after_call) return Step::done;
        if (symbol.marker == Marker::quote && state_ != State::json_string) return take_quote();
        for (const char byte : symbol.text)
            if (!take_byte(byte)) return Step::no;
        return Step::more;
    }

    void finish() override {
        if (state_ == State::word && output_.in_call() && !in_key_) end_word();
    }

  private:
    enum class State : uint8_t {
        prefix,  ///< "call:"
        name,
        first_key,  ///< or the end of the object
        key,
        colon,
        first_value,  ///< or the end of the list
        value,
        string,  ///< between marks
        json_string,
        word,
        after_value,
        after_call
    };
    static constexpr size_t max_depth = 200;

    /// A mark around a string.
    Step take_quote() {
        switch (state_) {
            case State::first_key:
            case State::key:
                if (!word_.empty()) return Step::no;
                in_key_ = true;
                begin_key();
                state_ = State::string;
                return Step::more;
            case State::first_value:
            case State::value:
                output_.arguments("\"");
                state_ = State::string;
                return Step::more;
            case State::string:
                output_.arguments(in_key_ ? "\": " : "\"");
                state_ = in_key_ ? State::colon : State::after_value;
                in_key_ = false;
                return Step::more;
            default:
                return Step::no;
        }
    }

    bool take_byte(char byte) {
        switch (state_) {
            case State::prefix:
                return take_prefix(byte);
            case State::name:
                return take_name(byte);
            case State::string: {
                std::string piece;
                append_json_byte(piece, byte);
                output_.arguments(piece);
                if (in_key_ && open_.size() == 1) key_ += byte;
                return true;
            }
            case State::json_string: {
                std::string piece;
                const Scan scan = scanner_.feed(byte, piece);
                output_.arguments(piece);
                if (scan == Scan::done) state_ = State::after_value;
                return scan != Scan::bad;
            }
            case State::key:
                if (byte == ':') return end_bare_key();
                if (!word_.empty()) return add_to_key(byte);
                break;
            case State::word:
                if (std::string_view(",]}").find(byte) == std::string_view::npos) {
                    word_ += byte;
                    return byte != '<' && byte != '{' && byte != '[';
                }
                end_word();
                break;
            default:
                break;
        }
        return is_json_space(byte) || take_structure(byte);
    }

    bool take_structure(char byte) {
        switch (state_) {
            case State::first_key:
                if (byte == '}') return close('{');
                state_ = State::key;
                [[fallthrough]];
            case State::key:
                return add_to_key(byte);
            case State::colon:
                state_ = State::value;
                return byte == ':';
            case State::first_value:
                if (byte == ']') return close('[');
                [[fallthrough]];
            case State::value:
                return begin_value(byte);
            case State::after_value:
                if (byte != ',') return close(byte == '}' ? '{' : byte == ']' ? '[' : '\0');
                output_.arguments(", ");
                state_ = open_.back() == '{' ? State::key : State::value;
                word_.clear();
                return true;
            default:
                return false;
        }
    }

    bool take_prefix(char byte) {
        constexpr std::string_view prefix = "call:";
        if (word_.empty() && is_json_space(byte)) return true;
        if (byte != prefix[word_.size()]) return false;
        word_ += byte;
        if (word_ == prefix) state_ = State::name;
        return true;
    }

    bool take_name(char byte) {
        if (byte != '{') {
            name_ += byte;
            return is_name_byte(byte) && name_.size() <= max_name_bytes;
        }
        if (name_.empty()) return false;
        output_.begin_call(name_);
        return begin_value(byte);
    }

    bool begin_value(char byte) {
        if (byte == '{' || byte == '[') {
            if (open_.size() == max_depth) return false;
            open_ += byte;
            output_.arguments(byte == '{' ? "{" : "[");
            state_ = byte == '{' ? State::first_key : State::first_value;
            word_.clear();
            return true;
        }
        if (byte == ',' || byte == ']' || byte == '}' || byte == ':' || byte == '<') return false;
        if (byte == '"') {
            scanner_.reset();
            state_ = State::json_string;
            return take_byte(byte);
        }
        word_ = byte;
        state_ = State::word;
        return true;
    }

    void begin_key() {
        key_.clear();
        output_.arguments("\"");
    }

    /// Bare keys, or with the quotes of JSON around them.
    bool add_to_key(char byte) {
        word_ += byte;
        return word_.size() <= max_name_bytes &&
               std::string_view("{}[],<").find(byte) == std::string_view::npos;
    }

    bool end_bare_key() {
        std::string_view key = word_;
        while (!key.empty() && is_json_space(key.back())) key.remove_suffix(1);
        if (key.size() >= 2 && key.front() == '"' && key.back() == '"') key = key.substr(1, key.size() - 2);
        if (key.empty()) return false;
        begin_key();
        std::string piece;
        for (const char byte : key) append_json_byte(piece, byte);
        output_.arguments(piece + "\": ");
        if (open_.size() == 1) key_ = key;
        state_ = State::value;
        word_.clear();
        return true;
    }

    void end_word() {
        std::string piece;
        std::string_view word = word_;
        while (!word.empty() && is_json_space(word.back())) word.remove_suffix(1);
        append_typed_value(piece, word, open_.size() == 1 ? types_.types_of(name_, key_) : uint8_t{0});
        output_.arguments(piece);
        state_ = State::after_value;
        word_.clear();
    }

    bool close(char opening) {
        if (open_.empty() || open_.back() != opening) return false;
        output_.arguments(opening == '{' ? "}" : "]");
        open_.pop_back();
        state_ = open_.empty() ? State::after_call : State::after_value;
        if (open_.empty()) output_.end_call();
        return true;
    }

    const ToolTypes& types_;
    ReplyOutput& output_;
    JsonScanner scanner_;
    std::string name_, key_, word_, open_;
    State state_ = State::prefix;
    bool in_key_ = false;
};

}  // namespace

std::unique_ptr<CallReader> make_gemma_reader(const ToolTypes& types, ReplyOutput& output) {
    return std::make_unique<GemmaCalls>(types, output);
}

}  // namespace agave::chat
