"""Random texts that tokenizers disagree on: all of Unicode, scripts mixed, spaces, digits, marks, contractions."""
import random
import unicodedata

SPACES = [" ", " ", " ", "  ", "   ", "\t", "\n", "\r\n", "\n\n", "\r", "\u00a0", "\u2003", "\u3000", "\u0085",
          "\u200b", "\u2028", " \n", "\n ", "\u202f", "\x1c", "\x0b"]
WORDS = ["the", "Hello", "WORLD", "don't", "I'LL", "we'Ve", "it'S", "'s", "'\u017f", "'re", "camelCase", "XMLHttp",
         "naïve", "Straße", "übergroß", "λόγος", "Привет", "мир", "你好世界", "こんにちは", "カタカナ", "안녕하세요",
         "नमस्ते", "مرحبا", "สวัสดี", "שלום", "e\u0301", "a\u0328\u0301", "\u1e9b\u0323", "한", "ﬁ", "Ⅷ", "½", "²", "x²",
         "👨‍👩‍👧", "🚀", "👍🏽", "🇩🇪", "...", "!!!", "?!", "//", "/*", "*/", "==", "->", "<b>", "</b>", "<0x0A>", "▁", "▁▁",
         "▁the", "http://a.b/c?d=1", "3.14", "1234567", "0x1F", "$5", "€", "ǅ", "ʰ", "_x_", "#!", "\x00", "\x7f", "\u0378"]


def assigned_code_points():
    return [c for c in range(0x110000) if not 0xD800 <= c < 0xE000 and unicodedata.category(chr(c)) != "Cn"]


class RandomText:
    def __init__(self, seed, extra_words=()):
        self.random = random.Random(seed)
        self.assigned = assigned_code_points()
        self.marks = [c for c in self.assigned if unicodedata.category(chr(c)).startswith("M")]
        self.decomposing = [c for c in self.assigned if unicodedata.decomposition(chr(c))]
        self.extra_words = list(extra_words)

    def code_point(self):
        r = self.random
        kind = r.random()
        if kind < 0.3:
            return chr(r.randrange(0x20, 0x7F))
        if kind < 0.4:
            return chr(r.randrange(0x00, 0x250))
        if kind < 0.5:
            return chr(r.choice(self.marks))
        if kind < 0.55:
            return chr(r.choice(self.decomposing))
        if kind < 0.6:
            c = r.randrange(0x110000)
            return chr(c) if not 0xD800 <= c < 0xE000 else "\ufffd"
        return chr(r.choice(self.assigned))

    def part(self):
        r = self.random
        kind = r.random()
        if kind < 0.25:
            return r.choice(SPACES) * r.choice((1, 1, 1, 2, 3, 7))
        if kind < 0.5:
            return r.choice(WORDS)
        if kind < 0.6:
            return "".join(r.choice("0123456789") for _ in range(r.randrange(1, 9)))
        if kind < 0.65 and self.extra_words:
            return r.choice(self.extra_words)
        if kind < 0.8:
            return "".join(r.choice("abcdefghijklmnopqrstuvwxyzABCDE") for _ in range(r.randrange(1, 12)))
        if kind < 0.9:
            base = r.choice((0x41, 0x61, 0x400, 0x4E00, 0x3040, 0xAC00, 0x900, 0x600, 0x1F300, 0x370, 0x1E00))
            return "".join(chr(base + r.randrange(0x60)) for _ in range(r.randrange(1, 6)))
        return "".join(self.code_point() for _ in range(r.randrange(1, 6)))

    def text(self):
        return "".join(self.part() for _ in range(self.random.randrange(1, 16)))
