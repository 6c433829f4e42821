#include "chat/jinja/parser.h"

#include "chat/jinja/text.h"

namespace agave::chat::jinja {

namespace {

/// Binary operators by how tightly they bind; `not` lies between `and` and the comparisons.
enum Precedence : int {
    level_or,
    level_and,
    level_not,
    level_compare,
    level_sum,
    level_concat,
    level_product,
    level_power
};

struct Infix {
    std::string_view text;
    Precedence level;
    Operator op;
};
constexpr Infix infixes[] = {
    {"==", level_compare, Operator::equal},  {"!=", level_compare, Operator::not_equal},
    {"<", level_compare, Operator::less},    {"<=", level_compare, Operator::less_equal},
    {">", level_compare, Operator::greater}, {">=", level_compare, Operator::greater_equal},
    {"+", level_sum, Operator::add},         {"-", level_sum, Operator::subtract},
    {"~", level_concat, Operator::add},      {"*", level_product, Operator::multiply},
    {"/", level_product, Operator::divide},  {"//", level_product, Operator::floor_divide},
    {"%", level_product, Operator::modulo},  {"**", level_power, Operator::power},
};

}  // namespace

uint32_t Parser::parse_expression(bool with_conditional) {
    const Depth depth(*this);
    const uint32_t position = token().position;
    uint32_t value = parse_binary(level_or);
    while (with_conditional && accept("if")) {
        const uint32_t test = parse_binary(level_or);
        const uint32_t otherwise = accept("else") ? parse_expression() : 0;
        value = add(NodeKind::conditional, position, {test, value, otherwise});
    }
    return value;
}

bool Parser::infix(int level, int& found, Operator& op) const {
    if (token().kind == TokenKind::name) {
        found = at("or") ? level_or : at("and") ? level_and : level_compare;
        op = at("not") ? Operator::not_in : Operator::in;
        const bool known = found != level_compare || at("in") || (at("not") && matches(look(), "in"));
        return known && found >= level;
    }
    if (token().kind != TokenKind::op) return false;
    for (const Infix& candidate : infixes) {
        if (token().text != candidate.text) continue;
        found = candidate.level;
        op = candidate.op;
        return found >= level;
    }
    return false;
}

uint32_t Parser::parse_binary(int level) {
    const uint32_t position = token().position;
    uint32_t left;
    if (level <= level_not && at("not")) {
        const Depth depth(*this);
        advance();
        left = add(NodeKind::unary, position, {parse_binary(level_not)}, 0,
                   static_cast<uint8_t>(Operator::not_));
    } else {
        left = parse_unary(true);
    }
    int found;
    Operator op;
    while (infix(level, found, op)) {
        const uint32_t where = token().position;
        if (found == level_compare) {
            left = parse_comparison(left);
        } else if (found == level_concat) {
            NodeList parts{left};
            while (accept("~")) parts.push_back(parse_binary(level_concat + 1));
            left = add(NodeKind::concat, where, parts);
        } else {
            advance();
            const NodeKind kind = found == level_or    ? NodeKind::or_
                                  : found == level_and ? NodeKind::and_
                                                       : NodeKind::binary;
            const uint32_t right = parse_binary(found + 1);
            left = add(kind, where, {left, right}, 0, static_cast<uint8_t>(op));
        }
    }
    return left;
}

uint32_t Parser::parse_comparison(uint32_t left) {
    const uint32_t position = token().position;
    NodeList operands{left};
    int found;
    Operator op;
    while (infix(level_compare, found, op) && found == level_compare) {
        const uint32_t where = token().position;
        if (op == Operator::not_in) advance();
        advance();
        const uint32_t right = parse_binary(level_sum);
        operands.push_back(add(NodeKind::operand, where, {right}, 0, static_cast<uint8_t>(op)));
    }
    return add(NodeKind::compare, position, operands);
}

uint32_t Parser::parse_unary(bool with_filters) {
    const uint32_t position = token().position;
    uint32_t value;
    if (at("-") || at("+")) {
        const Depth depth(*this);
        const Operator op = at("-") ? Operator::subtract : Operator::add;
        advance();
        value = add(NodeKind::unary, position, {parse_unary(false)}, 0, static_cast<uint8_t>(op));
    } else {
        value = parse_primary(false);
    }
    value = parse_postfix(value);
    while (with_filters) {
        if (at("|"))
            value = parse_filters(value);
        else if (at("is"))
            value = parse_test(value);
        else if (at("("))
            value = parse_call(value);
        else
            break;
    }
    return value;
}

uint32_t Parser::parse_primary(bool with_attribute_target) {
    const Token t = token();
    switch (t.kind) {
        case TokenKind::name:
            return parse_name(with_attribute_target);
        case TokenKind::string: {
            std::string text;
            for (; token().kind == TokenKind::string; advance()) append_string(text);
            return add_constant_node(t.position, Value::string(std::move(text)));
        }
        case TokenKind::integer:
        case TokenKind::floating: {
            Value number = parse_number();
            advance();
            return add_constant_node(t.position, std::move(number));
        }
        default:
            break;
    }
    if (accept("(")) {
        const uint32_t value = parse_tuple(true, {}, true);
        expect(")");
        return value;
    }
    if (at("[")) return parse_items("]", NodeKind::list);
    if (at("{")) return parse_items("}", NodeKind::dict);
    fail_expected("an expression");
}

uint32_t Parser::parse_name(bool with_attribute_target) {
    const uint32_t position = token().position;
    const std::string_view name = token().text;
    advance();
    if (name == "true" || name == "True") return add_constant_node(position, Value::boolean(true));
    if (name == "false" || name == "False") return add_constant_node(position, Value::boolean(false));
    if (name == "none" || name == "None") return add_constant_node(position, Value::none());
    if (with_attribute_target && accept(".")) {
        const uint32_t attribute = intern(expect_name());
        const uint32_t node = add(NodeKind::attribute_target, position, {}, attribute);
        program_.nodes[node].c = intern(name);
        return node;
    }
    return add(NodeKind::name, position, {}, intern(name));
}

Value Parser::parse_number() {
    std::string digits;
    for (char c : token().text)
        if (c != '_') digits += c;
    if (token().kind == TokenKind::floating) {
        double number = 0;
        if (text::parse_float(digits, number) != text::Parsed::whole) fail_here("a number is out of range");
        return Value::floating(number);
    }
    const char letter = digits.size() > 1 ? static_cast<char>(digits[1] | 32) : '\0';
    const int base = letter == 'x' ? 16 : letter == 'o' ? 8 : letter == 'b' ? 2 : 10;
    int64_t number = 0;
    if (text::parse_integer(std::string_view(digits).substr(base == 10 ? 0 : 2), base, number) !=
        text::Parsed::whole)
        fail_here("an integer does not fit into 64 bits");
    return Value::integer(number);
}

void Parser::append_string(std::string& out) {
    const std::string_view raw = token().text.substr(1, token().text.size() - 2);
    for (size_t i = 0; i < raw.size(); i++) {
        if (raw[i] != '\\') {
            out += raw[i];
            continue;
        }
        constexpr std::string_view letters = "abfnrtv\\'\"", values = "\a\b\f\n\r\t\v\\'\"";
        const char letter = raw[++i];
        const size_t simple = letters.find(letter);
        const int n_hex = letter == 'x' ? 2 : letter == 'u' ? 4 : letter == 'U' ? 8 : 0;
        if (letter == '\n') continue;
        if (simple != std::string_view::npos) {
            out += values[simple];
        } else if (n_hex || (letter >= '0' && letter <= '7')) {
            std::string_view digits = raw.substr(i + (n_hex ? 1 : 0), static_cast<size_t>(n_hex ? n_hex : 3));
            if (!n_hex) digits = digits.substr(0, digits.find_first_not_of("01234567"));
            int64_t code_point = 0;
            const bool whole =
                text::parse_integer(digits, n_hex ? 16 : 8, code_point) == text::Parsed::whole &&
                (!n_hex || static_cast<int>(digits.size()) == n_hex);
            if (!whole || code_point > 0x10FFFF || (code_point >= 0xD800 && code_point < 0xE000))
                fail_here("a string has a bad escape");
            text::append_code_point(out, static_cast<uint32_t>(code_point));
            i += digits.size() - (n_hex ? 0 : 1);
        } else if (letter == 'N') {
            fail_here("the escape \\N is not supported");
        } else {
            out += '\\';
            out += letter;
        }
    }
}

uint32_t Parser::parse_items(const char* close, NodeKind kind) {
    const Depth depth(*this);
    const uint32_t position = token().position;
    advance();
    NodeList items;
    while (!at(close)) {
        if (!items.empty()) {
            expect(",");
            if (at(close)) break;
        }
        items.push_back(parse_expression());
        if (kind == NodeKind::dict) {
            expect(":");
            items.push_back(parse_expression());
        }
    }
    advance();
    return add(kind, position, items);
}

uint32_t Parser::parse_tuple(bool with_conditional, std::string_view end_name, bool in_parentheses,
                             bool target, bool attribute_targets) {
    const uint32_t position = token().position;
    NodeList items;
    bool is_tuple = false;
    while (true) {
        if (!items.empty()) expect(",");
        if (token().kind == TokenKind::variable_end || token().kind == TokenKind::block_end || at(")") ||
            (!end_name.empty() && at(end_name)))
            break;
        items.push_back(target ? parse_primary(attribute_targets) : parse_expression(with_conditional));
        if (!at(",")) break;
        is_tuple = true;
    }
    if (!is_tuple && !items.empty()) return items[0];
    if (!is_tuple && !in_parentheses) fail_expected("an expression");
    return add(NodeKind::tuple, position, items);
}

uint32_t Parser::parse_postfix(uint32_t value) {
    while (true) {
        const uint32_t position = token().position;
        if (accept(".")) {
            if (token().kind == TokenKind::integer) {
                const uint32_t index = add_constant_node(token().position, parse_number());
                advance();
                value = add(NodeKind::subscript, position, {value, index});
            } else {
                value = add(NodeKind::attribute, position, {value}, intern(expect_name()));
            }
        } else if (at("[")) {
            value = parse_subscript(value);
        } else if (at("(")) {
            value = parse_call(value);
        } else {
            return value;
        }
    }
}

uint32_t Parser::parse_subscript(uint32_t value) {
    const Depth depth(*this);
    const uint32_t position = token().position;
    advance();
    NodeList keys;
    while (!at("]")) {
        if (!keys.empty()) expect(",");
        const uint32_t start = at(":") ? 0 : parse_expression();
        if (!accept(":")) {
            keys.push_back(start);
            continue;
        }
        const auto part = [&] { return at(":") || at("]") || at(",") ? 0 : parse_expression(); };
        const uint32_t stop = part();
        const uint32_t step = accept(":") ? part() : 0;
        if (!keys.empty() || !at("]")) fail_here("a slice among several subscripts is not supported");
        advance();
        return add(NodeKind::slice, position, {value, start, stop, step});
    }
    advance();
    const uint32_t key = keys.size() == 1 ? keys[0] : add(NodeKind::tuple, position, keys);
    return add(NodeKind::subscript, position, {value, key});
}

void Parser::parse_arguments(NodeList& out) {
    const Depth depth(*this);
    expect("(");
    const size_t first = out.size();
    bool has_keyword = false, has_spread_list = false, has_spread_dict = false;
    while (!at(")")) {
        if (out.size() > first) {
            expect(",");
            if (at(")")) break;
        }
        const uint32_t position = token().position;
        if (has_spread_dict) fail_here("no argument can follow **");
        if (accept("**")) {
            has_spread_dict = true;
            out.push_back(add(NodeKind::spread_dict, position, {parse_expression()}));
        } else if (accept("*")) {
            if (has_spread_list) fail_here("only one argument can be a * argument");
            has_spread_list = true;
            out.push_back(add(NodeKind::spread_list, position, {parse_expression()}));
        } else if (token().kind == TokenKind::name && matches(look(), "=")) {
            has_keyword = true;
            const uint32_t name = intern(token().text);
            for (size_t i = first; i < out.size(); i++) {
                const Node& other = program_.nodes[out[i]];
                if (other.kind == NodeKind::keyword && other.a == name)
                    fail_here("an argument is given twice");
            }
            advance();
            advance();
            out.push_back(add(NodeKind::keyword, position, {parse_expression()}, name));
        } else {
            if (has_keyword || has_spread_list) fail_here("a positional argument must come first");
            out.push_back(parse_expression());
        }
    }
    advance();
}

uint32_t Parser::parse_call(uint32_t callee) {
    const uint32_t position = token().position;
    NodeList children{callee};
    parse_arguments(children);
    return add(NodeKind::call, position, children);
}

std::string Parser::parse_dotted_name() {
    std::string name(expect_name());
    while (accept(".")) {
        name += '.';
        name += expect_name();
    }
    return name;
}

uint32_t Parser::parse_filters(uint32_t input, bool inline_start) {
    while (inline_start || accept("|")) {
        const uint32_t position = token().position;
        const uint32_t name = intern(parse_dotted_name());
        NodeList children{input};
        if (at("(")) parse_arguments(children);
        input = add(NodeKind::filter, position, children, name);
        inline_start = false;
    }
    return input;
}

uint32_t Parser::parse_test(uint32_t value) {
    const uint32_t position = token().position;
    advance();
    const bool negated = accept("not");
    const uint32_t name = intern(parse_dotted_name());
    NodeList children{value};
    const bool starts_argument = token().kind == TokenKind::name || token().kind == TokenKind::string ||
                                 token().kind == TokenKind::integer || token().kind == TokenKind::floating ||
                                 at("[") || at("{");
    if (at("(")) {
        parse_arguments(children);
    } else if (starts_argument && !at("else") && !at("or") && !at("and")) {
        if (at("is")) fail_here("tests cannot be chained with 'is'");
        children.push_back(parse_postfix(parse_primary(false)));
    }
    const uint32_t test = add(NodeKind::test, position, children, name);
    if (!negated) return test;
    return add(NodeKind::unary, position, {test}, 0, static_cast<uint8_t>(Operator::not_));
}

}  // namespace agave::chat::jinja
