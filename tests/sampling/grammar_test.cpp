#include "sampling/grammar/grammar.h"

#include <gtest/gtest.h>

#include <random>

#include "base/error.h"
#include "base/json.h"

namespace agave {
namespace {

using Texts = std::vector<std::string_view>;

void expect_texts(const Grammar& grammar, const Texts& members, const Texts& others) {
    for (std::string_view text : members) EXPECT_TRUE(grammar.matches(text)) << text;
    for (std::string_view text : others) EXPECT_FALSE(grammar.matches(text)) << text;
}
void expect_gbnf(std::string_view grammar, const Texts& members, const Texts& others) {
    SCOPED_TRACE(grammar);
    expect_texts(*Grammar::from_gbnf(grammar), members, others);
}
void expect_schema(std::string_view schema, const Texts& members, const Texts& others) {
    SCOPED_TRACE(schema);
    expect_texts(*Grammar::from_json_schema(schema), members, others);
}

template <typename Make>
std::string refusal(Make make) {
    try {
        make();
    } catch (const Error& error) {
        EXPECT_EQ(error.kind(), ErrorKind::usage) << error.what();
        return error.what();
    }
    return "accepted";
}
template <typename Action>
bool refusal_free(Action action) {
    try {
        action();
    } catch (const Error&) {
        return false;
    }
    return true;
}
std::string gbnf_refusal(std::string_view text) {
    return refusal([&] { Grammar::from_gbnf(text); });
}
std::string schema_refusal(std::string_view text) {
    return refusal([&] { Grammar::from_json_schema(text); });
}

TEST(Gbnf, ReadsWhatLlamaCppDocuments) {
    expect_gbnf("root ::= \"a\" | b+ # comment\nb ::= [x-z]", {"a", "x", "xyz"}, {"", "b", "ax", "w"});
    expect_gbnf("root ::= (\n \"a\"\n |\n \"b\" )* \"c\"", {"c", "abbac"}, {"", "ab"});
    expect_gbnf("root ::= \"a\"{2} \"b\"{1,} \"c\"{0,2} \"d\"{,1}", {"aab", "aabbbccd"},
                {"ab", "aabccc", "aabdd"});
    expect_gbnf("root ::= [^a-c\\n] .", {"d\n", "\xC3\xA9\xE2\x82\xAC"}, {"ax", "\nx", "d"});
    expect_gbnf("root ::= \"\\x41\\u20AC\\U0001F600\\t\\r\\n\\\\\\\"\\[\\]\"",
                {"A\xE2\x82\xAC\xF0\x9F\x98\x80\t\r\n\\\"[]"}, {"A"});
    expect_gbnf("root ::= [-a] [a-] [\\]\\[]", {"-a]", "a-["}, {"b-["});
    expect_gbnf("root ::= \"(\" root \")\" | \"\"", {"", "()", "((()))"}, {"(", "())"});
    expect_gbnf("root ::= a a\na ::= \"x\" |", {"", "x", "xx"}, {"xxx"});
    expect_gbnf("root ::= \"a\" root \"b\" | \"a\" root \"c\" | \"d\"", {"aadbc", "d"}, {"aadb"});
}

TEST(Gbnf, RefusesWithASentence) {
    EXPECT_EQ(gbnf_refusal("root ::= root \"a\" | \"b\""),
              "the grammar recurses to the left: a text of \"root\" can begin with a text of \"root\" again");
    EXPECT_EQ(gbnf_refusal("root ::= b? root \"a\" | \"b\"\nb ::= \"x\""),
              "the grammar recurses to the left: a text of \"root\" can begin with a text of \"root\" again");
    EXPECT_EQ(gbnf_refusal(""), "the grammar has no rule \"root\"");
    EXPECT_EQ(gbnf_refusal("root ::= x"), "the grammar has no rule \"x\"");
    EXPECT_EQ(gbnf_refusal("root ::= \"a\" root"), "the grammar allows no text at all");
    EXPECT_EQ(gbnf_refusal("root ::= (\"a\""),
              "the grammar has no \")\" where a group must end in line 1, column 14");
    EXPECT_EQ(gbnf_refusal("root ::= *"), "the grammar has nothing to repeat in line 1, column 10");
    EXPECT_EQ(gbnf_refusal("root ::= \"a"), "the grammar has a string without end in line 1, column 12");
    EXPECT_EQ(gbnf_refusal("root ::= [a"),
              "the grammar has a set of characters without end in line 1, column 12");
    EXPECT_EQ(gbnf_refusal("root ::= \"a\"{99999}"),
              "the grammar has more than 10000 repetitions in line 1, column 18");
    EXPECT_EQ(gbnf_refusal("root ::= \"\\q\"").substr(0, 42), "the grammar has an escape that is none of ");
    EXPECT_NE(gbnf_refusal("root ::= " + std::string(100000, '(')), "accepted");
    EXPECT_NE(gbnf_refusal("root ::= (((\"a\"{9999}){9999}){9999}){9999} [" + std::string("\xFF]")),
              "accepted");
}

TEST(JsonSchema, Types) {
    expect_schema("true", {"1", "\"a\"", "null", "[1, {\"a\": []}]", "-1.5e+3"},
                  {"", "nul", "01", "1.", "[1,]"});
    expect_schema(R"({"type": ["integer", "null"]})", {"0", "-12", "null"}, {"1.5", "\"a\"", "00"});
    expect_schema(R"({"type": "boolean"})", {"true", "false"}, {"True", "1"});
    expect_schema(R"({"type": "string"})", {R"("")", R"("a\n\u00e9\ud83d\ude00")", "\"\xC3\xA9\""},
                  {R"("\x")", "\"\n\"", R"("\ud83d")", R"("\ude00")", "\"\xC3\"", "\"\xED\xA0\x80\"", "a"});
    EXPECT_EQ(schema_refusal("false"), "the schema allows no text at all");
    EXPECT_EQ(schema_refusal(R"({"type": "float"})"),
              "the schema cannot be honoured: #/type names a type that JSON Schema does not have");
}

TEST(JsonSchema, Objects) {
    expect_schema(
        R"({"type": "object", "properties": {"a": {"type": "integer"}, "b": {"type": "boolean"}},
            "required": ["b"], "additionalProperties": false})",
        {R"({"b":true})", R"({"a": 1, "b": true})", "{\n  \"a\": 1,\n  \"b\": true\n}"},
        {R"({"b":true,"a":1})", R"({"a":1})", R"({"b":true,"c":1})", R"({"b":true,"b":1})",
         "{\"b\":\n\n\n1}"});
    // What is not declared may come behind what is, under other names only.
    expect_schema(R"({"type": "object", "properties": {"a": {"type": "integer"}}})",
                  {"{}", R"({"a":1})", R"({"b":"x"})", R"({"a":1,"ab":[]})", R"({"":1})"},
                  {R"({"a":"x"})", R"({"b":1,"a":"x"})", R"({"\u0061":"x"})"});
    expect_schema(
        R"({"type": "object", "patternProperties": {"^n": {"type": "integer"}}, "properties": {"no": true},
                      "additionalProperties": {"type": "string"}})",
        {R"({"n":1})", R"({"no":1,"n1":2,"x":"y"})"}, {R"({"n":"x"})", R"({"x":1})", R"({"no":"x"})"});
    expect_schema(R"({"type": "object", "additionalProperties": {"type": "null"}, "minProperties": 1,
                      "maxProperties": 2})",
                  {R"({"a":null})", R"({"a":null,"b":null})"}, {"{}", R"({"a":null,"b":null,"c":null})"});
    EXPECT_EQ(
        schema_refusal(R"({"type": "object", "properties": {"a": {"minLenght": 1}}})"),
        "the schema cannot be honoured: #/properties/a/minLenght is a keyword that agave does not know or "
        "cannot follow");
}

