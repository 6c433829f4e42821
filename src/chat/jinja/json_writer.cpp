#include <cmath>

#include "chat/jinja/json.h"
#include "chat/jinja/operators.h"
#include "chat/jinja/text.h"

namespace agave::chat::jinja {

namespace {

class Writer {
  public:
    Writer(std::string& out, const JsonStyle& style) : out_(out), style_(style) {}

    void write(const Value& value) {
        const Nesting guard;
        spend(1);
        check_room(out_.size());
        switch (value.type()) {
            case Type::string:
                text::append_json_string(out_, value.text(), style_.ensure_ascii);
                return;
            case Type::list:
                if (value.list_object().kind > ListKind::group) break;
                write_list(value.items());
                return;
            case Type::dict:
                write_dict(value.dict_object());
                return;
            default:
                if (!write_scalar(value)) break;
                return;
        }
        fail_value("an object of type '%s' cannot be written as JSON", type_name(value));
    }

  private:
    bool write_scalar(const Value& value) {
        if (value.is(Type::none))
            out_ += "null";
        else if (value.is(Type::boolean))
            out_ += value.to_boolean() ? "true" : "false";
        else if (value.is(Type::integer))
            text::append_integer(out_, value.to_integer());
        else if (value.is(Type::floating) && std::isnan(value.to_floating()))
            out_ += "NaN";
        else if (value.is(Type::floating) && std::isinf(value.to_floating()))
            out_ += value.to_floating() < 0 ? "-Infinity" : "Infinity";
        else if (value.is(Type::floating))
            text::append_float(out_, value.to_floating());
        else
            return false;
        return true;
    }

    void new_line() {
        if (!style_.multi_line) return;
        out_ += '\n';
        check_size(style_.indent.size() * static_cast<size_t>(level_));
        for (int i = 0; i < level_; i++) out_ += style_.indent;
    }

    void write_list(const std::vector<Value>& items) {
        if (items.empty()) {
            out_ += "[]";
            return;
        }
        out_ += '[';
        level_++;
        for (size_t i = 0; i < items.size(); i++) {
            if (i) out_ += style_.item_separator;
            new_line();
            write(items[i]);
        }
        level_--;
        new_line();
        out_ += ']';
    }

    void write_key(const Value& key) {
        if (key.is(Type::string)) {
            text::append_json_string(out_, key.text(), style_.ensure_ascii);
            return;
        }
        out_ += '"';
        if (!write_scalar(key)) fail_value("keys must be strings or numbers, not '%s'", type_name(key));
        out_ += '"';
    }

    void write_dict(const DictObject& dict) {
        if (dict.entries.empty()) {
            out_ += "{}";
            return;
        }
        std::vector<uint32_t> order;
        if (style_.sort_keys) order = sorted_order(keys_of(dict, ListKind::list).items(), false);
        out_ += '{';
        level_++;
        for (size_t i = 0; i < dict.entries.size(); i++) {
            const DictObject::Entry& entry = dict.entries[style_.sort_keys ? order[i] : i];
            if (i) out_ += style_.item_separator;
            new_line();
            write_key(entry.key);
            out_ += style_.key_separator;
            write(entry.value);
        }
        level_--;
        new_line();
        out_ += '}';
    }

    std::string& out_;
    const JsonStyle& style_;
    int level_ = 0;
};

}  // namespace

void append_json(std::string& out, const Value& value, const JsonStyle& style) {
    Writer(out, style).write(value);
}

}  // namespace agave::chat::jinja
