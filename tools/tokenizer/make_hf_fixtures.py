#!/usr/bin/env python3
"""Writes tests/data/tokenizer/hf: tokenizer.json files as Hugging Face folders hold them, with the ids that the
`tokenizers` library gives for them.

    make_hf_fixtures.py ../shared/oracle/data tests/data/tokenizer/hf

Beside the families' own there are variants of one part each: a Metaspace pre-tokenizer, tokens that take the space
beside them, an NFC normalizer, merges spelled as texts, a template of two tokens.
"""
import json
import os
import shutil
import sys

from tokenizers import AddedToken, Tokenizer, normalizers, pre_tokenizers, processors

FAMILIES = ["llama-nano", "llama-kq", "llamaspm-nano", "gemma3-nano", "gemma4e-nano", "qwen3-nano", "qwen35-nano",
            "gptoss-nano", "glm4-nano", "nemotronh-nano"]
SPACED = ["{a}", " {a} ", "x {a}  y", "x\n{a}\t\u00a0\u3000y", "{a}{b}", "{a} {b}", " {a}  {b} \n", "{a}\n\n{a}", "  {b}", "▁{a}▁x",
          "a▁b", "▁", "▁ ▁", " ▁", "▁▁▁ x"]


def metaspace(scheme):
    def change(tokenizer):
        tokenizer.normalizer = None
        tokenizer.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme=scheme, split=False)
    return change


def strip(tokenizer):
    tokenizer.add_special_tokens([AddedToken("<left>", lstrip=True, normalized=False), AddedToken("<right>", rstrip=True, normalized=False),
                                  AddedToken("<both>", lstrip=True, rstrip=True, normalized=False)])


def nfc(tokenizer):
    tokenizer.normalizer = normalizers.Sequence([normalizers.NFC()])


def no_nfc(tokenizer):
    tokenizer.normalizer = None


def prefix(tokenizer):
    pair = [(token, tokenizer.token_to_id(token)) for token in ("[gMASK]", "<sop>")]
    tokenizer.post_processor = processors.Sequence([
        processors.ByteLevel(trim_offsets=False),
        processors.TemplateProcessing(single="[gMASK] <sop> $A", pair="[gMASK] <sop> $A $B", special_tokens=pair)])


VARIANTS = {"metaspace-first": ("llamaspm-nano", metaspace("first")), "metaspace-always": ("llamaspm-nano", metaspace("always")),
            "metaspace-never": ("llamaspm-nano", metaspace("never")), "strip": ("qwen3-nano", strip), "nfc": ("llama-nano", nfc),
            "no-nfc": ("qwen35-nano", no_nfc), "prefix": ("glm4-nano", prefix)}


def write(folder, tokenizer, document, texts):
    os.makedirs(folder, exist_ok=True)
    with open(f"{folder}/tokenizer.json", "w", encoding="utf-8") as out:
        json.dump(document, out, ensure_ascii=False, separators=(",", ":"))
    cases = [{"text": text, "ids": tokenizer.encode(text, add_special_tokens=False).ids} for text in texts]
    with open(f"{folder}/cases.json", "w", encoding="utf-8") as out:
        out.write("[\n" + ",\n".join(json.dumps(case, ensure_ascii=False, separators=(",", ":")) for case in cases) + "\n]\n")


def main():
    source, target = sys.argv[1:]

    def texts_of(model):
        with open(f"{source}/{model}/tokenizer_cases.json", encoding="utf-8") as file:
            return [case["text"] for case in json.load(file)]

    for model in FAMILIES:
        path = f"{source}/{model}/hf/tokenizer.json"
        with open(path, encoding="utf-8") as file:
            document = json.load(file)
        if model == "llama-kq":  # the spelling of files from before 2024
            document["model"]["merges"] = [" ".join(merge) for merge in document["model"]["merges"]]
        write(f"{target}/{model}", Tokenizer.from_file(path), document, texts_of(model))
    for name, (model, change) in VARIANTS.items():
        tokenizer = Tokenizer.from_file(f"{source}/{model}/hf/tokenizer.json")
        change(tokenizer)
        document = json.loads(tokenizer.to_str())
        special = [token["content"] for token in document["added_tokens"]]
        texts = texts_of(model) + [text.format(a=a, b=b) for text in SPACED for a, b in zip(special[-3:], special[-3:][1:] + special[:1])]
        write(f"{target}/{name}", tokenizer, document, texts)
    # The same two families from SentencePiece's own file: equal to their tokenizer.json on these texts.
    for model in ("llamaspm-nano", "gemma3-nano"):
        folder = f"{target}/{model}-model"
        os.makedirs(folder, exist_ok=True)
        shutil.copy(f"{source}/{model}/hf/tokenizer.model", f"{folder}/tokenizer.model")
        shutil.copy(f"{target}/{model}/cases.json", f"{folder}/cases.json")
        with open(f"{source}/{model}/hf/tokenizer_config.json", encoding="utf-8") as file:
            config = json.load(file)
        with open(f"{folder}/tokenizer_config.json", "w", encoding="utf-8") as out:
            json.dump({key: config[key] for key in ("bos_token", "eos_token", "unk_token", "added_tokens_decoder")}, out)


main()
