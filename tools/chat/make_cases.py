#!/usr/bin/env python3
"""Renders chat templates with PyPI's jinja2 into the cases that tests/chat reads. Needs jinja2; writes

  tests/data/chat/features.json       small templates, the text of each (or null: jinja2 raises), and their variables
  tests/data/chat/text.json           hashes of Python's case mappings and classes up to U+1FFFF
  tests/data/chat/conversations.json  the conversations that every template of ../shared/templates is tried with
  tests/data/chat/shared.txt          a line for each of those templates: its name and, for each conversation in
                                      order, the FNV-1a hash of the text or - (jinja2 raises)

    tools/chat/make_cases.py [--dump FOLDER]     also writes every text of the shared templates to FOLDER
"""
import json
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import conversations
import features
import oracle

ROOT = pathlib.Path(__file__).resolve().parents[2]
DATA = ROOT / "tests/data/chat"
TEMPLATES = ROOT.parent / "shared/templates"


def fnv1a(text):
    value = 14695981039346656037
    for byte in text.encode():
        value = (value ^ byte) * 1099511628211 % 2**64
    return f"{value:016x}"


def write_features():
    cases = []
    for source in features.cases():
        text = oracle.render(source, features.CONTEXT)
        if " at 0x" in str(text):  # an address
            continue
        cases.append({"template": source, "text": None if isinstance(text, Exception) else text})
    lines = [json.dumps(case, ensure_ascii=False) for case in cases]
    context = json.dumps(features.CONTEXT, ensure_ascii=False)
    (DATA / "features.json").write_text('{"context": ' + context + ',\n"cases": [\n' + ",\n".join(lines) + "\n]}\n")
    print(len(cases), "features,", sum(case["text"] is None for case in cases), "raise")


def write_text():
    letters = [chr(c) for c in range(0x20000) if not 0xD800 <= c < 0xE000]
    classes = "".join(chr(48 + c.isspace() + 2 * c.isalpha() + 4 * c.isdigit() + 8 * c.isprintable()) for c in letters)
    hashes = {"classes": fnv1a(classes), "repr": fnv1a("".join(map(repr, letters)))}
    for method in (str.upper, str.lower, str.title):
        hashes[method.__name__] = fnv1a("".join(map(method, letters)))
    (DATA / "text.json").write_text(json.dumps(hashes, indent=1) + "\n")


def write_shared(dump):
    cases = conversations.CASES
    text = "{\n" + ",\n".join(json.dumps(n) + ": " + json.dumps(c, ensure_ascii=False) for n, c in cases.items()) + "\n}\n"
    (DATA / "conversations.json").write_text(text)
    if not TEMPLATES.is_dir():
        print("no shared templates here; shared.txt stays as it is")
        return
    lines, n_raises = [], 0
    for path in sorted(TEMPLATES.glob("*.jinja")):
        template = oracle.compile(path.read_text())
        hashes = []
        for name, context in cases.items():
            rendered = oracle.render(template, context)
            raises = isinstance(rendered, Exception)
            n_raises += raises
            hashes.append("-" if raises else fnv1a(rendered))
            if dump:
                folder = pathlib.Path(dump)
                folder.mkdir(parents=True, exist_ok=True)
                text = f"RAISES {type(rendered).__name__}: {rendered}" if raises else rendered
                (folder / f"{path.stem}@{name}.txt").write_text(text)
        lines.append(" ".join([path.stem] + hashes))
    (DATA / "shared.txt").write_text("\n".join(lines) + "\n")
    print(len(lines), "templates,", len(cases), "conversations,", n_raises, "raise")


if __name__ == "__main__":
    write_features()
    write_text()
    write_shared(sys.argv[2] if len(sys.argv) > 2 and sys.argv[1] == "--dump" else None)
