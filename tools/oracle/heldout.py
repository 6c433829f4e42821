#!/usr/bin/env python3
"""Other models of the same families: makes many variants of the tiny models, one thing changed at a time, and compares agave with Hugging Face.

    LLAMA_CPP=.../llama.cpp tools/oracle/heldout.py OUT [--agave PROGRAM] [--only PATTERN] [--make-only]

For each variant of variants.py: Hugging Face's logits (float32, eager) of prompts of 5, 33 and 300 tokens and 8 greedy ids against
`agave logits --exact` on the float32 GGUF and on the Hugging Face folder. A folder that is there already is not made again, unless its sizes
changed. A variant may be marked: what llama.cpp's converter cannot say in a GGUF is only compared from the folder, and what released models do
not have may be refused in one sentence, but not computed wrongly. Prints one line for each file; exits 1 when one differs. Needs what generate.py needs.
"""
import argparse
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile
import traceback

import numpy as np

import reference
from families import FAMILIES, PRESETS
from generate import save_folder, write_gguf
from variants import VARIANTS, Variant

ROOT = pathlib.Path(__file__).resolve().parents[2]
LIMITS, GEMMA4_LIMITS = (2e-4, 5e-4, 1e-3), (1e-3, 5e-3, 5e-3)
N_GREEDY = 8


def sizes_of(family: str, variant: Variant) -> dict:
    base = dict(PRESETS[family, "nano"])
    base["config"] = {**base.get("config", {}), **variant.config}
    return {**base, **variant.sizes, "seed": base["seed"] + 40000}


def make(family: str, variant: Variant, folder: pathlib.Path) -> None:
    """Writes the folder, unless it is there with these sizes."""
    sizes = sizes_of(family, variant)
    stamp = folder / "sizes.json"
    text = json.dumps([sizes, variant.only_folder])
    if stamp.is_file() and stamp.read_text() == text:
        return
    shutil.rmtree(folder, ignore_errors=True)
    tiny = FAMILIES[family](sizes)
    tiny.model.eval()
    tokenizer = save_folder(tiny, folder)
    prompts = reference.make_prompts(sizes["seed"] + 1000, tiny.lowest, min(tiny.highest, tokenizer.get_vocab_size()), tiny.bos)
    (folder / "prompts.json").write_text(json.dumps({"prompts": prompts}))
    for i, ids in enumerate(prompts):
        logits = reference.forward(tiny.model, ids)
        reference.write_logits(logits, folder / f"logits_p{i}.npy")
        if i == 1:
            (folder / "greedy.json").write_text(json.dumps(reference.greedy(tiny.model, ids, logits, N_GREEDY)))
    if not variant.only_folder:
        try:
            write_gguf(tiny, folder)
        except Exception as error:  # noqa: BLE001 - the converter fails in many ways
            (folder / "converter.txt").write_text(repr(error))
            (folder / "model-f32.gguf").unlink(missing_ok=True)
    stamp.write_text(text)


def run(agave: pathlib.Path, model: pathlib.Path, ids: list[int], *more: object) -> str:
    with tempfile.NamedTemporaryFile("w", suffix=".json") as tokens:
        json.dump(ids, tokens)
        tokens.flush()
        done = subprocess.run([str(word) for word in (agave, "logits", model, "--exact", "--tokens", f"@{tokens.name}", *more)], capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(f"exit {done.returncode}: {done.stderr.strip()}")
    return done.stdout


def compare(agave: pathlib.Path, folder: pathlib.Path, model: pathlib.Path, limits: tuple[float, ...]) -> tuple[bool, str]:
    differences, fine = [], True
    prompts = json.loads((folder / "prompts.json").read_text())["prompts"]
    for i, (ids, limit) in enumerate(zip(prompts, limits)):
        expected = np.load(folder / f"logits_p{i}.npy")
        with tempfile.NamedTemporaryFile(suffix=".npy") as out:
            run(agave, model, ids, "--last", len(expected), "--out", out.name)
            found = np.load(out.name)
        if found.shape != expected.shape:
            return False, f"logits of the shape {found.shape} instead of {expected.shape}"
        difference = float(np.abs(found - expected).max())
        differences.append(f"{difference:.1e}")
        fine = fine and difference <= limit  # NaN is not fine
    greedy = json.loads((folder / "greedy.json").read_text())
    same = json.loads(run(agave, model, prompts[1], "--greedy", N_GREEDY)) == greedy["ids"]
    if not same:
        differences.append(f"greedy ids differ (smallest margin {greedy['min_margin']:.4f})")
    return fine and (same or greedy["min_margin"] < 0.004), " ".join(differences)


def check(agave: pathlib.Path, family: str, variant: Variant, folder: pathlib.Path) -> bool:
    limits = GEMMA4_LIMITS if family.startswith("gemma4") else LIMITS
    all_fine = True
    for model in (folder / "model-f32.gguf", folder / "hf"):
        if not model.exists() or (variant.only_folder and model.name != "hf"):
            continue
        try:
            fine, line = compare(agave, folder, model, limits)
        except RuntimeError as error:
            line = str(error)
            fine = bool(variant.may_refuse and line.startswith("exit 2") and re.search(variant.may_refuse, line))
        all_fine = all_fine and fine
        print(f"{'ok  ' if fine else 'FAIL'} {family}-{variant.name} {'folder' if model.name == 'hf' else 'GGUF  '} {line}", flush=True)
    if (folder / "converter.txt").is_file():
        print(f"note {family}-{variant.name} GGUF   the converter fails: {(folder / 'converter.txt').read_text()[:150]}", flush=True)
    return all_fine


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--agave", type=pathlib.Path, default=ROOT / "build/release/bin/agave")
    parser.add_argument("--only", default="", help="a regular expression for FAMILY-NAME")
    parser.add_argument("--make-only", action="store_true", help="make the folders and compare nothing")
    arguments = parser.parse_args()
    failed = []
    for family, variant in VARIANTS:
        name = f"{family}-{variant.name}"
        if not re.search(arguments.only, name):
            continue
        try:
            make(family, variant, arguments.out / name)
        except Exception:  # noqa: BLE001 - transformers refuses some configurations
            print(f"note {name} cannot be made: {traceback.format_exc().strip().splitlines()[-1][:200]}", flush=True)
            continue
        if not arguments.make_only and not check(arguments.agave, family, variant, arguments.out / name):
            failed.append(name)
    if failed:
        sys.exit(f"{len(failed)} differ: {' '.join(failed)}")


if __name__ == "__main__":
    main()
