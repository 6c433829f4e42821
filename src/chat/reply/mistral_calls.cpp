// Mistral's calls: a list of JSON objects (Nemo) or NAME, maybe [CALL_ID]ID, [ARGS] and a JSON object.
#include "chat/reply/call_reader.h"
#include "chat/reply/json_scanner.h"

namespace agave::chat {

namespace {

class MistralCalls : public CallReader {
  public:
    MistralCalls(const ToolTypes& types, ReplyOutput& output)
        : output_(output), json_(make_json_reader(ToolSyntax::mistral, types, output)) {}

    void begin() override {
        state_ = State::first;
        name_.clear();
        id_.clear();
        scanner_.reset();
    }

    Step take(const Symbol& symbol) override {
        if (state_ == State::json) return json_->take(symbol);
        if (symbol.marker == Marker::call_open && state_ == State::after) {
            begin();
            return Step::more;
        }
        if (symbol.marker == Marker::call_id && state_ == State::name && !name_.empty()) {
            state_ = State::id;
            return Step::more;
        }
        if (symbol.marker == Marker::arguments && (state_ == State::name || state_ == State::id) &&
            !name_.empty()) {
            state_ = State::arguments;
            return Step::more;
        }
        if (state_ == State::first && !is_json_space(symbol.text[0])) {
            const bool list = symbol.text == "[" || symbol.text == "{";
            state_ = list ? State::json : State::name;
            if (list) {
                json_->begin();
                return json_->take(symbol);
            }
        }
        for (const char byte : symbol.text)
            if (!take_byte(byte)) return Step::no;
        return Step::more;
    }

  private:
    enum class State : uint8_t { first, json, name, id, arguments, after };

    bool take_byte(char byte) {
        if (state_ == State::first || state_ == State::after) return is_json_space(byte);
        if (state_ == State::arguments || (byte == '{' && !name_.empty())) return take_arguments(byte);
        std::string& text = state_ == State::name ? name_ : id_;
        text += byte;
        return is_name_byte(byte) && text.size() <= max_name_bytes;
    }

    bool take_arguments(char byte) {
        state_ = State::arguments;
        if (!output_.in_call()) {
            if (is_json_space(byte)) return true;
            if (byte != '{') return false;
            output_.begin_call(name_, id_);
        }
        std::string piece;
        const Scan scan = scanner_.feed(byte, piece);
        if (scan == Scan::bad) return false;
        output_.arguments(piece);
        if (scan == Scan::done) {
            output_.end_call();
            state_ = State::after;
        }
        return true;
    }

    ReplyOutput& output_;
    std::unique_ptr<CallReader> json_;
    JsonScanner scanner_;
    std::string name_, id_;
    State state_ = State::first;
};

}  // namespace

std::unique_ptr<CallReader> make_mistral_reader(const ToolTypes& types, ReplyOutput& output) {
    return std::make_unique<MistralCalls>(types, output);
}

}  // namespace agave::chat
