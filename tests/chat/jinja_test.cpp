// The interpreter against PyPI's jinja2: cases from tools/chat/make_cases.py.
#include "chat/jinja/jinja.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <filesystem>

#include "base/error.h"
#include "chat/jinja/json.h"
#include "chat/jinja/text.h"

namespace agave::chat {
namespace {

using jinja::Type;
using jinja::Value;

constexpr int64_t oracle_now = 1767323045;

std::string read_file(const std::string& path) {
    std::string content;
    std::FILE* file = std::fopen(path.c_str(), "rb");
    if (!file) return content;
    char buffer[65536];
    for (size_t n; (n = std::fread(buffer, 1, sizeof buffer, file)) > 0;) content.append(buffer, n);
    std::fclose(file);
    return content;
}

std::string fnv1a(const std::string& text) {
    uint64_t hash = 14695981039346656037u;
    for (char c : text) hash = (hash ^ static_cast<unsigned char>(c)) * 1099511628211u;
    return strprintf("%016llx", static_cast<unsigned long long>(hash));
}

struct Outcome {
    bool raised = false;
    std::string text;  ///< or the message
};

Outcome try_render(const jinja::Program& program, const Value& context, const jinja::Limits& limits = {}) {
    try {
        return {false, jinja::render(program, context, limits, oracle_now)};
    } catch (const Error& error) {
        return {true, error.what()};
    }
}

Outcome try_render(const std::string& source, const Value& context, const jinja::Limits& limits = {}) {
    try {
        return try_render(jinja::parse(source), context, limits);
    } catch (const Error& error) {
        return {true, error.what()};
    }
}

TEST(Jinja, FeaturesMatchJinja2) {
    jinja::Heap heap;
    const jinja::HeapUse use(heap);
    const Value file = jinja::parse_json(read_file(AGAVE_TEST_DATA "/chat/features.json"), "features.json");
    const Value& context = *file.find("context");
    const std::vector<Value>& cases = file.find("cases")->items();
    ASSERT_GT(cases.size(), 900u);
    for (const Value& one : cases) {
        const std::string source(one.find("template")->text());
        const Value& expected = *one.find("text");
        const Outcome outcome = try_render(source, context);
        if (expected.is(Type::none))
            EXPECT_TRUE(outcome.raised) << source << "\nshould raise, gives: " << outcome.text;
        else if (outcome.raised)
            ADD_FAILURE() << source << "\nraises: " << outcome.text << "\njinja2: " << expected.text();
        else
            EXPECT_EQ(outcome.text, std::string(expected.text())) << source;
    }
}

TEST(Jinja, SharedTemplatesMatchJinja2) {
    jinja::Heap heap;
    const jinja::HeapUse use(heap);
    const std::string folder = AGAVE_SHARED "/templates/";
    if (!std::filesystem::exists(folder)) GTEST_SKIP() << "no " << folder;
    const Value conversations =
        jinja::parse_json(read_file(AGAVE_TEST_DATA "/chat/conversations.json"), "conversations.json");
    const std::string lines = read_file(AGAVE_TEST_DATA "/chat/shared.txt");
    size_t n_templates = 0, n_texts = 0;
    for (size_t begin = 0; begin < lines.size();) {
        const size_t end = lines.find('\n', begin);
        const std::string line = lines.substr(begin, end - begin);
        begin = end + 1;
        size_t at = line.find(' ');
        const std::string name = line.substr(0, at);
        const std::string source = read_file(folder + name + ".jinja");
        ASSERT_FALSE(source.empty()) << name;
        const jinja::Program program = jinja::parse(source);
        n_templates++;
        for (const auto& conversation : conversations.dict_object().entries) {
            const size_t next = line.find(' ', at + 1);
            const std::string expected =
                line.substr(at + 1, next == std::string::npos ? next : next - at - 1);
            at = next;
            const Outcome outcome = try_render(program, conversation.value);
            EXPECT_EQ(outcome.raised ? "-" : fnv1a(outcome.text), expected)
                << name << " with " << conversation.key.text() << ": " << outcome.text.substr(0, 500);
            n_texts++;
        }
        EXPECT_EQ(at, std::string::npos) << "conversations.json and shared.txt disagree";
    }
    EXPECT_GE(n_templates, 70u);
    EXPECT_GE(n_texts, 4000u);
}

TEST(Jinja, CaseMappingsMatchPython) {
    jinja::Heap heap;
    const jinja::HeapUse use(heap);
    // The hash of "".join(m(chr(c)) for c in range(0x20000) if not 0xD800 <= c < 0xE000) for each method.
    const Value hashes = jinja::parse_json(read_file(AGAVE_TEST_DATA "/chat/text.json"), "text.json");
    std::string upper, lower, title, classes, repr;
    for (uint32_t c = 0; c < 0x20000; c++) {
        if (c >= 0xD800 && c < 0xE000) continue;
        std::string letter;
        text::append_code_point(letter, c);
        upper += text::upper(letter);
        lower += text::lower(letter);
        title += text::title(letter);
        classes += static_cast<char>('0' + (text::is_space(c) ? 1 : 0) + (text::is_alpha(c) ? 2 : 0) +
                                     (text::is_digit(c) ? 4 : 0) + (text::is_printable(c) ? 8 : 0));
        text::append_repr(repr, letter);
    }
    EXPECT_EQ(fnv1a(upper), std::string(hashes.find("upper")->text()));
    EXPECT_EQ(fnv1a(lower), std::string(hashes.find("lower")->text()));
    EXPECT_EQ(fnv1a(title), std::string(hashes.find("title")->text()));
    EXPECT_EQ(fnv1a(classes), std::string(hashes.find("classes")->text()));
    EXPECT_EQ(fnv1a(repr), std::string(hashes.find("repr")->text()));
}

std::string message_of(const std::string& source, const jinja::Limits& limits = {}) {
    jinja::Heap heap;
    const jinja::HeapUse use(heap);
    const Outcome outcome = try_render(source, Value::dict(), limits);
    EXPECT_TRUE(outcome.raised) << source << " gives " << outcome.text;
    return outcome.text;
}

TEST(Jinja, ErrorsTellLineAndColumn) {
    EXPECT_EQ(message_of("a\n{% if x %}\n"),
              "chat template: line 2, column 11: expected endif, found the end of the template");
    EXPECT_EQ(message_of("ä {{ 1 + }}"),
              "chat template: line 1, column 10: expected an expression, found '}}'");
    EXPECT_EQ(message_of("\n\n  {{ x.y }}"), "chat template: line 3, column 7: 'x' is undefined");
    EXPECT_EQ(message_of("{% for i in [1] %}\n{{ i + 'a' }}{% endfor %}"),
              "chat template: line 2, column 6: '+' does not work on 'int' and 'str'");
    EXPECT_EQ(message_of("{{ 'a' | nope }}"), "chat template: line 1, column 10: no filter named 'nope'");
    EXPECT_EQ(message_of("{% include 'x' %}"),
              "chat template: line 1, column 4: the tag 'include' is not supported in chat templates");
    EXPECT_EQ(message_of("{{ raise_exception('Roles must alternate') }}"), "Roles must alternate");
}

ErrorKind kind_of(const std::string& source) {
    jinja::Heap heap;
    const jinja::HeapUse use(heap);
    jinja::Limits limits;
    limits.max_steps = 100'000;
    try {
        jinja::render(jinja::parse(source), Value::dict(), limits);
    } catch (const Error& error) {
        return error.kind();
    }
    ADD_FAILURE() << source << " does not fail";
    return ErrorKind::runtime;
}

TEST(Jinja, ErrorKinds) {
    EXPECT_EQ(kind_of("{{ raise_exception('x') }}"), ErrorKind::usage);
    EXPECT_EQ(kind_of("{{ none + 1 }}"), ErrorKind::usage);
    EXPECT_EQ(kind_of("{{ 1 + }}"), ErrorKind::bad_file);
    EXPECT_EQ(kind_of("{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"),
              ErrorKind::bad_file);
}

TEST(Jinja, LimitsHold) {
    jinja::Heap heap;
    const jinja::HeapUse use(heap);
    const char* const hostile[] = {
        "{% for a in range(99999) %}{% for b in range(99999) %}{{ a }}{% endfor %}{% endfor %}",
        "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}",
        "{% macro m(n) %}{{ m(n + 1) if n < 1000000 }}{% endmacro %}{{ m(0) }}",
        "{{ 'a' * 9999999999 }}",
        "{{ 'a' * 1000000 * 1000000 }}",
        "{{ [1] * 9999999999 }}",
        "{{ ([1] * 1000000) * 1000000 }}",
        "{% set ns = namespace(s='a') %}{% for i in range(99) %}{% set ns.s = ns.s ~ ns.s %}{% endfor %}",
        "{% set ns = namespace(s='a') %}{% for i in range(99) %}{% set ns.s = ns.s.replace('a', 'aa') %}{% "
        "endfor %}",
        "{% set ns = namespace(s=[1]) %}{% for i in range(99) %}{% set ns.s = [ns.s, ns.s] %}{% endfor %}{{ "
        "ns.s }}",
        "{% set ns = namespace(s=[1]) %}{% for i in range(99) %}{% set ns.s = [ns.s, ns.s] %}{% endfor %}{{ "
        "ns.s | tojson }}",
        "{% set ns = namespace(s=(1,)) %}{% for i in range(99) %}{% set ns.s = (ns.s, ns.s) %}{% endfor %}{{ "
        "{ns.s: 1} }}",
        "{% set ns = namespace(a=[1], b=[1]) %}{% for i in range(99) %}{% set ns.a = [ns.a, ns.a] %}{% set "
        "ns.b = [ns.b, ns.b] %}{% endfor %}{{ ns.a == ns.b }}",
        "{% set ns = namespace(s=[]) %}{% for i in range(99999) %}{% set ns.s = [ns.s] %}{% endfor %}{{ ns.s "
        "}}",
        "{% set ns = namespace() %}{% set ns.me = ns %}{{ ns }}",
        "{{ '%99999999d' % 1 }}",
        "{{ '{:99999999}'.format(1) }}",
        "{{ '%*d' % (99999999, 1) }}",
        "{{ 'a'.center(9999999999) }}",
        "{{ 'a'.ljust(9223372036854775807) }}",
        "{{ 'a'.zfill(9223372036854775807) }}",
        "{{ '\t'.expandtabs(9223372036854775807) }}",
        "{{ 'a' | indent(9223372036854775807) }}",
        "{{ [1] | batch(9223372036854775807, 1) | list }}",
        "{{ [1] | slice(9223372036854775807) | list }}",
        "{{ {'a': {'b': 1}} | tojson(indent=9223372036854775807) }}",
        "{{ ('a' * 1000000).join(('b' * 1000000) | list) }}",
        "{{ ('b' * 1000000) | list | join('a' * 1000000) }}",
        "{{ 1.5 | round(999999999) }}",
        "{{ 2 ** 9223372036854775807 }}",
        "{{ 2.0 ** 99999 }}",
        "{{ -9223372036854775807 - 2 }}",
        "{{ (-9223372036854775807 - 1) // -1 }}",
        "{{ (-9223372036854775807 - 1) | abs }}",
        "{{ 9223372036854775808 }}",
        "{{ strftime_now('%Y' * 1000000) }}",
    };
    jinja::Limits limits;
    limits.max_steps = 1'000'000;
    for (const char* source : hostile) {
        const Outcome outcome = try_render(source, Value::dict(), limits);
        EXPECT_TRUE(outcome.raised) << source;
        EXPECT_LT(outcome.text.size(), 600u) << source;
    }
    EXPECT_EQ(try_render("{{ (-9223372036854775807 - 1) % -1 }}", Value::dict()).text, "0");
    jinja::Limits small;
    small.max_output_bytes = 10;
    EXPECT_NE(message_of("{% for i in range(11) %}a{% endfor %}", small).find("too much text"),
              std::string::npos);
    small = {};
    small.max_steps = 100;
    EXPECT_NE(message_of("{% for i in range(99) %}a{% endfor %}", small).find("runs too long"),
              std::string::npos);
    small = {};
    small.max_depth = 20;
    EXPECT_NE(message_of("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}", small).find("too deeply"),
              std::string::npos);
}

std::string repeat(const std::string& text, size_t n) {
    std::string out;
    for (size_t i = 0; i < n; i++) out += text;
    return out;
}

TEST(Jinja, PuttingALongTextTogetherStaysCheap) {
    jinja::Heap heap;
    const jinja::HeapUse use(heap);
    jinja::Limits limits;
    limits.max_value_bytes = 40 << 20;
    const std::string step =
        "{% for i in range(20000) %}{% set ns.t = ns.t OP '0123456789012345678901234567890123456789' %}";
    for (const char* op : {"~", "+"}) {
        std::string source = "{% set ns = namespace(t='') %}" + step + "{% endfor %}{{ ns.t | length }}";
        source.replace(source.find("OP"), 2, op);
        const Outcome outcome = try_render(source, Value::dict(), limits);
        EXPECT_EQ(outcome.text, "800000");
    }
    // Each string keeps its own text although they share their storage.
    EXPECT_EQ(
        try_render("{% set a = 'a' * 300 %}{% set b = a ~ 'b' %}{% set c = a ~ 'c' %}{% set d = b ~ b %}{{ "
                   "a[-2:] }} "
                   "{{ b[-2:] }} {{ c[-2:] }} {{ d[-2:] }} {{ d | length }} {{ (b ~ (b ~ 'x'))[-3:] }} {{ "
                   "b == a ~ 'b' }}",
                   Value::dict())
            .text,
        "aa ab ac ab 602 abx True");
}

TEST(Jinja, DeepAndHugeTemplatesAreRefused) {
    jinja::Heap heap;
    const jinja::HeapUse use(heap);
    const size_t n = 20000;
    for (const std::string& source :
         {"{{ " + repeat("(", n) + "1" + repeat(")", n) + " }}",
          "{{ " + repeat("[", n) + repeat("]", n) + " }}", "{{ " + repeat("-", n) + "1 }}",
          "{{ " + repeat("not ", n) + "1 }}", "{{ 1" + repeat(" + 1", n) + " }}",
          "{{ a" + repeat(".b", n) + " }}", "{{ a" + repeat("[0]", n) + " }}",
          "{{ a" + repeat("()", n) + " }}", "{{ a" + repeat(" | upper", n) + " }}",
          repeat("{% if a %}", n) + repeat("{% endif %}", n), repeat("{% for a in b %}", n),
          "{{ " + repeat("1 if 1 else ", n) + "1 }}", "{{ 1" + repeat(" if 1", n) + " }}",
          "{{ a is " + repeat("in a", n) + " }}", std::string((1 << 20) + 1, 'a')}) {
        const Outcome outcome = try_render(source, Value::dict());
        EXPECT_TRUE(outcome.raised) << source.substr(0, 60);
    }
    EXPECT_EQ(try_render("{{ ''" + repeat(" ~ 'a'", n) + " }}", Value::dict()).text, repeat("a", n));
}

TEST(Jinja, TextKeepsEveryByte) {
    jinja::Heap heap;
    const jinja::HeapUse use(heap);
    Value context = Value::dict();
    const std::string_view bytes("\0a\xff\xc3(\xed\xa0\x80 \xf4\x90\x80\x80\xe2\x82", 15);
    context.set("s", Value::string(bytes));
    EXPECT_EQ(try_render("{{ s }}", context).text, bytes);
    EXPECT_EQ(try_render("{{ s | list | join }}", context).text, bytes);
    EXPECT_EQ(try_render("{{ s | trim | upper | lower }}", context).text, bytes);
}

TEST(Json, RefusesWhatIsNotJson) {
    jinja::Heap heap;
    const jinja::HeapUse use(heap);
    for (const char* bad : {"", "{", "[1,]", "{\"a\":1,}", "nul", "\"\\ud800\"", "\"\xff\"", "01", "1 2",
                            "[18446744073709551616]", "1e999"})
        EXPECT_THROW(jinja::parse_json(bad, "it"), Error) << bad;
    EXPECT_THROW(jinja::parse_json(std::string("[]\0[", 4), "it"), Error);
    EXPECT_THROW(jinja::parse_json(repeat("[", 100000), "it"), Error);
    EXPECT_THROW(jinja::parse_json(repeat("{\"a\":", 100000), "it"), Error);
    EXPECT_NO_THROW(jinja::parse_json(repeat("[", 150) + repeat("]", 150), "it"));
}

TEST(Json, KeepsOrderAndTypes) {
    jinja::Heap heap;
    const jinja::HeapUse use(heap);
    const std::string json =
        R"({"z": 1, "a": [1.0, -0.5, 1e+20, true, null, "é\u00e9\n"], "z2": {}, "big": 9223372036854775807})";
    std::string out;
    jinja::append_json(out, jinja::parse_json(json, "it"), {});
    EXPECT_EQ(
        out,
        R"({"z": 1, "a": [1.0, -0.5, 1e+20, true, null, "éé\n"], "z2": {}, "big": 9223372036854775807})");
    EXPECT_EQ(jinja::parse_json(R"({"a": 1, "b": 2, "a": 3})", "it").find("a")->to_integer(), 3);
}

}  // namespace
}  // namespace agave::chat