TEST(JsonSchema, Arrays) {
    expect_schema(R"({"type": "array", "items": {"type": "integer"}, "minItems": 1, "maxItems": 3})",
                  {"[1]", "[1,2]", "[1, 2, 3]"}, {"[]", "[1,2,3,4]", "[null]", "[1,]"});
    expect_schema(R"({"type": "array", "prefixItems": [{"const": 1}, {"const": 2}], "items": {"const": 3}})",
                  {"[]", "[1]", "[1,2]", "[1,2,3,3]"}, {"[2]", "[1,3]", "[1,2,2]"});
    expect_schema(
        R"({"type": "array", "prefixItems": [{"const": 1}, {"const": 2}], "items": false, "minItems": 2})",
        {"[1,2]"}, {"[1]", "[1,2,3]"});
    EXPECT_NE(schema_refusal(R"({"uniqueItems": true})"), "accepted");
}

TEST(JsonSchema, Numbers) {
    expect_schema(R"({"type": "integer", "minimum": -5, "maximum": 123})",
                  {"-5", "0", "9", "10", "99", "123"}, {"-6", "-10", "124", "200", "1000"});
    expect_schema(R"({"type": "integer", "exclusiveMinimum": 9.5, "exclusiveMaximum": 11})", {"10"},
                  {"9", "11", "12"});
    expect_schema(R"({"type": "number", "minimum": 0.25, "maximum": 1.5})",
                  {"0.25", "0.250", "0.3", "1", "1.0", "1.5", "1.500", "1.49999"},
                  {"0.2", "0.2499", "0", "1.51", "1.5001", "2", "-0.3"});
    expect_schema(R"({"type": "number", "exclusiveMinimum": -0.5, "exclusiveMaximum": 0})",
                  {"-0.49", "-0.0001"}, {"-0.5", "0", "-0.51", "0.0", "-1"});
    expect_schema(R"({"type": "integer", "multipleOf": 7})", {"0", "7", "-14", "700"}, {"1", "8", "71"});
    expect_schema(R"({"type": "number", "multipleOf": 0.25, "minimum": 1})", {"1", "1.25", "1.50", "2.750"},
                  {"0.75", "1.2", "1.26", "1.255"});
}

