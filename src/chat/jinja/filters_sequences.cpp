#include "chat/jinja/filters.h"
#include "chat/jinja/text.h"

/// Filters of lists, dicts and whatever can be iterated.
namespace agave::chat::jinja {

namespace {

Value new_generator() {
    return Value::new_list(ListKind::generator);
}
Value empty_sequence() {
    return Value::undefined(Value::string("the sequence was empty"), UndefinedReason::hint);
}

/// Looks attributes up by a path like "address.city" or "items.0".
class AttributeGetter {
  public:
    explicit AttributeGetter(const Value& path, Value otherwise = Value::none())
        : otherwise_(std::move(otherwise)) {
        if (absent(path)) return;
        if (!path.is(Type::string)) {
            parts_.push_back(path);
            return;
        }
        std::string_view rest = path.text();
        while (true) {
            const size_t dot = rest.find('.');
            const std::string_view part = rest.substr(0, dot);
            int64_t number = 0;
            const bool numeric = text::parse_integer(part, 10, number) == text::Parsed::whole;
            parts_.push_back(numeric ? Value::integer(number) : Value::string(part));
            if (dot == std::string_view::npos) break;
            rest.remove_prefix(dot + 1);
        }
    }

    Value get(Value item) const {
        for (const Value& part : parts_) {
            item = subscript(item, part);
            if (item.is_undefined() && !otherwise_.is(Type::none)) item = otherwise_;
        }
        return item;
    }

