#include "server/request_reader.h"

#include <algorithm>

namespace agave::server {

namespace {

char lower(char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
}

bool is_control(char c) {
    return (static_cast<unsigned char>(c) < 0x20 && c != '\t') || c == 0x7F;
}

bool equals_ignoring_case(std::string_view text, std::string_view lower_case) {
    return std::equal(text.begin(), text.end(), lower_case.begin(), lower_case.end(),
                      [](char a, char b) { return lower(a) == b; });
}

int hex_digit(char c) {
    if (c >= '0' && c <= '9') return c - '0';
    const char l = lower(c);
    return l >= 'a' && l <= 'f' ? l - 'a' + 10 : -1;
}

/// Percent-decodes into `out`; false for a broken escape and for one that means a control character.
bool decode_path(std::string_view text, std::string& out) {
    for (size_t i = 0; i < text.size(); i++) {
        char c = text[i];
        if (c == '%') {
            if (i + 2 >= text.size()) return false;
            const int high = hex_digit(text[i + 1]), low = hex_digit(text[i + 2]);
            if (high < 0 || low < 0) return false;
            c = static_cast<char>(high * 16 + low);
            i += 2;
        }
        if (is_control(c) || c == '\t') return false;
        out += c;
    }
    return true;
}

}  // namespace

struct RequestReader::Callbacks {
    static RequestReader& of(http_parser* parser) { return *static_cast<RequestReader*>(parser->data); }

    static int url(http_parser* parser, const char* at, size_t length) {
        RequestReader& reader = of(parser);
        if (reader.target_.size() + length > reader.limits_.target_bytes)
            return reader.refuse(414, "the address of the request is too long");
        reader.target_.append(at, length);
        return 0;
    }

    static int header_name(http_parser* parser, const char* at, size_t length) {
        RequestReader& reader = of(parser);
        if (const int failed = reader.take_header_byte_count(length)) return failed;
        if (reader.state_ != State::head) return 0;  // of a trailer, which nobody reads
        if (reader.headers_.empty() || reader.in_value_) {
            if (reader.headers_.size() == reader.limits_.n_headers)
                return reader.refuse(431, "the request has too many headers");
            const uint32_t end = static_cast<uint32_t>(reader.head_.size());
            reader.headers_.push_back({end, 0, end, 0});
            reader.in_value_ = false;
        }
        for (size_t i = 0; i < length; i++) reader.head_ += lower(at[i]);
        reader.headers_.back().name_length += static_cast<uint32_t>(length);
        reader.headers_.back().value += static_cast<uint32_t>(length);
        return 0;
    }

    static int header_value(http_parser* parser, const char* at, size_t length) {
        RequestReader& reader = of(parser);
        if (const int failed = reader.take_header_byte_count(length)) return failed;
        if (std::any_of(at, at + length, is_control))
            return reader.refuse(400, "a header holds a control character");
        if (reader.state_ != State::head) return 0;
        reader.in_value_ = true;
        reader.head_.append(at, length);
        reader.headers_.back().value_length += static_cast<uint32_t>(length);
        return 0;
    }

    static int head_complete(http_parser* parser) {
        RequestReader& reader = of(parser);
        if (reader.check_head() || reader.check_target()) return -1;
        // An offer to speak another protocol is not taken up: the request is answered as it is.
        parser->upgrade = 0;
        reader.keep_alive_ = http_should_keep_alive(parser);
        reader.state_ = State::head_complete;
        http_parser_pause(parser, 1);
        return 0;
    }

    static int body(http_parser* parser, const char* at, size_t length) {
        RequestReader& reader = of(parser);
        if (reader.body_.size() + length > reader.limits_.body_bytes)
            return reader.refuse(413, "the body of the request is too large");
        reader.body_.append(at, length);
        return 0;
    }

