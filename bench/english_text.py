#!/usr/bin/env python3
"""Writes a public-domain English text for perplexity: the opening of Jane Austen's "Emma" (1815).

The text is Project Gutenberg's, out of copyright, as Debian's package r-cran-janeaustenr (whose own code is
MIT) carries it; the package is downloaded with apt-get and unpacked, not installed.

    english_text.py [--words 20000] [--book emma] OUT.txt
"""

import argparse
import pathlib
import struct
import subprocess
import sys
import tempfile
import zlib

BOOKS = {"sensesensibility", "prideprejudice", "mansfieldpark", "emma", "northangerabbey", "persuasion"}

# Types of R's serialisation format (R Internals, section 1.8).
CHARSXP, STRSXP = 9, 16


def strings_of(serialised: bytes) -> list[str] | None:
    """The elements of one serialised character vector; None for any other object."""
    if serialised[:2] != b"X\n":
        return None
    version = struct.unpack_from(">i", serialised, 2)[0]
    at = 14
    if version >= 3:
        at += 4 + struct.unpack_from(">i", serialised, at)[0]
    flags, count = struct.unpack_from(">ii", serialised, at)
    at += 8
    if flags & 0xFF != STRSXP:
        return None
    lines = []
    for _ in range(count):
        flags, length = struct.unpack_from(">ii", serialised, at)
        at += 8
        if flags & 0xFF != CHARSXP:
            return None
        lines.append(serialised[at : at + max(length, 0)].decode("utf-8"))
        at += max(length, 0)
    return lines


def character_vectors(database: bytes) -> list[list[str]]:
    """All character vectors of an R lazy-load database: zlib streams, each after its unpacked length."""
    found, at = [], 0
    while at + 4 < len(database):
        stream = zlib.decompressobj()
        serialised = stream.decompress(database[at + 4 :])
        lines = strings_of(serialised)
        if lines is not None:
            found.append(lines)
        at = len(database) - len(stream.unused_data)
    return found


def book(name: str) -> list[str]:
    """The lines of one novel."""
    with tempfile.TemporaryDirectory() as folder:
        fetch = subprocess.run(["apt-get", "download", "-q", "r-cran-janeaustenr"], cwd=folder,
                               capture_output=True, text=True)
        packages = list(pathlib.Path(folder).glob("*.deb"))
        if not packages:
            sys.exit(f"english_text.py: apt-get could not download r-cran-janeaustenr: {fetch.stderr.strip()}")
        subprocess.run(["dpkg-deb", "-x", packages[0], folder], check=True)
        data = pathlib.Path(folder) / "usr/lib/R/site-library/janeaustenr/data/Rdata.rdb"
        vectors = character_vectors(data.read_bytes())
    key = "".join(c for c in name if c.isalpha())
    for lines in vectors:
        if "".join(c for c in lines[0].lower() if c.isalpha()).replace("and", "") == key:
            return lines
    sys.exit(f"english_text.py: the package holds no novel named {name}: {[v[0] for v in vectors]}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out")
    parser.add_argument("--words", type=int, default=20000)
    parser.add_argument("--book", choices=sorted(BOOKS), default="emma")
    arguments = parser.parse_args()
    kept, n_words = [], 0
    for line in book(arguments.book):
        words = line.split()
        if n_words + len(words) >= arguments.words:
            kept.append(" ".join(words[: arguments.words - n_words]))
            break
        n_words += len(words)
        kept.append(line)
    pathlib.Path(arguments.out).write_text("\n".join(kept) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
