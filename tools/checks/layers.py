#!/usr/bin/env python3
"""Checks the direction of includes in src/: a folder includes only itself and the folders before it.

Also refused: headers that pull the stream, regex or locale machinery of libstdc++ into the binary, and
relative or folder-less includes of our own headers. Prints each offending line; exits 1 when there is one.
"""

import pathlib
import re
import sys

# From the ground up. A backend may include `backends` itself and its own folder, not another backend's.
ORDER = ["base", "quant", "formats", "tokenizer", "chat", "graph", "models", "vision", "kv", "backends",
         "sampling", "engine", "hub", "server", "cli"]
FORBIDDEN = {"iostream", "istream", "ostream", "fstream", "sstream", "iomanip", "locale", "regex", "strstream",
             "syncstream", "codecvt", "format"}
INCLUDE = re.compile(r'^\s*#\s*include\s*([<"])([^>"]+)[>"]')


def problem(folder: str, backend: str | None, opening: str, target: str) -> str | None:
    """What is wrong with one include in a file of `folder`; None when it is fine."""
    if opening == "<":
        return f"<{target}> adds stream or locale code to the binary" if target in FORBIDDEN else None
    parts = target.split("/")
    if parts[0] not in ORDER:
        return f'"{target}" does not begin with a folder of src/'
    if ORDER.index(parts[0]) > ORDER.index(folder):
        return f"{folder}/ may not include from {parts[0]}/, which lies above it"
    if folder == "backends" and parts[0] == "backends" and len(parts) > 2 and parts[1] != backend:
        return f"the {backend} backend may not include from the {parts[1]} backend"
    return None


def check(root: pathlib.Path) -> tuple[int, list[str]]:
    """The number of files read below root/src, and one line for each offence."""
    n_files, offences = 0, []
    for path in sorted((root / "src").rglob("*")):
        if path.suffix not in {".h", ".cpp", ".inc", ".cu", ".mm"}:
            continue
        n_files += 1
        inner = path.relative_to(root / "src").parts
        if inner[0] not in ORDER:
            offences.append(f"{path.relative_to(root)}: src/{inner[0]} is not in the list of folders")
            continue
        backend = inner[1] if inner[0] == "backends" and len(inner) > 2 else None
        for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
            match = INCLUDE.match(line)
            found = match and problem(inner[0], backend, match[1], match[2])
            if found:
                offences.append(f"{path.relative_to(root)}:{number}: {found}")
    return n_files, offences


def main() -> None:
    root = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else pathlib.Path(__file__).parents[2])
    n_files, offences = check(root)
    for offence in offences:
        print(offence)
    if not n_files:
        sys.exit(f"layers.py: no source file below {root / 'src'}")
    if offences:
        sys.exit(1)
    print(f"includes: {n_files} files, all include downwards only")


if __name__ == "__main__":
    main()
