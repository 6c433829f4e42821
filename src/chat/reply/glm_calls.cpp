// GLM's calls: <tool_call>NAME<arg_key>KEY</arg_key><arg_value>VALUE</arg_value> ... </tool_call>, with a
// line break after each part (4.5, 4.6) or without (4.7).
#include "chat/reply/call_reader.h"
#include "chat/reply/json_scanner.h"
#include "chat/reply/parameters.h"

namespace agave::chat {

namespace {

class GlmCalls : public CallReader {
  public:
    GlmCalls(const ToolTypes& types, ReplyOutput& output) : parameters_(types, output, false) {}

    void begin() override {
        state_ = State::name;
        text_.clear();
    }

    Step take(const Symbol& symbol) override {
        const Marker marker = symbol.marker;
        const char byte = symbol.text[0];
        switch (state_) {
            case State::name:
                if (marker == Marker::key_open || marker == Marker::call_close || is_json_space(byte)) {
                    if (text_.empty()) return is_json_space(byte) ? Step::more : Step::no;
                    parameters_.begin_call(text_);
                    state_ = State::between;
                    return take_between(symbol);
                }
                return marker == Marker::none && is_name_byte(byte) && add(byte) ? Step::more : Step::no;
            case State::between:
                return take_between(symbol);
            case State::key:
                if (marker == Marker::key_close) {
                    state_ = State::before_value;
                    return text_.empty() ? Step::no : Step::more;
                }
                return marker == Marker::none && byte != '<' && add(byte) ? Step::more : Step::no;
            case State::before_value:
                if (marker != Marker::value_open) return is_json_space(byte) ? Step::more : Step::no;
                parameters_.begin_value(text_);
                state_ = State::value;
                return Step::more;
            default:
                if (marker == Marker::value_close) {
                    parameters_.end_value();
                    state_ = State::between;
                } else {
                    for (const char c : symbol.text) parameters_.add(c);
                }
                return Step::more;
        }
    }

    void finish() override { parameters_.finish(); }

  private:
    enum class State : uint8_t { name, between, key, before_value, value };

    bool add(char byte) {
        text_ += byte;
        return text_.size() <= max_name_bytes;
    }

    Step take_between(const Symbol& symbol) {
        if (symbol.marker == Marker::call_close) {
            parameters_.end_call();
            return Step::done;
        }
        if (symbol.marker != Marker::key_open) return is_json_space(symbol.text[0]) ? Step::more : Step::no;
        text_.clear();
        state_ = State::key;
        return Step::more;
    }

    ParameterWriter parameters_;
    std::string text_;
    State state_ = State::name;
};

}  // namespace

std::unique_ptr<CallReader> make_glm_reader(const ToolTypes& types, ReplyOutput& output) {
    return std::make_unique<GlmCalls>(types, output);
}

}  // namespace agave::chat
