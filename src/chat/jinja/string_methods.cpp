#include "chat/jinja/builtins.h"
#include "chat/jinja/operators.h"
#include "chat/jinja/text.h"

/// The methods of Python's str.
namespace agave::chat::jinja {

extern const BuiltinTable string_methods;

namespace {

using std::string_view;

/// What a method of a str returns: Markup if the string is one.
Value like(const Value& self, string_view text) {
    return Value::string(std::string(text), self.is_markup());
}
bool absent(const Value& value) {
    return value.is(Type::missing) || value.is(Type::none);
}

string_view argument(const Value& value) {
    return as_string(value, "the argument of a str method");
}
/// An argument that ends up in the result: escaped when the string is Markup.
std::string inserted(const Value& self, const Value& value) {
    argument(value);
    return std::string(self.is_markup() ? escape(value).text() : value.text());
}
int64_t count_or(const Value& value, int64_t otherwise) {
    return value.is(Type::missing) ? otherwise : as_integer(value, "a count");
}

constexpr std::string (*case_changes[])(string_view) = {text::upper, text::lower, text::title,
                                                        text::capitalize, text::swapcase};
enum CaseVariant : uint8_t { case_upper, case_lower, case_title, case_capitalize, case_swap };

Value str_case(const Call& call) {
    return like(call.self, case_changes[call.variant](call.self.text()));
}

enum StripVariant : uint8_t { strip_left = 1, strip_right = 2 };

Value str_strip(const Call& call) {
    const Value& characters = call.places[0];
    string_view set;
    if (!absent(characters)) set = argument(characters);
    return like(call.self, text::strip(call.self.text(), absent(characters) ? nullptr : &set,
                                       call.variant & strip_left, call.variant & strip_right));
}

/// The part of the string that start and end (in characters) leave, and where it begins in bytes. False when
/// start lies behind the end of the string.
bool window(const Value& self, const Value& start, const Value& end, string_view& part, size_t& offset) {
    const auto size = static_cast<int64_t>(n_characters(self));
    const auto index = [&](const Value& value, int64_t otherwise) {
        if (absent(value)) return otherwise;
        const int64_t i = as_integer(value, "an index");
        return i < 0 ? (i < -size ? 0 : i + size) : i;
    };
    const int64_t first = index(start, 0), last = std::min(index(end, size), size);
    if (first > size) return false;
    const string_view content = self.text();
    offset = text::byte_offset(content, static_cast<size_t>(first));
    part = content.substr(offset);
    if (last < size)
        part = part.substr(0, last > first ? text::byte_offset(part, static_cast<size_t>(last - first)) : 0);
    return last >= first;
}

enum FindVariant : uint8_t { find_right = 1, find_or_fail = 2 };

Value str_find(const Call& call) {
    const Value& self = call.self;
    const Value* a = call.places;
    string_view part;
    size_t offset = 0, at = string_view::npos;
    const string_view wanted = argument(a[0]);
    check_size(self.text().size());
    if (window(self, a[1], a[2], part, offset))
        at = call.variant & find_right ? part.rfind(wanted) : part.find(wanted);
    if (at != string_view::npos)
        return Value::integer(
            static_cast<int64_t>(text::count_code_points(self.text().substr(0, offset + at))));
    if (call.variant & find_or_fail) fail_value("substring not found");
    return Value::integer(-1);
}

Value str_count(const Call& call) {
    const Value* a = call.places;
    string_view part;
    size_t offset = 0;
    const string_view wanted = argument(a[0]);
    if (!window(call.self, a[1], a[2], part, offset)) return Value::integer(0);
    if (wanted.empty()) return Value::integer(static_cast<int64_t>(text::count_code_points(part)) + 1);
    int64_t count = 0;
    for (size_t at = part.find(wanted); at != string_view::npos; at = part.find(wanted, at + wanted.size()))
        count++;
    return Value::integer(count);
}

/// The variants of what looks at one side of a string.
enum SideVariant : uint8_t { at_start, at_end };

Value str_has_affix(const Call& call) {
    const Value& affixes = call.places[0];
    string_view part;
    size_t offset = 0;
    const bool inside = window(call.self, call.places[1], call.places[2], part, offset);
    const auto matches = [&](const Value& affix) {
        const string_view wanted = argument(affix);
        return inside && (call.variant == at_end ? part.ends_with(wanted) : part.starts_with(wanted));
    };
    if (!affixes.is_list(ListKind::tuple)) return Value::boolean(matches(affixes));
    for (const Value& affix : affixes.items())
        if (matches(affix)) return Value::boolean(true);
    return Value::boolean(false);
}

Value str_remove_affix(const Call& call) {
    const string_view affix = argument(call.places[0]);
    string_view content = call.self.text();
    if (call.variant == at_start && content.starts_with(affix)) content.remove_prefix(affix.size());
    if (call.variant == at_end && content.ends_with(affix)) content.remove_suffix(affix.size());
    return like(call.self, content);
}

Value str_replace(const Call& call) {
    const Value& self = call.self;
    const Value* a = call.places;
    const string_view content = self.text();
    const string_view old = argument(a[0]);
    const std::string replacement = inserted(self, a[1]);
    int64_t left = count_or(a[2], -1);
    std::string out;
    size_t at = 0;
    check_size(content.size());
    const auto append = [&](string_view part) {
        spend(1);
        check_room(part.size() + out.size());
        out += part;
    };
    while (left != 0) {
        const size_t next = content.find(old, at);
        if (next == string_view::npos) break;
        append(content.substr(at, next - at));
        append(replacement);
        at = next + old.size();
        if (left > 0) left--;
        if (!old.empty()) continue;
        // An empty string is found before every character and at the end.
        if (at == content.size()) break;
        spend(1);
        size_t after = at;
        text::next_code_point(content, after);
        append(content.substr(at, after - at));
        at = after;
    }
    append(content.substr(at));
    return like(self, out);
}

/// str.split() at white space.
Value split_space(const Value& self, int64_t max_splits, bool from_right) {
    const string_view content = self.text();
    std::vector<std::pair<size_t, size_t>> words;
    bool in_word = false;
    for (size_t position = 0; position < content.size();) {
        const size_t begin = position;
        const bool space = text::is_space(text::next_code_point(content, position));
        if (!space && !in_word) words.emplace_back(begin, position);
        if (!space) words.back().second = position;
        in_word = !space;
    }
    const size_t n = words.size();
    const size_t n_single =
        max_splits < 0 || static_cast<uint64_t>(max_splits) > n ? n : static_cast<size_t>(max_splits);
    const size_t first = from_right ? n - n_single : 0;
    Value parts = Value::new_list();
    if (from_right && first > 0) push(parts, like(self, content.substr(0, words[first - 1].second)));
    for (size_t i = first; i < first + n_single; i++)
        push(parts, like(self, content.substr(words[i].first, words[i].second - words[i].first)));
    if (!from_right && n_single < n) push(parts, like(self, content.substr(words[n_single].first)));
    return parts;
}

Value str_split(const Call& call) {
    const Value& self = call.self;
    const Value* a = call.places;
    const bool from_right = call.variant == at_end;
    const int64_t max_splits = count_or(a[1], -1);
    string_view content = self.text();
    Value parts = Value::new_list();
    check_size(content.size());
    if (absent(a[0])) return split_space(self, max_splits, from_right);
    const string_view separator = argument(a[0]);
    if (separator.empty()) fail_value("empty separator");
    for (int64_t left = max_splits; left != 0; left--) {
        const size_t at = from_right ? content.rfind(separator) : content.find(separator);
        if (at == string_view::npos) break;
        const string_view after = content.substr(at + separator.size());
        push(parts, like(self, from_right ? after : content.substr(0, at)));
        content = from_right ? content.substr(0, at) : after;
    }
    push(parts, like(self, content));
    std::vector<Value>& row = parts.list_object().items;
    for (size_t i = 0, j = row.size() - 1; from_right && i < j; i++, j--) std::swap(row[i], row[j]);
    return parts;
}
Value str_splitlines(const Call& call) {
    return split_lines(call.self, is_true(call.places[0]));
}

Value str_partition(const Call& call) {
    const Value& self = call.self;
    const bool from_right = call.variant == at_end;
    const string_view separator = argument(call.places[0]);
    if (separator.empty()) fail_value("empty separator");
    const string_view content = self.text();
    const size_t at = from_right ? content.rfind(separator) : content.find(separator);
    Value before = like(self, content), middle = like(self, ""), after = like(self, "");
    if (at != string_view::npos) {
        before = like(self, content.substr(0, at));
        middle = like(self, separator);
        after = like(self, content.substr(at + separator.size()));
    } else if (from_right) {
        std::swap(before, after);
    }
    return Value::list({before, middle, after}, ListKind::tuple);
}
Value str_join(const Call& call) {
    const Value& self = call.self;
    const Value items = iterate(call.places[0]);
    size_t bytes = 0;
    for (const Value& item : items.items())
        bytes += as_string(item, "an item to join").size() + self.text().size();
    check_size(bytes);
    std::string out;
    for (size_t i = 0; i < items.items().size(); i++) {
        if (i) out += self.text();
        out += inserted(self, items.items()[i]);
    }
    return like(self, out);
}

enum PadVariant : uint8_t { pad_right, pad_left, pad_both };

/// Pads to `width` characters.
Value pad(const Value& self, const Value& width_value, const Value& fill_value, uint8_t where) {
    const int64_t width = as_integer(width_value, "a width");
    const std::string fill = fill_value.is(Type::missing) ? " " : inserted(self, fill_value);
    if (!fill_value.is(Type::missing) && n_characters(fill_value) != 1)
        fail_value("the fill must be one character");
    const int64_t missing = width - static_cast<int64_t>(n_characters(self));
    if (missing <= 0) return self;
    check_size(static_cast<size_t>(missing) < SIZE_MAX / 8 ? static_cast<size_t>(missing) * fill.size()
                                                           : SIZE_MAX / 2);
    const int64_t left = where == pad_right  ? 0
                         : where == pad_left ? missing
                                             : missing / 2 + (missing & width & 1);
    std::string out;
    for (int64_t i = 0; i < left; i++) out += fill;
    out += self.text();
    for (int64_t i = left; i < missing; i++) out += fill;
    return like(self, out);
}
Value str_pad(const Call& call) {
    return pad(call.self, call.places[0], call.places[1], call.variant);
}

Value str_zfill(const Call& call) {
    const Value& self = call.self;
    const Value* a = call.places;
    const bool sign = self.text().starts_with('-') || self.text().starts_with('+');
    const Value digits = like(self, string_view(self.text()).substr(sign ? 1 : 0));
    const Value width = Value::integer(as_integer(a[0], "a width") - (sign ? 1 : 0));
    const Value padded = pad(digits, width, Value::string("0"), pad_left);
    return append_text(like(self, self.text().substr(0, sign ? 1 : 0)), padded.text());
}

Value str_expandtabs(const Call& call) {
    const Value& self = call.self;
    const int64_t size = count_or(call.places[0], 8);
    std::string out;
    int64_t column = 0;
    for (char c : self.text()) {
        if (c == '\t') {
            const int64_t spaces = size > 0 ? size - column % size : 0;
            check_size(out.size() / 64 + static_cast<size_t>(spaces));
            out.append(static_cast<size_t>(spaces), ' ');
            column += spaces;
            continue;
        }
        if (c == '\n' || c == '\r')
            column = 0;
        else if ((c & 0xC0) != 0x80)
            column++;
        out += c;
    }
    return like(self, out);
}

Value str_format(const Call& call) {
    const Arguments& arguments = call.arguments;
    return format_braces(call.self, arguments.positional, arguments.keyword);
}

enum ClassVariant : uint8_t {
    class_alpha,
    class_digit,
    class_alnum,
    class_space,
    class_ascii,
    class_printable,
    class_identifier
};

bool is_of_class(uint32_t c, uint8_t variant) {
    switch (variant) {
        case class_alpha:
            return text::is_alpha(c);
        case class_digit:
            return text::is_digit(c);
        case class_alnum:
            return text::is_alpha(c) || text::is_digit(c);
        case class_space:
            return text::is_space(c);
        case class_ascii:
            return c < 0x80;
        case class_printable:
            return text::is_printable(c);
        default:
            return c == '_' || text::is_alpha(c) || text::is_digit(c);
    }
}

/// isalpha and its like: all characters are of a class; of most classes there must be one.
Value str_is(const Call& call) {
    const string_view content = call.self.text();
    const uint8_t variant = call.variant;
    bool all = !content.empty() || variant == class_ascii || variant == class_printable;
    if (variant == class_identifier && all) all = !(content[0] >= '0' && content[0] <= '9');
    for (size_t position = 0; all && position < content.size();)
        all = is_of_class(text::next_code_point(content, position), variant);
    return Value::boolean(all);
}
Value str_is_case(const Call& call) {
    return Value::boolean(call_test(
        call.interpreter, find_test(call.variant == case_upper ? "upper" : "lower"), call.self, {}));
}
Value str_istitle(const Call& call) {
    const Value& s = call.self;
    bool cased = false, after_letter = false;
    for (size_t position = 0; position < s.text().size();) {
        const uint32_t c = text::next_code_point(s.text(), position);
        const bool upper = text::is_upper(c), lower = text::is_lower(c);
        if ((upper && after_letter) || (lower && !after_letter)) return Value::boolean(false);
        after_letter = upper || lower;
        cased = cased || after_letter;
    }
    return Value::boolean(cased);
}

constexpr Builtin rows[] = {
    {"capitalize", str_case, case_capitalize},
    {"casefold", str_case, case_lower},
    {"center 0 1?", str_pad, pad_both},
    {"count 0 1? 2?", str_count},
    {"encode", nullptr},
    {"endswith 0 1? 2?", str_has_affix, at_end},
    {"expandtabs tabsize?", str_expandtabs},
    {"find 0 1? 2?", str_find},
    {"format *", str_format},
    {"format_map", nullptr},
    {"index 0 1? 2?", str_find, find_or_fail},
    {"isalnum", str_is, class_alnum},
    {"isalpha", str_is, class_alpha},
    {"isascii", str_is, class_ascii},
    {"isdecimal", str_is, class_digit},
    {"isdigit", str_is, class_digit},
    {"isidentifier", str_is, class_identifier},
    {"islower", str_is_case, case_lower},
    {"isnumeric", str_is, class_digit},
    {"isprintable", str_is, class_printable},
    {"isspace", str_is, class_space},
    {"istitle", str_istitle},
    {"isupper", str_is_case, case_upper},
    {"join 0", str_join},
    {"ljust 0 1?", str_pad, pad_right},
    {"lower", str_case, case_lower},
    {"lstrip 0?", str_strip, strip_left},
    {"maketrans", nullptr},
    {"partition 0", str_partition, at_start},
    {"removeprefix 0", str_remove_affix, at_start},
    {"removesuffix 0", str_remove_affix, at_end},
    {"replace 0 1 2?", str_replace},
    {"rfind 0 1? 2?", str_find, find_right},
    {"rindex 0 1? 2?", str_find, find_right | find_or_fail},
    {"rjust 0 1?", str_pad, pad_left},
    {"rpartition 0", str_partition, at_end},
    {"rsplit sep? maxsplit?", str_split, at_end},
    {"rstrip 0?", str_strip, strip_right},
    {"split sep? maxsplit?", str_split, at_start},
    {"splitlines keepends?", str_splitlines},
    {"startswith 0 1? 2?", str_has_affix, at_start},
    {"strip 0?", str_strip, strip_left | strip_right},
    {"swapcase", str_case, case_swap},
    {"title", str_case, case_title},
    {"translate", nullptr},
    {"upper", str_case, case_upper},
    {"zfill 0", str_zfill},
};

}  // namespace

constinit const BuiltinTable string_methods = {rows, std::size(rows)};

Value split_lines(const Value& self, bool keep_ends) {
    const string_view content = self.text();
    Value lines = Value::new_list();
    size_t begin = 0;
    for (size_t position = 0; position < content.size();) {
        const size_t end = position;
        if (!text::skip_line_break(content, position)) {
            text::next_code_point(content, position);
            continue;
        }
        push(lines, like(self, content.substr(begin, (keep_ends ? position : end) - begin)));
        begin = position;
    }
    if (begin < content.size()) push(lines, like(self, content.substr(begin)));
    return lines;
}

}  // namespace agave::chat::jinja
