#!/usr/bin/env python3
"""Makes tiny models with the logits that Hugging Face computes: folders like those of ../shared/oracle/data.

    LLAMA_CPP=.../llama.cpp tools/oracle/generate.py OUT [NAME...]      NAME is FAMILY-SIZE, e.g. llama-nano; all when none is given

Each folder holds hf/ (config.json, tokenizer, model*.safetensors in bfloat16), model-f32.gguf (by llama.cpp's converter), prompts.json and
prompts.txt, logits_p<i>.npy, greedy.json, tokenizer_cases.json and stats.json; see README.md. Needs PyPI's torch, transformers, tokenizers,
sentencepiece, safetensors and gguf, and a llama.cpp checkout. make_fixtures.py turns folders into the fixtures of tests/engine.
"""
import argparse
import json
import os
import pathlib
import shutil
import time

os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")

import torch
import transformers

import converter
import reference
import tiny_weights
from families import FAMILIES, PRESETS, TinyModel

torch.set_num_threads(1)
torch.set_grad_enabled(False)
transformers.logging.set_verbosity_error()
transformers.logging.disable_progress_bar()


def save_folder(tiny: TinyModel, folder: pathlib.Path):
    """Writes hf/ and tokenizer_cases.json; returns the tokenizer."""
    hf = folder / "hf"
    hf.mkdir(parents=True)
    tiny_weights.save(tiny.model, hf, tiny.shard, tiny.mxfp4)
    tokenizer = tiny.tokenizer.write(hf)
    if tiny.after_save:
        tiny.after_save(hf)
    assert tokenizer.get_vocab_size() <= tiny.sizes["V"], (tokenizer.get_vocab_size(), tiny.sizes["V"])
    return tokenizer


def write_gguf(tiny: TinyModel, folder: pathlib.Path) -> None:
    converter.convert(folder / "hf", folder / "model-f32.gguf", tiny.pre, tiny.converter_arguments, tiny.raw_config)
    if tiny.mxfp4:  # the converter keeps MXFP4 whatever type is asked for
        (folder / "model-f32.gguf").rename(folder / "model-mxfp4.gguf")
        converter.dequantize(folder / "model-mxfp4.gguf", folder / "model-f32.gguf")


def make_folder(family: str, size: str, out: pathlib.Path) -> dict:
    begin = time.time()
    folder = out / f"{family}-{size}"
    if folder.exists():
        shutil.rmtree(folder)
    tiny = FAMILIES[family](dict(PRESETS[family, size]))
    tiny.model.eval()
    tokenizer = save_folder(tiny, folder)

    def prompts_of(k: int) -> list[list[int]]:
        return reference.make_prompts(tiny.sizes["seed"] + 1000 + 7000 * k, tiny.lowest, min(tiny.highest, tokenizer.get_vocab_size()), tiny.bos)
    prompts = prompts_of(0)
    stats = reference.write_reference(tiny.model, prompts, folder, another=lambda i, k: prompts_of(k)[i])
    (folder / "prompts.json").write_text(json.dumps({"prompts": prompts}))
    (folder / "prompts.txt").write_text("\n".join(" ".join(map(str, ids)) for ids in prompts) + "\n")
    for tag, change in tiny.other_readings.items():
        change(tiny.model)
        stats["other_" + tag] = reference.write_reference(tiny.model, prompts, folder, tag + "_")
    write_gguf(tiny, folder)
    stats.update(parameters=sum(weight.numel() for weight in tiny.model.parameters()), sizes=tiny.sizes, seconds=round(time.time() - begin, 1))
    (folder / "stats.json").write_text(json.dumps(stats))
    return stats


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("names", nargs="*", metavar="NAME", default=[f"{family}-{size}" for family, size in PRESETS])
    arguments = parser.parse_args()
    for name in arguments.names:
        family, size = name.rsplit("-", 1)
        if (family, size) not in PRESETS:
            parser.error(f"there is no {name}; there are {', '.join('-'.join(preset) for preset in PRESETS)}")
        print(name, json.dumps(make_folder(family, size, arguments.out)), flush=True)


if __name__ == "__main__":
    main()
