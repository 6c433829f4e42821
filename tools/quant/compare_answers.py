#!/usr/bin/env python3
"""Lets llama.cpp and agave continue a prompt greedily with the same model files.

    compare_answers.py [--agave build/dev/bin/agave] MODEL.gguf ...

Prints for each file how many of 32 tokens agree from the first on; exits 1 when a file does not load in llama.cpp.
Files of two and three bits differ early: llama.cpp and agave round activations in different ways. Needs
llama-cpp-python (PyPI).
"""
import argparse
import pathlib
import subprocess
import sys

import llama_cpp

ROOT = pathlib.Path(__file__).parents[2]
PROMPT = "The capital of France is"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+")
    parser.add_argument("--agave", default=str(ROOT / "build/dev/bin/agave"))
    options = parser.parse_args()
    failed = False
    for path in options.models:
        try:
            model = llama_cpp.Llama(path, n_ctx=256, n_threads=2, verbose=False)
        except ValueError as error:
            print(f"{path}: llama.cpp: {error}")
            failed = True
            continue
        tokens = model.tokenize(PROMPT.encode(), add_bos=True)
        theirs = []
        for token in model.generate(tokens, temp=0, top_k=1, repeat_penalty=1.0):
            theirs.append(token)
            if len(theirs) == 32:
                break
        command = [options.agave, "logits", path, "--tokens", ",".join(map(str, tokens)), "--greedy", "32"]
        run = subprocess.run(command, capture_output=True, text=True)
        ours = [int(t) for t in run.stdout.strip("[] \n").split(",")] if run.returncode == 0 else []
        same = next((i for i, (a, b) in enumerate(zip(ours, theirs)) if a != b), min(len(ours), len(theirs)))
        print(f"{pathlib.Path(path).name:28} {same} of 32 tokens agree: {model.detokenize(theirs).decode(errors='replace')!r}",
              flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
