#!/usr/bin/env python3
"""Writes tests/data/tokenizer: vocabularies of the oracle's tiny models without their weights, their cases
(ids by Hugging Face), and pieces of each pre-tokenizer's pattern (by Hugging Face `tokenizers`).

    make_fixtures.py ../shared/oracle/data tests/data/tokenizer
"""
import json
import os
import sys

import gguf
from tokenizers import Regex, pre_tokenizers

from compare_random import PATTERNS
from random_text import SPACES, WORDS, RandomText

MODELS = {"llama-nano": "model-bf16.gguf", "llamaspm-nano": "model-f32.gguf", "gemma3-nano": "model-f32.gguf",
          "gemma4e-nano": "model-f32.gguf", "qwen3-nano": "model-f32.gguf", "qwen35-nano": "model-f32.gguf",
          "gptoss-nano": "model-f32.gguf", "glm4-nano": "model-f32.gguf"}


def write_vocabulary(source, target):
    reader = gguf.GGUFReader(source)
    architecture = reader.fields["general.architecture"].contents()
    writer = gguf.GGUFWriter(target, architecture)
    for key, field in reader.fields.items():
        if not key.startswith("tokenizer.") or key == "tokenizer.chat_template":
            continue
        kind = field.types[0]
        if kind == gguf.GGUFValueType.ARRAY:
            writer.add_key_value(key, field.contents(), kind, sub_type=field.types[1])
        else:
            writer.add_key_value(key, field.contents(), kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()


def pieces():
    random_text = RandomText(3)
    texts = [random_text.text()[:60] for _ in range(25)]
    texts += [" ".join(WORDS[i:i + 9]) for i in range(0, len(WORDS), 9)]
    texts += ["".join(SPACES[i:i + 4]) + "x" for i in range(0, len(SPACES), 4)]
    texts += ["Hello World! It's a TEST; we'LL go.\n\n  def f(x1, y22):\n\treturn 1234567 // 3\r\n"]
    cases = []
    for name, stages in PATTERNS.items():
        splitter = pre_tokenizers.Sequence([pre_tokenizers.Split(Regex(stage), "isolated") for stage in stages])
        for text in texts:
            lengths = [len(piece.encode()) for piece, _ in splitter.pre_tokenize_str(text)]
            cases.append({"name": name, "text": text, "ids": lengths})
    return cases


def main():
    source, target = sys.argv[1:]
    os.makedirs(target, exist_ok=True)
    for model, file in MODELS.items():
        write_vocabulary(f"{source}/{model}/{file}", f"{target}/{model}.gguf")
        with open(f"{source}/{model}/tokenizer_cases.json", encoding="utf-8") as cases:
            texts = [json.dumps(case, ensure_ascii=False, separators=(",", ":")) for case in json.load(cases)]
        with open(f"{target}/{model}.json", "w", encoding="utf-8") as out:
            out.write("[\n" + ",\n".join(texts) + "\n]\n")
    with open(f"{target}/pieces.json", "w", encoding="utf-8") as out:
        out.write("[\n" + ",\n".join(json.dumps(case, separators=(",", ":")) for case in pieces()) + "\n]\n")


main()
