// Calls of Qwen 3 Coder, Qwen 3.5 and Nemotron Nano v3:
// <tool_call>\n<function=NAME>\n<parameter=KEY>\nVALUE\n</parameter>\n ... </function>\n</tool_call>
#include "chat/reply/call_reader.h"
#include "chat/reply/json_scanner.h"
#include "chat/reply/parameters.h"

namespace agave::chat {

namespace {

class XmlCalls : public CallReader {
  public:
    XmlCalls(const ToolTypes& types, ReplyOutput& output) : parameters_(types, output, true) {}

    void begin() override { state_ = State::outside; }

    Step take(const Symbol& symbol) override {
        const Marker marker = symbol.marker;
        switch (state_) {
            case State::outside:
                if (marker == Marker::call_close) return Step::done;
                if (marker == Marker::function_open) return open(State::name);
                break;
            case State::function:
                if (marker == Marker::value_open) return open(State::key);
                if (marker == Marker::function_close || marker == Marker::call_close) {
                    parameters_.end_call();
                    state_ = State::outside;
                    return marker == Marker::call_close ? Step::done : Step::more;
                }
                break;
            case State::value:
                if (marker == Marker::value_close) {
                    parameters_.end_value();
                    state_ = State::function;
                } else {
                    for (const char byte : symbol.text) parameters_.add(byte);
                }
                return Step::more;
            default:
                return take_name(symbol);
        }
        return is_json_space(symbol.text[0]) ? Step::more : Step::no;
    }

    void finish() override { parameters_.finish(); }

  private:
    enum class State : uint8_t { outside, name, function, key, value };

    Step open(State state) {
        text_.clear();
        state_ = state;
        return Step::more;
    }

    Step take_name(const Symbol& symbol) {
        if (symbol.marker != Marker::none) return Step::no;
        const char byte = symbol.text[0];
        if (byte != '>') {
            text_ += byte;
            return is_name_byte(byte) && text_.size() <= max_name_bytes ? Step::more : Step::no;
        }
        if (text_.empty()) return Step::no;
        if (state_ == State::name)
            parameters_.begin_call(text_);
        else
            parameters_.begin_value(text_);
        state_ = state_ == State::name ? State::function : State::value;
        return Step::more;
    }

    ParameterWriter parameters_;
    std::string text_;
    State state_ = State::outside;
};

}  // namespace

std::unique_ptr<CallReader> make_xml_reader(const ToolTypes& types, ReplyOutput& output) {
    return std::make_unique<XmlCalls>(types, output);
}

}  // namespace agave::chat
