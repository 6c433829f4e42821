#!/usr/bin/env python3
"""Compares agave's tokenizer with Hugging Face's `tokenizers` on random texts.

    compare_random.py TOOL ids GGUF TOKENIZER_JSON [-n 100000]   the ids of whole texts
    compare_random.py TOOL pieces [-n 100000]                    every pre-tokenizer's pieces, against the
                                                                 pattern of its family (no vocabulary needed)
    compare_random.py TOOL nfc [-n 100000]                       normalization form C, against its normalizer

TOOL is the build's bin/tokenizer_tool. Exits with 1 when anything differs.
"""
import argparse
import struct
import subprocess
import sys

from tokenizers import Regex, Tokenizer, normalizers, pre_tokenizers

from random_text import RandomText

CONTRACTION = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
SPACES = r"\s*[\r\n]+|\s+(?!\S)|\s+"
GPT2 = r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+"
LLAMA3 = CONTRACTION + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|" + SPACES
QWEN2 = LLAMA3.replace("{1,3}", "")
QWEN35 = (CONTRACTION + r"|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|" + SPACES)
UPPER, LOWER = r"[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]", r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]"
O200K = (f"[^\\r\\n\\p{{L}}\\p{{N}}]?{UPPER}*{LOWER}+{CONTRACTION}?|[^\\r\\n\\p{{L}}\\p{{N}}]?{UPPER}+{LOWER}*{CONTRACTION}?"
         r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|" + SPACES)
TEKKEN = O200K.replace(CONTRACTION + "?", "").replace("{1,3}", "")
SEED_CODER = CONTRACTION + r"|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1}| ?[^\s\p{L}\p{N}\r\n]+|" + SPACES
DEEPSEEK3 = (r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|"
             + SPACES)
DEEPSEEK_LETTERS = (
    r"\s?["
    "\u0041-\u005a\u0061-\u007a\u00b5\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u01ba\u01bc-\u01bf\u01c4-\u0293"
    "\u0295-\u02af\u0370-\u0373\u0376\u0377\u037b-\u037d\u037f\u0386\u0388-\u038a\u038c\u038e-\u03a1"
    "\u03a3-\u03f5\u03f7-\u0481\u048a-\u052f\u0531-\u0556\u10a0-\u10c5\u13a0-\u13f5\u13f8-\u13fd"
    "\u1c90-\u1cba\u1cbd-\u1cbf\u1d00-\u1d2b\u1d6b-\u1d77\u1d79-\u1d9a\u1e00-\u1f15\u1f18-\u1f1d"
    "\u1f20-\u1f45\u1f48-\u1f4d\u1f50-\u1f57\u1f59\u1f5b\u1f5d\u1f5f-\u1f7d\u1f80-\u1fb4\u1fb6-\u1fbc"
    "\u1fbe\u1fc2-\u1fc4\u1fc6-\u1fcc\u1fd0-\u1fd3\u1fd6-\u1fdb\u1fe0-\u1fec\u1ff2-\u1ff4\u1ff6-\u1ffc"
    "\u2102\u2107\u210a-\u2113\u2115\u2119-\u211d\u2124\u2126\u2128\u212a-\u212d\u212f-\u2134\u2139"
    "\u213c-\u213f\u2145-\u2149\u214e\u2183\u2184\u2c00-\u2c7b\u2c7e-\u2ce4\u2ceb-\u2cee\u2cf2\u2cf3"
    "\ua640-\ua66d\ua680-\ua69b\ua722-\ua76f\ua771-\ua787\ua78b-\ua78e\uab70-\uabbf\ufb00-\ufb06"
    "\ufb13-\ufb17\uff21-\uff3a\uff41-\uff5a\U00010400-\U0001044f\U000104b0-\U000104d3"
    "\U000104d8-\U000104fb\U00010c80-\U00010cb2\U00010cc0-\U00010cf2\U000118a0-\U000118df"
    "\U0001e900-\U0001e943"
    "]+")
CJK = r"[一-龥ࠀ-一가-퟿]+"
# The stages of one pre-tokenizer of each kind.
PATTERNS = {
    "gpt-2": [GPT2], "llama-bpe": [LLAMA3], "qwen2": [QWEN2], "qwen35": [QWEN35], "smollm": [r"\p{N}", GPT2],
    "gpt-4o": [O200K], "tekken": [TEKKEN], "seed-coder": [SEED_CODER], "bloom": [r" ?[^(\s|.,!?…。，、।۔،)]+"],
    "deepseek-llm": [r"[\r\n]", DEEPSEEK_LETTERS, r"\s?[!-/:-~！-／：-～‘-‟　-。]+", r"\s+$", CJK, r"\p{N}+"],
    "deepseek-coder": [r"[\r\n]", r"\s?\p{L}+", r"\s?\p{P}+", CJK, r"\p{N}"],
    "deepseek-v3": [r"\p{N}{1,3}", r"[一-龥぀-ゟ゠-ヿ]+", DEEPSEEK3],
}


def ask(command, texts):
    data = b"".join(struct.pack("<I", len(text)) + text for text in texts)
    out = subprocess.run(command, input=data, stdout=subprocess.PIPE, check=True).stdout
    at, answers = 0, []
    for _ in texts:
        count, = struct.unpack_from("<I", out, at)
        answers.append(list(struct.unpack_from(f"<{count}i", out, at + 4)))
        at += 4 + 4 * count
    return answers


def report(what, texts, ours, theirs, show=None):
    different = [i for i in range(len(texts)) if ours[i] != theirs[i]]
    print(f"{what}: {len(texts)} texts, {len(different)} differ", flush=True)
    for i in sorted(different, key=lambda i: len(texts[i]))[:5]:
        print("  ", ascii(texts[i]), "\n    ours  ", show(ours[i]) if show else ours[i], "\n    theirs",
              show(theirs[i]) if show else theirs[i])
    return len(different)


def compare_ids(args):
    reference = Tokenizer.from_file(args.tokenizer_json)
    special = [token.content for token in reference.get_added_tokens_decoder().values()]
    random_text = RandomText(args.seed, [token for token in special if token not in args.without])
    texts = [random_text.text() for _ in range(args.n)]
    theirs = [encoding.ids for encoding in reference.encode_batch(texts, add_special_tokens=False)]
    ours = ask([args.tool, "encode", args.gguf], [text.encode() for text in texts])
    return report(args.gguf, texts, ours, theirs, lambda ids: [reference.id_to_token(i) for i in ids])


def compare_pieces(args):
    different = 0
    random_text = RandomText(args.seed)
    texts = [random_text.text() for _ in range(args.n)]
    for name, stages in PATTERNS.items():
        reference = pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(stage), "isolated") for stage in stages])
        theirs = [[len(piece.encode()) for piece, _ in reference.pre_tokenize_str(text)] for text in texts]
        ours = ask([args.tool, "split", name], [text.encode() for text in texts])
        different += report(name, texts, ours, theirs)
    return different


def compare_nfc(args):
    random_text = RandomText(args.seed)
    texts = [random_text.text() for _ in range(args.n)] + [chr(c) for c in random_text.assigned]
    texts += [chr(c) + chr(random_text.random.choice(random_text.marks)) for c in random_text.marks]
    ours = [bytes(answer) for answer in ask([args.tool, "nfc"], [text.encode() for text in texts])]
    theirs = [normalizers.NFC().normalize_str(text).encode() for text in texts]
    return report("NFC", texts, ours, theirs)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("tool")
    modes = parser.add_subparsers(dest="mode", required=True)
    for mode in ("ids", "pieces", "nfc"):
        sub = modes.add_parser(mode)
        if mode == "ids":
            sub.add_argument("gguf")
            sub.add_argument("tokenizer_json")
            sub.add_argument("--without", action="append", default=[], help="a special token that the GGUF lacks")
        sub.add_argument("-n", type=int, default=100000)
        sub.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    sys.exit(1 if {"ids": compare_ids, "pieces": compare_pieces, "nfc": compare_nfc}[args.mode](args) else 0)


if __name__ == "__main__":
    main()
