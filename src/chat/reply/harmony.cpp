// OpenAI's Harmony format (https://cookbook.openai.com/articles/openai-harmony): a reply is a row of messages
// <|start|>HEADER<|message|>BODY<|end|>, its first one without <|start|>assistant, which ends the prompt. The
// header names a channel: analysis is reasoning, commentary a preamble or a call, final the answer.
#include <algorithm>

#include "chat/reply/json_scanner.h"
#include "chat/reply/machine.h"

namespace agave::chat {

namespace {

class HarmonyMachine final : public ReplyMachine {
  public:
    HarmonyMachine(bool with_tools, ReplyOutput& output) : output_(output), with_tools_(with_tools) {}

    /// A prompt may end within a header, or (to be continued) within a body.
    void begin(std::string_view prompt) override {
        const size_t start = prompt.rfind("<|start|>");
        if (start == std::string_view::npos) return;
        std::string_view rest = prompt.substr(start + 9);
        const size_t message = rest.find("<|message|>");
        std::string_view header = rest.substr(0, message);
        const size_t channel = header.find("<|channel|>");
        header_ = header.substr(0, channel);
        if (channel != std::string_view::npos) {
            in_channel_ = true;
            channel_ = header.substr(channel + 11);
        }
        if (message != std::string_view::npos) begin_body();
        bool over = !header.starts_with("assistant");
        for (const char* end : {"<|end|>", "<|return|>", "<|call|>"})
            over = over || rest.find(end) != std::string_view::npos;
        if (over) begin_header();
        raw_.clear();
    }

    void take(const Symbol& symbol) override {
        if (in_body_)
            take_in_body(symbol);
        else
            take_in_header(symbol);
    }

    void finish() override {
        if (in_body_ && body_ == Body::call) {
            if (!output_.in_call() && !called_) output_.content(raw_);
            output_.abandon_call();
        } else if (!in_body_ && !raw_.starts_with('<')) {
            output_.content(raw_);
        }
    }

  private:
    enum class Body : uint8_t { content, reasoning, call };

    void begin_header() {
        in_body_ = in_channel_ = in_type_ = false;
        header_.clear();
        channel_.clear();
        raw_.clear();
    }

    void take_in_header(const Symbol& symbol) {
        raw_ += symbol.text;
        switch (symbol.marker) {
            case Marker::start:
                begin_header();
                raw_ = symbol.text;
                return;
            case Marker::channel:
                in_channel_ = true;
                in_type_ = false;
                channel_.clear();
                return;
            case Marker::constrain:
                in_type_ = true;
                return;
            case Marker::message:
                begin_body();
                return;
            case Marker::end:
            case Marker::stop:
                begin_header();
                return;
            default:
                break;
        }
        const char byte = symbol.text[0];
        if (in_type_) return;
        std::string& part = in_channel_ ? channel_ : header_;
        part += byte;
        if (part.size() > max_header_bytes || (!in_channel_ && !may_be_header())) {
            // No header: a model that leaves the format.
            in_body_ = true;
            body_ = Body::content;
            write(raw_);
        }
    }

    /// What stands before the channel: the role and the recipient of a call.
    bool may_be_header() const {
        constexpr std::string_view role = "assistant";
        std::string_view rest = header_;
        while (!rest.empty()) {
            if (is_json_space(rest[0])) {
                rest.remove_prefix(1);
                continue;
            }
            const std::string_view word =
                rest.substr(0, std::min(rest.size(), rest.find_first_of(" \n\t\r")));
            const bool recipient = word.substr(0, 3) == std::string_view("to=").substr(0, word.size());
            if (!recipient && !role.starts_with(word)) return false;
            rest.remove_prefix(word.size());
        }
        return true;
    }

    static std::string_view first_word(std::string_view text) {
        while (!text.empty() && is_json_space(text[0])) text.remove_prefix(1);
        return text.substr(0, std::min(text.size(), text.find_first_of(" \n\t\r")));
    }

    /// The recipient of a call, from one part of the header, or "".
    static std::string_view recipient_in(std::string_view part) {
        const size_t at = part.find("to=");
        if (at == std::string_view::npos) return {};
        std::string_view name = first_word(part.substr(at + 3));
        constexpr std::string_view prefix = "functions.";
        if (name.starts_with(prefix)) name.remove_prefix(prefix.size());
        return name;
    }

    void begin_body() {
        in_body_ = true;
        begun_ = false;
        body_ = first_word(channel_) == "analysis" ? Body::reasoning : Body::content;
        if (!with_tools_) return;
        name_ = recipient_in(header_);
        if (name_.empty()) name_ = recipient_in(channel_);
        bool is_name = !name_.empty() && name_ != "assistant" && name_.size() <= max_name_bytes;
        for (const char byte : name_) is_name = is_name && is_name_byte(byte);
        if (!is_name) return;
        body_ = Body::call;
        called_ = false;
        scanner_.reset();
    }

    void take_in_body(const Symbol& symbol) {
        switch (symbol.marker) {
            case Marker::end:
            case Marker::stop:
            case Marker::start:
            case Marker::channel:
                if (body_ == Body::call && !called_) write_as_content(raw_);
                output_.abandon_call();
                begin_header();
                if (symbol.marker == Marker::start) raw_ = symbol.text;
                if (symbol.marker == Marker::channel) take_in_header(symbol);
                return;
            default:
                break;
        }
        if (body_ != Body::call) {
            write(symbol.text);
            return;
        }
        for (size_t i = 0; i < symbol.text.size(); i++) {
            if (take_argument(symbol.text[i])) continue;
            output_.abandon_call();
            if (!called_) write_as_content(raw_);
            write_as_content(symbol.text.substr(i));
            return;
        }
    }

    bool take_argument(char byte) {
        if (!output_.in_call()) {
            raw_ += byte;
            if (is_json_space(byte)) return true;
            raw_.pop_back();
            if (byte != '{' || called_) return false;
            output_.begin_call(name_);
            called_ = true;
        }
        std::string piece;
        const Scan scan = scanner_.feed(byte, piece);
        if (scan == Scan::bad) return false;
        output_.arguments(piece);
        if (scan == Scan::done) output_.end_call();
        return true;
    }

    void write_as_content(std::string_view text) {
        body_ = Body::content;
        write(text);
    }

    /// Messages of one kind are set apart by a blank line.
    void write(std::string_view text) {
        if (text.empty()) return;
        const bool thought = body_ == Body::reasoning;
        bool& written = thought ? reasoning_written_ : content_written_;
        const std::string_view gap = !begun_ && written ? "\n\n" : "";
        written = begun_ = true;
        if (thought) {
            output_.reasoning(gap);
            output_.reasoning(text);
        } else {
            output_.content(gap);
            output_.content(text);
        }
    }

    static constexpr size_t max_header_bytes = 512;

    ReplyOutput& output_;
    JsonScanner scanner_;
    std::string header_, channel_;  ///< the text before and behind <|channel|>
    std::string raw_;               ///< the whole header, and white space before the arguments
    std::string name_;
    Body body_ = Body::content;
    bool with_tools_;
    bool in_body_ = false, in_channel_ = false, in_type_ = false;
    bool begun_ = false;   ///< the body has given out text
    bool called_ = false;  ///< the body is a call that was begun
    bool reasoning_written_ = false, content_written_ = false;
};

}  // namespace

std::unique_ptr<ReplyMachine> make_harmony_machine(bool with_tools, ReplyOutput& output) {
    return std::make_unique<HarmonyMachine>(with_tools, output);
}

}  // namespace agave::chat
