#include <algorithm>
#include <cstdio>

#include "base/error.h"
#include "sampling/grammar/regex.h"
#include "sampling/grammar/schema.h"

namespace agave::grammar {

namespace {

constexpr size_t kMaxText = size_t{1} << 20;
constexpr size_t kMaxWork = size_t{1} << 21;
constexpr int64_t kMaxCount = 100000;
constexpr int kMaxReferences = 100;
constexpr int kMaxDisjointDepth = 4;

/// Keywords that say nothing of what is valid.
constexpr std::string_view annotations[] = {"title",
                                            "description",
                                            "default",
                                            "examples",
                                            "example",
                                            "$comment",
                                            "$schema",
                                            "$defs",
                                            "definitions",
                                            "readOnly",
                                            "writeOnly",
                                            "deprecated",
                                            "$vocabulary",
                                            "contentMediaType",
                                            "contentEncoding",
                                            "discriminator",
                                            "markdownDescription",
                                            "externalDocs"};

struct TypeName {
    std::string_view name;
    unsigned bits;
};
constexpr TypeName type_names[] = {
    {"null", kNull},     {"boolean", kBoolean}, {"integer", kInteger}, {"number", kInteger | kFraction},
    {"string", kString}, {"array", kArray},     {"object", kObject}};

std::string child(const std::string& pointer, std::string_view name) {
    std::string result = pointer + '/';
    for (const char c : name) {
        if (c == '~')
            result += "~0";
        else if (c == '/')
            result += "~1";
        else
            result += c;
    }
    return result;
}
std::string child(const std::string& pointer, size_t index) {
    return pointer + '/' + strprintf("%zu", index);
}

uint32_t read_count(const std::string& pointer, std::string_view keyword, JsonValue value) {
    int64_t count = -1;
    if (value.is(JsonKind::integer)) count = value.as_integer();
    if (value.is(JsonKind::number) && value.as_number() >= 0 && value.as_number() <= 1e9) {
        count = static_cast<int64_t>(value.as_number());
        if (static_cast<double>(count) != value.as_number()) count = -1;
    }
    if (count < 0) refuse_schema(child(pointer, keyword), "is no whole number of at least 0");
    if (count > kMaxCount)
        refuse_schema(child(pointer, keyword), "is more than 100000, which is too much to count");
    return static_cast<uint32_t>(count);
}

std::string_view read_text(const std::string& pointer, std::string_view keyword, JsonValue value) {
    if (!value.is(JsonKind::text)) refuse_schema(child(pointer, keyword), "is no string");
    return value.as_text();
}

/// Throws when a name comes twice.
void check_names(JsonValue object, const std::string& pointer) {
    std::vector<std::string_view> names;
    const auto end = object.end();
    for (auto member = object.begin(); member != end; ++member) names.push_back(member.name());
    std::sort(names.begin(), names.end());
    const auto twice = std::adjacent_find(names.begin(), names.end());
    if (twice != names.end()) refuse_schema(pointer, "has \"" + printable(*twice) + "\" twice");
}

std::vector<SchemaRef> read_list(const std::string& pointer, std::string_view keyword, JsonValue list) {
    if (!list.is(JsonKind::array) || list.size() == 0)
        refuse_schema(child(pointer, keyword), "is no list of schemas");
    std::vector<SchemaRef> refs;
    const std::string base = child(pointer, keyword);
    for (const JsonValue schema : list) refs.push_back({schema, child(base, refs.size())});
    return refs;
}

std::vector<Demand::NamedSchema> read_named(const std::string& pointer, std::string_view keyword,
                                            JsonValue object) {
    const std::string base = child(pointer, keyword);
    if (!object.is(JsonKind::object)) refuse_schema(base, "is no object");
    check_names(object, base);
    std::vector<Demand::NamedSchema> result;
    const auto end = object.end();
    for (auto member = object.begin(); member != end; ++member)
        result.push_back({std::string(member.name()), {*member, child(base, member.name())}});
    return result;
}

std::string_view checked(std::string_view text) {
    if (text.size() > kMaxText)
        fail(ErrorKind::usage, "the schema has %zu bytes, more than %zu", text.size(), kMaxText);
    return text;
}

}  // namespace

void refuse_schema(const std::string& pointer, const std::string& what) {
    fail(ErrorKind::usage, "the schema cannot be honoured: %s %s", printable(pointer, 200).c_str(),
         what.c_str());
}

unsigned type_of(JsonValue value) {
    switch (value.kind()) {
        case JsonKind::null:
            return kNull;
        case JsonKind::boolean:
            return kBoolean;
        case JsonKind::integer:
            return kInteger;
        case JsonKind::number:
            return read_decimal(value).fraction.empty() ? kInteger : kFraction;
        case JsonKind::text:
            return kString;
        case JsonKind::array:
            return kArray;
        case JsonKind::object:
            return kObject;
        case JsonKind::absent:
            break;
    }
    return 0;
}

std::string canonical_json(JsonValue value) {
    switch (value.kind()) {
        case JsonKind::boolean:
            return value.as_boolean() ? "true" : "false";
        case JsonKind::integer:
        case JsonKind::number:
            return decimal_text(read_decimal(value));
        case JsonKind::text:
            return json_string(value.as_text());
        case JsonKind::array: {
            std::string text;
            for (const JsonValue entry : value) text += (text.empty() ? "[" : ",") + canonical_json(entry);
            return text.empty() ? "[]" : text + ']';
        }
        case JsonKind::object: {
            std::string text;
            const auto end = value.end();
            for (auto member = value.begin(); member != end; ++member)
                text +=
                    (text.empty() ? "{" : ",") + json_string(member.name()) + ':' + canonical_json(*member);
            return text.empty() ? "{}" : text + '}';
        }
        default:
            return "null";
    }
}

bool Demand::is_plain() const {
    return bounds.empty() && factors.empty() && min_length == 0 && max_length == kUnbounded &&
           patterns.empty() && arrays.empty() && min_items == 0 && max_items == kUnbounded &&
           objects.empty() && required.empty() && min_members == 0 && max_members == kUnbounded;
}

SchemaDocument::SchemaDocument(std::string_view text)
    : json_(checked(text), "the schema", JsonSource::request) {}

void SchemaDocument::count_work(size_t n) const {
    work_ += n;
    if (work_ > kMaxWork) fail(ErrorKind::usage, "the schema is too large");
}

SchemaRef SchemaDocument::resolve(std::string_view reference, const std::string& from) const {
    if (!reference.starts_with('#') || (reference.size() > 1 && reference[1] != '/'))
        refuse_schema(child(from, "$ref"),
                      "refers to \"" + printable(reference) +
                          "\", but only places in the same schema (#/...) can be referred to");
    SchemaRef ref = root();
    std::string_view rest = reference.substr(1);
    while (!rest.empty()) {
        rest.remove_prefix(1);
        const std::string_view token = rest.substr(0, rest.find('/'));
        rest.remove_prefix(token.size());
        std::string name;
        for (size_t i = 0; i < token.size(); i++) {
            unsigned code = 0;
            const bool hex = token[i] == '%' && i + 2 < token.size() &&
                             std::sscanf(std::string(token.substr(i + 1, 2)).c_str(), "%2x", &code) == 1;
            const char c = hex ? static_cast<char>(code) : token[i];
            if (hex) i += 2;
            name += c;
        }
        for (size_t at = 0; (at = name.find('~', at)) != name.npos; at++) {
            const char digit = at + 1 < name.size() ? name[at + 1] : '\0';
            if (digit == '0' || digit == '1') name.replace(at, 2, 1, digit == '0' ? '~' : '/');
        }
        count_work(ref.schema.size() + 1);
        if (ref.schema.is(JsonKind::array)) {
            size_t index = 0;
            for (const char c : name)
                index = c >= '0' && c <= '9' && index < 1000000 ? index * 10 + static_cast<size_t>(c - '0')
                                                                : SIZE_MAX / 16;
            ref = {name.empty() ? JsonValue() : ref.schema.at(index), child(ref.pointer, name)};
        } else {
            ref = {ref.schema[name], child(ref.pointer, name)};
        }
        if (!ref.schema)
            refuse_schema(child(from, "$ref"),
                          "refers to \"" + printable(reference) + "\", which is not there");
    }
    return ref;
}

void SchemaDocument::add(Demand& demand, const SchemaRef& ref) const {
    if (std::find(demand.done.begin(), demand.done.end(), ref.pointer) != demand.done.end()) return;
    if (std::find(demand.open.begin(), demand.open.end(), ref.pointer) != demand.open.end())
        refuse_schema(ref.pointer, "refers to itself without end");
    if (demand.open.size() > kMaxReferences)
        refuse_schema(ref.pointer, "is reached by more than 100 references");
    if (ref.schema.is(JsonKind::boolean)) {
        if (!ref.schema.as_boolean()) demand.types = 0;
        return;
    }
    if (!ref.schema.is(JsonKind::object))
        refuse_schema(ref.pointer, "is neither an object nor true or false");
    demand.open.push_back(ref.pointer);
    count_work(2 * ref.schema.size() + 1);
    check_names(ref.schema, ref.pointer);
    const auto end = ref.schema.end();
    for (auto member = ref.schema.begin(); member != end; ++member)
        add_keyword(demand, ref, member.name(), *member);
    add_array(demand, ref);
    add_object(demand, ref);
    demand.open.pop_back();
    demand.done.push_back(ref.pointer);
}

void SchemaDocument::add_keyword(Demand& demand, const SchemaRef& ref, std::string_view keyword,
                                 JsonValue value) const {
    // These are read together, see add_array() and add_object().
    constexpr std::string_view together[] = {
        "prefixItems", "items", "additionalItems", "properties", "patternProperties", "additionalProperties"};
    const auto is_in = [keyword](const auto& names) {
        return std::find(std::begin(names), std::end(names), keyword) != std::end(names);
    };
    if (is_in(together) || is_in(annotations) || keyword.starts_with("x-")) return;
    if (add_number_keyword(demand, ref, keyword, value) || add_string_keyword(demand, ref, keyword, value) ||
        add_group_keyword(demand, ref, keyword, value))
        return;
    const std::string place = child(ref.pointer, keyword);
    if (keyword == "type") {
        unsigned types = 0;
        const auto add_type = [&](JsonValue name) {
            const auto row = std::find_if(
                std::begin(type_names), std::end(type_names),
                [name](const TypeName& t) { return name.is(JsonKind::text) && t.name == name.as_text(); });
            if (row == std::end(type_names))
                refuse_schema(place, "names a type that JSON Schema does not have");
            types |= row->bits;
        };
        if (value.is(JsonKind::array))
            for (const JsonValue name : value) add_type(name);
        else
            add_type(value);
        demand.types &= types;
    } else if (keyword == "minItems") {
        demand.min_items = std::max(demand.min_items, read_count(ref.pointer, keyword, value));
    } else if (keyword == "maxItems") {
        demand.max_items = std::min(demand.max_items, read_count(ref.pointer, keyword, value));
    } else if (keyword == "minProperties") {
        demand.min_members = std::max(demand.min_members, read_count(ref.pointer, keyword, value));
    } else if (keyword == "maxProperties") {
        demand.max_members = std::min(demand.max_members, read_count(ref.pointer, keyword, value));
    } else if (keyword == "required") {
        if (!value.is(JsonKind::array)) refuse_schema(place, "is no list of names");
        for (const JsonValue name : value) {
            if (!name.is(JsonKind::text)) refuse_schema(place, "is no list of names");
            demand.required.emplace_back(name.as_text());
        }
    } else if (keyword == "uniqueItems") {
        const JsonValue most = ref.schema["maxItems"];
        const bool trivial = most.is(JsonKind::integer) && most.as_integer() <= 1;
        if (!value.is(JsonKind::boolean) || (value.as_boolean() && !trivial))
            refuse_schema(place, "asks for items that all differ, which a grammar cannot count");
    } else if (keyword == "$id" && ref.pointer == "#") {
        read_text(ref.pointer, keyword, value);
    } else {
        refuse_schema(place, "is a keyword that agave does not know or cannot follow");
    }
}

bool SchemaDocument::add_number_keyword(Demand& demand, const SchemaRef& ref, std::string_view keyword,
                                        JsonValue value) const {
    struct Row {
        std::string_view keyword;
        bool lower, strict;
    };
    constexpr Row rows[] = {{"minimum", true, false},
                            {"maximum", false, false},
                            {"exclusiveMinimum", true, true},
                            {"exclusiveMaximum", false, true}};
    const auto row = std::find_if(std::begin(rows), std::end(rows),
                                  [keyword](const Row& r) { return r.keyword == keyword; });
    const bool bound = row != std::end(rows);
    if (!bound && keyword != "multipleOf") return false;
    if (!value.is(JsonKind::integer) && !value.is(JsonKind::number))
        refuse_schema(child(ref.pointer, keyword), "is no number");
    const Decimal decimal = read_decimal(value);
    if (bound) {
        demand.bounds.push_back({decimal, row->lower, row->strict});
    } else {
        if (decimal.is_zero() || decimal.negative)
            refuse_schema(child(ref.pointer, keyword), "is not above 0");
        demand.factors.push_back(decimal);
    }
    return true;
}

bool SchemaDocument::add_string_keyword(Demand& demand, const SchemaRef& ref, std::string_view keyword,
                                        JsonValue value) const {
    if (keyword == "minLength") {
        demand.min_length = std::max(demand.min_length, read_count(ref.pointer, keyword, value));
    } else if (keyword == "maxLength") {
        demand.max_length = std::min(demand.max_length, read_count(ref.pointer, keyword, value));
    } else if (keyword == "pattern") {
        demand.patterns.push_back({std::string(read_text(ref.pointer, keyword, value))});
    } else if (keyword == "format") {
        const std::string_view format = read_text(ref.pointer, keyword, value);
        std::optional<StringPattern> pattern = pattern_of_format(format);
        if (!pattern)
            refuse_schema(child(ref.pointer, keyword),
                          "asks for the format \"" + printable(format) + "\", which agave cannot follow");
        demand.patterns.push_back(std::move(*pattern));
    } else {
        return false;
    }
    return true;
}

bool SchemaDocument::add_group_keyword(Demand& demand, const SchemaRef& ref, std::string_view keyword,
                                       JsonValue value) const {
    if (keyword == "$ref") {
        add(demand, resolve(read_text(ref.pointer, keyword, value), ref.pointer));
    } else if (keyword == "allOf") {
        for (const SchemaRef& part : read_list(ref.pointer, keyword, value)) add(demand, part);
    } else if (keyword == "anyOf") {
        demand.any_of.push_back(read_list(ref.pointer, keyword, value));
    } else if (keyword == "oneOf") {
        std::vector<SchemaRef> parts = read_list(ref.pointer, keyword, value);
        for (size_t i = 0; i < parts.size(); i++)
            for (size_t j = 0; j < i; j++)
                if (!are_disjoint(parts[j], parts[i]))
                    refuse_schema(
                        child(ref.pointer, keyword),
                        strprintf("has alternatives, number %zu and %zu, that may both hold for one value; "
                                  "anyOf would allow that",
                                  j + 1, i + 1));
        demand.any_of.push_back(std::move(parts));
    } else if (keyword == "const") {
        add_choices(demand, {value});
    } else if (keyword == "enum") {
        if (!value.is(JsonKind::array)) refuse_schema(child(ref.pointer, keyword), "is no list of values");
        std::vector<JsonValue> values;
        for (const JsonValue one : value) values.push_back(one);
        add_choices(demand, std::move(values));
    } else {
        return false;
    }
    return true;
}

void SchemaDocument::add_choices(Demand& demand, std::vector<JsonValue> values) const {
    count_work(values.size());
    if (demand.has_choices) {
        std::vector<std::string> texts;
        for (const JsonValue value : values) texts.push_back(canonical_json(value));
        std::erase_if(demand.choices, [&](JsonValue value) {
            return std::find(texts.begin(), texts.end(), canonical_json(value)) == texts.end();
        });
    } else {
        demand.choices = std::move(values);
    }
    demand.has_choices = true;
}

void SchemaDocument::add_array(Demand& demand, const SchemaRef& ref) const {
    const JsonValue prefix = ref.schema["prefixItems"], items = ref.schema["items"];
    const JsonValue additional = ref.schema["additionalItems"];
    if (!prefix && !items) return;
    Demand::ArrayPart part;
    // Up to draft 2019-09, "items" may be a list, and "additionalItems" then tells of the rest.
    if (items.is(JsonKind::array)) {
        if (prefix) refuse_schema(child(ref.pointer, "items"), "is a list beside prefixItems");
        if (items.size() > 0) part.first = read_list(ref.pointer, "items", items);
        if (additional) part.rest = {additional, child(ref.pointer, "additionalItems")};
    } else {
        if (prefix) part.first = read_list(ref.pointer, "prefixItems", prefix);
        if (items) part.rest = {items, child(ref.pointer, "items")};
    }
    demand.arrays.push_back(std::move(part));
}

void SchemaDocument::add_object(Demand& demand, const SchemaRef& ref) const {
    const JsonValue properties = ref.schema["properties"], patterns = ref.schema["patternProperties"];
    const JsonValue additional = ref.schema["additionalProperties"];
    if (!properties && !patterns && !additional) return;
    Demand::ObjectPart part;
    if (properties) part.members = read_named(ref.pointer, "properties", properties);
    if (patterns) part.patterns = read_named(ref.pointer, "patternProperties", patterns);
    if (additional) part.rest = {additional, child(ref.pointer, "additionalProperties")};
    count_work(part.members.size());
    demand.objects.push_back(std::move(part));
}

namespace {

bool name_matches(const SchemaDocument& document, std::string_view pattern, std::string_view name) {
    Rules rules;
    rules.source = "the schema";
    const Rule root = rules.define(std::string(), read_regex(rules, pattern));
    return document.counted(make_dfa(rules, root)).matches(json_string_inside(name));
}

}  // namespace

std::vector<SchemaRef> schemas_of_member(const SchemaDocument& document, const Demand& demand,
                                         std::string_view name) {
    std::vector<SchemaRef> result;
    size_t n_members = 0;
    for (const Demand::ObjectPart& part : demand.objects) n_members += part.members.size();
    document.count_work(n_members / 64 + 1);
    for (const Demand::ObjectPart& part : demand.objects) {
        bool known = false;
        for (const Demand::NamedSchema& member : part.members)
            if (member.name == name) result.push_back(member.schema), known = true;
        for (const Demand::NamedSchema& pattern : part.patterns)
            if (name_matches(document, pattern.name, name)) result.push_back(pattern.schema), known = true;
        if (!known && part.rest.schema) result.push_back(part.rest);
    }
    return result;
}

bool SchemaDocument::choices_are_disjoint(const Demand& a, const Demand& b) const {
    count_work(a.choices.size() * (b.has_choices ? b.choices.size() : 1));
    return std::all_of(a.choices.begin(), a.choices.end(), [&](JsonValue value) {
        if ((type_of(value) & a.types & b.types) == 0) return true;
        if (!b.has_choices || value.is(JsonKind::object) || value.is(JsonKind::array)) return false;
        const std::string text = canonical_json(value);
        return std::none_of(b.choices.begin(), b.choices.end(),
                            [&](JsonValue other) { return canonical_json(other) == text; });
    });
}

bool SchemaDocument::are_disjoint(const SchemaRef& ref_a, const SchemaRef& ref_b, int depth) const {
    count_work(100);
    if (depth > kMaxDisjointDepth) return false;
    Demand a, b;
    add(a, ref_a);
    add(b, ref_b);
    const unsigned both = a.types & b.types;
    if (both == 0) return true;
    if (a.has_choices && choices_are_disjoint(a, b)) return true;
    if (b.has_choices && choices_are_disjoint(b, a)) return true;
    // A group is disjoint from a schema when all its alternatives are.
    for (const auto& group : a.any_of)
        if (std::all_of(group.begin(), group.end(),
                        [&](const SchemaRef& one) { return are_disjoint(one, ref_b, depth + 1); }))
            return true;
    for (const auto& group : b.any_of)
        if (std::all_of(group.begin(), group.end(),
                        [&](const SchemaRef& one) { return are_disjoint(ref_a, one, depth + 1); }))
            return true;
    if (both != kObject) return false;
    // Two kinds of objects: a member that both need, or that one needs, tells them apart.
    const auto told_apart = [&](const std::string& name) {
        const std::vector<SchemaRef> in_a = schemas_of_member(*this, a, name),
                                     in_b = schemas_of_member(*this, b, name);
        const auto is_never = [](const SchemaRef& ref) {
            return ref.schema.is(JsonKind::boolean) && !ref.schema.as_boolean();
        };
        if (std::any_of(in_a.begin(), in_a.end(), is_never) ||
            std::any_of(in_b.begin(), in_b.end(), is_never))
            return true;
        const bool needed_by_both =
            std::find(a.required.begin(), a.required.end(), name) != a.required.end() &&
            std::find(b.required.begin(), b.required.end(), name) != b.required.end();
        if (!needed_by_both) return false;
        for (const SchemaRef& one : in_a)
            for (const SchemaRef& other : in_b)
                if (are_disjoint(one, other, depth + 1)) return true;
        return false;
    };
    return std::any_of(a.required.begin(), a.required.end(), told_apart) ||
           std::any_of(b.required.begin(), b.required.end(), told_apart);
}

}  // namespace agave::grammar