  private:
    std::vector<Value> parts_;
    Value otherwise_;
};

Value fold_case(Value value, bool case_sensitive) {
    if (case_sensitive || !value.is(Type::string)) return value;
    return Value::string(text::lower(value.text()));
}

Value filter_batch(const Call& call) {
    const Value* a = call.places;
    const int64_t size = as_integer(a[0], "the size of a batch");
    const Value items = iterate(call.self);
    Value batches = new_generator(), batch = Value::new_list();
    const auto finish = [&] {
        push(batches, batch);
        batch = Value::new_list();
    };
    for (const Value& item : items.items()) {
        if (static_cast<int64_t>(batch.items().size()) == size) finish();
        push(batch, item);
    }
    if (batch.items().empty()) return batches;
    if (!absent(a[1]) && static_cast<int64_t>(batch.items().size()) < size) {
        check_size(static_cast<size_t>(size) * sizeof(Value));
        while (static_cast<int64_t>(batch.items().size()) < size) push(batch, a[1]);
    }
    finish();
    return batches;
}

Value filter_slice(const Call& call) {
    const Value* a = call.places;
    const int64_t n = as_integer(a[0], "the number of slices");
    const Value items = iterate(call.self);
    if (n == 0) fail_value("the number of slices must not be zero");
    Value slices = new_generator();
    if (n < 0) return slices;
    check_size(static_cast<size_t>(n) * sizeof(Value));
    const auto size = static_cast<int64_t>(items.items().size());
    int64_t begin = 0;
    for (int64_t i = 0; i < n; i++) {
        const int64_t end = begin + size / n + (i < size % n ? 1 : 0);
        Value part = Value::new_list();
        append(part, items.items().data() + begin, static_cast<size_t>(end - begin));
        if (!absent(a[1]) && i >= size % n) push(part, a[1]);
        push(slices, part);
        begin = end;
    }
    return slices;
}

Value filter_dictsort(const Call& call) {
    const Value& v = call.self;
    const Value* a = call.places;
    const std::string by = a[1].is(Type::missing) ? "key" : to_text(a[1]);
    if (by != "key" && by != "value") fail_value("dictsort sorts by 'key' or by 'value'");
    if (v.is_undefined()) fail_undefined(v);
    if (!v.is(Type::dict)) fail_value("dictsort needs a dict, not '%s'", type_name(v));
    const Value items = items_of(v.dict_object(), ListKind::list);
    Value keys = Value::new_list(), sorted = Value::new_list();
    for (const Value& item : items.items())
        push(keys, fold_case(item.items()[by == "key" ? 0 : 1], flag(a[0])));
    for (uint32_t i : sorted_order(keys.items(), flag(a[2]))) push(sorted, items.items()[i]);
    return sorted;
}

Value filter_first(const Call& call) {
    const Value& v = call.self;
    if (v.is_list(ListKind::generator)) {
        ListObject& list = v.list_object();
        return list.position < list.items.size() ? list.items[list.position++] : empty_sequence();
    }
    if (v.is(Type::string)) return v.text().empty() ? empty_sequence() : substring(v, 0, 1);
    const Value items = iterate(v);
    return items.items().empty() ? empty_sequence() : items.items()[0];
}

Value filter_last(const Call& call) {
    const Value& v = call.self;
    if (v.is_list(ListKind::generator)) fail_value("a generator has no last item; make it a list first");
    const Value items = iterate(v);
    return items.items().empty() ? empty_sequence() : items.items().back();
}

Value filter_groupby(const Call& call) {
    const Value* a = call.places;
    const AttributeGetter getter(a[0], a[1].is(Type::missing) ? Value::none() : a[1]);
    const Value items = iterate(call.self);
    Value keys = Value::new_list(), groups = Value::new_list(), group = Value::new_list();
    for (const Value& item : items.items()) push(keys, fold_case(getter.get(item), flag(a[2])));
    const std::vector<uint32_t> order = sorted_order(keys.items(), false);
    for (size_t i = 0; i < order.size(); i++) {
        push(group, items.items()[order[i]]);
        if (i + 1 < order.size() && equal(keys.items()[order[i]], keys.items()[order[i + 1]])) continue;
        Value grouper = getter.get(group.items()[0]);
        push(groups, Value::list({grouper, group}, ListKind::group));
        group = Value::new_list();
    }
    return groups;
}

Value filter_items(const Call& call) {
    const Value& v = call.self;
    if (v.is_undefined()) return new_generator();
    if (!v.is(Type::dict)) fail_value("items needs a dict, not '%s'", type_name(v));
    return items_of(v.dict_object(), ListKind::generator);
}

Value filter_join(const Call& call) {
    const Value* a = call.places;
    const AttributeGetter getter(a[1]);
    const std::string separator = a[0].is(Type::missing) ? std::string() : to_text(a[0]);
    const Value items = iterate(call.self);
    std::string out;
    for (size_t i = 0; i < items.items().size(); i++) {
        const size_t before = out.size();
        if (i) out += separator;
        append_text(out, getter.get(items.items()[i]));
        spend(1 + (out.size() - before) / 64);
        check_room(out.size());
    }
    return Value::string(std::move(out));
}

Value filter_length(const Call& call) {
    return Value::integer(length(call.self));
}

Value filter_list(const Call& call) {
    const Value items = iterate(call.self);
    return items.is_list(ListKind::list) ? items : Value::list_of(items.items().data(), items.items().size());
}

const Value* keyword(const Arguments& arguments, std::string_view name) {
    for (const auto& [key, value] : arguments.keyword)
        if (key.text() == name) return &value;
    return nullptr;
}

/// The arguments after the first `n` positional ones.
Arguments rest_of(const Arguments& arguments, size_t n) {
    Arguments rest;
    for (size_t i = n; i < arguments.positional.size(); i++)
        rest.positional.push_back(arguments.positional[i]);
    rest.keyword = arguments.keyword;
    return rest;
}

Value filter_map(const Call& call) {
    const Value& v = call.self;
    const Arguments& arguments = call.arguments;
    Value mapped = new_generator();
    if (!is_true(v)) return mapped;
    const Value* path = arguments.positional.empty() ? keyword(arguments, "attribute") : nullptr;
    const Value* otherwise = keyword(arguments, "default");
    if (path) {
        if (arguments.keyword.size() > (otherwise ? 2u : 1u))
            fail_value("map(attribute=...) takes only a default");
        const AttributeGetter getter(*path, otherwise ? *otherwise : Value::none());
        const Value items = iterate(v);
        for (const Value& item : items.items()) push(mapped, getter.get(item));
        return mapped;
    }
    if (arguments.positional.empty()) fail_value("map needs the name of a filter");
    const std::string_view name = as_string(arguments.positional[0], "the name of a filter");
    const uint32_t filter = find_filter(name);
    if (!filter) fail_value("no filter named '%.*s'", static_cast<int>(name.size()), name.data());
    const Arguments rest = rest_of(arguments, 1);
    const Value items = iterate(v);
    for (const Value& item : items.items()) {
        spend(1);
        push(mapped, call_filter(call.interpreter, filter, item, rest));
    }
    return mapped;
}

enum SelectVariant : uint8_t { select_by_attribute = 1, select_not = 2 };

/// select, reject (by a test of the item) and selectattr, rejectattr (of an attribute).
Value filter_select(const Call& call) {
    const Value& v = call.self;
    const Arguments& arguments = call.arguments;
    const bool by_attribute = call.variant & select_by_attribute;
    const bool wanted = !(call.variant & select_not);
    Value chosen = new_generator();
    if (!is_true(v)) return chosen;
    if (by_attribute && arguments.positional.empty()) fail_value("the name of the attribute is missing");
    const AttributeGetter getter(by_attribute ? arguments.positional[0] : Value::none());
    const size_t offset = by_attribute ? 1 : 0;
    const bool with_test = arguments.positional.size() > offset;
    const std::string_view name =
        with_test ? as_string(arguments.positional[offset], "the name of a test") : std::string_view();
    const uint32_t test = find_test(name);
    if (with_test && !test) fail_value("no test named '%.*s'", static_cast<int>(name.size()), name.data());
    const Arguments rest = with_test ? rest_of(arguments, offset + 1) : Arguments();
    const Value items = iterate(v);
    for (const Value& item : items.items()) {
        spend(1);
        const Value tested = getter.get(item);
        if ((with_test ? call_test(call.interpreter, test, tested, rest) : is_true(tested)) == wanted)
            push(chosen, item);
    }
    return chosen;
}

enum ExtremeVariant : uint8_t { extreme_smallest, extreme_largest };

/// min and max.
Value filter_extreme(const Call& call) {
    const Value* a = call.places;
    const bool largest = call.variant == extreme_largest;
    const AttributeGetter getter(a[1]);
    const Value items = iterate(call.self);
    if (items.items().empty()) return empty_sequence();
    size_t best = 0;
    Value best_key;
    for (size_t i = 0; i < items.items().size(); i++) {
        spend(1);
        Value key = fold_case(getter.get(items.items()[i]), flag(a[0]));
        if (i > 0 && compare(key, best_key, largest ? ">" : "<") != (largest ? 1 : -1)) continue;
        best = i;
        best_key = std::move(key);
    }
    return items.items()[best];
}

Value filter_reverse(const Call& call) {
    const Value& v = call.self;
    if (v.is(Type::string)) return slice(v, Value::missing(), Value::missing(), Value::integer(-1));
    const bool is_generator = v.is_list(ListKind::generator);
    const Value items = iterate(v);
    Value reversed = Value::new_list(is_generator ? ListKind::list : ListKind::generator);
    for (size_t i = items.items().size(); i-- > 0;) push(reversed, items.items()[i]);
    return reversed;
}

Value filter_sort(const Call& call) {
    const Value* a = call.places;
    const Value items = iterate(call.self);
    Value keys = Value::new_list(), sorted = Value::new_list();
    for (const Value& item : items.items()) {
        Value key = Value::new_list();
        std::string_view rest;
        if (a[2].is(Type::string)) rest = a[2].text();
        while (true) {
            const size_t comma = rest.find(',');
            const AttributeGetter getter(rest.empty() ? a[2] : Value::string(rest.substr(0, comma)));
            push(key, fold_case(getter.get(item), flag(a[1])));
            if (comma == std::string_view::npos) break;
            rest.remove_prefix(comma + 1);
        }
        push(keys, key);
    }
    for (uint32_t i : sorted_order(keys.items(), flag(a[0]))) push(sorted, items.items()[i]);
    return sorted;
}

Value filter_sum(const Call& call) {
    const Value* a = call.places;
    const AttributeGetter getter(a[0]);
    Value total = a[1].is(Type::missing) ? Value::integer(0) : a[1];
    if (total.is(Type::string)) fail_value("sum does not add strings");
    const Value items = iterate(call.self);
    for (const Value& item : items.items()) {
        spend(1);
        total = binary(Operator::add, total, getter.get(item));
    }
    return total;
}

Value filter_unique(const Call& call) {
    const Value* a = call.places;
    const AttributeGetter getter(a[1]);
    const Value items = iterate(call.self);
    Value seen = Value::dict();
    Value unique = new_generator();
    for (const Value& item : items.items()) {
        spend(1);
        Value key = fold_case(getter.get(item), flag(a[0]));
        if (seen.dict_object().find(key)) continue;
        seen.dict_object().set(std::move(key), Value::none());
        push(unique, item);
    }
    return unique;
}

constexpr Builtin rows[] = {
    {"batch linecount fill_with?", filter_batch},
    {"count", filter_length},
    {"dictsort case_sensitive? by? reverse?", filter_dictsort},
    {"first", filter_first},
    {"groupby attribute default? case_sensitive?", filter_groupby},
    {"items", filter_items},
    {"join d? attribute?", filter_join},
    {"last", filter_last},
    {"length", filter_length},
    {"list", filter_list},
    {"map *", filter_map},
    {"max case_sensitive? attribute?", filter_extreme, extreme_largest},
    {"min case_sensitive? attribute?", filter_extreme, extreme_smallest},
    {"reject *", filter_select, select_not},
    {"rejectattr *", filter_select, select_by_attribute | select_not},
    {"reverse", filter_reverse},
    {"select *", filter_select},
    {"selectattr *", filter_select, select_by_attribute},
    {"slice slices fill_with?", filter_slice},
    {"sort reverse? case_sensitive? attribute?", filter_sort},
    {"sum attribute? start?", filter_sum},
    {"unique case_sensitive? attribute?", filter_unique},
};

}  // namespace

constinit const BuiltinTable sequence_filters = {rows, std::size(rows)};

}  // namespace agave::chat::jinja
