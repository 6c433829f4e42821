#!/usr/bin/env python3
"""Compares greedy text with llama.cpp: the same ids go into both, 64 ids come out of each.

Where two outputs part, the probabilities that both engines give to the two candidates are shown, and those of
the same weights without the rounding of activations to int8 (`agave logits --exact`). The parting is a tie when
the candidates' probabilities are less than 2 percentage points apart there, where neither engine's rounding
speaks. Exits 1 when a difference is not a tie.

    bench/compare_text.py [MODEL...]
"""

import argparse
import json
import pathlib
import struct
import sys
import tempfile
from array import array
from math import exp

import common

PROMPTS = [
    "The history of the printing press begins in",
    "def fibonacci(n):\n    ",
    "Dear Sir or Madam,\n\nI am writing to",
    "Water boils at a lower temperature on a mountain because",
    "Once upon a time, in a small house at the edge of the forest, there lived",
]


def agave_greedy(program: pathlib.Path, model: pathlib.Path, ids: list[int], count: int, threads: int) -> list[int]:
    out = json.loads(common.run(program, "logits", model, "--tokens", common.joined(ids), "--greedy", count,
                                "--threads", threads))
    return out["ids"] if isinstance(out, dict) else out


def agave_probabilities(program: pathlib.Path, model: pathlib.Path, ids: list[int], candidates: list[int],
                        *options: str) -> list[float]:
    """Softmax of the logits after `ids`, read from the .npy file that `agave logits` writes."""
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "logits.npy"
        common.run(program, "logits", model, "--tokens", common.joined(ids), "--last", 1, "--out", path, *options)
        data = path.read_bytes()
    logits = array("f", data[10 + struct.unpack_from("<H", data, 8)[0] :])
    top = max(logits)
    total = sum(exp(value - top) for value in logits)
    return [exp(logits[token] - top) / total for token in candidates]


def first_difference(ours: list[int], theirs: list[int]) -> int | None:
    """The first step at which the two differ; None when they are equal."""
    for step, pair in enumerate(zip(ours, theirs)):
        if pair[0] != pair[1]:
            return step
    return None if len(ours) == len(theirs) else min(len(ours), len(theirs))


def compare(arguments: argparse.Namespace, python: pathlib.Path, model: pathlib.Path, prompt: str) -> tuple[str, bool]:
    """A line about one prompt, and whether it is the same text or a tie."""
    ids = common.llama_cpp(python, "tokenize", model, stdin=prompt.encode())["ids"]
    theirs = common.llama_cpp(python, "greedy", model, "--tokens", common.joined(ids), "--count", arguments.count,
                              "--threads", arguments.threads)["ids"]
    ours = agave_greedy(arguments.agave, model, ids, arguments.count, arguments.threads)
    step = first_difference(ours, theirs)
    if step is None:
        return f"same {len(ours)} ids", True
    if step == min(len(ours), len(theirs)):
        return f"same to id {step}, then one of the two ends ({len(ours)} and {len(theirs)} ids)", False
    candidates = [ours[step], theirs[step]]
    before = ids + theirs[:step]
    in_llama = common.llama_cpp(python, "probabilities", model, "--tokens", common.joined(before), "--candidates",
                                common.joined(candidates))["probabilities"]
    in_ours = agave_probabilities(arguments.agave, model, before, candidates)
    exact = agave_probabilities(arguments.agave, model, before, candidates, "--exact")
    tie = abs(exact[0] - exact[1]) < 0.02
    return (f"differs at id {step + 1} of {arguments.count}: ours {candidates[0]}, theirs {candidates[1]}; llama.cpp gives "
            f"them {in_llama[0]:.2%} and {in_llama[1]:.2%}, agave {in_ours[0]:.2%} and {in_ours[1]:.2%}, "
            f"the exact weights {exact[0]:.2%} and {exact[1]:.2%}{' (a tie)' if tie else ''}"), tie


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    common.add_options(parser)
    parser.add_argument("--count", type=int, default=64)
    arguments = parser.parse_args()
    common.check_agave(arguments.agave)
    python = common.peer_python(arguments.peers)
    fine = True
    for name in arguments.models:
        model = common.model_path(name)
        for prompt in PROMPTS:
            line, same = compare(arguments, python, model, prompt)
            print(f"{model.name}: {prompt[:24]!r}...: {line}", flush=True)
            fine = fine and same
    sys.exit(0 if fine else 1)


if __name__ == "__main__":
    main()
