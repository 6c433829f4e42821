#include "chat/jinja/parser.h"

namespace agave::chat::jinja {

uint32_t Parser::intern(std::string_view name) {
    Value key = Value::string(name);
    if (const Value* index = names_.find(key)) return static_cast<uint32_t>(index->to_integer());
    const uint32_t index = add_constant(key);
    names_.set(std::move(key), Value::integer(index));
    return index;
}

uint32_t Parser::add_node(NodeKind kind, uint32_t position, const uint32_t* children, size_t n, uint32_t a,
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
    if (node.height > max_tree_height) {
        error_position_ = position;
        fail_value("the template is nested too deeply");
    }
    program_.nodes.push_back(node);
    return static_cast<uint32_t>(program_.nodes.size() - 1);
}

void Parser::make_target(uint32_t index) {
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

uint32_t Parser::parse_target(std::string_view end_name, bool attribute_targets) {
    const uint32_t target = parse_tuple(false, end_name, false, true, attribute_targets);
    make_target(target);
    return target;
}

uint32_t Parser::parse_name_target() {
    const uint32_t position = token().position;
    const std::string_view name = expect_name();
    for (std::string_view reserved : {"true", "false", "none", "True", "False", "None"})
        if (name == reserved) fail_here("a constant cannot be assigned to");
    const uint32_t node = add(NodeKind::name, position, {}, intern(name));
    make_target(node);
    return node;
}

uint32_t Parser::parse_body(std::initializer_list<std::string_view> end_names) {
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

uint32_t Parser::parse_statement() {
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

uint32_t Parser::parse_if(uint32_t position) {
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

uint32_t Parser::parse_for(uint32_t position) {
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

uint32_t Parser::parse_set(uint32_t position) {
    const uint32_t target = parse_target({}, true);
    if (accept("=")) return add(NodeKind::set, position, {target, parse_tuple(true)});
    const uint32_t filter = parse_filters(0);
    const uint32_t body = parse_body({"endset"});
    expect("endset");
    return add(NodeKind::set_block, position, {target, filter, body});
}

void Parser::parse_parameters(NodeList& children, uint32_t& n_parameters) {
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

uint32_t Parser::parse_separate_body(const char* end_name) {
    const int loops = loops_;
    loops_ = 0;
    const uint32_t body = parse_body({end_name});
    loops_ = loops;
    expect(end_name);
    return body;
}

uint32_t Parser::parse_macro(uint32_t position) {
    const uint32_t name = program_.nodes[parse_name_target()].a;
    NodeList children{0};
    uint32_t n_parameters = 0;
    parse_parameters(children, n_parameters);
    children[0] = parse_separate_body("endmacro");
    const uint32_t node = add(NodeKind::macro, position, children, name);
    program_.nodes[node].c = n_parameters;
    return node;
}

uint32_t Parser::parse_call_block(uint32_t position) {
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

uint32_t Parser::parse_filter_block(uint32_t position) {
    const uint32_t filter = parse_filters(0, true);
    const uint32_t body = parse_body({"endfilter"});
    expect("endfilter");
    return add(NodeKind::filter_block, position, {filter, body});
}

uint32_t Parser::parse_with(uint32_t position) {
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

uint32_t Parser::parse_print(uint32_t position) {
    NodeList values;
    while (token().kind != TokenKind::block_end) {
        if (!values.empty()) expect(",");
        values.push_back(parse_expression());
    }
    return add(NodeKind::output, position, values);
}

uint32_t Parser::parse_break(uint32_t position) {
    if (loops_ == 0) {
        error_position_ = position;
        fail_value("break and continue belong into a loop");
    }
    const bool is_break = tokens_[at_ - 1].text == "break";
    return add(is_break ? NodeKind::break_ : NodeKind::continue_, position, {});
}

uint32_t Parser::parse_generation(uint32_t position) {
    const uint32_t body = parse_separate_body("endgeneration");
    return add(NodeKind::generation, position, {body});
}

void parse_source(Program& program, uint32_t& position) {
    Parser(program, position).run();
}

}  // namespace agave::chat::jinja
