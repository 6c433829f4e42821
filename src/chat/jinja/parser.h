#pragma once

#include "chat/jinja/ast.h"
#include "chat/jinja/lexer.h"

namespace agave::chat::jinja {

constexpr uint16_t max_tree_height = 250;
constexpr int max_parser_depth = 100;

using NodeList = std::vector<uint32_t>;

/// Recursive descent over the tokens: expressions in parse_expression.cpp, the rest in parser.cpp.
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
            if (++parser.depth_ > max_parser_depth) parser.fail_here("the template is nested too deeply");
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
    uint32_t intern(std::string_view name);
    uint32_t add_node(NodeKind kind, uint32_t position, const uint32_t* children, size_t n, uint32_t a,
                      uint8_t op);
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

    uint32_t parse_expression(bool with_conditional = true);
    /// The infix operator at the current token, if it binds at least as tightly as `level`. Sets `op`.
    bool infix(int level, int& found, Operator& op) const;
    uint32_t parse_binary(int level);
    uint32_t parse_comparison(uint32_t left);
    uint32_t parse_unary(bool with_filters);
    uint32_t parse_primary(bool with_attribute_target);
    uint32_t parse_name(bool with_attribute_target);
    Value parse_number();
    /// Appends the current string token, its escapes resolved as in Python.
    void append_string(std::string& out);
    /// A list or dict display.
    uint32_t parse_items(const char* close, NodeKind kind);
    /// One expression, or several with commas between them: then a tuple.
    uint32_t parse_tuple(bool with_conditional, std::string_view end_name = {}, bool in_parentheses = false,
                         bool target = false, bool attribute_targets = false);
    uint32_t parse_postfix(uint32_t value);
    uint32_t parse_subscript(uint32_t value);
    /// Appends the arguments in parentheses to `out`.
    void parse_arguments(NodeList& out);
    uint32_t parse_call(uint32_t callee);
    std::string parse_dotted_name();
    /// `| a | b(...)` applied to `input`; `inline_start`: the first | is left out ({% filter a %}).
    uint32_t parse_filters(uint32_t input, bool inline_start = false);
    uint32_t parse_test(uint32_t value);

    // Statements

    /// Marks names as assigned to; fails for what cannot be.
    void make_target(uint32_t index);
    uint32_t parse_target(std::string_view end_name, bool attribute_targets);
    uint32_t parse_name_target();
    /// Statements up to a block that begins with one of the names, which becomes the current token; without
    /// names, up to the end of the template.
    uint32_t parse_body(std::initializer_list<std::string_view> end_names);
    uint32_t parse_statement();
    uint32_t parse_if(uint32_t position);
    uint32_t parse_for(uint32_t position);
    uint32_t parse_set(uint32_t position);
    /// Parameters of a macro or call block: their names into `children`, their defaults after them.
    void parse_parameters(NodeList& children, uint32_t& n_parameters);
    /// A body in which break and continue do not reach the loop outside.
    uint32_t parse_separate_body(const char* end_name);
    uint32_t parse_macro(uint32_t position);
    uint32_t parse_call_block(uint32_t position);
    uint32_t parse_filter_block(uint32_t position);
    uint32_t parse_with(uint32_t position);
    uint32_t parse_print(uint32_t position);
    uint32_t parse_break(uint32_t position);
    uint32_t parse_generation(uint32_t position);

    Program& program_;
    uint32_t& error_position_;
    std::vector<Token> tokens_;
    size_t at_ = 0;
    int depth_ = 0;
    int loops_ = 0;  ///< that a break could end
    DictObject names_;
};

}  // namespace agave::chat::jinja
