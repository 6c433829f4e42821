#include <cmath>

#include "chat/jinja/ast.h"
#include "chat/jinja/builtins.h"
#include "chat/jinja/operators.h"
#include "chat/jinja/text.h"

namespace agave::chat::jinja {

namespace {

enum class Test : uint8_t {
    odd,
    even,
    divisible_by,
    defined,
    undefined,
    filter,
    test,
    none,
    boolean,
    false_,
    true_,
    integer,
    float_,
    lower,
    upper,
    string,
    mapping,
    number,
    sequence,
    iterable,
    callable,
    same_as,
    escaped,
    compare  ///< with an operator
};

struct TestEntry {
    std::string_view name;
    Test test;
    Operator op = Operator::equal;
};

constexpr TestEntry table[] = {
    {"odd", Test::odd},
    {"even", Test::even},
    {"divisibleby", Test::divisible_by},
    {"defined", Test::defined},
    {"undefined", Test::undefined},
    {"filter", Test::filter},
    {"test", Test::test},
    {"none", Test::none},
    {"boolean", Test::boolean},
    {"false", Test::false_},
    {"true", Test::true_},
    {"integer", Test::integer},
    {"float", Test::float_},
    {"lower", Test::lower},
    {"upper", Test::upper},
    {"string", Test::string},
    {"mapping", Test::mapping},
    {"number", Test::number},
    {"sequence", Test::sequence},
    {"iterable", Test::iterable},
    {"callable", Test::callable},
    {"sameas", Test::same_as},
    {"escaped", Test::escaped},
    {"in", Test::compare, Operator::in},
    {"==", Test::compare, Operator::equal},
    {"eq", Test::compare, Operator::equal},
    {"equalto", Test::compare, Operator::equal},
    {"!=", Test::compare, Operator::not_equal},
    {"ne", Test::compare, Operator::not_equal},
    {">", Test::compare, Operator::greater},
    {"gt", Test::compare, Operator::greater},
    {"greaterthan", Test::compare, Operator::greater},
    {">=", Test::compare, Operator::greater_equal},
    {"ge", Test::compare, Operator::greater_equal},
    {"<", Test::compare, Operator::less},
    {"lt", Test::compare, Operator::less},
    {"lessthan", Test::compare, Operator::less},
    {"<=", Test::compare, Operator::less_equal},
    {"le", Test::compare, Operator::less_equal},
};

bool has_case(const Value& value, bool upper) {
    const std::string content = to_text(value);
    bool cased = false;
    for (size_t position = 0; position < content.size();) {
        const uint32_t c = text::next_code_point(content, position);
        if (upper ? text::is_lower(c) : text::is_upper(c)) return false;
        cased = cased || text::is_lower(c) || text::is_upper(c);
    }
    return cased;
}

bool same(const Value& a, const Value& b) {
    if (a.type() != b.type()) return false;
    if (a.type() >= Type::list) return a.object() == b.object();
    return equal(a, b);
}

bool is_sequence(const Value& value) {
    if (value.is(Type::list)) return value.list_object().kind <= ListKind::range;
    return value.is_undefined() || value.is(Type::string) || value.is(Type::dict);
}

bool leaves_remainder(const Value& value, const Value& divisor, int64_t remainder) {
    return equal(binary(Operator::modulo, value, divisor), Value::integer(remainder));
}

}  // namespace

uint32_t find_test(std::string_view name) {
    uint32_t index = 0;
    for (const TestEntry& entry : table) {
        index++;
        if (entry.name == name) return index;
    }
    return 0;
}

bool call_test(Interpreter&, uint32_t index, const Value& input, const Arguments& arguments) {
    const TestEntry& entry = table[index - 1];
    const bool with_argument =
        entry.test == Test::divisible_by || entry.test == Test::same_as || entry.test == Test::compare;
    Value other;
    const char* signature = !with_argument                     ? ""
                            : entry.test == Test::divisible_by ? "num"
                            : entry.op == Operator::in         ? "seq"
                            : entry.test == Test::same_as      ? "other"
                                                               : "0";
    bind_arguments(signature, arguments, &other, entry.name);
    switch (entry.test) {
        case Test::odd:
        case Test::even:
            return leaves_remainder(input, Value::integer(2), entry.test == Test::odd ? 1 : 0);
        case Test::divisible_by:
            return leaves_remainder(input, other, 0);
        case Test::defined:
            return !input.is_undefined();
        case Test::undefined:
            return input.is_undefined();
        case Test::filter:
            return input.is(Type::string) && find_filter(input.text());
        case Test::test:
            return input.is(Type::string) && find_test(input.text());
        case Test::none:
            return input.is(Type::none);
        case Test::boolean:
            return input.is(Type::boolean);
        case Test::false_:
            return input.is(Type::boolean) && !input.to_boolean();
        case Test::true_:
            return input.is(Type::boolean) && input.to_boolean();
        case Test::integer:
            return input.is(Type::integer);
        case Test::float_:
            return input.is(Type::floating);
        case Test::lower:
        case Test::upper:
            return has_case(input, entry.test == Test::upper);
        case Test::string:
            return input.is(Type::string);
        case Test::mapping:
            return input.is(Type::dict);
        case Test::number:
            return input.is_number();
        case Test::sequence:
            return is_sequence(input);
        case Test::iterable:
            return is_iterable(input);
        case Test::callable:
            return input.is(Type::function) || input.is(Type::loop) || input.is_undefined();
        case Test::same_as:
            return same(input, other);
        case Test::escaped:
            return input.is_markup();
        case Test::compare:
            break;
    }
    return compare_values(entry.op, input, other);
}

}  // namespace agave::chat::jinja
