#include "chat/reply/json_scanner.h"
#include "chat/reply/machine.h"

namespace agave::chat {

namespace {

std::unique_ptr<CallReader> make_reader(ToolSyntax syntax, const ToolTypes& types, ReplyOutput& output) {
    switch (syntax) {
        case ToolSyntax::json:
        case ToolSyntax::toolcall:
        case ToolSyntax::llama:
            return make_json_reader(syntax, types, output);
        case ToolSyntax::xml:
            return make_xml_reader(types, output);
        case ToolSyntax::glm:
            return make_glm_reader(types, output);
        case ToolSyntax::gemma:
            return make_gemma_reader(types, output);
        case ToolSyntax::mistral:
            return make_mistral_reader(types, output);
        default:
            return nullptr;
    }
}

class MarkedMachine final : public ReplyMachine {
  public:
    MarkedMachine(ReplySyntax syntax, bool with_tools, const ToolTypes& types, ReplyOutput& output)
        : syntax_(syntax),
          output_(output),
          reader_(with_tools ? make_reader(syntax.tools, types, output) : nullptr) {}

    void begin(std::string_view prompt) override {
        while (!prompt.empty() && is_json_space(prompt.back())) prompt.remove_suffix(1);
        for (const MarkerText& marker : markers_of({syntax_.reasoning, ToolSyntax::none}))
            if (marker.marker == Marker::reasoning_open && prompt.ends_with(marker.text))
                in_reasoning_ = true;
    }

    void take(const Symbol& symbol) override {
        if (!in_calls_ || !take_in_calls(symbol)) take_outside(symbol);
    }

    void finish() override {
        if (in_calls_) {
            if (output_.in_call()) {
                reader_->finish();
                output_.abandon_call();
            } else {
                give_back();
            }
        }
        if (!in_reasoning_ && (anything_ || !after_markup_)) output_.content(space_);
    }

  private:
    /// Returns false when the calls have ended before the symbol.
    bool take_in_calls(const Symbol& symbol) {
        const uint64_t before = output_.n_reports();
        const Step step = reader_->take(symbol);
        if (output_.n_reports() != before) {
            raw_.clear();
            restart();
        } else if (step == Step::more) {
            raw_ += symbol.text;
        }
        if (step == Step::more) return true;
        in_calls_ = false;
        if (step == Step::done) return true;
        output_.abandon_call();
        give_back();
        return false;
    }

    /// What was read as markup and reported nothing is text after all.
    void give_back() {
        for (const char& byte : raw_) take_text(byte);
        raw_.clear();
    }

    void take_outside(const Symbol& symbol) {
        const Marker marker = symbol.marker;
        const bool may_think = !anything_ || syntax_.reasoning == ReasoningSyntax::gemma;
        if (marker == Marker::reasoning_open && may_think) {
            in_reasoning_ = true;
            restart();
        } else if (marker == Marker::reasoning_close && in_reasoning_) {
            in_reasoning_ = false;
            restart();
        } else if (reader_ && opens_calls(symbol)) {
            in_calls_ = true;
            raw_.swap(space_);
            space_.clear();
            reader_->begin();
            if (marker == Marker::call_open)
                raw_ += symbol.text;
            else
                take_in_calls(symbol);
        } else {
            for (const char& byte : symbol.text) take_text(byte);
        }
    }

    bool opens_calls(const Symbol& symbol) const {
        if (symbol.marker == Marker::call_open) return true;
        if (syntax_.tools == ToolSyntax::xml) return symbol.marker == Marker::function_open;
        return syntax_.tools == ToolSyntax::llama && !anything_ && !in_reasoning_ && symbol.text == "{";
    }

    void take_text(const char& byte) {
        if (is_json_space(byte)) {
            space_ += byte;
            return;
        }
        bool& written = in_reasoning_ ? reasoning_written_ : content_written_;
        if (!anything_ && after_markup_) space_ = written ? "\n\n" : "";
        add(space_);
        add({&byte, 1});
        space_.clear();
        anything_ = written = true;
    }
    void add(std::string_view text) {
        if (in_reasoning_)
            output_.reasoning(text);
        else
            output_.content(text);
    }
    void restart() {
        anything_ = false;
        after_markup_ = true;
        space_.clear();
    }

    ReplySyntax syntax_;
    ReplyOutput& output_;
    std::unique_ptr<CallReader> reader_;
    std::string space_;  ///< white space that is markup if a marker comes next
    std::string raw_;    ///< what the reader has taken since it last reported something
    bool in_reasoning_ = false, in_calls_ = false;
    bool reasoning_written_ = false, content_written_ = false;
    bool anything_ = false;      ///< text since the beginning, or the last marker
    bool after_markup_ = false;  ///< there was a marker before
};

}  // namespace

std::unique_ptr<ReplyMachine> make_marked_machine(ReplySyntax syntax, bool with_tools, const ToolTypes& types,
                                                  ReplyOutput& output) {
    return std::make_unique<MarkedMachine>(syntax, with_tools, types, output);
}

}  // namespace agave::chat
