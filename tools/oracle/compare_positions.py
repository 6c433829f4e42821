#!/usr/bin/env python3
"""Compares the error of agave's fast kernels with llama.cpp's over every position of many prompts.

    compare_positions.py [--agave PROGRAM] [--prompts N] MODEL.gguf [LLAMA_CPP_MODEL.gguf]

Both errors are taken against `agave logits --exact` (float32 activations). A mixture of experts may route one token
otherwise after a rounding, and that position's error then outweighs all others; so the last eight positions of one prompt
say little, and this script takes all positions of N random prompts of 200 tokens. The second model is the same file where
llama.cpp needs another spelling of its metadata. Needs PyPI's llama-cpp-python and numpy.
"""

import argparse
import pathlib
import subprocess
import tempfile

import llama_cpp
import numpy as np


def agave_logits(program: str, model: str, ids: list[int], *options: str) -> np.ndarray:
    with tempfile.TemporaryDirectory() as folder:
        out = pathlib.Path(folder, "logits.npy")
        tokens = ",".join(map(str, ids))
        subprocess.run([program, "logits", model, "--tokens", tokens, "--out", out, *options], check=True)
        return np.load(out)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--agave", default="build/release/bin/agave")
    parser.add_argument("--prompts", type=int, default=6)
    parser.add_argument("model")
    parser.add_argument("llama_cpp_model", nargs="?")
    options = parser.parse_args()
    peer = llama_cpp.Llama(options.llama_cpp_model or options.model, n_ctx=512, logits_all=True, verbose=False,
                           n_batch=512, type_k=0, type_v=0)
    generator = np.random.default_rng(1)
    ours, theirs = [], []
    for _ in range(options.prompts):
        ids = generator.integers(10, peer.n_vocab() - 8, 200).tolist()
        exact = agave_logits(options.agave, options.model, ids, "--exact")
        fast = agave_logits(options.agave, options.model, ids)
        peer.reset()
        peer.eval(ids)
        other = np.array(peer.scores[:len(ids)])[:, :exact.shape[1]]
        ours.append(((fast - exact) ** 2).mean(1))
        theirs.append(((other - exact) ** 2).mean(1))
    ours, theirs = np.concatenate(ours), np.concatenate(theirs)
    print("rms over %d positions: agave %.4f, llama.cpp %.4f, ratio %.2f; median of a position: %.4f, %.4f" % (
        len(ours), ours.mean() ** 0.5, theirs.mean() ** 0.5, (ours.mean() / theirs.mean()) ** 0.5,
        np.median(ours) ** 0.5, np.median(theirs) ** 0.5))


if __name__ == "__main__":
    main()
