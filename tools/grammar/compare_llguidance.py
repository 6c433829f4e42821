"""Masks of random walks, token by token, against PyPI's llguidance on the vocabulary of a tokenizer.json.

    python compare_llguidance.py TOKENIZER_JSON [WALKS] [SEED]     (needs llguidance; grammar_tool in build/dev/bin)

Both write JSON without white space here. Tokens that only one of them allows are counted by the reason that tells
them apart, where one is known (see reason()).
"""
import collections
import json
import random
import re
import struct
import sys

import llguidance
from grammar_client import Client

SCHEMAS = {
    "object": {"type": "object", "properties": {"name": {"type": "string"}, "age": {"type": "integer"},
                                                "ok": {"type": "boolean"}},
               "required": ["name", "age"], "additionalProperties": False},
    "enum": {"type": "array", "items": {"enum": ["red", "green", "bluish", 12, 125, None, True]}, "maxItems": 5},
    "bounded": {"type": "array", "items": {"type": "string", "minLength": 1, "maxLength": 12}, "minItems": 1},
    "range": {"type": "array", "items": {"type": "integer", "minimum": -37, "maximum": 1234}, "minItems": 2},
    "decimal": {"type": "array", "items": {"type": "number", "minimum": 0.25, "maximum": 17.5}, "minItems": 2},
    "pattern": {"type": "array", "items": {"type": "string", "pattern": "^[A-Z]{2}-[0-9]{3,5}(x|yz)*$"}},
    "recursive": {"$defs": {"n": {"type": "object", "properties": {"v": {"type": "integer"},
                                                                  "c": {"type": "array", "items": {"$ref": "#/$defs/n"}}},
                                  "required": ["v", "c"], "additionalProperties": False}}, "$ref": "#/$defs/n"},
    "anyOf": {"anyOf": [{"type": "object", "properties": {"a": {"type": "null"}}, "required": ["a"],
                         "additionalProperties": False}, {"type": "array", "items": {"type": "boolean"}},
                        {"type": "integer"}]},
    "number": {"type": "array", "items": {"type": "number"}},
    "any": {"type": "object"},
}


def byte_level():
    visible = list(range(33, 127)) + list(range(161, 173)) + list(range(174, 256))
    table, n = {}, 0
    for b in range(256):
        if b in visible:
            table[chr(b)] = b
        else:
            table[chr(256 + n)] = b
            n += 1
    return table


def read_vocabulary(path):
    data = json.load(open(path))
    table = byte_level()
    size = max(data["model"]["vocab"].values()) + 1
    tokens = [b""] * size
    for text, i in data["model"]["vocab"].items():
        tokens[i] = bytes(table[c] for c in text)
    for t in data["added_tokens"]:
        if t["id"] < size:
            tokens[t["id"]] = b""
    return tokens + [b"\xff<eos>"]


class Tokens:
    bos_token_id = None

    def __init__(self, tokens):
        self.tokens, self.eos_token_id = tokens, len(tokens) - 1
        self.special_token_ids = [len(tokens) - 1]

    def __call__(self, text):
        return [self.tokens.index(bytes([b])) for b in (text.encode() if isinstance(text, str) else text)]


def bits(mask, n):
    words = struct.unpack(f"<{len(mask) // 4}I", mask)
    return {i for w, word in enumerate(words) if word
            for i in range(32 * w, min(32 * w + 32, n)) if word >> (i - 32 * w) & 1}


def reason(token, ours, text, theirs):
    if ours:
        if len(theirs) == 1:
            return "the text is forced, and llguidance allows the longest token alone"
        if b"\\u" in token or re.search(rb"\\u[0-9a-fA-F]{0,3}$", text):
            return "agave allows every escape of JSON"
        if text.endswith(b"\\") and token.startswith(b"u"):
            return "agave allows every escape of JSON"
        if b"\\/" in token or (text.endswith(b"\\") and token.startswith(b"/")):
            return "agave allows every escape of JSON"
        if re.search(rb"[eE+.]", token) or re.search(rb"[0-9.eE+-]$", text):
            return "numbers: llguidance limits digits"
        if b"\x7f" in token:
            return "agave allows U+007F in strings, as JSON does"
    else:
        if b"\\u" in token or re.search(rb"\\u[0-9a-fA-F]{0,3}$", text) or text.endswith(b"\\"):
            return "llguidance allows halves of surrogate pairs"
    return "unexplained: " + ("only agave" if ours else "only llguidance")


def main():
    tokens = read_vocabulary(sys.argv[1])
    n_walks = int(sys.argv[2]) if len(sys.argv) > 2 else 5
    rng = random.Random(int(sys.argv[3]) if len(sys.argv) > 3 else 1)
    tokenizer = llguidance.LLTokenizer(llguidance.TokenizerWrapper(Tokens(tokens)))
    client, end = Client(), len(tokens) - 1
    client.vocabulary(tokens[:-1] + [b""])
    for name, schema in SCHEMAS.items():
        assert client.compile("C", json.dumps(schema)) is None
        options = {"whitespace_flexible": False, "item_separator": ",", "key_separator": ":"}
        grammar = llguidance.LLMatcher.grammar_from_json_schema(json.dumps({**schema, "x-guidance": options}))
        masks = equal = 0
        reasons = collections.Counter()
        for _ in range(n_walks):
            client.ask("B")
            other, text = llguidance.LLMatcher(tokenizer, grammar), b""
            for _ in range(60):
                mine, theirs = client.ask("M"), other.compute_bitmask()
                a, b = bits(mine, len(tokens)), bits(theirs, len(tokens))
                masks += 1
                equal += a == b
                for t in a ^ b:
                    why = reason(tokens[t], t in a, text, b)
                    reasons[why] += 1
                    if why.startswith("unexplained") and reasons[why] <= 3:
                        print("  ", why, text[-60:], tokens[t])
                both = sorted(a & b)
                if not both:
                    break
                # Sometimes the shortest way on, so that texts come to an end.
                token = rng.choice(both) if rng.random() < 0.6 else min(both, key=lambda t: (len(tokens[t]), rng.random()))
                if end in both and rng.random() < 0.3:
                    break
                if token == end:
                    break
                assert client.ask("A", struct.pack("<i", token)) == b""
                assert other.consume_token(token), other.get_error()
                text += tokens[token]
        print(f"{name}: {masks} masks, {equal} equal; {dict(reasons)}")


if __name__ == "__main__":
    main()
