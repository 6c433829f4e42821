#!/usr/bin/env python3
"""Compares the logits and greedy ids of `agave logits` with the oracle's, model by model.

    tools/oracle/compare_logits.py [--agave PROGRAM] [--shared FOLDER] [NAME...]

Float32 files and the SafeTensors folders that they were made of are compared with Hugging Face's logits, with --exact:
the largest absolute difference over the last positions of the prompts of 5, 33 and 300 tokens may be 1e-4, 1e-4 and
1e-3 (more for Gemma 4), and the 32 greedy ids must be equal. Quantised files are
compared with the logits of their exactly decoded weights: the rms over the stored prompts may be 1.1 times that of
llama.cpp (qref.json). It is that of rounding activations to int8, so over these few rows it scatters by some percent.
Prints one line for each file; exits 1 when a limit is passed. Needs numpy.
"""

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

import numpy as np

ROOT = pathlib.Path(__file__).resolve().parents[2]
MODELS = ["llama-nano", "llama-kq", "llamaspm-nano", "qwen3-nano", "gemma3-nano", "gemma3-kq", "gemma3v-nano",
          "nemotronh-nano", "nemotronh-kq", "nemotronhmoe-nano", "nemotronhmoe-kq"]
LIMITS = [1e-4, 1e-4, 1e-3]
GEMMA4_LIMITS = [1e-3, 5e-3, 5e-3]  # its logits react more strongly to the order of sums
QUANTIZED_MARGIN = 1.1


class Agave:
    def __init__(self, program: pathlib.Path, options: list[str]):
        self.program, self.options = program, options

    def call(self, model: pathlib.Path, tokens: list[int], *more: object) -> str:
        with tempfile.NamedTemporaryFile("w", suffix=".json") as ids:
            json.dump(tokens, ids)
            ids.flush()
            command = [self.program, "logits", model, "--tokens", f"@{ids.name}", *more, *self.options]
            done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
        if done.returncode != 0:
            raise RuntimeError(done.stderr.strip())
        return done.stdout

    def logits(self, model: pathlib.Path, tokens: list[int], n: int, *more: object) -> np.ndarray:
        with tempfile.NamedTemporaryFile(suffix=".npy") as out:
            self.call(model, tokens, "--last", n, "--out", out.name, *more)
            return np.load(out.name)

    def greedy(self, model: pathlib.Path, tokens: list[int], n: int, *more: object) -> list[int]:
        return json.loads(self.call(model, tokens, "--greedy", n, *more))


def compare_float(
    agave: Agave, folder: pathlib.Path, model: pathlib.Path, prompts: list[list[int]]
) -> tuple[str, bool]:
    differences, fine = [], True
    limits = GEMMA4_LIMITS if folder.name.startswith("gemma4") else LIMITS
    for i, (tokens, limit) in enumerate(zip(prompts, limits)):
        expected = np.load(folder / f"logits_p{i}.npy")
        difference = float(np.abs(agave.logits(model, tokens, len(expected), "--exact") - expected).max())
        differences.append(f"{difference:.1e}")
        fine = fine and difference <= limit
    same = 0
    runs = json.loads((folder / "greedy.json").read_text())
    for run in runs:
        same += agave.greedy(model, prompts[run["prompt"]], len(run["ids"]), "--exact") == run["ids"]
    fine = fine and same == len(runs)
    return f"max difference {' '.join(differences)}, greedy ids equal {same} of {len(runs)}", fine


def rms(difference: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(difference))))


def compare_quantized(agave: Agave, folder: pathlib.Path, name: str, prompts: list[list[int]], reference: dict) -> tuple[str, bool]:
    model, parts, ours, theirs = folder / f"model-{name}.gguf", [], [], []
    stored = np.load(folder / "qref" / f"{name}.npz")
    for key in sorted(stored.files):
        i, expected = int(key[1:]), stored[key]
        ours.append(rms(agave.logits(model, prompts[i], len(expected)) - expected))
        theirs.append(reference["lcpp_vs_exact_rms"][i])
        exact = float(np.abs(agave.logits(model, prompts[i], len(expected), "--exact") - expected).max())
        parts.append(f"{key} {ours[-1]:.4f} = {ours[-1] / theirs[-1]:.2f} x (--exact: max difference {exact:.1e})")
    ratio = rms(np.array(ours)) / rms(np.array(theirs))
    return f"rms {ratio:.2f} x llama.cpp's; {', '.join(parts)}", ratio <= QUANTIZED_MARGIN


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("models", nargs="*", default=MODELS, help="folders of oracle/data")
    parser.add_argument("--agave", type=pathlib.Path, default=ROOT / "build/release/bin/agave")
    parser.add_argument("--shared", type=pathlib.Path, default=ROOT.parent / "shared")
    parser.add_argument("--options", default="", help="more options for agave logits, e.g. '--threads 1'")
    arguments = parser.parse_args()
    agave = Agave(arguments.agave, arguments.options.split())
    all_fine = True

    def show(name: str, line: str, fine: bool) -> None:
        nonlocal all_fine
        all_fine = all_fine and fine
        print(f"{'ok  ' if fine else 'FAIL'} {name}: {line}", flush=True)

    for name in arguments.models:
        folder = arguments.shared / "oracle/data" / name
        prompts = json.loads((folder / "prompts.json").read_text())["prompts"]
        for model in ("model-f32.gguf", "hf"):
            if (folder / model).exists():
                show(f"{name} {model}", *compare_float(agave, folder, folder / model, prompts))
        references = json.loads((folder / "qref.json").read_text()) if (folder / "qref.json").exists() else {}
        for quantized, reference in references.items():
            if not (folder / "qref" / f"{quantized}.npz").exists():
                continue
            try:
                show(f"{name} {quantized}", *compare_quantized(agave, folder, quantized, prompts, reference))
            except RuntimeError as error:
                if "which this build does not run" not in str(error):
                    raise
                print(f"skip {name} {quantized}: {error}", flush=True)
    sys.exit(0 if all_fine else 1)


if __name__ == "__main__":
    main()
