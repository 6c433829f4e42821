#include "chat/jinja/filters.h"
#include "chat/jinja/json.h"
#include "chat/jinja/text.h"

/// Filters of text.
namespace agave::chat::jinja {

namespace {

enum CaseVariant : uint8_t { case_upper, case_lower, case_capitalize };

Value filter_case(const Call& call) {
    constexpr std::string (*changes[])(std::string_view) = {text::upper, text::lower, text::capitalize};
    const Value s = soft_string(call.self);
    return like(s, changes[call.variant](s.text()));
}

Value filter_center(const Call& call) {
    const Value* a = call.places;
    const Value s = soft_string(call.self);
    return call_method(call.interpreter, find_method(s, "center"), s,
                       {{a[0].is(Type::missing) ? Value::integer(80) : a[0]}, {}});
}

Value filter_escape(const Call& call) {
    return escape(call.self);
}

Value filter_forceescape(const Call& call) {
    return Value::string(text::html_escape(to_text(call.self)), true);
}

Value filter_format(const Call& call) {
    const Value& v = call.self;
    const Arguments& arguments = call.arguments;
    if (!arguments.positional.empty() && !arguments.keyword.empty())
        fail_value("format takes arguments by position or by name, not both");
    if (arguments.keyword.empty())
        return format_percent(soft_string(v), Value::list_of(arguments.positional.data(),
                                                             arguments.positional.size(), ListKind::tuple));
    Value names = Value::dict();
    for (const auto& [key, value] : arguments.keyword) names.dict_object().set(key, value);
    return format_percent(soft_string(v), names);
}

Value filter_indent(const Call& call) {
    const Value& v = call.self;
    const Value* a = call.places;
    as_string(v, "the text to indent");
    std::string indent(a[0].is(Type::string) ? a[0].text() : std::string_view());
    if (!a[0].is(Type::string)) {
        const int64_t width = integer_or(a[0], 4, "the width of an indent");
        if (width > 0) check_size(static_cast<size_t>(width));
        indent.assign(width > 0 ? static_cast<size_t>(width) : 0, ' ');
    }
    const Value lines = split_lines(append_text(v, "\n"), false);
    check_size(v.text().size() + indent.size() * lines.items().size());
    std::string out;
    for (size_t i = 0; i < lines.items().size(); i++) {
        const std::string_view line = lines.items()[i].text();
        const bool indented = i == 0 ? flag(a[1]) : flag(a[2]) || !line.empty();
        if (i) out += '\n';
        if (indented) out += indent;
        out += line;
    }
    return like(v, std::move(out));
}

Value filter_replace(const Call& call) {
    const Value* a = call.places;
    const Value s = Value::string(to_text(call.self));
    const Value count = absent(a[2]) ? Value::integer(-1) : a[2];
    return call_method(call.interpreter, find_method(s, "replace"), s,
                       {{Value::string(to_text(a[0])), Value::string(to_text(a[1])), count}, {}});
}

Value filter_safe(const Call& call) {
    const Value& v = call.self;
    return v.is_markup() ? v : Value::string(to_text(v), true);
}

Value filter_string(const Call& call) {
    return soft_string(call.self);
}

Value filter_title(const Call& call) {
    const Value s = soft_string(call.self);
    std::string out, word;
    const auto finish = [&] {
        if (word.empty()) return;
        const size_t first = text::byte_offset(word, 1);
        out += text::upper(std::string_view(word).substr(0, first));
        out += text::lower(std::string_view(word).substr(first));
        word.clear();
    };
    for (size_t position = 0; position < s.text().size();) {
        const size_t begin = position;
        const uint32_t c = text::next_code_point(s.text(), position);
        const bool between = c == '-' || c == '(' || c == '{' || c == '[' || c == '<' || text::is_space(c);
        if (between) finish();
        (between ? out : word).append(s.text().substr(begin, position - begin));
    }
    finish();
    return Value::string(std::move(out));
}

Value filter_tojson(const Call& call) {
    const Value* a = call.places;
    JsonStyle style;
    style.ensure_ascii = flag(a[0]);
    style.multi_line = !absent(a[1]);
    style.sort_keys = flag(a[3]);
    if (a[1].is(Type::string)) {
        style.indent = a[1].text();
    } else if (style.multi_line) {
        const int64_t width = as_integer(a[1], "the indent of tojson");
        if (width > 0) check_size(static_cast<size_t>(width));
        style.indent.assign(width > 0 ? static_cast<size_t>(width) : 0, ' ');
    }
    if (style.multi_line) style.item_separator = ",";
    if (!absent(a[2])) {
        const Value separators = iterate(a[2]);
        if (separators.items().size() != 2) fail_value("tojson needs two separators");
        style.item_separator = as_string(separators.items()[0], "a separator of tojson");
        style.key_separator = as_string(separators.items()[1], "a separator of tojson");
    }
    std::string out;
    append_json(out, call.self, style);
    return Value::string(std::move(out));
}

Value filter_trim(const Call& call) {
    const Value* a = call.places;
    const Value s = soft_string(call.self);
    std::string_view characters;
    if (!absent(a[0])) characters = as_string(a[0], "the characters to trim");
    return like(s, std::string(text::strip(s.text(), absent(a[0]) ? nullptr : &characters, true, true)));
}

Value filter_truncate(const Call& call) {
    const Value& v = call.self;
    const Value* a = call.places;
    const int64_t limit = integer_or(a[0], 255, "the length of truncate");
    const int64_t leeway = absent(a[3]) ? 5 : as_integer(a[3], "the leeway of truncate");
    const Value end = a[2].is(Type::missing) ? Value::string("...") : a[2];
    as_string(end, "the end of truncate");
    const int64_t kept = limit - length(end);
    if (kept < 0 || leeway < 0) fail_value("truncate needs a length of at least its end");
    if (length(v) <= limit || length(v) - limit <= leeway) return v;
    as_string(v, "the text to truncate");
    Value cut = substring(v, 0, static_cast<size_t>(kept));
    if (!flag(a[1])) {
        const size_t space = cut.text().rfind(' ');
        if (space != std::string::npos) cut = Value::string(cut.text().substr(0, space), v.is_markup());
    }
    return concatenate(cut, end);
}

void append_quoted(std::string& out, const Value& value, bool for_query) {
    constexpr char hex[] = "0123456789ABCDEF";
    for (char c : to_text(value)) {
        const auto byte = static_cast<unsigned char>(c);
        const bool plain = (byte >= '0' && byte <= '9') || ((byte | 32) >= 'a' && (byte | 32) <= 'z') ||
                           c == '_' || c == '.' || c == '-' || c == '~' || (c == '/' && !for_query);
        if (plain && byte < 128) {
            out += c;
        } else if (c == ' ' && for_query) {
            out += '+';
        } else {
            out += '%';
            out += hex[byte >> 4];
            out += hex[byte & 15];
        }
    }
}

Value filter_urlencode(const Call& call) {
    const Value& v = call.self;
    std::string out;
    if (v.is(Type::string) || !is_iterable(v)) {
        append_quoted(out, v, false);
        return Value::string(std::move(out));
    }
    const Value pairs = v.is(Type::dict) ? items_of(v.dict_object(), ListKind::list) : iterate(v);
    for (const Value& pair : pairs.items()) {
        const Value parts = iterate(pair);
        if (parts.items().size() != 2) fail_value("urlencode needs pairs of a key and a value");
        if (!out.empty()) out += '&';
        append_quoted(out, parts.items()[0], true);
        out += '=';
        append_quoted(out, parts.items()[1], true);
    }
    return Value::string(std::move(out));
}

Value filter_wordcount(const Call& call) {
    const std::string content = to_text(call.self);
    int64_t count = 0;
    bool in_word = false;
    for (size_t position = 0; position < content.size();) {
        const uint32_t c = text::next_code_point(content, position);
        const bool word = c == '_' || text::is_alpha(c) || text::is_digit(c);
        if (word && !in_word) count++;
        in_word = word;
    }
    return Value::integer(count);
}

constexpr Builtin rows[] = {
    {"capitalize", filter_case, case_capitalize},
    {"center width?", filter_center},
    {"e", filter_escape},
    {"escape", filter_escape},
    {"forceescape", filter_forceescape},
    {"format *", filter_format},
    {"indent width? first? blank?", filter_indent},
    {"lower", filter_case, case_lower},
    {"replace old new count?", filter_replace},
    {"safe", filter_safe},
    {"string", filter_string},
    {"title", filter_title},
    {"tojson ensure_ascii? indent? separators? sort_keys?", filter_tojson},
    {"trim chars?", filter_trim},
    {"truncate length? killwords? end? leeway?", filter_truncate},
    {"upper", filter_case, case_upper},
    {"urlencode", filter_urlencode},
    {"wordcount", filter_wordcount},
};

}  // namespace

constinit const BuiltinTable text_filters = {rows, std::size(rows)};

}  // namespace agave::chat::jinja
