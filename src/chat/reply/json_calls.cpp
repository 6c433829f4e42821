// Calls as JSON objects: {"name": ..., "arguments": {...}}, alone or in a list.
#include "chat/reply/call_reader.h"
#include "chat/reply/json_scanner.h"

namespace agave::chat {

namespace {

class JsonCalls : public CallReader {
  public:
    JsonCalls(ToolSyntax syntax, const ToolTypes& types, ReplyOutput& output)
        : types_(types), output_(output), known_names_only_(syntax == ToolSyntax::llama) {}

    void begin() override {
        state_ = State::between;
        in_list_ = list_ended_ = false;
    }

    Step take(const Symbol& symbol) override {
        if (symbol.marker == Marker::call_close) {
            finish();  // models forget the last brace
            if (state_ == State::between) return Step::done;
        }
        for (const char byte : symbol.text)
            if (!take_byte(byte)) return Step::no;
        return Step::more;
    }

    void finish() override {
        if (state_ == State::after_value && begun_) end_object();
    }

  private:
    enum class State : uint8_t {
        between,  ///< calls
        first_key,
        before_key,
        key,
        colon,
        before_value,
        text,     ///< a string that is kept: the name, the id, arguments as JSON text
        skipped,  ///< a value without meaning for us
        arguments,
        after_value
    };
    enum class Key : uint8_t { other, name, arguments, id };

    bool take_byte(char byte) {
        switch (state_) {
            case State::between:
                return take_between(byte);
            case State::key:
                return take_key(byte);
            case State::text:
                return take_text(byte);
            case State::skipped:
            case State::arguments:
                return take_value(byte);
            default:
                break;
        }
        if (is_json_space(byte)) return true;
        switch (state_) {
            case State::first_key:
            case State::before_key:
                if (byte == '}' && state_ == State::first_key) return false;  // a call without a name
                if (byte != '"') return false;
                text_.clear();
                state_ = State::key;
                return true;
            case State::colon:
                state_ = State::before_value;
                return byte == ':';
            case State::before_value:
                return begin_value(byte);
            default:
                if (byte == ',') {
                    state_ = State::before_key;
                    return true;
                }
                return byte == '}' && end_object();
        }
    }

    bool take_between(char byte) {
        if (is_json_space(byte)) return true;
        if (list_ended_) return false;
        if (byte == ',' || byte == ';') return output_.n_calls() > 0;
        if (byte == ']' && in_list_) {
            list_ended_ = true;
            if (output_.n_calls() > 0) output_.settle();
            return true;
        }
        if (byte == '[' && !in_list_) {
            in_list_ = true;
            return true;
        }
        if (byte != '{') return false;
        name_.clear();
        id_.clear();
        arguments_.clear();
        begun_ = false;
        state_ = State::first_key;
        return true;
    }

    bool take_key(char byte) {
        if (byte != '"') {
            text_ += byte;
            return text_.size() < 64 && byte != '\\';
        }
        key_ = text_ == "name"                                 ? Key::name
               : text_ == "arguments" || text_ == "parameters" ? Key::arguments
               : text_ == "id"                                 ? Key::id
                                                               : Key::other;
        state_ = State::colon;
        return !(key_ == Key::name && !name_.empty()) && !(key_ == Key::arguments && !arguments_.empty());
    }

    bool begin_value(char byte) {
        scanner_.reset();
        text_.clear();
        escaped_ = false;
        if (key_ != Key::other && byte == '"') {
            state_ = State::text;
            return true;
        }
        if (key_ == Key::name || (key_ == Key::arguments && byte != '{' && byte != 'n')) return false;
        state_ = key_ == Key::arguments && byte == '{' ? State::arguments : State::skipped;
        if (state_ == State::arguments && !name_.empty()) begin_call();
        return take_value(byte);
    }

    bool take_value(char byte) {
        std::string piece;
        const Scan scan = scanner_.feed(byte, piece);
        if (scan == Scan::bad) return false;
        if (state_ == State::arguments) add_arguments(piece);
        if (scan == Scan::more) return true;
        state_ = State::after_value;
        return scan == Scan::done || take_byte(byte);
    }

    bool take_text(char byte) {
        if (key_ == Key::arguments) return take_quoted_arguments(byte);
        if (byte == '"') {
            state_ = State::after_value;
            if (key_ == Key::name) name_ = text_;
            if (key_ == Key::id) id_ = text_;
            return key_ == Key::id || (!name_.empty() && (!known_names_only_ || types_.has_tool(name_)));
        }
        text_ += byte;
        return is_name_byte(byte) && text_.size() <= max_name_bytes;
    }

    /// Arguments as JSON text in a string: they count once the string is whole and holds an object.
    bool take_quoted_arguments(char byte) {
        if (!escaped_ && byte == '"') {
            JsonScanner scanner;
            std::string json;
            Scan scan = Scan::more;
            size_t n = 0;
            while (n < text_.size() && scan == Scan::more) scan = scanner.feed(text_[n++], json);
            if (scan != Scan::done || n != text_.size() || json[0] != '{') return false;
            if (!name_.empty()) begin_call();
            add_arguments(json);
            state_ = State::after_value;
            return true;
        }
        if (!escaped_ && byte == '\\') {
            escaped_ = true;
            return true;
        }
        if (escaped_) {
            escaped_ = false;
            switch (byte) {
                case 'n':
                    byte = '\n';
                    break;
                case 't':
                    byte = '\t';
                    break;
                case 'r':
                    byte = '\r';
                    break;
                case 'b':
                    byte = '\b';
                    break;
                case 'f':
                    byte = '\f';
                    break;
                case 'u':
                    text_ += '\\';
                    break;  // stays an escape, of the JSON text within
                case '"':
                case '\\':
                case '/':
                    break;
                default:
                    return false;
            }
        }
        text_ += byte;
        return true;
    }

    void begin_call() {
        output_.begin_call(name_, id_);
        begun_ = true;
        if (!arguments_.empty()) output_.arguments(arguments_);
    }
    void add_arguments(std::string_view piece) {
        arguments_ += piece;
        if (begun_) output_.arguments(piece);
    }

    bool end_object() {
        if (name_.empty()) return false;
        if (arguments_.empty()) arguments_ = "{}";
        if (!begun_) begin_call();
        output_.end_call();
        state_ = State::between;
        return true;
    }

    const ToolTypes& types_;
    ReplyOutput& output_;
    JsonScanner scanner_;
    std::string text_, name_, id_, arguments_;
    State state_ = State::between;
    Key key_ = Key::other;
    bool known_names_only_;  ///< bare JSON is only a call when it names one of the tools
    bool in_list_ = false, list_ended_ = false, begun_ = false, escaped_ = false;
};

}  // namespace

std::unique_ptr<CallReader> make_json_reader(ToolSyntax syntax, const ToolTypes& types, ReplyOutput& output) {
    return std::make_unique<JsonCalls>(syntax, types, output);
}

}  // namespace agave::chat
