"""Talks to grammar_tool (tests/sampling/grammar_tool.cpp), by default that of build/dev."""
import os
import struct
import subprocess

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
TOOL = os.environ.get("GRAMMAR_TOOL", os.path.join(ROOT, "build/dev/bin/grammar_tool"))


class Client:
    def __init__(self):
        self.process = subprocess.Popen([TOOL, "serve"], stdin=subprocess.PIPE, stdout=subprocess.PIPE)

    def ask(self, kind, data=b""):
        if isinstance(data, str):
            data = data.encode()
        self.process.stdin.write(struct.pack("<I", len(data) + 1) + kind.encode() + data)
        self.process.stdin.flush()
        (size,) = struct.unpack("<I", self.process.stdout.read(4))
        return self.process.stdout.read(size)

    def compile(self, kind, text):
        """None, or why the grammar is refused."""
        answer = self.ask(kind, text)
        return answer.decode() or None

    def matches(self, text):
        answer = self.ask("T", text)
        assert answer in (b"0", b"1"), answer
        return answer == b"1"

    def vocabulary(self, tokens):
        self.ask("V", b"".join(struct.pack("<I", len(t)) + t for t in tokens))
