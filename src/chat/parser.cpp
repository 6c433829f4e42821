#include "chat/ast.h"
#include "chat/lexer.h"
#include "chat/text.h"

namespace agave::chat::jinja {

namespace {

constexpr uint16_t max_height = 250;
constexpr int max_depth = 100;

using NodeList = std::vector<uint32_t>;

/// Binary operators by how tightly they bind; `not` lies between `and` and the comparisons.
enum Level : int {
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
    Level level;
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

class Parser {
  public:
    Parser(Program& program, uint32_t& position)
        : program_(program), error_position_(position), tokens_(tokenize(program.source, position)) {
        program.nodes.emplace_back();
        for (const char* name : {"caller", "kwargs", "varargs", "loop"}) intern(name);
    }

    void run() {
        program_.root = parse_body({});
        program_.constants.shrink_to_fit();
    }

  private:
    struct Depth {
        explicit Depth(Parser& owner) : parser(owner) {
            if (++parser.depth_ > max_depth) parser.fail_here("the template is nested too deeply");
        }
        ~Depth() { parser.depth_--; }
        Depth(const Depth&) = delete;
        Depth& operator=(const Depth&) = delete;
        Parser& parser;
    };

    // Tokens

    const Token& token() const { return tokens_[at_]; }
    const Token& look() const { return tokens_[at_ + 1 < tokens_.size() ? at_ + 1 : at_]; }
    void advance() {
        if (at_ + 1 < tokens_.size()) at_++;
    }
    static bool matches(const Token& t, std::string_view text) {
        return (t.kind == TokenKind::name || t.kind == TokenKind::op) && t.text == text;
    }
    bool at(std::string_view text) const { return matches(token(), text); }
    bool accept(std::string_view text) {
        if (!at(text)) return false;
        advance();
        return true;
    }

    [[noreturn]] void fail_here(const char* message) {
        error_position_ = token().position;
        fail_value("%s", message);
    }
    [[noreturn]] void fail_expected(const char* what) {
        error_position_ = token().position;
        if (token().kind == TokenKind::end) fail_value("expected %s, found the end of the template", what);
        fail_value("expected %s, found '%.*s'", what,
                   static_cast<int>(token().text.size() < 40 ? token().text.size() : 40),
                   token().text.data());
    }
    void expect(const char* text) {
        if (!accept(text)) fail_expected(text);
    }
    void expect(TokenKind kind, const char* what) {
        if (token().kind != kind) fail_expected(what);
        advance();
    }
    std::string_view expect_name() {
        const std::string_view name = token().text;
        expect(TokenKind::name, "a name");
        return name;
    }

    // Nodes

    uint32_t add_constant(Value value) {
        program_.constants.push_back(std::move(value));
        return static_cast<uint32_t>(program_.constants.size() - 1);
    }
    uint32_t intern(std::string_view name) {
        Value key = Value::string(name);
        if (const Value* index = names_.find(key)) return static_cast<uint32_t>(index->to_integer());
        const uint32_t index = add_constant(key);
        names_.set(std::move(key), Value::integer(index));
        return index;
    }
    uint32_t add_node(NodeKind kind, uint32_t position, const uint32_t* children, size_t n, uint32_t a,
                      uint8_t op) {
        Node node;
        node.kind = kind;
        node.op = op;
        node.position = position;
        node.first = static_cast<uint32_t>(program_.children.size());
        node.count = static_cast<uint32_t>(n);
        node.a = a;
        for (size_t i = 0; i < n; i++) {
            const uint16_t height = program_.nodes[children[i]].height;
            if (height >= node.height) node.height = static_cast<uint16_t>(height + 1);
            program_.children.push_back(children[i]);
        }
        if (node.height > max_height) {
            error_position_ = position;
            fail_value("the template is nested too deeply");
        }
        program_.nodes.push_back(node);
        return static_cast<uint32_t>(program_.nodes.size() - 1);
    }
    uint32_t add(NodeKind kind, uint32_t position, std::initializer_list<uint32_t> children, uint32_t a = 0,
                 uint8_t op = 0) {
        return add_node(kind, position, children.begin(), children.size(), a, op);
    }
    uint32_t add(NodeKind kind, uint32_t position, const NodeList& children, uint32_t a = 0) {
        return add_node(kind, position, children.data(), children.size(), a, 0);
    }
    uint32_t add_constant_node(uint32_t position, Value value) {
        return add(NodeKind::constant, position, {}, add_constant(std::move(value)));
    }

