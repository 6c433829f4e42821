#!/usr/bin/env python3
"""Writes a GGUF that holds nothing but the vocabulary of a Hugging Face tokenizer.json.

    gguf_from_tokenizer_json.py tokenizer.json out.gguf PRE      byte-level BPE, PRE for tokenizer.ggml.pre
    gguf_from_tokenizer_json.py tokenizer.json out.gguf gemma4   raw BPE with byte fallback
    gguf_from_tokenizer_json.py tokenizer.json out.gguf llama    SentencePiece: scores from the order of the ids

Byte-level ones need no tokenizer library: the tokens, their kinds and the merges are copied as they stand.
"""
import json
import re
import sys

import gguf

NORMAL, UNKNOWN, CONTROL, USER_DEFINED, BYTE = 1, 2, 3, 4, 6


def main():
    source, target, pre = sys.argv[1:]
    with open(source, encoding="utf-8") as file:
        tokenizer = json.load(file)
    model = tokenizer["model"]
    sentencepiece = pre in ("gemma4", "llama")
    texts = {index: text for text, index in model["vocab"].items()}
    types = {}
    for token in tokenizer["added_tokens"]:
        texts[token["id"]] = token["content"]
        types[token["id"]] = CONTROL if token["special"] else USER_DEFINED
    tokens = [texts.get(index, f"[PAD{index}]") for index in range(max(texts) + 1)]
    kinds = [types.get(index, NORMAL) for index in range(len(tokens))]
    if sentencepiece:
        kinds = [BYTE if kind == NORMAL and re.fullmatch("<0x[0-9A-F]{2}>", text) else kind
                 for text, kind in zip(tokens, kinds)]
    unknown = model.get("unk_token")

    writer = gguf.GGUFWriter(target, "llama")
    writer.add_tokenizer_model(pre if sentencepiece else "gpt2")
    if not sentencepiece:
        writer.add_tokenizer_pre(pre)
    writer.add_token_list(tokens)
    writer.add_token_types(kinds)
    if pre == "llama":
        writer.add_token_scores([-float(index) for index in range(len(tokens))])
    else:
        writer.add_token_merges([merge if isinstance(merge, str) else " ".join(merge)
                                 for merge in model["merges"]])
    if unknown in model["vocab"]:
        writer.add_unk_token_id(model["vocab"][unknown])
    writer.add_bos_token_id(0)
    writer.add_add_space_prefix(not sentencepiece)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.close()


main()
