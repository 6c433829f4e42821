#!/usr/bin/env python3
"""Checks a built program: its stripped size against a ceiling, what it is linked with, and what it must not hold.

    binary.py [--ceiling BYTES] [--forbid-streams] PROGRAM

The program itself is left as it is; a stripped copy is measured. Exits 1 when a check fails.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile

# The pieces of libstdc++ that one stray header or call brings in; together about 440 KB.
UNWANTED = re.compile(
    r"\bstd::(?:__cxx11::)?(?:basic_[io]?stream<|basic_iostream<|basic_filebuf<|basic_[io]?stringstream<|"
    r"basic_stringbuf<|basic_regex<|ios_base::|locale::|ctype<|num_put<|num_get<|time_put<|money_put<|"
    r"__detail::_(?:NFA|Compiler|Scanner))")
# What a release binary may load: the C library and its kin. libstdc++ and libgcc are linked in.
LIBRARIES = re.compile(r"(?:libc|libm|libpthread|libdl|librt|ld-linux[-a-z0-9_]*)\.so\.\d+")


def output_of(*command: str) -> str:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


def stripped_size(program: str) -> int:
    with tempfile.TemporaryDirectory() as folder:
        copy = os.path.join(folder, "stripped")
        subprocess.run(["strip", "-o", copy, program], check=True)
        return os.path.getsize(copy)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("program")
    parser.add_argument("--ceiling", type=int, help="the stripped size may not exceed this many bytes")
    parser.add_argument("--forbid-streams", action="store_true", help="no iostream, regex or locale code inside")
    arguments = parser.parse_args()
    failures = []

    size = stripped_size(arguments.program)
    line = f"{arguments.program}: {size:,} bytes stripped"
    if arguments.ceiling:
        line += f" (ceiling {arguments.ceiling:,})"
        if size > arguments.ceiling:
            failures.append(f"{size - arguments.ceiling:,} bytes above the ceiling")
    print(line)

    needed = re.findall(r"\(NEEDED\)\s+Shared library: \[([^\]]+)\]", output_of("readelf", "-dW", arguments.program))
    extra = [library for library in needed if not LIBRARIES.fullmatch(library)]
    if extra:
        failures.append("loads " + ", ".join(extra))

    if arguments.forbid_streams:
        symbols = output_of("nm", "-C", "--defined-only", arguments.program).splitlines()
        if not symbols:
            failures.append("has no symbol table, so its symbols cannot be checked")
        unwanted = sorted({line.split(maxsplit=2)[-1] for line in symbols if UNWANTED.search(line)})
        if unwanted:
            failures.append(f"holds {len(unwanted)} stream, regex or locale symbols, e.g. {unwanted[0]}")

    for failure in failures:
        print(f"{arguments.program}: {failure}")
    sys.exit(1 if failures else 0)


if __name__ == "__main__":
    main()