    // Expressions

    uint32_t parse_expression(bool with_conditional = true) {
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

    /// The infix operator at the current token, if it binds at least as tightly as `level`. Sets `op`.
    bool infix(int level, int& found, Operator& op) const {
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

    uint32_t parse_binary(int level) {
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

    uint32_t parse_comparison(uint32_t left) {
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

    uint32_t parse_unary(bool with_filters) {
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

    uint32_t parse_primary(bool with_attribute_target) {
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

    uint32_t parse_name(bool with_attribute_target) {
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

    Value parse_number() {
        std::string digits;
        for (char c : token().text)
            if (c != '_') digits += c;
        if (token().kind == TokenKind::floating) {
            double number = 0;
            if (text::parse_float(digits, number) != text::Parsed::whole)
                fail_here("a number is out of range");
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

    /// Appends the current string token, its escapes resolved as in Python.
    void append_string(std::string& out) {
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
                std::string_view digits =
                    raw.substr(i + (n_hex ? 1 : 0), static_cast<size_t>(n_hex ? n_hex : 3));
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

    /// A list or dict display.
    uint32_t parse_items(const char* close, NodeKind kind) {
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

    /// One expression, or several with commas between them: then a tuple.
    uint32_t parse_tuple(bool with_conditional, std::string_view end_name = {}, bool in_parentheses = false,
                         bool target = false, bool attribute_targets = false) {
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

    uint32_t parse_postfix(uint32_t value) {
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

    uint32_t parse_subscript(uint32_t value) {
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

    /// Appends the arguments in parentheses to `out`.
    void parse_arguments(NodeList& out) {
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

    uint32_t parse_call(uint32_t callee) {
        const uint32_t position = token().position;
        NodeList children{callee};
        parse_arguments(children);
        return add(NodeKind::call, position, children);
    }

    std::string parse_dotted_name() {
        std::string name(expect_name());
        while (accept(".")) {
            name += '.';
            name += expect_name();
        }
        return name;
    }

    /// `| a | b(...)` applied to `input`; `inline_start`: the first | is left out ({% filter a %}).
    uint32_t parse_filters(uint32_t input, bool inline_start = false) {
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

    uint32_t parse_test(uint32_t value) {
        const uint32_t position = token().position;
        advance();
        const bool negated = accept("not");
        const uint32_t name = intern(parse_dotted_name());
        NodeList children{value};
        const bool starts_argument = token().kind == TokenKind::name || token().kind == TokenKind::string ||
                                     token().kind == TokenKind::integer ||
                                     token().kind == TokenKind::floating || at("[") || at("{");
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

    // Statements

    /// Marks names as assigned to; fails for what cannot be.
    void make_target(uint32_t index) {
        Node& node = program_.nodes[index];
        if (node.kind == NodeKind::tuple) {
            for (uint32_t i = 0; i < node.count; i++) make_target(program_.child(node, i));
        } else if (node.kind == NodeKind::name) {
            if (node.a == name_loop && loops_ > 0) {
                error_position_ = node.position;
                fail_value("'loop' cannot be assigned to inside a loop");
            }
            node.op = 1;
        } else if (node.kind != NodeKind::attribute_target) {
            error_position_ = node.position;
            fail_value("this cannot be assigned to");
        }
    }

    uint32_t parse_target(std::string_view end_name, bool attribute_targets) {
        const uint32_t target = parse_tuple(false, end_name, false, true, attribute_targets);
        make_target(target);
        return target;
    }

    uint32_t parse_name_target() {
        const uint32_t position = token().position;
        const std::string_view name = expect_name();
        for (std::string_view reserved : {"true", "false", "none", "True", "False", "None"})
            if (name == reserved) fail_here("a constant cannot be assigned to");
        const uint32_t node = add(NodeKind::name, position, {}, intern(name));
        make_target(node);
        return node;
    }

    /// Statements up to a block that begins with one of the names, which becomes the current token; without
    /// names, up to the end of the template.
    uint32_t parse_body(std::initializer_list<std::string_view> end_names) {
        const Depth depth(*this);
        const uint32_t position = token().position;
        if (end_names.size()) {
            accept(":");
            expect(TokenKind::block_end, "the end of the tag");
        }
        NodeList statements, outputs;
        uint32_t output_position = position;
        const auto flush = [&] {
            if (outputs.empty()) return;
            statements.push_back(add(NodeKind::output, output_position, outputs));
            outputs.clear();
        };
        while (token().kind != TokenKind::end) {
            const Token t = token();
            if (outputs.empty()) output_position = t.position;
            advance();
            if (t.kind == TokenKind::data) {
                const uint32_t text = add(NodeKind::text, t.position, {}, t.position);
                program_.nodes[text].b = static_cast<uint32_t>(t.text.size());
                outputs.push_back(text);
            } else if (t.kind == TokenKind::variable_begin) {
                outputs.push_back(parse_tuple(true));
                expect(TokenKind::variable_end, "}}");
            } else {
                flush();
                for (std::string_view name : end_names)
                    if (token().kind == TokenKind::name && token().text == name)
                        return add(NodeKind::body, position, statements);
                statements.push_back(parse_statement());
                expect(TokenKind::block_end, "the end of the tag");
            }
        }
        flush();
        if (end_names.size()) fail_expected(std::string(*(end_names.end() - 1)).c_str());
        return add(NodeKind::body, position, statements);
    }

    uint32_t parse_statement() {
        const Depth depth(*this);
        const uint32_t position = token().position;
        const std::string_view tag = token().text;
        if (token().kind != TokenKind::name) fail_expected("the name of a tag");
        struct Tag {
            std::string_view name;
            uint32_t (Parser::*parse)(uint32_t position);
        };
        constexpr Tag tags[] = {{"if", &Parser::parse_if},
                                {"for", &Parser::parse_for},
                                {"set", &Parser::parse_set},
                                {"macro", &Parser::parse_macro},
                                {"call", &Parser::parse_call_block},
                                {"filter", &Parser::parse_filter_block},
                                {"with", &Parser::parse_with},
                                {"print", &Parser::parse_print},
                                {"break", &Parser::parse_break},
                                {"continue", &Parser::parse_break},
                                {"generation", &Parser::parse_generation}};
        for (const Tag& candidate : tags) {
            if (tag != candidate.name) continue;
            advance();
            return (this->*candidate.parse)(position);
        }
        error_position_ = position;
        for (std::string_view other : {"include", "import", "from", "extends", "block", "autoescape"})
            if (tag == other)
                fail_value("the tag '%.*s' is not supported in chat templates", static_cast<int>(tag.size()),
                           tag.data());
        fail_value("unknown tag '%.*s'", static_cast<int>(tag.size() < 40 ? tag.size() : 40), tag.data());
    }

    uint32_t parse_if(uint32_t position) {
        NodeList children;
        while (true) {
            children.push_back(parse_tuple(false));
            children.push_back(parse_body({"elif", "else", "endif"}));
            if (accept("elif")) continue;
            if (accept("else")) children.push_back(parse_body({"endif"}));
            expect("endif");
            return add(NodeKind::if_, position, children);
        }
    }

    uint32_t parse_for(uint32_t position) {
        loops_++;
        const uint32_t target = parse_target("in", false);
        loops_--;
        expect("in");
        const uint32_t iterable = parse_tuple(false, "recursive");
        const uint32_t filter = accept("if") ? parse_expression() : 0;
        if (at("recursive")) fail_here("recursive loops are not supported");
        loops_++;
        const uint32_t body = parse_body({"else", "endfor"});
        loops_--;
        const uint32_t otherwise = accept("else") ? parse_body({"endfor"}) : 0;
        expect("endfor");
        return add(NodeKind::for_, position, {target, iterable, filter, body, otherwise});
    }

    uint32_t parse_set(uint32_t position) {
        const uint32_t target = parse_target({}, true);
        if (accept("=")) return add(NodeKind::set, position, {target, parse_tuple(true)});
        const uint32_t filter = parse_filters(0);
        const uint32_t body = parse_body({"endset"});
        expect("endset");
        return add(NodeKind::set_block, position, {target, filter, body});
    }

    /// Parameters of a macro or call block: their names into `children`, their defaults after them.
    void parse_parameters(NodeList& children, uint32_t& n_parameters) {
        NodeList defaults;
        expect("(");
        while (!at(")")) {
            if (n_parameters) expect(",");
            const uint32_t name = parse_name_target();
            for (size_t i = children.size() - n_parameters; i < children.size(); i++)
                if (program_.nodes[children[i]].a == program_.nodes[name].a)
                    fail_here("a parameter is named twice");
            children.push_back(name);
            n_parameters++;
            if (accept("="))
                defaults.push_back(parse_expression());
            else if (!defaults.empty())
                fail_here("a parameter without a default follows one with a default");
        }
        advance();
        children.insert(children.end(), defaults.begin(), defaults.end());
    }

    /// A body in which break and continue do not reach the loop outside.
    uint32_t parse_separate_body(const char* end_name) {
        const int loops = loops_;
        loops_ = 0;
        const uint32_t body = parse_body({end_name});
        loops_ = loops;
        expect(end_name);
        return body;
    }

    uint32_t parse_macro(uint32_t position) {
        const uint32_t name = program_.nodes[parse_name_target()].a;
        NodeList children{0};
        uint32_t n_parameters = 0;
        parse_parameters(children, n_parameters);
        children[0] = parse_separate_body("endmacro");
        const uint32_t node = add(NodeKind::macro, position, children, name);
        program_.nodes[node].c = n_parameters;
        return node;
    }

    uint32_t parse_call_block(uint32_t position) {
        NodeList children{0};
        uint32_t n_parameters = 0;
        if (at("(")) parse_parameters(children, n_parameters);
        const uint32_t call = parse_expression();
        if (program_.nodes[call].kind != NodeKind::call) fail_here("a call block needs a call");
        children[0] = parse_separate_body("endcall");
        children.push_back(call);
        const uint32_t node = add(NodeKind::call_block, position, children, name_caller);
        program_.nodes[node].c = n_parameters;
        return node;
    }

    uint32_t parse_filter_block(uint32_t position) {
        const uint32_t filter = parse_filters(0, true);
        const uint32_t body = parse_body({"endfilter"});
        expect("endfilter");
        return add(NodeKind::filter_block, position, {filter, body});
    }

    uint32_t parse_with(uint32_t position) {
        NodeList children{0};
        while (token().kind != TokenKind::block_end) {
            if (children.size() > 1) expect(",");
            children.push_back(parse_target({}, false));
            expect("=");
            children.push_back(parse_expression());
        }
        children[0] = parse_body({"endwith"});
        expect("endwith");
        return add(NodeKind::with, position, children);
    }

    uint32_t parse_print(uint32_t position) {
        NodeList values;
        while (token().kind != TokenKind::block_end) {
            if (!values.empty()) expect(",");
            values.push_back(parse_expression());
        }
        return add(NodeKind::output, position, values);
    }

    uint32_t parse_break(uint32_t position) {
        if (loops_ == 0) {
            error_position_ = position;
            fail_value("break and continue belong into a loop");
        }
        const bool is_break = tokens_[at_ - 1].text == "break";
        return add(is_break ? NodeKind::break_ : NodeKind::continue_, position, {});
    }

    uint32_t parse_generation(uint32_t position) {
        const uint32_t body = parse_separate_body("endgeneration");
        return add(NodeKind::generation, position, {body});
    }

    Program& program_;
    uint32_t& error_position_;
    std::vector<Token> tokens_;
    size_t at_ = 0;
    int depth_ = 0;
    int loops_ = 0;  ///< that a break could end
    DictObject names_;
};

}  // namespace

void parse_source(Program& program, uint32_t& position) {
    Parser(program, position).run();
}

}  // namespace agave::chat::jinja