TEST(JsonSchema, Strings) {
    expect_schema(R"({"type": "string", "minLength": 2, "maxLength": 3})",
                  {R"("ab")", R"("abc")", R"("\n\ud83d\ude00")", "\"\xE2\x82\xAC\xE2\x82\xAC\""},
                  {R"("a")", R"("abcd")"});
    expect_schema(R"({"type": "string", "pattern": "^[a-z]+\\d?$"})", {R"("ab")", R"("ab1")"},
                  {R"("")", R"("1")"});
    expect_schema(R"({"type": "string", "pattern": "b"})", {R"("b")", R"("abc")", R"("\"b")"}, {R"("ac")"});
    expect_schema(R"({"type": "string", "pattern": "^a|b$"})", {R"("ax")", R"("xb")"},
                  {R"("xa")", R"("bx")"});
    expect_schema(R"({"type": "string", "pattern": "^(a|b){2,}$", "maxLength": 3})", {R"("ab")", R"("bba")"},
                  {R"("a")", R"("abab")"});
    expect_schema(R"({"type": "string", "format": "date"})", {R"("2024-02-29")", R"("2023-12-31")"},
                  {R"("2023-02-29")", R"("2024-04-31")", R"("1900-02-29")"});
    expect_schema(R"({"type": "string", "format": "ipv6"})",
                  {R"("::1")", R"("1:2:3:4:5:6:7:8")", R"("::ffff:1.2.3.4")"},
                  {R"("1:2:3:4:5:6:7")", R"("1::2::3")"});
    expect_schema(R"({"type": "string", "format": "email", "minLength": 1, "maxLength": 255})",
                  {R"("jane.doe+x@mail.example.co.uk")"},
                  {R"("jane@")", R"("a..b@c.d")", R"("@c")", R"("a@-c.d")"});
    expect_schema(R"({"type": "string", "format": "hostname"})", {R"("a")", R"("x1.example-2.org")"},
                  {R"("")", R"("-a")", R"("a-.b")", R"("a..b")"});
    expect_schema(R"({"type": "string", "format": "date-time"})", {R"("2024-02-29T23:59:59.5+01:00")"},
                  {R"("2024-02-29 23:59:59Z")", R"("2024-02-29T24:00:00Z")"});
    expect_schema(R"({"type": "string", "format": "uuid"})", {R"("123e4567-e89b-12d3-a456-426614174000")"},
                  {R"("123e4567e89b12d3a456426614174000")"});
    expect_schema(R"({"type": "string", "format": "uri"})",
                  {R"("https://example.org/a?b=c#d")", R"("mailto:a@b.c")"},
                  {R"("/a/b")", R"("a b:c")", R"("http://a/%zz")"});
    EXPECT_NE(schema_refusal(R"({"format": "iri"})"), "accepted");
    EXPECT_NE(schema_refusal(R"re({"pattern": "(?=a)"})re"), "accepted");
    EXPECT_NE(schema_refusal(R"re({"pattern": "(a)\\1"})re"), "accepted");
}

TEST(JsonSchema, ChoicesAndGroups) {
    expect_schema(R"({"enum": [1, "a\"b", null, [1, {"x": 2.50}]]})",
                  {"1", R"("a\"b")", "null", R"([1, {"x": 2.5}])"}, {"2", R"("a")"});
    expect_schema(R"({"type": "string", "enum": ["a", "bb", 3], "minLength": 2})", {R"("bb")"},
                  {R"("a")", "3"});
    expect_schema(R"({"anyOf": [{"type": "integer"}, {"type": "string"}], "minLength": 2})", {"1", R"("ab")"},
                  {R"("a")", "null"});
    expect_schema(R"({"allOf": [{"type": "integer", "minimum": 3}, {"maximum": 4}]})", {"3", "4"},
                  {"2", "5", "null"});
    expect_schema(R"({"oneOf": [{"type": "object", "properties": {"k": {"const": "a"}}, "required": ["k"],
                                 "additionalProperties": false},
                                {"type": "object", "properties": {"k": {"const": "b"}, "x": {"type": "integer"}},
                                 "required": ["k", "x"], "additionalProperties": false}]})",
                  {R"({"k":"a"})", R"({"k":"b","x":1})"}, {R"({"k":"b"})", R"({"k":"a","x":1})"});
    EXPECT_NE(schema_refusal(R"({"oneOf": [{"type": "integer"}, {"type": "number"}]})"), "accepted");
    EXPECT_NE(schema_refusal(R"({"not": {"type": "integer"}})"), "accepted");
    EXPECT_NE(schema_refusal(R"({"if": {}, "then": false})"), "accepted");
}

