#!/usr/bin/env python3
"""Checks that every relative link in the repository's Markdown files leads to a file or folder."""

import pathlib
import re
import subprocess
import sys

LINK = re.compile(r"\]\(([^)#\s]+)(?:#[^)]*)?\)")


def main() -> None:
    root = pathlib.Path(__file__).resolve().parents[2]
    files = subprocess.run(["git", "-C", root, "ls-files", "--", "*.md"], check=True, capture_output=True, text=True).stdout
    broken = 0
    for name in files.splitlines():
        path = root / name
        for target in LINK.findall(path.read_text(encoding="utf-8")):
            if "://" not in target and not (path.parent / target).exists():
                print(f"{name}: no such file: {target}")
                broken += 1
    if broken:
        sys.exit(1)
    print(f"links: {len(files.splitlines())} Markdown files, every relative link leads somewhere")


if __name__ == "__main__":
    main()
