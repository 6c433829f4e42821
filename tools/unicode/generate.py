#!/usr/bin/env python3
"""Writes src/tokenizer/unicode_data.cpp: general categories and canonical (de)compositions.

Hugging Face `tokenizers` 0.23 matches with an Oniguruma that knows Unicode 16.0, so the tables are made
for that version: from `unicodedata2` 16.0.0 (PyPI), or from Python's own unicodedata where it is 16.0.0.
Its NFC normalizer knows only Unicode 9.0: marks and decompositions that came later are left out when
`tokenizers` itself does not apply them.

    python3 tools/unicode/generate.py > src/tokenizer/unicode_data.cpp
"""
import sys

try:
    import unicodedata2 as unicodedata
except ImportError:
    import unicodedata

from tokenizers.normalizers import NFC

VERSION = "16.0.0"
MARKS = "\u0301\u0323\u0334\u05b0\u3099\u0358\u0361"  # of seven combining classes
# The White_Space property (PropList.txt); its members have no category among L, M, N, P, S.
WHITE_SPACE = {*range(0x09, 0x0E), 0x20, 0x85, 0xA0, 0x1680, *range(0x2000, 0x200B), 0x2028, 0x2029, 0x202F,
               0x205F, 0x3000}
# Numbered as enum class CharClass in unicode.h.
CLASSES = {"Lu": 1, "Ll": 2, "Lt": 3, "Lm": 4, "Lo": 5}
GROUPS = {"M": 6, "N": 7, "P": 8, "S": 9}
SPACE = 10


def char_class(code_point):
    if code_point in WHITE_SPACE:
        return SPACE
    category = unicodedata.category(chr(code_point))
    return CLASSES.get(category) or GROUPS.get(category[0], 0)


def normalizes_alike(text):
    return NFC().normalize_str(text) == unicodedata.normalize("NFC", text)


def combining_class(code_point):
    """0 for marks that the normalizer of `tokenizers` does not know."""
    mark = chr(code_point)
    known = unicodedata.combining(mark) and all(normalizes_alike("q" + mark + other) and
                                                normalizes_alike("q" + other + mark) for other in MARKS)
    return unicodedata.combining(mark) if known else 0


def varint(value):
    out = []
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return out + [value]


def class_runs():
    runs, begin, current = [], 0, char_class(0)
    for code_point in range(1, 0x110001):
        following = char_class(code_point) if code_point < 0x110000 else None
        if following == current:
            continue
        runs += varint((code_point - begin) << 4 | current)
        begin, current = code_point, following
    return runs


def combining_classes():
    out, last, code_point = [], 0, 0
    while code_point < 0x110000:
        ccc = combining_class(code_point)
        if ccc == 0:
            code_point += 1
            continue
        end = code_point
        while combining_class(end) == ccc:
            end += 1
        out += varint(code_point - last) + varint(end - code_point) + [ccc]
        last = code_point = end
    return out


def decompositions():
    out, last = [], 0
    for code_point in range(0x110000):
        text = unicodedata.decomposition(chr(code_point))
        if not text or text.startswith("<"):
            continue
        if not (0xD800 <= code_point < 0xE000 or normalizes_alike(unicodedata.normalize("NFD", chr(code_point)))):
            continue
        parts = [int(part, 16) for part in text.split()]
        decomposed = "".join(map(chr, parts))
        composes = len(parts) == 2 and unicodedata.normalize("NFC", decomposed) == chr(code_point)
        second = parts[1] if len(parts) == 2 else 0
        out += varint(code_point - last) + varint(parts[0]) + varint(second << 1 | composes)
        last = code_point
    return out


def emit(name, comment, data):
    print(f"\n{comment}")
    print(f"const uint8_t {name}[] = {{")
    for i in range(0, len(data), 24):
        print("    " + ", ".join(map(str, data[i:i + 24])) + ",")
    print(f"}};\nconst size_t {name}_size = sizeof({name});")


def main():
    if unicodedata.unidata_version != VERSION:
        sys.exit(f"need the tables of Unicode {VERSION}, found {unicodedata.unidata_version}: "
                 "pip install unicodedata2==16.0.0")
    print(f"// Written by tools/unicode/generate.py from Unicode {VERSION}; do not edit.")
    print('// clang-format off\n#include "tokenizer/unicode_data.h"\n\nnamespace agave {')
    emit("unicode_class_runs", "// varint(run length << 4 | CharClass), from U+0000 to U+10FFFF.", class_runs())
    emit("unicode_combining_classes", "// varint(gap), varint(run length), combining class.", combining_classes())
    emit("unicode_decompositions",
         "// varint(step to the next code point), varint(first), varint(second << 1 | composes again).",
         decompositions())
    print("\n}  // namespace agave")


main()
