"""Small templates, each for one feature of Jinja or Python that chat templates use or may use."""

CONTEXT = {
    "name": "World", "n": 3, "x": 2.5, "t": True, "none_value": None, "empty": "",
    "items_list": [3, 1, 2], "words": ["banana", "Apple", "cherry"],
    "d": {"b": 1, "a": 2, "items": "own", "C": None},
    "users": [{"name": "ann", "age": 31, "city": {"zip": 1}}, {"name": "Bob", "age": 25, "city": {"zip": 2}},
              {"name": "cid", "age": 31}],
    "text": "  Hello, Wörld! \n", "html": "<a href='x'>\"&\"</a>", "long": "The quick brown fox jumps over the lazy dog",
    "nested": {"a": [{"b": {"c": [10, 20]}}]}, "big": 9007199254740993, "neg": -7,
    "mixed": [1, "a", None, 2.5, True, [1], {"k": "v"}],
}

# Expressions: each becomes {{ ... }}.
EXPRESSIONS = r'''
1 + 2 * 3 - 4
7 / 2
8 / 2
7 // 2
-7 // 2
7 // -2
-7 % 3
7 % -3
7.5 // 2
-7.5 // 2
-7.5 % 2
7.5 % -2
2 ** 10
2 ** -1
2 ** 0.5
2 ** 3 ** 2
-2 ** 2
(-2) ** 2
0 ** 0
1 / 3
1e16
1e15
123456789012345680.0
0.1 + 0.2
1e-5
0.0001
1.0
-0.0
1e300 * 1e10
100000000000000000000.0
3.0e-10
5 // 0
5 % 0
5 / 0
9223372036854775807
0x1F
0b101
0o17
1_000_000
1_0.5_0
"a" + "b"
"a" + 1
"a" ~ 1 ~ none ~ true ~ 2.0
"ab" * 3
3 * "ab"
"ab" * -1
[1] * 3
[1] + [2]
(1,) + (2,)
[1] + (2,)
"a" - "b"
none + 1
true + 1
true + true
-true
+5
-"a"
not 0
not not 1
1 and 2
0 and 2
0 or "x"
"" or none or []
1 == 1.0
1 == true
"1" == 1
none == none
[1, 2] == [1, 2]
[1, 2] == (1, 2)
{"a": 1} == {"a": 1.0}
1 < 2 < 3
1 < 3 < 2
3 > 2 >= 2
1 < "a"
"a" < "b"
"Z" < "a"
[1, 2] < [1, 3]
[1] < [1, 0]
none < 1
undefined_name < 1
undefined_name == undefined_other
undefined_name == none
undefined_name != 1
undefined_name + 1
"a" + undefined_name
undefined_name ~ "a"
undefined_name.foo
undefined_name["foo"]
undefined_name
undefined_name | length
undefined_name | list
undefined_name | upper
undefined_name | string
undefined_name | tojson
undefined_name | int
undefined_name | join(",")
undefined_name()
undefined_name[1:]
undefined_name in [1]
1 in undefined_name
undefined_name is sequence
undefined_name is iterable
undefined_name is callable
undefined_name is mapping
d.missing is defined
d.missing
d.missing.more
[d.missing]
none.foo
none.foo.bar
n.foo
name.foo
name["foo"]
d.a
d["a"]
d.items
d["items"]
d.items()
d["keys"]() | list
d.get("a")
d.get("zz")
d.get("zz", 5)
d.get("zz", default=5)
d.get("C", 5)
d.keys()
d.values()
d.items() | list
d.copy()
d.pop("a")
d.update({})
d.clear is defined
d.setdefault
items_list.append(4)
items_list.pop()
items_list.index(1)
items_list.index(9)
items_list.count(1)
items_list.copy()
items_list[0]
items_list[-1]
items_list[5]
items_list["0"]
items_list[1.0]
items_list[true]
items_list.0
nested.a[0].b.c[1]
nested["a"][0]["b"]["c"][-1]
nested.a.0.b.c.1
name[0]
name[-1]
name[99]
name[1:3]
name[::-1]
name[::2]
name[-3:]
name[:-3]
name[10:]
name[3:1]
name[1:none]
name["a":]
text[8:12]
items_list[1:]
items_list[::-1]
items_list[5:0:-2]
items_list[-100:100]
items_list[::0]
d[1:]
(1, 2, 3)[1:]
range(10)[2:8:2] | list
range(5)
range(1, 10, 3)
range(0)
range(5) | list
range(10, 0, -3) | list
range(5)[-1]
range(200000)
range(1.5)
range("a")
range(1, 2, 0)
dict(a=1, b=2)
dict([["a", 1]])
dict({"x": 1}, y=2)
dict(d)
dict(1)
{"a": 1, "b": [1, 2.5, none, true, "s"]}
{1: "a", none: "b", true: "c", 2.5: "d"}
{"a": 1, "a": 2}
{[1]: 2}
{(1, 2): 3}
[1, (2,), (), [], {}]
("a",)
("a", 'b"', "c'", "d'\"", "\n\t\\")
["é", "\x07", "\u200b", "\u00ad", "😀", "\x7f"]
"\x41\u00e9\U0001F600\101\q"
'it''s'
"a" "b" 'c'
1 if true else 2
1 if false
(1 if false) is defined
1 if false else 2 if false else 3
"x" if n > 2 and not empty else "y"
"a" in "abc"
"" in "abc"
1 in "abc"
none in "abc"
"a" in d
"z" not in d
1 in items_list
[1] in items_list
1 in d.values()
("a", 2) in d.items()
[1] in d
1 in 5
not 1 in items_list
name is string
name is not string
n is number
x is float
n is integer
t is integer
t is number
t is boolean
none is none
none is not none
d is mapping
d is iterable
d is sequence
items_list is sequence
items_list is iterable
name is sequence
name is iterable
n is iterable
range(3) is sequence
d.items() is sequence
d.items() is iterable
items_list | map("upper") is iterable
items_list | map("upper") is sequence
n is odd
n is even
x is odd
name is odd
n is divisibleby 3
n is divisibleby(2)
n is divisibleby 0
n is eq 3
n is equalto 3
n is ne 3
n is lt 5
n is lessthan 5
n is gt 5
n is ge 3
n is le 3
n is greaterthan 2
n is in [1, 3]
"a" is in "abc"
n is sameas 3
none is sameas none
true is sameas 1
t is true
t is false
1 is true
name is lower
"abc" is lower
"ABC" is upper
"123" is upper
"" is lower
name is callable
range is callable
namespace is callable
d.items is callable
"upper" is filter
"nope" is filter
"odd" is test
name is escaped
(name | safe) is escaped
n is nosuchtest
n | nosuchfilter
n is defined and n is number
not n is defined
name is defined()
n is string or n is number
n is number and name is string
n is string if false else n is number
name | upper
name | lower
name | length
name | count
name | first
name | last
name | reverse
name | list
name | capitalize
"hELLO wORLD" | capitalize
"hello-world foo(bar [baz {qux <quux" | title
"they're bill's 2nd" | title
"ß ŉ ǆ" | title
name | replace("o", "0")
name | replace("o", "0", 1)
name | replace("", "-")
"aaa" | replace("a", "b", count=2)
123 | replace(2, "x")
name | center(11)
name | center(12)
name | center
text | trim
text | trim("\n ")
"xxaxx" | trim("x")
"xxaxx" | trim(chars="x")
none | trim
n | upper
none | upper
long | truncate(20)
long | truncate(20, true)
long | truncate(20, false, "…")
long | truncate(40)
long | truncate(42, leeway=0)
long | truncate(2)
long | wordcount
"a-b c_d é'x" | wordcount
"1" | int
" 42 " | int
"4_2" | int
"42.9" | int
"abc" | int
"abc" | int(7)
"abc" | int(default=-1)
"ff" | int(0, 16)
"0xff" | int(0, 16)
"0xff" | int(base=0)
"0b11" | int(0, 2)
"12" | int(base=99)
"-5" | int
"+5" | int
"- 5" | int
"1e3" | int
"inf" | int
"nan" | int(3)
3.9 | int
-3.9 | int
none | int
none | int(5)
[] | int
true | int
"" | int
"1.5" | float
"abc" | float
"abc" | float(2.5)
"1e5" | float
"inf" | float
"-Infinity" | float
"nan" | float
" 1_0.5 " | float
none | float
3 | float
3.7 | round
3.2 | round
2.5 | round
3.5 | round
2.675 | round(2)
42.55 | round(1, "floor")
42.55 | round(1, "ceil")
42.55 | round(method="ceil")
42 | round
42 | round(2)
1234.5678 | round(-2)
1234 | round(-2)
3.7 | round | int
3.7 | round(1, "nope")
"a" | round
-3 | abs
-3.5 | abs
"a" | abs
true | abs
[1, 2, 3] | sum
[1.5, 2] | sum
[] | sum
["a"] | sum
["a"] | sum(start="")
[[1], [2]] | sum(start=[])
users | sum("age")
users | sum(attribute="age", start=10)
items_list | min
items_list | max
[] | min
words | min
words | max
words | min(true)
users | min(attribute="age")
users | max(attribute="name")
[1, "a"] | max
items_list | sort
items_list | sort(reverse=true)
words | sort
words | sort(case_sensitive=true)
words | sort(true)
users | sort(attribute="age") | map(attribute="name") | list
users | sort(attribute="age,name", reverse=true) | map(attribute="name") | list
users | sort(attribute="city.zip")
[1, "a"] | sort
[none, 1] | sort
[[2, 1], [1, 2]] | sort
d | sort
d | dictsort
d | dictsort(true)
d | dictsort(by="value")
{"a": 2, "b": 1} | dictsort(by="value")
{"a": 2, "b": 1} | dictsort(false, "value", true)
{"a": 2, "b": 1} | dictsort(reverse=true)
d | dictsort(by="nope")
none | dictsort
["a", "b", "A", "c", "b"] | unique | list
["a", "A"] | unique(true) | list
users | unique(attribute="age") | map(attribute="name") | join(",")
[[1], [1]] | unique | list
items_list | first
items_list | last
[] | first
[] | last
d | first
d | last
items_list | map("string") | first
items_list | map("string") | last
items_list | reverse | list
items_list | reverse
d | reverse | list
5 | reverse
items_list | join
items_list | join(", ")
items_list | join(d=", ")
users | join(", ", attribute="name")
users | join(", ", "age")
5 | join
"abc" | join("-")
[none, true, 1.0] | join("|")
d | join(",")
words | map("upper") | list
words | map("replace", "a", "o") | list
words | map("nope") | list
words | map
words | map("length") | sum
users | map(attribute="name") | list
users | map(attribute="city.zip") | list
users | map(attribute="city") | list
users | map(attribute="city", default="none") | list
users | map(attribute="city.zip", default=0) | list
users | map(attribute="name", foo=1) | list
[[1, 2], [3, 4]] | map(attribute=1) | list
[[1, 2], [3, 4]] | map(attribute="0") | list
[[1, 2], [3, 4]] | map("sum") | list
[1, 2, 3, 4] | select("odd") | list
[1, 2, 3, 4] | select("divisibleby", 2) | list
[1, 0, 2, none] | select | list
[1, 2, 3, 4] | reject("odd") | list
[1, 0, none] | reject | list
[1, 2] | select("nope") | list
users | selectattr("age", "equalto", 31) | map(attribute="name") | list
users | selectattr("city") | list | length
users | selectattr("city", "defined") | list | length
users | rejectattr("city", "defined") | list | length
users | selectattr("age", ">", 30) | list | length
users | selectattr("name", "in", ["ann"]) | list
users | selectattr | list
users | selectattr("age") | length
"abc" | select("in", "ab") | list
[1, 2, 3, 4, 5] | batch(2) | list
[1, 2, 3, 4, 5] | batch(2, "x") | list
[1, 2, 3, 4, 5] | batch(0) | list
[1, 2, 3, 4, 5] | slice(2) | list
[1, 2, 3, 4, 5] | slice(3, "x") | list
[1, 2] | slice(0) | list
users | groupby("age")
users | groupby("age") | list
users | groupby("city", default="x") | list
["a", "b"] | groupby("0") | list
d | items | list
undefined_name | items | list
none | items | list
d | list
d | length
n | length
none | length
none | list
5 | list
[1, 2] | truncate(3)
undefined_name | truncate
range(4) in {"a": 1}
"a" % range(4)
d[([1],)]
d[[1]]
{range(2): 3}[range(2)]
name | default("x")
undefined_name | default("x")
undefined_name | default
undefined_name | d("y")
empty | default("x")
empty | default("x", true)
none | default("x")
none | default("x", boolean=true)
none | default("x", true, 3)
d.missing | default({"a": 1})
d.missing.foo | default("x")
name | string
n | string | length
none | string
html | escape
html | e
html | escape | escape
html | forceescape
html | safe | escape
html | safe
(html | safe) + html
html + (html | safe)
(html | safe) ~ html
(html | e) ~ html
[html | safe]
(html | safe) * 2
(html | safe) | upper
(html | safe).replace("a", "<")
(html | safe) | replace("a", "<")
(html | safe)[0] + "<"
("<%s>" | safe) % html
("<%s>" | safe) % (html,)
("<{}>" | safe).format(html)
("," | safe).join(["<", "b"])
[("<" | safe), "<"] | join
("a,b" | safe).split(",")
("<b>" | safe) == "<b>"
(("<b>" | safe) ~ "") is escaped
"a b&c/d" | urlencode
{"a b": "c&d", "é": 1} | urlencode
[["a", "b/c"]] | urlencode
5 | urlencode
"%s and %d" | format("a", 3)
"%(a)s" | format(a=1)
"%s" | format
"%s" | format("a", "b")
"%s" | format("a", b=1)
"%s" % "a"
"%s %s" % ("a", 1)
"%s" % ["a"]
"%s" % ("a",)
"%s" % none
"%s" % undefined_name
"%d" % 3.9
"%d" % "a"
"%5d|%-5d|%05d|%+d|% d" % (42, 42, 42, 42, 42)
"%x %X %o %#x" % (255, 255, 8, 255)
"%.2f %8.3f %-8.1f| %e %g %G" % (3.14159, 3.14159, 3.14159, 12345.678, 0.00001, 1e20)
"%5s|%-5s|%.2s" % ("ab", "ab", "abcdef")
"%r %a" % ("a'b", "x")
"%c%c" % ("a", 98)
"%%" % ()
"100%" % ()
"%(a)s %(b)05.1f" % {"a": 1, "b": 2.25}
"%*d" % (5, 3)
"%y" % 1
"%s %s" % "a"
"a" % 1
"a" % ()
"a" % {}
"a" % [1]
"{} {}".format("a", 1)
"{0} {1} {0}".format("a", "b")
"{a} {b}".format(a=1, b=none)
"{:>5}|{:<5}|{:^5}|{:*^7}".format("a", "b", "c", "d")
"{:5d}|{:<5d}|{:05d}|{:+d}|{:,}|{:_}".format(42, 42, 42, 42, 1234567, 1234567)
"{:.2f}|{:8.3f}|{:e}|{:g}|{:%}|{:.1%}".format(3.14159, 3.14159, 12345.678, 0.00001, 0.25, 0.255)
"{:x} {:X} {:o} {:b} {:#x} {:c}".format(255, 255, 8, 5, 255, 65)
"{!r} {!s}".format("a", "b")
"{0[a]} {0[b]}".format({"a": 1, "b": 2})
"{0[1]}".format([1, 2])
"{0.name}".format(users[0])
"{{}} {}".format(1)
"{:{}}|".format("a", 5)
"{:.3}|{:10.2}|".format("abcdef", "abcdef")
"{:,.2f}".format(1234567.891)
"{}".format()
"{a}".format()
"{} {0}".format(1, 2)
"{".format()
"}".format()
"{:d}".format("a")
"{:s}".format(5)
"{:d}".format(2.5)
"{:5}|{:5}|{}".format(true, 2.5, none)
"{:5}".format(none)
"{:=+7d}".format(42)
"{:.0f} {:.1f}".format(2.5, 0.05)
name.upper()
name.lower()
name.title()
"hello wORLD it's".title()
"hELLO".capitalize()
"hELLO".swapcase()
"Straße".upper()
"ΑΣ ΣΑΣ".lower()
"İI".lower()
"ﬁ ǆ ŉ".upper()
text.strip()
text.lstrip()
text.rstrip()
"xxhixx".strip("x")
"xyhiyx".strip("xy")
"xyhiyx".lstrip("xy")
"xyhiyx".rstrip("xy")
"\u3000a\u00a0".strip() == "a"
"a,b,,c".split(",")
"a,b,,c".split(",", 1)
"a,b,,c".split(sep=",", maxsplit=2)
"a,b,,c".rsplit(",", 1)
" a  b c ".split()
" a  b c ".split(none, 1)
" a  b c ".split(maxsplit=2)
" a  b c ".rsplit(none, 1)
" a  b c ".rsplit(none, 5)
"".split()
"".split(",")
"abc".split("")
"a".split(1)
"a\nb\r\nc\rd\n\ne".splitlines()
"a\nb\n".splitlines(true)
"a\x0bb\x1cc\u2028d\x85e".splitlines()
"abc".partition("b")
"abc".partition("x")
"abcbd".rpartition("b")
"abc".rpartition("x")
"abc".startswith("ab")
"abc".startswith(("x", "a"))
"abc".startswith("b", 1)
"abc".startswith("")
"abc".startswith("c", 5)
"abc".startswith(1)
"abc".startswith(["a"])
"abc".endswith("bc")
"abc".endswith(("x", "c"))
"abc".endswith("b", 0, 2)
"abc".find("c")
"abc".find("x")
"äbcäbc".find("ä", 1)
"abcabc".rfind("b")
"abc".index("c")
"abc".index("x")
"abcabc".rindex("b")
"banana".count("a")
"banana".count("ana")
"banana".count("")
"banana".count("a", 2)
"banana".count("a", -3, -1)
"banana".replace("a", "o")
"banana".replace("a", "o", 2)
"banana".replace("", "-")
"banana".replace("", "-", 3)
"".replace("", "x")
"äö".replace("", ".")
"banana".replace("a", 1)
",".join(["a", "b"])
",".join("abc")
",".join([1])
"".join([])
"abc".zfill(5)
"-42".zfill(6)
"abc".ljust(5) ~ "|"
"abc".rjust(5, "*")
"abc".center(6, "*")
"abcd".center(7, "*")
"a\tb".expandtabs()
"a\tb".expandtabs(4)
"abc".removeprefix("a")
"abc".removesuffix("c")
"abc".isalpha()
"abc1".isalpha()
"äé".isalpha()
"123".isdigit()
"²".isdigit()
"12a".isdigit()
"".isdigit()
"abc1".isalnum()
"abc".islower()
"ABC".isupper()
"Abc Def".istitle()
" \t".isspace()
"abc".isascii()
"é".isascii()
"abc".isidentifier()
"1bc".isidentifier()
"12".isdecimal()
"12".isnumeric()
"abc".nosuch()
name.__class__
d.__len__
"" .__class__.__mro__
d._private
"a".encode("utf8") and 1
"ß".casefold() and 1
{"a": 1} | tojson
d | tojson
mixed | tojson
mixed | tojson(indent=2)
{"a": [], "b": {}, "c": [1, {"d": 2}]} | tojson(indent=4)
{"a": 1} | tojson(indent=0)
{"a": 1} | tojson(indent="\t")
{"a": 1} | tojson(separators=(",", ":"))
{"a": 1, "b": [1, 2]} | tojson(indent=1, separators=(", ", " = "))
{"b": 1, "a": 2} | tojson(sort_keys=true)
{"b": 1, 1: 2} | tojson(sort_keys=true)
{1: "a", true: "b", none: "c", 2.5: "d"} | tojson
{(1, 2): 3} | tojson
"é\"\\\n\t\x00\x1f\x7f\u2028</script>" | tojson
"é😀\u2028" | tojson(ensure_ascii=true)
"é" | tojson(true)
[1.0, 1e100, 1e-7, -0.0, 123456789.123] | tojson
("a", 1) | tojson
range(3) | tojson
d.items() | tojson
(words | map("upper")) | tojson
undefined_name is undefined
none | tojson
true | tojson
"a" | tojson | tojson
html | tojson
(html | safe) | tojson
big
big + 1
big * big
9223372036854775807 + 1
-9223372036854775807 - 2
2 ** 63
2 ** 62
neg % 3
neg // 2
cycler("a", "b").next()
joiner(",")()
namespace(a=1).a
namespace(a=1)["a"]
namespace(a=1).b
namespace({"x": 1}).x
namespace(a=1)
strftime_now("%Y-%m-%d")
strftime_now("%d %b %Y %H:%M:%S %A %B %j %%")
strftime_now("")
strftime_now(5)
raise_exception("stop")
raise_exception()
lipsum is defined and 1
self is defined and 1
text | indent
"a\nb\n\nc" | indent
"a\nb\n\nc" | indent(2)
"a\nb\n\nc" | indent(2, true)
"a\nb\n\nc" | indent(2, blank=true)
"a\nb\n" | indent("> ")
"a\nb\n" | indent(width=2, first=true)
"" | indent
5 | indent
1000 | filesizeformat
1 | filesizeformat
999 | filesizeformat
123456789 | filesizeformat
123456789 | filesizeformat(true)
1500000000000000 | filesizeformat
d | attr("items")
d | attr("a")
d | attr("nope")
name | attr("upper")
name | upper | lower | title
-1 | abs
(-1) | abs
2 + 3 | string
"a" ~ 1 + 2
1 + 2 ~ "a"
1 ~ 2 * 3
"a" if 1 == 1 else "b" ~ "c"
[1, 2, 3][1]
{"a": 1}["a"]
{"a": {"b": 2}}.a.b
("x", "y")[1]
"abc"[1]
"abc".upper()[0]
"a-b".split("-")[1] | upper
(1, 2) + (3,) | list
not none
true
True
False
None
none
[,]
[1,]
{"a": 1,}
(1 2)
1 +
"unclosed
}}
a b
.5
5.
1..2
d.
d.["a"]
d[]
f(a=1, 2)
f(*[1], *[2])
f(a=1, a=2)
dict(**{"a": 1})
dict(*[[["a", 1]]])
dict(**{1: 2})
dict(**5)
range(*[1, 4]) | list
words | join(*["-"])
words | join(**{"d": "+"})
x is not none and x is not string
1 is odd is even
n is gt 2 and n is lt 4
n not in [1]
not n in [1]
n is not in [1]
loop
loop.index
"é" == "e\u0301"
"\u00e9" | length
"😀" | length
"👋🏽" | list | length
"日本語"[1]
"日本語"[::-1]
"日本語" | reverse
"日本語" | first
"日本語" | last
"日本語".find("語")
"日本語" | truncate(2, true, "", 0)
"日本語".center(7, "＊")
"%-6s|" % "日本"
"{:>4}".format("日本")
3.14 | string
1e22 | string
123456.789e3
0.1
1/3
100.0 | int
1.5e3 | int
7.0 // 2.0
7.0 % 2.5
-0.5 | round
0.5 | round
1.5 | round | int
1 if undefined_name else 0
1 if undefined_name is defined and undefined_name.x else 0
undefined_name.x if undefined_name is defined else "no"
'''

