#include "chat/ast.h"
#include "chat/function.h"
#include "chat/interpreter.h"
#include "chat/operators.h"
#include "chat/text.h"

/// The methods of Python's str, list, tuple and dict.
namespace agave::chat::jinja {

namespace {

using Places = const Value*;
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

Value str_case(const Value& self, std::string (*change)(string_view)) {
    return like(self, change(self.text()));
}
Value str_upper(Interpreter&, const Value& s, Places, const Arguments&) {
    return str_case(s, text::upper);
}
Value str_lower(Interpreter&, const Value& s, Places, const Arguments&) {
    return str_case(s, text::lower);
}
Value str_title(Interpreter&, const Value& s, Places, const Arguments&) {
    return str_case(s, text::title);
}
Value str_capitalize(Interpreter&, const Value& s, Places, const Arguments&) {
    return str_case(s, text::capitalize);
}
Value str_swapcase(Interpreter&, const Value& s, Places, const Arguments&) {
    return str_case(s, text::swapcase);
}

Value strip(const Value& self, const Value& characters, bool left, bool right) {
    string_view set;
    if (!absent(characters)) set = argument(characters);
    return like(self, text::strip(self.text(), absent(characters) ? nullptr : &set, left, right));
}
Value str_strip(Interpreter&, const Value& s, Places a, const Arguments&) {
    return strip(s, a[0], true, true);
}
Value str_lstrip(Interpreter&, const Value& s, Places a, const Arguments&) {
    return strip(s, a[0], true, false);
}
Value str_rstrip(Interpreter&, const Value& s, Places a, const Arguments&) {
    return strip(s, a[0], false, true);
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

int64_t find(const Value& self, Places a, bool from_right) {
    string_view part;
    size_t offset = 0;
    const string_view wanted = argument(a[0]);
    check_size(self.text().size());
    if (!window(self, a[1], a[2], part, offset)) return -1;
    const size_t at = from_right ? part.rfind(wanted) : part.find(wanted);
    if (at == string_view::npos) return -1;
    return static_cast<int64_t>(text::count_code_points(string_view(self.text()).substr(0, offset + at)));
}
Value found(int64_t at) {
    if (at < 0) fail_value("substring not found");
    return Value::integer(at);
}
Value str_find(Interpreter&, const Value& s, Places a, const Arguments&) {
    return Value::integer(find(s, a, false));
}
Value str_rfind(Interpreter&, const Value& s, Places a, const Arguments&) {
    return Value::integer(find(s, a, true));
}
Value str_index(Interpreter&, const Value& s, Places a, const Arguments&) {
    return found(find(s, a, false));
}
Value str_rindex(Interpreter&, const Value& s, Places a, const Arguments&) {
    return found(find(s, a, true));
}

Value str_count(Interpreter&, const Value& self, Places a, const Arguments&) {
    string_view part;
    size_t offset = 0;
    const string_view wanted = argument(a[0]);
    if (!window(self, a[1], a[2], part, offset)) return Value::integer(0);
    if (wanted.empty()) return Value::integer(static_cast<int64_t>(text::count_code_points(part)) + 1);
    int64_t count = 0;
    for (size_t at = part.find(wanted); at != string_view::npos; at = part.find(wanted, at + wanted.size()))
        count++;
    return Value::integer(count);
}

bool has_affix(const Value& self, Places a, bool at_end) {
    string_view part;
    size_t offset = 0;
    const bool inside = window(self, a[1], a[2], part, offset);
    const auto matches = [&](const Value& affix) {
        const string_view wanted = argument(affix);
        return inside && (at_end ? part.ends_with(wanted) : part.starts_with(wanted));
    };
    if (!a[0].is_list(ListKind::tuple)) return matches(a[0]);
    for (const Value& affix : a[0].items())
        if (matches(affix)) return true;
    return false;
}
Value str_startswith(Interpreter&, const Value& s, Places a, const Arguments&) {
    return Value::boolean(has_affix(s, a, false));
}
Value str_endswith(Interpreter&, const Value& s, Places a, const Arguments&) {
    return Value::boolean(has_affix(s, a, true));
}

Value str_removeprefix(Interpreter&, const Value& self, Places a, const Arguments&) {
    const string_view prefix = argument(a[0]);
    string_view content = self.text();
    if (content.starts_with(prefix)) content.remove_prefix(prefix.size());
    return like(self, content);
}
Value str_removesuffix(Interpreter&, const Value& self, Places a, const Arguments&) {
    const string_view suffix = argument(a[0]);
    string_view content = self.text();
    if (content.ends_with(suffix)) content.remove_suffix(suffix.size());
    return like(self, content);
}

Value str_replace(Interpreter&, const Value& self, Places a, const Arguments&) {
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

Value split(const Value& self, Places a, bool from_right) {
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
Value str_split(Interpreter&, const Value& s, Places a, const Arguments&) {
    return split(s, a, false);
}
Value str_rsplit(Interpreter&, const Value& s, Places a, const Arguments&) {
    return split(s, a, true);
}

Value str_splitlines(Interpreter&, const Value& self, Places a, const Arguments&) {
    return split_lines(self, is_true(a[0]));
}

Value partition(const Value& self, const Value& separator_value, bool from_right) {
    const string_view separator = argument(separator_value);
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
Value str_partition(Interpreter&, const Value& s, Places a, const Arguments&) {
    return partition(s, a[0], false);
}
Value str_rpartition(Interpreter&, const Value& s, Places a, const Arguments&) {
    return partition(s, a[0], true);
}

Value str_join(Interpreter&, const Value& self, Places a, const Arguments&) {
    const Value items = iterate(a[0]);
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

/// Pads to `width` characters: `left` of the padding in front of the text.
Value pad(const Value& self, const Value& width_value, const Value& fill_value, int where) {
    const int64_t width = as_integer(width_value, "a width");
    const std::string fill = fill_value.is(Type::missing) ? " " : inserted(self, fill_value);
    if (!fill_value.is(Type::missing) && n_characters(fill_value) != 1)
        fail_value("the fill must be one character");
    const int64_t missing = width - static_cast<int64_t>(n_characters(self));
    if (missing <= 0) return self;
    check_size(static_cast<size_t>(missing) < SIZE_MAX / 8 ? static_cast<size_t>(missing) * fill.size()
                                                           : SIZE_MAX / 2);
    const int64_t left = where < 0 ? 0 : where > 0 ? missing : missing / 2 + (missing & width & 1);
    std::string out;
    for (int64_t i = 0; i < left; i++) out += fill;
    out += self.text();
    for (int64_t i = left; i < missing; i++) out += fill;
    return like(self, out);
}
Value str_ljust(Interpreter&, const Value& s, Places a, const Arguments&) {
    return pad(s, a[0], a[1], -1);
}
Value str_rjust(Interpreter&, const Value& s, Places a, const Arguments&) {
    return pad(s, a[0], a[1], 1);
}
Value str_center(Interpreter&, const Value& s, Places a, const Arguments&) {
    return pad(s, a[0], a[1], 0);
}

Value str_zfill(Interpreter&, const Value& self, Places a, const Arguments&) {
    const bool sign = self.text().starts_with('-') || self.text().starts_with('+');
    const Value digits = like(self, string_view(self.text()).substr(sign ? 1 : 0));
    const Value width = Value::integer(as_integer(a[0], "a width") - (sign ? 1 : 0));
    const Value padded = pad(digits, width, Value::string("0"), 1);
    return append_text(like(self, self.text().substr(0, sign ? 1 : 0)), padded.text());
}

Value str_expandtabs(Interpreter&, const Value& self, Places a, const Arguments&) {
    const int64_t size = count_or(a[0], 8);
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

Value str_format(Interpreter&, const Value& self, Places, const Arguments& arguments) {
    return format_braces(self, arguments.positional, arguments.keyword);
}

/// True if the string has characters and all pass.
template <class Test>
Value all_characters(const Value& self, Test test) {
    const string_view content = self.text();
    bool all = !content.empty();
    for (size_t position = 0; all && position < content.size();)
        all = test(text::next_code_point(content, position));
    return Value::boolean(all);
}
bool is_alnum(uint32_t c) {
    return text::is_alpha(c) || text::is_digit(c);
}
bool is_ascii(uint32_t c) {
    return c < 0x80;
}
bool is_word(uint32_t c) {
    return c == '_' || is_alnum(c);
}

Value str_isalnum(Interpreter&, const Value& s, Places, const Arguments&) {
    return all_characters(s, is_alnum);
}
Value str_isalpha(Interpreter&, const Value& s, Places, const Arguments&) {
    return all_characters(s, text::is_alpha);
}
Value str_isdigit(Interpreter&, const Value& s, Places, const Arguments&) {
    return all_characters(s, text::is_digit);
}
Value str_isspace(Interpreter&, const Value& s, Places, const Arguments&) {
    return all_characters(s, text::is_space);
}
Value str_isascii(Interpreter&, const Value& s, Places, const Arguments&) {
    return Value::boolean(s.text().empty() || all_characters(s, is_ascii).to_boolean());
}
Value str_isprintable(Interpreter&, const Value& s, Places, const Arguments&) {
    return Value::boolean(s.text().empty() || all_characters(s, text::is_printable).to_boolean());
}
Value str_isidentifier(Interpreter&, const Value& s, Places, const Arguments&) {
    const bool digit_first = !s.text().empty() && s.text()[0] >= '0' && s.text()[0] <= '9';
    return Value::boolean(!digit_first && all_characters(s, is_word).to_boolean());
}
Value str_islower(Interpreter& i, const Value& s, Places, const Arguments&) {
    return Value::boolean(call_test(i, find_test("lower"), s, {}));
}
Value str_isupper(Interpreter& i, const Value& s, Places, const Arguments&) {
    return Value::boolean(call_test(i, find_test("upper"), s, {}));
}
Value str_istitle(Interpreter&, const Value& s, Places, const Arguments&) {
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

Value list_count(Interpreter&, const Value& self, Places a, const Arguments&) {
    int64_t count = 0;
    for (const Value& item : self.items()) count += equal(item, a[0]) ? 1 : 0;
    return Value::integer(count);
}

Value list_index(Interpreter&, const Value& self, Places a, const Arguments&) {
    const Value part = slice(self, a[1], a[2], Value::missing());
    const int64_t size = length(self), start = count_or(a[1], 0);
    const int64_t offset = start < 0 ? std::max<int64_t>(start + size, 0) : start;
    for (size_t i = 0; i < part.items().size(); i++)
        if (equal(part.items()[i], a[0])) return Value::integer(static_cast<int64_t>(i) + offset);
    fail_value("the value is not in the list");
}

Value copy(Interpreter&, const Value& self, Places, const Arguments&) {
    return self;
}

Value dict_get(Interpreter&, const Value& self, Places a, const Arguments&) {
    const Value* value = self.dict_object().find(a[0]);
    return value ? *value : a[1].is(Type::missing) ? Value::none() : a[1];
}
Value dict_items(Interpreter&, const Value& s, Places, const Arguments&) {
    return items_of(s.dict_object(), ListKind::items);
}
Value dict_keys(Interpreter&, const Value& s, Places, const Arguments&) {
    return keys_of(s.dict_object(), ListKind::keys);
}
Value dict_values(Interpreter&, const Value& s, Places, const Arguments&) {
    return values_of(s.dict_object());
}

Value cycler_next(Interpreter&, const Value& self, Places, const Arguments&) {
    auto& cycler = *static_cast<FunctionObject*>(self.object());
    Value item = cycler.self.items()[cycler.position];
    cycler.position = (cycler.position + 1) % cycler.self.items().size();
    return item;
}
Value cycler_reset(Interpreter&, const Value& self, Places, const Arguments&) {
    static_cast<FunctionObject*>(self.object())->position = 0;
    return Value::none();
}

constexpr Builtin string_methods[] = {
    {"capitalize", str_capitalize},
    {"casefold", str_lower},
    {"center 0 1?", str_center},
    {"count 0 1? 2?", str_count},
    {"encode", nullptr},
    {"endswith 0 1? 2?", str_endswith},
    {"expandtabs tabsize?", str_expandtabs},
    {"find 0 1? 2?", str_find},
    {"format *", str_format},
    {"format_map", nullptr},
    {"index 0 1? 2?", str_index},
    {"isalnum", str_isalnum},
    {"isalpha", str_isalpha},
    {"isascii", str_isascii},
    {"isdecimal", str_isdigit},
    {"isdigit", str_isdigit},
    {"isidentifier", str_isidentifier},
    {"islower", str_islower},
    {"isnumeric", str_isdigit},
    {"isprintable", str_isprintable},
    {"isspace", str_isspace},
    {"istitle", str_istitle},
    {"isupper", str_isupper},
    {"join 0", str_join},
    {"ljust 0 1?", str_ljust},
    {"lower", str_lower},
    {"lstrip 0?", str_lstrip},
    {"maketrans", nullptr},
    {"partition 0", str_partition},
    {"removeprefix 0", str_removeprefix},
    {"removesuffix 0", str_removesuffix},
    {"replace 0 1 2?", str_replace},
    {"rfind 0 1? 2?", str_rfind},
    {"rindex 0 1? 2?", str_rindex},
    {"rjust 0 1?", str_rjust},
    {"rpartition 0", str_rpartition},
    {"rsplit sep? maxsplit?", str_rsplit},
    {"rstrip 0?", str_rstrip},
    {"split sep? maxsplit?", str_split},
    {"splitlines keepends?", str_splitlines},
    {"startswith 0 1? 2?", str_startswith},
    {"strip 0?", str_strip},
    {"swapcase", str_swapcase},
    {"title", str_title},
    {"translate", nullptr},
    {"upper", str_upper},
    {"zfill 0", str_zfill},
};

constexpr Builtin list_methods[] = {
    {"count 0", list_count}, {"index 0 1? 2?", list_index}, {"copy", copy},  // the last that tuples lack
};

constexpr Builtin dict_methods[] = {
    {"get 0 1?", dict_get},  {"items", dict_items}, {"keys", dict_keys},
    {"values", dict_values}, {"copy", copy},        {"fromkeys", nullptr},
};

constexpr Builtin cycler_methods[] = {{"next", cycler_next}, {"reset", cycler_reset}};

constexpr string_view unsafe_of_list[] = {"append", "clear", "pop",    "reverse",
                                          "insert", "sort",  "extend", "remove"};
constexpr string_view unsafe_of_dict[] = {"clear", "pop", "popitem", "setdefault", "update"};

/// A method's number is its table (from 1) and its place there.
struct Table {
    const Builtin* methods;
    size_t size;
};
constexpr Table tables[] = {{string_methods, std::size(string_methods)},
                            {list_methods, std::size(list_methods)},
                            {dict_methods, std::size(dict_methods)},
                            {cycler_methods, std::size(cycler_methods)}};

template <size_t n>
bool one_of(const string_view (&names)[n], string_view name) {
    for (string_view candidate : names)
        if (candidate == name) return true;
    return false;
}

}  // namespace

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

uint32_t find_method(const Value& object, string_view name) {
    size_t table = 0;
    size_t hidden = 0;
    if (object.is(Type::string)) {
        table = 1;
    } else if (object.is(Type::list)) {
        const ListKind kind = object.list_object().kind;
        if (kind > ListKind::range) return 0;
        if (kind == ListKind::list && one_of(unsafe_of_list, name)) return unsafe_method;
        hidden = kind == ListKind::list ? 0 : 1;
        table = 2;
    } else if (object.is(Type::dict)) {
        if (one_of(unsafe_of_dict, name)) return unsafe_method;
        table = 3;
    } else if (object.is(Type::function)) {
        if (static_cast<FunctionObject*>(object.object())->kind != FunctionKind::cycler) return 0;
        table = 4;
    } else {
        return 0;
    }
    const Table& methods = tables[table - 1];
    const uint32_t found = find_builtin(methods.methods, methods.size - hidden, name);
    return found ? static_cast<uint32_t>(table << 8 | (found - 1)) : 0;
}

Value call_method(Interpreter& interpreter, uint32_t method, const Value& self, const Arguments& arguments) {
    return call_builtin(tables[(method >> 8) - 1].methods[method & 0xFF], interpreter, self, arguments);
}

}  // namespace agave::chat::jinja
