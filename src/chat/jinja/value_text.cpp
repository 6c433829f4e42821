#include "chat/jinja/text.h"
#include "chat/jinja/value.h"

/// Values as text: Python's str() and repr().
namespace agave::chat::jinja {

const char* type_name(const Value& value) {
    constexpr const char* list_names[] = {"list",      "tuple",       "tuple",      "range",
                                          "dict_keys", "dict_values", "dict_items", "generator"};
    switch (value.type()) {
        case Type::undefined:
        case Type::missing:
            return "Undefined";
        case Type::none:
            return "NoneType";
        case Type::boolean:
            return "bool";
        case Type::integer:
            return "int";
        case Type::floating:
            return "float";
        case Type::string:
            return "str";
        case Type::list:
            return list_names[static_cast<int>(value.list_object().kind)];
        case Type::dict:
            return "dict";
        case Type::space:
            return "Namespace";
        case Type::loop:
            return "LoopContext";
        case Type::function:
            break;
    }
    return "function";
}

namespace {

void append_dict_repr(std::string& out, const DictObject& dict) {
    out += '{';
    for (size_t i = 0; i < dict.entries.size(); i++) {
        if (i) out += ", ";
        append_repr(out, dict.entries[i].key);
        out += ": ";
        append_repr(out, dict.entries[i].value);
    }
    out += '}';
}

void append_list_repr(std::string& out, const ListObject& list) {
    if (list.kind == ListKind::generator) {
        out += "<generator object>";
        return;
    }
    const bool tuple = list.kind == ListKind::tuple || list.kind == ListKind::group;
    if (list.kind >= ListKind::keys) {
        constexpr const char* names[] = {"dict_keys(", "dict_values(", "dict_items("};
        out += names[static_cast<int>(list.kind) - static_cast<int>(ListKind::keys)];
    }
    out += tuple ? '(' : '[';
    for (size_t i = 0; i < list.items.size(); i++) {
        if (i) out += ", ";
        append_repr(out, list.items[i]);
    }
    if (tuple && list.items.size() == 1) out += ',';
    out += tuple ? ')' : ']';
    if (list.kind >= ListKind::keys) out += ')';
}

/// A range is kept as its numbers; Python prints how it was made.
void append_range_repr(std::string& out, const ListObject& list) {
    const size_t n = list.items.size();
    const int64_t start = n ? list.items[0].to_integer() : 0;
    const int64_t step = n > 1 ? list.items[1].to_integer() - start : 1;
    const int64_t stop = n > 1 ? list.items[n - 1].to_integer() + step : start + static_cast<int64_t>(n);
    out += "range(";
    text::append_integer(out, start);
    out += ", ";
    text::append_integer(out, stop);
    if (step != 1) {
        out += ", ";
        text::append_integer(out, step);
    }
    out += ')';
}

}  // namespace

void append_repr(std::string& out, const Value& value) {
    const Nesting guard;
    spend(1);
    check_room(out.size());
    switch (value.type()) {
        case Type::undefined:
        case Type::missing:
            out += "Undefined";
            break;
        case Type::none:
            out += "None";
            break;
        case Type::boolean:
            out += value.to_boolean() ? "True" : "False";
            break;
        case Type::integer:
            text::append_integer(out, value.to_integer());
            break;
        case Type::floating:
            text::append_float(out, value.to_floating());
            break;
        case Type::string:
            if (value.is_markup()) out += "Markup(";
            text::append_repr(out, value.text());
            if (value.is_markup()) out += ')';
            break;
        case Type::list:
            if (value.list_object().kind == ListKind::range)
                append_range_repr(out, value.list_object());
            else
                append_list_repr(out, value.list_object());
            break;
        case Type::dict:
            append_dict_repr(out, value.dict_object());
            break;
        case Type::space:
            out += "<Namespace ";
            append_dict_repr(out, value.dict_object());
            out += '>';
            break;
        default:
            out += '<';
            out += type_name(value);
            out += '>';
    }
}

void append_text(std::string& out, const Value& value) {
    if (value.is(Type::string))
        out += value.text();
    else if (!value.is_undefined())
        append_repr(out, value);
}

std::string to_text(const Value& value) {
    std::string out;
    append_text(out, value);
    return out;
}

}  // namespace agave::chat::jinja
