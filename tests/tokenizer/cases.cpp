#include "cases.h"

#include <cstdio>
#include <cstdlib>
#include <stdexcept>

#include "tokenizer/unicode.h"

namespace agave {
namespace {

/// Just enough JSON for files that our own scripts write.
class Reader {
  public:
    explicit Reader(std::string text) : text_(std::move(text)) {}

    std::vector<TokenizerCase> cases() {
        std::vector<TokenizerCase> out;
        expect('[');
        while (!accept(']')) {
            out.push_back(one());
            accept(',');
        }
        return out;
    }

  private:
    TokenizerCase one() {
        TokenizerCase out;
        expect('{');
        while (!accept('}')) {
            const std::string key = string();
            expect(':');
            if (key == "text")
                out.text = string();
            else if (key == "decoded")
                out.decoded = string();
            else if (key == "name")
                out.name = string();
            else if (key == "ids")
                out.ids = integers();
            else
                throw std::runtime_error("unknown key " + key);
            accept(',');
        }
        return out;
    }

    std::vector<int32_t> integers() {
        std::vector<int32_t> out;
        expect('[');
        while (!accept(']')) {
            char* end = nullptr;
            const long value = std::strtol(text_.c_str() + at_, &end, 10);
            if (end == text_.c_str() + at_) throw std::runtime_error("not a number");
            out.push_back(static_cast<int32_t>(value));
            at_ = static_cast<size_t>(end - text_.c_str());
            accept(',');
        }
        return out;
    }

    std::string string() {
        std::string out;
        expect('"');
        while (text_.at(at_) != '"') {
            if (text_[at_] != '\\') {
                out.push_back(text_[at_++]);
                continue;
            }
            const char escape = text_.at(at_ + 1);
            at_ += 2;
            if (escape == 'u') {
                uint32_t code_point = hex();
                if (code_point >= 0xD800 && code_point < 0xDC00) {
                    at_ += 2;  // the \u of the low surrogate
                    code_point = 0x10000 + ((code_point - 0xD800) << 10) + (hex() - 0xDC00);
                }
                append_utf8(out, code_point);
            } else {
                const std::string from = "nrtbf", to = "\n\r\t\b\f";
                const size_t index = from.find(escape);
                out.push_back(index == std::string::npos ? escape : to[index]);
            }
        }
        at_++;
        return out;
    }

    uint32_t hex() {
        const std::string digits = text_.substr(at_, 4);
        at_ += 4;
        return static_cast<uint32_t>(std::strtoul(digits.c_str(), nullptr, 16));
    }

    bool accept(char c) {
        while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\n')) at_++;
        if (at_ >= text_.size() || text_[at_] != c) return false;
        at_++;
        return true;
    }
    void expect(char c) {
        if (!accept(c)) throw std::runtime_error(std::string("expected ") + c);
    }

    std::string text_;
    size_t at_ = 0;
};

}  // namespace

std::vector<TokenizerCase> read_cases(const std::string& path) {
    std::FILE* file = std::fopen(path.c_str(), "rb");
    if (file == nullptr) return {};
    std::string text;
    char buffer[4096];
    for (size_t n; (n = std::fread(buffer, 1, sizeof buffer, file)) > 0;) text.append(buffer, n);
    std::fclose(file);
    return Reader(std::move(text)).cases();
}

}  // namespace agave