STATEMENTS = [
    # if
    "{% if n > 2 %}yes{% endif %}", "{% if n > 5 %}a{% elif n > 2 %}b{% else %}c{% endif %}", "{% if false %}x{% endif %}",
    "{% if n %}{% if empty %}a{% else %}b{% endif %}{% endif %}", "{% if %}x{% endif %}", "{% if n %}x", "{% endif %}",
    "{% if n %}x{% endfor %}", "{% if n: %}colon{% endif %}", "{% if 1, 2 %}tuple{% endif %}",
    # for
    "{% for i in items_list %}{{ i }},{% endfor %}", "{% for i in [] %}x{% else %}empty{% endfor %}",
    "{% for i in items_list if i > 1 %}{{ loop.index }}:{{ i }} {% endfor %}",
    "{% for i in items_list if i > 9 %}{{ i }}{% else %}none{% endfor %}",
    "{% for i in items_list if i > 1 %}{{ loop.length }}{{ loop.last }}{{ loop.revindex }} {% endfor %}",
    "{% for k, v in d.items() %}{{ k }}={{ v }};{% endfor %}", "{% for k in d %}{{ k }}{% endfor %}",
    "{% for a, b in [[1, 2], [3, 4]] %}{{ a }}-{{ b }} {% endfor %}", "{% for a, b in [[1, 2, 3]] %}{{ a }}{% endfor %}",
    "{% for (a, b), c in [[[1, 2], 3]] %}{{ a }}{{ b }}{{ c }}{% endfor %}", "{% for c in 'abc' %}{{ c }}.{% endfor %}",
    "{% for i in 5 %}{% endfor %}", "{% for i in none %}{% endfor %}", "{% for i in undefined_name %}x{% else %}none{% endfor %}",
    "{% for i in range(3) %}{{ loop.index0 }}{{ loop.revindex }}{{ loop.revindex0 }}{{ loop.first }}{{ loop.last }}{{ loop.length }} {% endfor %}",
    "{% for i in items_list %}{{ loop.previtem }}<{{ i }}>{{ loop.nextitem }} {% endfor %}",
    "{% for i in items_list %}{{ loop.previtem is defined }}{{ loop.nextitem is defined }} {% endfor %}",
    "{% for i in range(5) %}{{ loop.cycle('a', 'b') }}{% endfor %}", "{% for i in range(2) %}{{ loop.cycle() }}{% endfor %}",
    "{% for i in [1, 1, 2, 2, 1] %}{% if loop.changed(i) %}{{ i }}{% endif %}{% endfor %}",
    "{% for i in range(2) %}{% for j in range(2) %}{{ loop.index }}{% endfor %}{{ loop.index }} {% endfor %}",
    "{% for i in range(2) %}{% set outer = loop %}{% for j in range(2) %}{{ outer.index }}{{ loop.index }} {% endfor %}{% endfor %}",
    "{% for i in range(3) %}{{ loop.depth }}{{ loop.depth0 }}{{ loop.nope }}{% endfor %}", "{% for i in range(3) %}{{ loop['index'] }}{% endfor %}",
    "{% for i in range(10) %}{% if i == 2 %}{% continue %}{% endif %}{% if i == 5 %}{% break %}{% endif %}{{ i }}{% endfor %}",
    "{% for i in range(3) %}{% break %}{% else %}else{% endfor %}", "{% for i in range(3) %}{% if i == 1 %}{% break %}{% endif %}{% else %}else{% endfor %}", "{% for i in range(3) %}{% continue %}{% else %}else{% endfor %}", "{#", "x{% raw %}", "{% break %}", "{% continue %}",
    "{% for i in range(3) %}{% macro m() %}{% break %}{% endmacro %}{% endfor %}",
    "{% for i in range(2) %}{% for j in [] %}{% else %}{% break %}{% endfor %}{{ i }}{% endfor %}",
    "{% for loop in range(2) %}{{ loop }}{% endfor %}", "{% for i in range(2) %}{% set loop = 1 %}{{ loop }}{% endfor %}",
    "{% for i in items_list | sort %}{{ i }}{% endfor %}", "{% for i in items_list | sort if i != 2 %}{{ i }}{% endfor %}",
    "{% for i in items_list if i is odd %}{{ i }}{% endfor %}", "{% for i in 1, 2, 3 %}{{ i }}{% endfor %}",
    "{% for x in x %}{{ x }}{% endfor %}", "{% for n in range(n) %}{{ n }}{% endfor %}{{ n }}",
    "{% for i in words | map('upper') %}{{ loop.length }}{{ i }} {% endfor %}",
    "{% set g = words | map('upper') %}{% for i in g %}{{ i }}{% break %}{% endfor %}{{ g | list }}{{ g | list }}",
    "{% set g = words | map('upper') %}{{ g | first }}{{ g | first }}{{ g | list }}{{ g | first }}",
    "{% set ns = namespace(c=0) %}{% for i in range(6) if ns.c < 2 %}{% set ns.c = ns.c + 1 %}{{ i }}{% endfor %}",
    "{% for i in range(3) %}{% for i in 'ab' %}{{ i }}{% endfor %}{{ i }}{% endfor %}",
    "{% for u in users %}{{ u.name }}{% if not loop.last %}, {% endif %}{% endfor %}", "{% for i in range(2) %}{{ loop }}{% endfor %}x" if False else "",
    "{% set ns = namespace() %}{% macro m() %}{% set a = 1 %}{% set b = 2 %}{% for i in [1, 2, 3] if i > a %}{% set ns.l = loop %}{% break %}{% endfor %}{% endmacro %}"
    "{{ m() }}{% macro z(p, q, r) %}{% endmacro %}{{ z(9, 9, 9) }}{{ ns.l.length }}{{ ns.l.last }}{{ ns.l.nextitem }}",
    "{% set ns = namespace() %}{% macro m(a) %}{% macro inner() %}{{ a }}{% endmacro %}{% set ns.f = inner %}{% endmacro %}{{ m(1) }}{% set g = ns.f %}{{ m(2) }}{{ g() }}{{ ns.f() }}",
    "{% for a.b in [1] %}{% endfor %}", "{% for 1 in [1] %}{% endfor %}", "{% for i range(3) %}{% endfor %}", "{% for i in range(3) %}",
    "{% for i in range(3) recursive %}{{ i }}{% endfor %}" if False else "",
    # set and scopes
    "{% set a = 1 %}{{ a }}", "{% set a, b = 1, 2 %}{{ a }}{{ b }}", "{% set a = 1, 2 %}{{ a }}", "{% set (a, b) = [1, 2] %}{{ a + b }}",
    "{% set a, b = 1 %}", "{% set a, b = [1] %}", "{% set 1 = 2 %}", "{% set none = 2 %}", "{% set a.b = 2 %}", "{% set d.b = 2 %}", "{% set d['b'] = 2 %}",
    "{% set ns = namespace(x=1) %}{% set ns.x = ns.x + 1 %}{% set ns.y = 'new' %}{{ ns.x }}{{ ns.y }}",
    "{% set ns = namespace() %}{% for i in range(3) %}{% set ns.last = i %}{% endfor %}{{ ns.last }}",
    "{% set ns = namespace() %}{% set ns.a, ns.b = 1, 2 %}{{ ns.a }}{{ ns.b }}", "{% set ns = namespace() %}{% set ns.self = ns %}{{ ns.self.self.self is defined }}",
    "{% set a = 1 %}{% for i in range(2) %}{% set a = a + 1 %}{{ a }}{% endfor %}{{ a }}",
    "{% for i in range(2) %}{% set a = i %}{% endfor %}{{ a }}", "{% if true %}{% set a = 5 %}{% endif %}{{ a }}",
    "{% if false %}{% set n = 5 %}{% endif %}{{ n }}", "{% if false %}{% set a = 5 %}{% else %}{% set a = 6 %}{% endif %}{{ a }}",
    "{{ n }}{% set n = 9 %}{{ n }}", "{% for i in [1] %}{{ n }}{% endfor %}{% set n = 9 %}{{ n }}", "{% set n = n + 1 %}{{ n }}",
    "{% for i in [1, 2] %}{% for j in [1] %}{{ n }}{% endfor %}{% set n = 7 %}{% endfor %}{{ n }}",
    "{% for i in [1, 2] %}{% if i == 2 %}{% set n = 7 %}{% endif %}{{ n }}{% endfor %}",
    "{% for i in [1, 2] %}{{ n }}{% set n = n + 10 %}{{ n }} {% endfor %}", "{% set n %}block {{ n }}{% endset %}{{ n }}",
    "{% set a %}  x {{ name }}\n{% endset %}[{{ a }}]", "{% set a | upper | trim %} x {% endset %}[{{ a }}]", "{{ name }}{% set a | replace('x', name) %} x {% endset %}[{{ a }}]",
    "{% set a %}{% set b = 3 %}{{ b }}{% endset %}{{ a }}{{ b }}", "{% set a, b %}x{% endset %}", "{% set ns = namespace() %}{% set ns.t %}text{% endset %}{{ ns.t }}",
    "{% set messages = messages if messages is defined else [1] %}{{ messages }}", "{% set x = x if x is defined else 5 %}{{ x }}",
    "{% set a = undefined_name %}{{ a is defined }}", "{% set range = 5 %}{{ range }}", "{% set a = {} %}{% set a = dict(a, b=1) %}{{ a }}",
    "{% with a = 1, b = 2 %}{{ a }}{{ b }}{% endwith %}{{ a }}", "{% with %}{% set a = 1 %}{{ a }}{% endwith %}{{ a }}", "{% with n = n + 1 %}{{ n }}{% endwith %}{{ n }}",
    "{% with a = 1, b = a %}{{ b }}{% endwith %}", "{% with a, b = [1, 2] %}{{ b }}{% endwith %}",
    # macros
    "{% macro m(a, b=2) %}{{ a }}{{ b }}{% endmacro %}{{ m(1) }}{{ m(1, 3) }}{{ m(b=5, a=4) }}", "{% macro m(a) %}[{{ a }}]{% endmacro %}{{ m() }}{{ m(none) }}",
    "{% macro m(a) %}{{ a is defined }}{% endmacro %}{{ m() }}", "{% macro m(a) %}{% endmacro %}{{ m(1, 2) }}", "{% macro m(a) %}{% endmacro %}{{ m(b=1) }}",
    "{% macro m(a) %}{{ a }}{% endmacro %}{{ m(1, a=2) }}", "{% macro m() %}{{ varargs }}{{ kwargs }}{% endmacro %}{{ m(1, 2, c=3) }}",
    "{% macro m(a) %}{{ kwargs }}{% endmacro %}{{ m(1, x=2) }}", "{% macro m(a, b=a) %}{{ b }}{% endmacro %}{{ m(4) }}", "{% macro m(a=b, b=1) %}{{ a }}{% endmacro %}{{ m() }}",
    "{% macro m(a=1, b) %}{% endmacro %}", "{% macro m(a, a) %}{% endmacro %}", "{% macro m(n) %}{% if n > 0 %}{{ n }}{{ m(n - 1) }}{% endif %}{% endmacro %}{{ m(5) }}",
    "{{ m(1) }}{% macro m(a) %}{{ a }}{% endmacro %}", "{% macro m() %}{{ n }}{% endmacro %}{% set n = 8 %}{{ m() }}", "{% macro m() %}{% set n = 8 %}{{ n }}{% endmacro %}{{ m() }}{{ n }}",
    "{% macro m() %}{{ zz }}{% endmacro %}{{ m() }}{% set zz = 1 %}{{ m() }}", "{% macro a() %}{{ b() }}{% endmacro %}{% macro b() %}B{% endmacro %}{{ a() }}",
    "{% macro m(x) %}{{ x }}{% endmacro %}{{ m(m(m(1))) }}", "{% macro m(x) %} {{ x }} {% endmacro %}{{ m(1) | trim }}|{{ m(2) ~ m(3) }}", "{% macro m() %}{% endmacro %}{{ m.name }}{{ m is callable }}",
    "{% macro outer() %}{% macro inner(x) %}<{{ x }}{{ y }}>{% endmacro %}{% set y = 2 %}{{ inner(1) }}{% endmacro %}{{ outer() }}",
    "{% for i in range(2) %}{% macro m() %}{{ i }}{% endmacro %}{{ m() }}{% endfor %}", "{% macro m(l) %}{% for i in l %}{{ loop.index }}{{ i }}{% endfor %}{% endmacro %}{{ m('ab') }}",
    "{% macro m(a, *args) %}{% endmacro %}", "{% macro m(none) %}{% endmacro %}", "{% macro m %}{% endmacro %}", "{{ m() }}", "{% macro m(a) %}{{ a.b.c }}{% endmacro %}{{ m({'b': {'c': 1}}) }}",
    "{% macro m() %}<{{ caller() }}>{% endmacro %}{% call m() %}inner {{ n }}{% endcall %}", "{% macro m() %}{{ caller(1, 2) }}{% endmacro %}{% call(a, b) m() %}{{ a }}+{{ b }}{% endcall %}",
    "{% macro m() %}x{% endmacro %}{% call m() %}y{% endcall %}", "{% macro m() %}{{ caller }}{% endmacro %}{{ m() }}", "{% macro m() %}{{ caller() }}{% endmacro %}{{ m() }}",
    "{% macro m() %}{{ caller is defined }}{% endmacro %}{{ m() }}", "{% macro m(caller) %}{{ caller() }}{% endmacro %}", "{% macro m(caller=none) %}{{ caller is none }}{% endmacro %}{{ m() }}",
    "{% macro m(a) %}{{ a }}{{ caller() }}{% endmacro %}{% for i in range(2) %}{% call m(i) %}[{{ i }}]{% endcall %}{% endfor %}", "{% call n %}{% endcall %}", "{% call name.upper() %}x{% endcall %}",
    "{% macro m() %}{{ caller() }}{{ caller() }}{% endmacro %}{% call m() %}{% set q = 1 %}{{ q }}{% endcall %}{{ q }}",
    "{% filter upper %}hello {{ name }}{% endfilter %}", "{% filter replace('a', 'b') | upper %}banana{% endfilter %}", "{% filter trim %}  x  {% endfilter %}|", "{% filter nope %}x{% endfilter %}",
    "{% filter indent(2) %}a\nb\n{% endfilter %}|", "{% filter upper %}{% set q = 'x' %}{{ q }}{% endfilter %}{{ q }}",
    "{% generation %}x{{ n }}{% endgeneration %}", "{% for i in range(2) %}{% generation %}{{ i }}{{ loop.index }}{% set q = i %}{% endgeneration %}{{ q }}{% endfor %}", "{% generation %}", "{% for i in [1] %}{% generation %}{% break %}{% endgeneration %}{% endfor %}",
    "{% print n %}", "{% print n, name %}", "{% do n %}", "{% include 'x' %}", "{% import 'x' as y %}", "{% extends 'x' %}", "{% nope %}", "{% %}", "{{ }}", "{{}}", "{%%}", "{% raw %}",
    # whitespace
    "a\n{% if true %}\nb\n{% endif %}\nc\n", "a\n  {% if true %}  \n  b\n  {% endif %}  \nc\n\n", "a  {%- if true -%}  b  {%- endif -%}  c", "a\n\n{{- name -}}\n\nb", "  {{ name }}\n  {{ name }}\n",
    "a\n    {%+ if true %}\nb\n    {%+ endif +%}\nc", "{% if true +%}\nx\n{%- endif %}\ny", "a {# comment #} b", "a\n  {# comment #}\nb", "a\n  {#- comment -#}\n  b", "a {#+ x +#}\nb", "{# multi\nline {{ x }} {% y %} #}z", "{# open",
    "{% raw %}{{ x }}{% if %}{% endraw %}", "{% raw -%}\n  {{ x }}\n{%- endraw %}\nz", "a\n  {% raw %}\n  x\n  {% endraw %}\nb", "a {%- raw %} x {% endraw -%} b", "{%- raw -%} x {%- endraw -%}",
    "a\r\nb\rc\n", "a\n", "a\n\n", "\n", "", "\n\na", "{{ 'a\r\nb' }}", "{{ name }}\n", "{{ name -}}\n\n", "x {{- ' ' }} y", "{{ ' ' -}} y", "{{name}}{{name}}", "{ {x} }", "{{ '{{' }}{{ '}}' }}{{ '{%' }}", "{{ {'a': {'b': 1}} }}",
    "{{ {'a': {'b': 1}}['a']['b'] }}", "{%if n%}x{%endif%}", "{%   if   n   %}x{%   endif   %}", "{%- for i in [1, 2] -%}\n  {{ i }}\n{%- endfor -%}\nend", "{% for i in [1, 2] %}\n  {{ i }}\n{% endfor %}\nend",
    "{% set a = 1 %}\n{% set b = 2 %}\n\n{{ a }}{{ b }}", "\u00a0{%- if true %}x{% endif -%}\u3000y", "a\t{% if true %}\t\nx{% endif %}", "  \t{% if true %}x{% endif %}  \t{# c #}", "x\n \t {% if true %}y{% endif %}", "{{ n }}\n{{- n }}", "{{ n }}  \n  {%- set q = 1 %}  \n  {{- n }}",
    "{# a #}{# b #}\n{# c #}\nx", "{% if true %}{# c #}\n{% endif %}\n\nx", "{{ n }} {% raw %} {% endraw %} {{ n }}", "{{ 1 }}{{- 2 -}} {{ 3 }}", "{{ -1 }}", "{{-1}}", "{{+1}}", "{{- -1}}", "{{ n -1 }}", "{{n-1-}}", "line{% if true %}\n\n{% endif %}\n\nend",
    "{% for i in [1] %}{% endfor %}\n{{ loop }}", "{{ 'single\\'s' }}{{ \"double\\\"s\" }}", "{{ 'new\\nline' }}", "{{ 'tab\there' }}",
    "{{ a.b", "{{ 'x' }", "{% if n }}", "{{ n %}", "{{ (n }}", "{{ n) }}", "{{ [n} }}", "{{ n ! }}", "{{ n $ }}", "{{ n && n }}", "{{ n; n }}", "{{ ~n }}", "{{ n ~ }}", "{{ 'é' ~ é }}", "{{ ü }}{% set ü = 1 %}{{ ü }}",
    "{{ cycler }}x" if False else "", "{% set c = cycler('a', 'b', 'c') %}{% for i in range(5) %}{{ c.next() }}{{ c.current }}{% endfor %}{% set r = c.reset() %}{{ c.next() }}", "{% set j = joiner() %}{% for i in range(3) %}{{ j() }}{{ i }}{% endfor %}", "{% set j = joiner('|') %}{{ j() }}{{ j() }}{{ j() }}",
    "{{ raise_exception('a ' ~ n) }}", "{% if false %}{{ raise_exception('x') }}{% endif %}ok", "{% if false %}{{ n | nope }}{% endif %}ok", "{% if true %}{{ n | nope }}{% endif %}", "{{ (n | nope) if false else 1 }}", "{% if false %}{% for i in [1] %}{{ n | nope }}{% endfor %}{% endif %}", "{% if n is nope %}{% endif %}",
    "{% for i in [1] if i is nope %}{% endfor %}", "{{ 1 if n is nope else 2 }}", "{% macro m() %}{{ n | nope }}{% endmacro %}",
    "{% for u in users | groupby('age') %}{{ u.grouper }}:{{ u.list | map(attribute='name') | join('+') }};{% endfor %}", "{% for age, group in users | groupby('age') %}{{ age }}{{ group | length }}{% endfor %}",
    "{% for row in range(7) | batch(3, '-') %}{{ row | join(' ') }};{% endfor %}", "{% for k, v in d | dictsort %}{{ k }}{% endfor %}", "{% for k, v in d | items %}{{ k }}{% endfor %}", "{% for i in d.items() | sort(attribute='0') %}{{ i[0] }}{% endfor %}",
    "{% set f = name.upper %}{{ f() }}", "{% set f = range %}{{ f(2) | list }}", "{{ (d.get)('a') }}", "{{ [name.upper][0]() }}", "{{ d.items is defined }}{{ d.itemz is defined }}", "{% if d.items %}t{% endif %}{% if d['itemz'] %}t{% endif %}",
    "{% set s = namespace(t='') %}{% for w in words %}{% set s.t = s.t ~ w[0] %}{% endfor %}{{ s.t }}", "{{ '%s' | format(none) }}{{ '{}'.format(true) }}", "{{ undefined_name.x | default('y') }}", "{% if undefined_name.x is defined %}{% endif %}", "{% if d.x.y is defined %}{% endif %}", "{% if d.x is defined and d.x.y %}{% endif %}ok",
    "{{ users | map(attribute='name') | map('upper') | map('first') | join }}", "{{ users[0].items() | list }}", "{{ users[-1]['name'] }}", "{{ users | length }}{{ users | first }}", "{{ mixed }}", "{{ mixed | string }}", "{{ nested }}", "{{ t ~ none_value ~ x ~ n }}", "{{ [t, none_value, x] }}", "{{ d == {'b': 1, 'a': 2, 'items': 'own', 'C': none} }}",
]

# Templates that jinja2 accepts but this interpreter refuses on purpose are not here: recursive loops, lipsum,
# include, import, extends and block, random, urlize, wordwrap, striptags, xmlattr, pprint, str.encode.
# Python's integers do not end; here they have 64 bits.
REFUSED_ON_PURPOSE = ("encode(", "lipsum", "self is", "big * big", "2 ** 63", "9223372036854775807 + 1",
                      "9223372036854775807 - 2", "casefold")


def cases():
    for line in EXPRESSIONS.strip().split("\n"):
        if not any(part in line for part in REFUSED_ON_PURPOSE):
            yield "{{ " + line + " }}"
    yield "{{ 'a\\\nb' }}"
    for source in STATEMENTS:
        if source != "":
            yield source
    yield ""
