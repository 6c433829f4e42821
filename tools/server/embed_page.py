#!/usr/bin/env python3
"""Writes the web page, compressed, as a C++ header: embed_page.py PAGE.html OUT.h

Comment lines and indentation are left out before. The hashes are those that a Content-Security-Policy names:
of the one <style> and the one <script> of the page.
"""

import base64
import gzip
import hashlib
import pathlib
import re
import sys


def shrink(text: str) -> str:
    """Without indentation, empty lines and lines that are comments. No literal of the page spans lines."""
    lines = [line.strip() for line in text.splitlines()]
    return "\n".join(line for line in lines if line and not line.startswith("//"))


def main() -> None:
    page = shrink(pathlib.Path(sys.argv[1]).read_text(encoding="utf-8"))
    hashes = {}
    for tag in ("script", "style"):
        found = re.findall(rf"<{tag}>(.*?)</{tag}>", page, re.DOTALL)
        if len(found) != 1:
            sys.exit(f"embed_page.py: the page has {len(found)} <{tag}>, not one")
        hashes[tag] = base64.b64encode(hashlib.sha256(found[0].encode()).digest()).decode()
    packed = gzip.compress(page.encode(), 9, mtime=0)
    rows = [", ".join(map(str, packed[i:i + 24])) for i in range(0, len(packed), 24)]
    pathlib.Path(sys.argv[2]).write_text(
        "#pragma once\n\nnamespace agave::server::web_chat_page {\n\n"
        f'inline constexpr char entity_tag[] = "\\"{hashlib.sha256(packed).hexdigest()[:16]}\\"";\n'
        f'inline constexpr char script_hash[] = "{hashes["script"]}";\n'
        f'inline constexpr char style_hash[] = "{hashes["style"]}";\n'
        "inline constexpr unsigned char gzip[] = {\n" + ",\n".join(rows) + "};\n\n"
        "}  // namespace agave::server::web_chat_page\n")


if __name__ == "__main__":
    main()
