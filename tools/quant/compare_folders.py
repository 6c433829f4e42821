#!/usr/bin/env python3
"""Makes GGUF files of Hugging Face folders and runs them in llama.cpp and agave.

    tools/quant/compare_folders.py [--agave PROGRAM] [--shared FOLDER] [--format F32] [NAME...]

Each model of oracle/data/NAME/hf is quantised (F32: only rearranged) by `agave quantize`. On prompts of 5 and 33 tokens
(float32 K/V) the largest difference of a last logit is printed: of llama.cpp with the file that llama.cpp's converter made
(NAME/model-f32.gguf), and of agave with the folder. Exits 1 when F32 differs by more than 1e-5 in llama.cpp or 2e-4 in agave
(Gemma 4: 1e-3), or when llama.cpp does not load a file. Needs numpy and llama-cpp-python (PyPI).
"""

import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

import llama_cpp
import numpy as np

ROOT = pathlib.Path(__file__).resolve().parents[2]
MODELS = ["llama-nano", "llamaspm-nano", "qwen3-nano", "gemma3-nano", "glm4-nano", "glm4moe-nano", "glm47flash-nano",
          "gptoss-nano", "gemma4d-nano", "gemma4e-nano", "gemma4m-nano", "nemotronh-nano", "nemotronhmoe-nano",
          "qwen35-nano", "qwen35moe-nano"]


def agave_logits(program: pathlib.Path, model: pathlib.Path, tokens: list[int]) -> np.ndarray:
    with tempfile.NamedTemporaryFile(suffix=".npy") as out:
        command = [program, "logits", model, "--tokens", ",".join(map(str, tokens)), "--last", 1, "--exact", "--out", out.name]
        subprocess.run([str(word) for word in command], check=True)
        return np.load(out.name).reshape(-1)


def llama_logits(path: pathlib.Path, prompts: list[list[int]]) -> list[np.ndarray]:
    model = llama_cpp.Llama(str(path), n_ctx=512, n_threads=2, logits_all=True, verbose=False, type_k=0, type_v=0,
                            flash_attn=False, swa_full=True)
    result = []
    for tokens in prompts:
        model.reset()
        model.eval(tokens)
        result.append(np.array(model.scores[len(tokens) - 1], dtype=np.float32))
    return result


def largest(a: list[np.ndarray], b: list[np.ndarray]) -> float:
    return max(float(np.abs(x - y).max()) for x, y in zip(a, b))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--agave", type=pathlib.Path, default=ROOT / "build/dev/bin/agave")
    parser.add_argument("--shared", type=pathlib.Path, default=pathlib.Path(__file__).resolve().parents[3] / "shared")
    parser.add_argument("--format", default="F32")
    parser.add_argument("names", nargs="*", default=MODELS)
    arguments = parser.parse_args()
    failed = 0
    for name in arguments.names:
        folder = arguments.shared / "oracle/data" / name
        prompts = json.loads((folder / "prompts.json").read_text())["prompts"][:2]
        with tempfile.TemporaryDirectory() as temporary:
            path = pathlib.Path(temporary) / "model.gguf"
            command = [arguments.agave, "quantize", folder / "hf", path, arguments.format, "-q"]
            subprocess.run([str(word) for word in command], check=True)
            try:
                theirs = llama_logits(path, prompts)
            except ValueError as error:
                print(f"{name:18} llama.cpp: {error}", flush=True)
                failed += 1
                continue
            ours = [agave_logits(arguments.agave, path, tokens) for tokens in prompts]
            llama = largest(theirs, llama_logits(folder / "model-f32.gguf", prompts))
            own = largest(ours, [agave_logits(arguments.agave, folder / "hf", tokens) for tokens in prompts])
            limit = 1e-3 if name.startswith("gemma4") else 2e-4
            fine = arguments.format != "F32" or (llama <= 1e-5 and own <= limit)
            failed += not fine
            print(f"{name:18} {arguments.format}: llama.cpp {llama:.1e}, agave {own:.1e} {'ok' if fine else 'WRONG'}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
