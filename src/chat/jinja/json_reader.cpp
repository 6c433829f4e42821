#include "base/json.h"

#include "chat/jinja/json.h"

namespace agave::chat::jinja {

namespace {

Value value_of(const JsonValue& json) {
    switch (json.kind()) {
        case JsonKind::boolean:
            return Value::boolean(json.as_boolean());
        case JsonKind::integer:
            return Value::integer(json.as_integer());
        case JsonKind::number:
            return Value::floating(json.as_number());
        case JsonKind::text:
            return Value::string(json.as_text());
        case JsonKind::array: {
            Value list = Value::new_list();
            for (const JsonValue item : json) push(list, value_of(item));
            return list;
        }
        case JsonKind::object: {
            Value dict = Value::dict();
            for (auto member = json.begin(); member != json.end(); ++member)
                dict.set(member.name(), value_of(*member));
            return dict;
        }
        default:
            return Value::none();
    }
}

}  // namespace

Value parse_json(std::string_view json, const char* what) {
    return value_of(Json(json, what, JsonSource::request).root());
}

}  // namespace agave::chat::jinja