TEST(JsonSchema, References) {
    expect_schema(R"({"$ref": "#/$defs/node", "$defs": {"node": {"type": "object", "properties": {
                      "value": {"type": "integer"}, "next": {"anyOf": [{"$ref": "#/$defs/node"}, {"type": "null"}]}},
                      "required": ["value", "next"], "additionalProperties": false}}})",
                  {R"({"value":1,"next":null})", R"({"value":1,"next":{"value":2,"next":null}})"},
                  {R"({"value":1})", R"({"value":1,"next":{"value":2}})"});
    expect_schema(R"({"type": "array", "items": {"$ref": "#"}})", {"[]", "[[],[[]]]"}, {"[1]"});
    expect_schema(R"({"$defs": {"a/b": {"type": "string"}}, "$ref": "#/$defs/a~1b", "maxLength": 1})",
                  {R"("a")"}, {R"("ab")", "1"});
    EXPECT_NE(schema_refusal(R"({"$ref": "#"})"), "accepted");
    EXPECT_NE(schema_refusal(R"({"anyOf": [{"$ref": "#"}, {"type": "null"}]})"), "accepted");
    EXPECT_NE(schema_refusal(R"({"$ref": "#/$defs/x"})"), "accepted");
    EXPECT_NE(schema_refusal(R"({"$ref": "http://example.com/x"})"), "accepted");
}

TEST(JsonSchema, HostileSchemasAreRefused) {
    std::string deep;
    for (int i = 0; i < 100000; i++) deep += R"({"items":)";
    EXPECT_NE(schema_refusal(deep), "accepted");
    EXPECT_NE(schema_refusal(std::string(100000, '[')), "accepted");
    EXPECT_NE(schema_refusal(R"({"type": "string", "maxLength": 1000000})"), "accepted");
    EXPECT_NE(schema_refusal(R"({"type": "string", "minLength": -1})"), "accepted");
    EXPECT_NE(schema_refusal(R"({"type": "string", "minLength": 1.5})"), "accepted");
    EXPECT_NE(
        schema_refusal(R"({"type": "string", "pattern": "(((a{9999}){9999}){9999}){9999}", "maxLength": 9})"),
        "accepted");
    EXPECT_NE(schema_refusal(""), "accepted");
    EXPECT_NE(schema_refusal("{"), "accepted");
    std::string many = R"({"enum": [0)";
    for (int i = 1; i < 200000; i++) many += ',' + std::to_string(i);
    EXPECT_NE(schema_refusal(many + "]}"), "accepted");
    std::string groups = R"({"allOf": [{})";
    for (int i = 0; i < 30; i++) groups += R"(,{"anyOf": [{"minimum": 1}, {"maxLength": 2}]})";
    EXPECT_NE(schema_refusal(groups + "]}"), "accepted");
}

/// A vocabulary of all bytes and of some pieces of JSON, the last token ends a generation.
std::vector<std::string> small_vocabulary() {
    std::vector<std::string> tokens;
    for (int byte = 0; byte < 256; byte++) tokens.emplace_back(1, static_cast<char>(byte));
    for (const char* piece : {"{\"",
                              "\":",
                              "\": ",
                              "\",",
                              "\", \"",
                              "\"}",
                              "true",
                              "false",
                              "null",
                              "abc",
                              "a\"",
                              "12",
                              "12.",
                              "},",
                              "]}",
                              "\n  ",
                              "  ",
                              "\xC3\xA9",
                              "\xE2\x82",
                              "\\n",
                              "\\u00",
                              "[[",
                              "]]",
                              "[]",
                              "{}",
                              "ab",
                              "name",
                              "a b c d e f g",
                              "longer text than sixteen characters",
                              "\": \"abc\", \"",
                              "\xFF<mark>"})
        tokens.emplace_back(piece);
    tokens.emplace_back();
    return tokens;
}

struct Vocabulary {
    std::vector<std::string> tokens = small_vocabulary();
    int32_t end = static_cast<int32_t>(tokens.size()) - 1;
    TokenTrie trie{tokens, std::span(&end, 1)};
};

bool is_set(std::span<const uint32_t> mask, int32_t token) {
    return (mask[static_cast<size_t>(token) / 32] >> (token % 32)) & 1;
}

/// Grammars whose texts end soon enough by chance.
std::vector<std::shared_ptr<const Grammar>> walkable_grammars() {
    std::vector<std::shared_ptr<const Grammar>> grammars;
    for (
        const char* schema :
        {R"({"type": "object", "properties": {"name": {"type": "string", "maxLength": 20}, "n": {"type": "integer",
              "minimum": 0, "maximum": 99}, "t": {"type": "array", "items": {"enum": ["abc", "ab"]}, "maxItems": 3}},
              "required": ["name", "n"], "additionalProperties": false})",
         R"({"type": "array", "maxItems": 4, "items": {"type": "string", "pattern": "^[a-c]{1,5}$"}})",
         R"({"anyOf": [{"type": "number", "minimum": 1, "maximum": 12.5}, {"type": "boolean"}]})"})
        grammars.push_back(Grammar::from_json_schema(schema));
    grammars.push_back(Grammar::from_gbnf("root ::= \"[\" root \"]\" | [a-c]{0,3} \"\xC3\xA9\" | \"[]\""));
    return grammars;
}

TEST(Constraint, EveryAllowedTokenKeepsTheTextInTheLanguageAndNoOtherDoes) {
    const Vocabulary vocabulary;
    std::mt19937 random(7);
    for (const auto& grammar : walkable_grammars())
        for (int walk = 0; walk < 10; walk++) {
            const auto constraint = constrain(grammar, vocabulary.trie);
            std::vector<int32_t> taken;
            std::string text;
            for (int step = 0; step < 400; step++) {
                const auto mask = constraint->allowed();
                std::vector<int32_t> allowed;
                for (int32_t t = 0; t <= vocabulary.end; t++)
                    if (is_set(mask, t)) allowed.push_back(t);
                ASSERT_FALSE(allowed.empty());
                // The same mask token by token: a constraint that has read the same text takes it or not.
                if (step < 12)
                    for (int32_t t = 0; t <= vocabulary.end; t++) {
                        const auto other = constrain(grammar, vocabulary.trie);
                        for (int32_t before : taken) other->accept(before);
                        const bool takes = refusal_free([&] { other->accept(t); });
                        ASSERT_EQ(takes, is_set(mask, t))
                            << text << " then " << vocabulary.tokens[static_cast<size_t>(t)];
                    }
                const int32_t token = allowed[random() % allowed.size()];
                if (token == vocabulary.end) break;
                constraint->accept(token);
                taken.push_back(token);
                text += vocabulary.tokens[static_cast<size_t>(token)];
            }
            EXPECT_EQ(is_set(constraint->allowed(), vocabulary.end), grammar->matches(text)) << text;
        }
}

TEST(Constraint, EndsOnlyWhereTheTextMayEnd) {
    const Vocabulary vocabulary;
    const auto constraint = constrain(Grammar::from_gbnf("root ::= \"ab\" \"c\"?"), vocabulary.trie);
    EXPECT_FALSE(is_set(constraint->allowed(), vocabulary.end));
    EXPECT_THROW(constraint->accept(vocabulary.end), Error);
    EXPECT_THROW(constraint->accept('x'), Error);
    EXPECT_THROW(constraint->accept(-1), Error);
    EXPECT_THROW(constraint->accept(vocabulary.end + 1), Error);
    constraint->accept('a');
    constraint->accept('b');
    EXPECT_TRUE(is_set(constraint->allowed(), vocabulary.end));
    EXPECT_TRUE(is_set(constraint->allowed(), 'c'));
    constraint->accept(vocabulary.end);
    EXPECT_FALSE(is_set(constraint->allowed(), 'c'));
    EXPECT_TRUE(is_set(constraint->allowed(), vocabulary.end));
}

TEST(Constraint, BeginsBehindAMarker) {
    const Vocabulary vocabulary;
    const auto token = [&](std::string_view bytes) {
        return static_cast<int32_t>(std::find(vocabulary.tokens.begin(), vocabulary.tokens.end(), bytes) -
                                    vocabulary.tokens.begin());
    };
    const auto grammar = Grammar::from_json_schema(R"({"type": "object"})");
    // The marker is a control token here.
    const auto constraint = constrain(grammar, vocabulary.trie, "<mark>");
    EXPECT_TRUE(is_set(constraint->allowed(), 'x'));
    EXPECT_FALSE(is_set(constraint->allowed(), vocabulary.end));
    for (const char c : std::string_view("<mark>x")) constraint->accept(c);
    constraint->accept(token("\xFF<mark>"));
    EXPECT_FALSE(is_set(constraint->allowed(), 'x'));
    constraint->accept('\n');
    constraint->accept(token("{}"));
    EXPECT_TRUE(is_set(constraint->allowed(), vocabulary.end));
    // Plain text: a token may complete it and go on.
    const auto plain = constrain(grammar, vocabulary.trie, "a b c d e");
    EXPECT_FALSE(is_set(plain->allowed(), token("a b c d e f g")));
    EXPECT_TRUE(is_set(plain->allowed(), token("abc")));
    const auto quoted = constrain(grammar, vocabulary.trie, "[");
    EXPECT_FALSE(is_set(quoted->allowed(), token("[[")));
    EXPECT_FALSE(is_set(quoted->allowed(), token("[]")));
    EXPECT_TRUE(is_set(quoted->allowed(), '['));
}

TEST(Constraint, ForgettingChangesNoMask) {
    const Vocabulary vocabulary;
    for (const auto& grammar : walkable_grammars()) {
        const auto kept = constrain(grammar, vocabulary.trie);
        std::mt19937 random(3);
        for (int step = 0; step < 30; step++) {
            const auto mask = kept->allowed();
            const std::vector<uint32_t> before(mask.begin(), mask.end());
            grammar->forget();
            const auto again = kept->allowed();
            EXPECT_TRUE(std::equal(before.begin(), before.end(), again.begin(), again.end()));
            std::vector<int32_t> allowed;
            for (int32_t t = 0; t < vocabulary.end; t++)
                if (is_set(before, t)) allowed.push_back(t);
            if (allowed.empty()) break;
            kept->accept(allowed[random() % allowed.size()]);
        }
    }
}

TEST(ToolCalls, AreForcedInTheModelsSyntax) {
    const ToolFunction tools[] = {
        {"get", R"({"type": "object", "properties": {"x": {"type": "integer"}}, "required": ["x"],
                    "additionalProperties": false})"},
        {"now", ""}};
    const auto one = Grammar::tool_calls(chat::ToolSyntax::json, tools, false);
    expect_texts(*one,
                 {"<tool_call>\n{\"name\": \"get\", \"arguments\": {\"x\": 1}}\n</tool_call>",
                  "<tool_call>{\"name\": \"now\", \"arguments\": {}}</tool_call>",
                  "\xFF<tool_call>{\"name\": \"now\", \"arguments\": {}}\xFF</tool_call>"},
                 {"<tool_call>{\"name\": \"get\", \"arguments\": {}}</tool_call>", "hello",
                  "<tool_call>{\"name\": \"new\", \"arguments\": {}}</tool_call>"});
    const auto several = Grammar::tool_calls(chat::ToolSyntax::toolcall, tools, true);
    expect_texts(
        *several,
        {"<TOOLCALL>[{\"name\": \"get\", \"arguments\": {\"x\": 1}}, {\"name\": \"now\", \"arguments\": "
         "{}}]</TOOLCALL>"},
        {"<TOOLCALL>[]</TOOLCALL>"});
    EXPECT_FALSE(Grammar::can_force_tools(chat::ToolSyntax::none));
    EXPECT_NE(refusal([&] { Grammar::tool_calls(chat::ToolSyntax::glm, tools, false); }), "accepted");
    EXPECT_NE(refusal([&] { Grammar::tool_calls(chat::ToolSyntax::json, {}, false); }), "accepted");
}

}  // namespace
}  // namespace agave