    static int complete(http_parser* parser) {
        of(parser).state_ = State::complete;
        http_parser_pause(parser, 1);
        return 0;
    }
};

RequestReader::RequestReader(const RequestLimits& limits) : limits_(limits) {
    http_parser_init(&parser_, HTTP_REQUEST);
    parser_.data = this;
}

int RequestReader::refuse(int status, const char* sentence) {
    status_ = status;
    sentence_ = sentence;
    state_ = State::failed;
    return -1;
}

int RequestReader::take_header_byte_count(size_t bytes) {
    head_bytes_ += bytes;
    return head_bytes_ > limits_.head_bytes ? refuse(431, "the head of the request is too large") : 0;
}

std::string_view RequestReader::header(std::string_view lower_case_name) const {
    for (const Header& header : headers_) {
        const std::string_view head = head_;
        if (head.substr(header.name, header.name_length) == lower_case_name)
            return head.substr(header.value, header.value_length);
    }
    return {};
}

std::vector<std::pair<std::string_view, std::string_view>> RequestReader::headers() const {
    std::vector<std::pair<std::string_view, std::string_view>> result;
    result.reserve(headers_.size());
    const std::string_view head = head_;
    for (const Header& header : headers_)
        result.emplace_back(head.substr(header.name, header.name_length),
                            head.substr(header.value, header.value_length));
    return result;
}

int RequestReader::check_head() {
    if (parser_.http_major != 1) return refuse(505, "only HTTP/1.1 and HTTP/1.0 are spoken here");
    size_t n_hosts = 0, n_lengths = 0, n_codings = 0;
    for (Header& header : headers_) {
        while (header.value_length && (head_[header.value + header.value_length - 1] == ' ' ||
                                       head_[header.value + header.value_length - 1] == '\t'))
            header.value_length--;
        const std::string_view name = std::string_view(head_).substr(header.name, header.name_length);
        const std::string_view value = std::string_view(head_).substr(header.value, header.value_length);
        if (name.find(' ') != name.npos) return refuse(400, "the name of a header holds a space");
        if (name == "host") n_hosts++;
        if (name == "content-length") n_lengths++;
        if (name == "transfer-encoding") {
            n_codings++;
            if (!equals_ignoring_case(value, "chunked"))
                return refuse(501, "the only Transfer-Encoding that is known here is chunked");
        }
        if (name == "expect") {
            if (!equals_ignoring_case(value, "100-continue"))
                return refuse(417, "the only Expect that is known here is 100-continue");
            expects_continue_ = !http_1_0();
        }
    }
    if (n_codings > 1 || n_lengths > 1 || n_codings + n_lengths > 1 || (n_codings && http_1_0()))
        return refuse(400, "the length of the request's body is told in two ways");
    if (n_hosts > 1 || (n_hosts == 0 && !http_1_0()))
        return refuse(400, "the request needs exactly one Host header");
    if (n_lengths && parser_.content_length > limits_.body_bytes)
        return refuse(413, "the body of the request is too large");
    return 0;
}

int RequestReader::check_target() {
    std::string_view target = target_;
    if (parser_.method == HTTP_CONNECT) return refuse(405, "this server is no proxy");
    if (target.size() > 7 && equals_ignoring_case(target.substr(0, 7), "http://")) {
        const size_t slash = target.find('/', 7);
        target = slash == target.npos ? "/" : target.substr(slash);
    }
    const size_t question = std::min(target.find('?'), target.find('#'));
    if (question != target.npos && target[question] == '?')
        query_ = target.substr(question + 1, target.find('#') - question - 1);
    const bool is_path = target.starts_with('/') || target == "*";
    if (!is_path || !decode_path(target.substr(0, question), path_))
        return refuse(400, "the address of the request is not a path");
    if (std::any_of(query_.begin(), query_.end(), is_control))
        return refuse(400, "the address of the request holds a control character");
    return 0;
}

size_t RequestReader::feed(std::string_view bytes) {
    static constexpr http_parser_settings settings = [] {
        http_parser_settings s{};
        s.on_url = Callbacks::url;
        s.on_header_field = Callbacks::header_name;
        s.on_header_value = Callbacks::header_value;
        s.on_headers_complete = Callbacks::head_complete;
        s.on_body = Callbacks::body;
        s.on_message_complete = Callbacks::complete;
        return s;
    }();
    if (state_ == State::complete || state_ == State::failed) return 0;
    if (state_ == State::head_complete) {
        state_ = State::body;
        http_parser_pause(&parser_, 0);
    }
    const size_t taken = http_parser_execute(&parser_, &settings, bytes.data(), bytes.size());
    const http_errno error = HTTP_PARSER_ERRNO(&parser_);
    if (error != HPE_OK && error != HPE_PAUSED && state_ != State::failed) {
        if (error == HPE_HEADER_OVERFLOW)
            refuse(431, "the head of the request is too large");
        else
            refuse(400, "this is no HTTP/1.1 request");
    }
    return taken;
}

}  // namespace agave::server
