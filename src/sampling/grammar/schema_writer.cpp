#include <algorithm>

#include "base/error.h"
#include "sampling/grammar/finish.h"
#include "sampling/grammar/nfa.h"
#include "sampling/grammar/regex.h"
#include "sampling/grammar/schema.h"

namespace agave::grammar {

namespace {

constexpr int kMaxDepth = 200;
constexpr size_t kMaxAlternatives = 4096;
constexpr size_t kMaxNamePatterns = 3;

/// The insides of JSON strings, escaped only where they must be, of least to most characters.
Dfa plain_strings(uint32_t least, uint32_t most) {
    Rules rules;
    const Expr character = json_characters(rules, {{0, kMaxCodePoint}});
    return make_dfa(rules, rules.define(std::string(), rules.repeat(character, least, most)));
}

Dfa matching(std::string_view pattern) {
    Rules rules;
    rules.source = "the schema";
    return make_dfa(rules, rules.define(std::string(), read_regex(rules, pattern)));
}

Dfa names_in(const std::vector<std::string>& names) {
    Rules rules;
    std::vector<Expr> choices;
    for (const std::string& name : names) choices.push_back(rules.literal(json_string_inside(name)));
    return make_dfa(rules, rules.define(std::string(), rules.choice(choices)));
}

void add_once(std::vector<std::string>& names, const std::string& name) {
    if (std::find(names.begin(), names.end(), name) == names.end()) names.push_back(name);
}

bool has(const std::vector<std::string>& names, const std::string& name) {
    return std::find(names.begin(), names.end(), name) != names.end();
}

}  // namespace

Expr SchemaWriter::values_of(std::vector<SchemaRef> refs) {
    if (refs.empty()) return json_.any();
    std::sort(refs.begin(), refs.end(),
              [](const SchemaRef& a, const SchemaRef& b) { return a.pointer < b.pointer; });
    std::string key;
    for (const SchemaRef& ref : refs) key += ref.pointer + '\n';
    const auto place = [this, &key] {
        return std::lower_bound(
            known_.begin(), known_.end(), key,
            [](const Known& known, const std::string& wanted) { return known.key < wanted; });
    };
    auto known = place();
    if (known != known_.end() && known->key == key) {
        if (known->expr != Rules::kUndefined) return known->expr;
        known->used = true;
        return rules_.call(known->rule);
    }
    if (depth_ >= kMaxDepth) refuse_schema(refs[0].pointer, "is nested more than 200 deep");
    Demand demand;
    for (const SchemaRef& ref : refs) document_.add(demand, ref);
    // Only a reference: the values of what it refers to, which may be known.
    if (refs.size() == 1 && refs[0].schema.size() == 1 && refs[0].schema["$ref"]) {
        const SchemaRef target = document_.resolve(refs[0].schema["$ref"].as_text(), refs[0].pointer);
        depth_++;
        const Expr expr = values_of(std::vector<SchemaRef>{target});
        depth_--;
        return expr;
    }
    const Rule rule = rules_.declare(refs[0].pointer);
    known_.insert(known, {key, rule, Rules::kUndefined, false});
    depth_++;
    const Expr expr = write(demand);
    depth_--;
    known = place();
    const bool small = rules_.node(expr).states <= 4 && !known->used;
    rules_.define(rule, expr);
    known->expr = small ? expr : rules_.call(rule);
    // A schema that nothing satisfies must be seen as such by what contains it.
    if (rules_.is_never(expr)) known->expr = expr;
    return known->expr;
}

Expr SchemaWriter::values_of(const Demand& demand) {
    return write(demand);
}

Expr SchemaWriter::write(const Demand& demand) {
    if (demand.types == 0) return rules_.never();
    if (!demand.any_of.empty()) return write_any_of(demand);
    if (demand.has_choices) return write_choices(demand);
    std::vector<Expr> choices;
    const auto add = [&](Expr expr) {
        if (!rules_.is_never(expr)) choices.push_back(expr);
    };
    if (demand.types == kAllTypes && demand.is_plain()) return json_.any();
    if (demand.types & kObject) add(write_object(demand));
    if (demand.types & kArray) add(write_array(demand));
    if (demand.types & kString) add(write_string(demand));
    if (demand.types & (kInteger | kFraction)) add(write_number(demand));
    if (demand.types & kBoolean) add(json_.boolean());
    if (demand.types & kNull) add(json_.null());
    return rules_.choice(choices);
}

Expr SchemaWriter::write_any_of(const Demand& demand) {
    std::vector<Expr> choices;
    const std::vector<SchemaRef>& group = demand.any_of.back();
    n_alternatives_ += group.size();
    if (n_alternatives_ > kMaxAlternatives)
        refuse_schema(group[0].pointer, "is one of more than 4096 alternatives together");
    const bool alone =
        demand.any_of.size() == 1 && demand.types == kAllTypes && !demand.has_choices && demand.is_plain();
    for (const SchemaRef& alternative : group) {
        Expr expr;
        if (alone) {
            expr = values_of(std::vector<SchemaRef>{alternative});
        } else {
            Demand both = demand;
            both.any_of.pop_back();
            document_.add(both, alternative);
            if (depth_ >= kMaxDepth) refuse_schema(alternative.pointer, "is nested more than 200 deep");
            depth_++;
            expr = write(both);
            depth_--;
        }
        if (!rules_.is_never(expr)) choices.push_back(expr);
    }
    return rules_.choice(choices);
}

/// Those of the choices that satisfy everything else.
Expr SchemaWriter::write_choices(const Demand& demand) {
    std::shared_ptr<const Grammar> others;
    if (!demand.is_plain()) {
        Demand rest = demand;
        rest.has_choices = false;
        Rules rules;
        rules.source = "the schema";
        JsonText json(rules, true);
        SchemaWriter writer(document_, rules, json);
        const Expr expr = writer.values_of(rest);
        if (rules.is_never(expr)) return rules_.never();
        const Rule root = rules.define(std::string(), expr);
        if (!generates_text(rules, root)) return rules_.never();
        others = finish(rules, root);
    }
    std::vector<Expr> choices;
    for (const JsonValue value : demand.choices)
        if ((type_of(value) & demand.types) && (!others || others->matches(canonical_json(value))))
            choices.push_back(write_constant(value));
    return rules_.choice(choices);
}

Expr SchemaWriter::write_constant(JsonValue value) {
    if (value.is(JsonKind::array)) {
        std::vector<Rules::Item> items;
        for (const JsonValue entry : value) items.push_back({write_constant(entry), 0});
        return json_.between("[", rules_.list(json_.comma(), items, true), "]");
    }
    if (!value.is(JsonKind::object)) return rules_.literal(canonical_json(value));
    std::vector<Rules::Item> items;
    const auto end = value.end();
    for (auto member = value.begin(); member != end; ++member)
        items.push_back({rules_.sequence({rules_.literal(json_string(member.name())), json_.colon(),
                                          write_constant(*member)}),
                         0});
    return json_.between("{", rules_.list(json_.comma(), items, true), "}");
}

Expr SchemaWriter::write_number(const Demand& demand) {
    const bool integer = !(demand.types & kFraction);
    if (!(demand.types & kInteger)) return rules_.never();  // no schema can ask for that
    if (demand.bounds.empty() && demand.factors.empty()) return integer ? json_.integer() : json_.number();
    const Expr expr = bounded_number(rules_, demand.bounds, demand.factors, integer);
    document_.count_work(100 + rules_.node(expr).states / 2);
    return expr;
}

Expr SchemaWriter::write_string(const Demand& demand) {
    if (demand.min_length > demand.max_length) return rules_.never();
    // Lengths that a pattern keeps by itself need no counting.
    uint32_t shortest = 0, longest = kUnbounded;
    for (const StringPattern& pattern : demand.patterns) {
        shortest = std::max(shortest, pattern.shortest);
        longest = std::min(longest, pattern.longest);
    }
    const uint32_t least = demand.min_length > shortest ? demand.min_length : 0;
    const uint32_t most = demand.max_length < longest ? demand.max_length : kUnbounded;
    const bool bounded = least > 0 || most != kUnbounded;
    if (demand.patterns.empty()) return bounded ? json_.string(least, most) : json_.string();
    Expr inside;
    if (demand.patterns.size() == 1 && !bounded) {
        inside = read_regex(rules_, demand.patterns[0].text);
    } else {
        Dfa all = document_.counted(matching(demand.patterns[0].text));
        for (size_t i = 1; i < demand.patterns.size(); i++)
            all = document_.counted(intersect(all, document_.counted(matching(demand.patterns[i].text))));
        if (bounded) all = document_.counted(intersect(all, document_.counted(plain_strings(least, most))));
        inside = rules_.machine(std::move(all));
    }
    return rules_.sequence({rules_.literal("\""), inside, rules_.literal("\"")});
}

Expr SchemaWriter::write_array(const Demand& demand) {
    size_t n_first = 0;
    for (const Demand::ArrayPart& part : demand.arrays) n_first = std::max(n_first, part.first.size());
    const auto item = [&](size_t index) {
        std::vector<SchemaRef> refs;
        for (const Demand::ArrayPart& part : demand.arrays)
            if (index < part.first.size())
                refs.push_back(part.first[index]);
            else if (part.rest.schema)
                refs.push_back(part.rest);
        return values_of(std::move(refs));
    };
    uint32_t least = demand.min_items, most = demand.max_items;
    std::vector<Expr> first;
    for (size_t i = 0; i < std::min<size_t>(n_first, most); i++) {
        first.push_back(item(i));
        if (rules_.is_never(first.back())) most = static_cast<uint32_t>(i);
    }
    const Expr rest = most > n_first ? item(n_first) : rules_.never();
    if (rules_.is_never(rest)) most = std::min(most, static_cast<uint32_t>(n_first));
    if (least > most) return rules_.never();

    Expr tail = rules_.empty();
    const auto n = static_cast<uint32_t>(std::min<size_t>(n_first, most));
    if (most > n) {
        const uint32_t more = most == kUnbounded ? kUnbounded : most - n;
        const uint32_t needed = least > n ? least - n : 0;
        const Expr separated = rules_.sequence({json_.comma(), rest});
        if (n > 0) {
            tail = rules_.repeat(separated, needed, more);
        } else {
            tail = rules_.sequence({rest, rules_.repeat(separated, needed > 0 ? needed - 1 : 0,
                                                        more == kUnbounded ? kUnbounded : more - 1)});
            if (needed == 0) tail = rules_.optional(tail);
        }
    }
    for (uint32_t i = n; i-- > 0;) {
        tail = rules_.sequence({i == 0 ? first[i] : rules_.sequence({json_.comma(), first[i]}), tail});
        if (least <= i) tail = rules_.optional(tail);
    }
    return json_.between("[", tail, "]");
}

/// Members whose names are not among `names`, each kind with its own values.
std::vector<Rules::Item> SchemaWriter::write_other_members(const Demand& demand,
                                                           const std::vector<std::string>& names) {
    std::vector<std::string> patterns;
    for (const Demand::ObjectPart& part : demand.objects)
        for (const Demand::NamedSchema& pattern : part.patterns) add_once(patterns, pattern.name);
    if (patterns.size() > kMaxNamePatterns)
        fail(ErrorKind::usage, "the schema has more than %zu patternProperties for one object",
             kMaxNamePatterns);
    std::vector<Rules::Item> kinds;
    // Names by which of the patterns they match.
    for (size_t set = 0; set < size_t{1} << patterns.size(); set++) {
        const auto in_set = [&](const std::string& pattern) {
            const auto index = std::find(patterns.begin(), patterns.end(), pattern) - patterns.begin();
            return ((set >> index) & 1) != 0;
        };
        std::vector<SchemaRef> refs;
        for (const Demand::ObjectPart& part : demand.objects) {
            bool known = false;
            for (const Demand::NamedSchema& pattern : part.patterns)
                if (in_set(pattern.name)) refs.push_back(pattern.schema), known = true;
            if (!known && part.rest.schema) refs.push_back(part.rest);
        }
        const Expr value = values_of(std::move(refs));
        if (rules_.is_never(value)) continue;
        Expr name = json_.string();
        if (!names.empty() || !patterns.empty()) {
            Dfa inside = document_.counted(plain_strings(0, kUnbounded));
            if (!names.empty())
                inside = document_.counted(subtract(inside, document_.counted(names_in(names))));
            for (const std::string& pattern : patterns) {
                const Dfa matched = document_.counted(matching(pattern));
                inside = document_.counted(in_set(pattern) ? intersect(inside, matched)
                                                           : subtract(inside, matched));
            }
            name = rules_.sequence(
                {rules_.literal("\""), rules_.machine(std::move(inside)), rules_.literal("\"")});
        }
        kinds.push_back({rules_.sequence({name, json_.colon(), value}), 1});
    }
    return kinds;
}

Expr SchemaWriter::write_object(const Demand& demand) {
    std::vector<std::string> names;  // in the order in which they are written
    for (const Demand::ObjectPart& part : demand.objects)
        for (const Demand::NamedSchema& member : part.members) add_once(names, member.name);
    for (const std::string& name : demand.required) add_once(names, name);

    document_.count_work(names.size() * names.size() / 100);

    std::vector<Rules::Item> items;
    uint32_t n_required = 0;
    for (const std::string& name : names) {
        const Expr value = values_of(schemas_of_member(document_, demand, name));
        const bool required = has(demand.required, name);
        if (rules_.is_never(value)) {
            if (required) return value;
            continue;
        }
        n_required += required ? 1u : 0u;
        items.push_back(
            {rules_.sequence({rules_.literal(json_string(name)), json_.colon(), value}), required ? 0u : 1u});
    }
    const auto n_named = static_cast<uint32_t>(items.size());
    std::vector<Expr> kinds;
    if (demand.max_members > n_named || n_required < n_named)
        for (const Rules::Item& kind : write_other_members(demand, names)) kinds.push_back(kind.what);
    const std::string place = demand.done.empty() ? "#" : demand.done.back();
    // How many members there are can be told only where it hangs on one kind of them.
    if (demand.max_members < n_required || demand.min_members > demand.max_members) return rules_.never();
    uint32_t most = kUnbounded;
    if (demand.max_members != kUnbounded) {
        if (kinds.empty() ? demand.max_members < n_named : n_required != n_named)
            refuse_schema(place,
                          "limits the number of members in a way that agave cannot follow (maxProperties)");
        most = demand.max_members - std::min(demand.max_members, n_named);
    }
    const bool may_be_empty = demand.min_members == 0;
    if (demand.min_members > std::max<uint32_t>(n_required, 1))
        refuse_schema(place,
                      "limits the number of members in a way that agave cannot follow (minProperties)");
    if (!kinds.empty() && most > 0) {
        const Expr other = rules_.choice(kinds);
        const Expr more = rules_.repeat(rules_.sequence({json_.comma(), other}), 0,
                                        most == kUnbounded ? kUnbounded : most - 1);
        items.push_back({rules_.sequence({other, more}), 1});
    }
    return json_.between("{", rules_.list(json_.comma(), items, may_be_empty), "}");
}

}  // namespace agave::grammar
