#!/usr/bin/env python3
"""Compares every tensor of GGUF files, as agave decodes it, with gguf-py, bit for bit.

    compare_files.py [--agave build/release/bin/agave] FILE...

Runs `agave inspect FILE --tensor NAME --out x.npy` for each tensor. Tensors in a format that agave does not
know must be refused with exit status 2; they are counted apart. Needs numpy and gguf (PyPI).
"""
import argparse
import pathlib
import subprocess
import sys
import tempfile

import gguf
import numpy as np
from gguf.quants import dequantize

KNOWN = "F32 F16 BF16 Q4_0 Q4_1 Q5_0 Q5_1 Q8_0 Q2_K Q3_K Q4_K Q5_K Q6_K".split()


def reference(tensor):
    with np.errstate(all="ignore"):
        return np.asarray(dequantize(tensor.data, tensor.tensor_type), dtype=np.float32)


def difference(ours, theirs):
    """A sentence, or None when the arrays hold the same bits (any NaN equals any other)."""
    if ours.dtype != np.float32:
        return f"dtype {ours.dtype} instead of float32"
    if ours.shape != theirs.shape:
        return f"shape {ours.shape} instead of {theirs.shape}"
    unequal = (ours.view(np.uint32) != theirs.view(np.uint32)) & ~(np.isnan(ours) & np.isnan(theirs))
    if not unequal.any():
        return None
    at = tuple(int(i) for i in np.argwhere(unequal)[0])
    return f"{unequal.sum()} of {ours.size} weights, first at {at}: {ours[at]!r} instead of {theirs[at]!r}"


def compare(agave, path, out):
    """(equal, refused, wrong) tensors of one file."""
    equal = refused = wrong = 0
    for tensor in gguf.GGUFReader(path).tensors:
        command = [agave, "inspect", path, "--tensor", tensor.name, "--out", str(out)]
        out.unlink(missing_ok=True)
        run = subprocess.run(command, capture_output=True, text=True)
        name = tensor.tensor_type.name
        if name not in KNOWN:
            problem = None if run.returncode == 2 else f"exit {run.returncode} instead of 2"
        elif run.returncode:
            problem = f"exit {run.returncode}: {run.stderr.strip()}"
        else:
            problem = difference(np.load(out), reference(tensor))
        if problem:
            wrong += 1
            print(f"{path}: {tensor.name} ({name}): {problem}")
        elif name in KNOWN:
            equal += 1
        else:
            refused += 1
    return equal, refused, wrong


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--agave", default="build/release/bin/agave")
    parser.add_argument("files", nargs="+", metavar="FILE")
    arguments = parser.parse_args()
    failed = False
    with tempfile.TemporaryDirectory() as folder:
        for path in arguments.files:
            equal, refused, wrong = compare(arguments.agave, path, pathlib.Path(folder) / "x.npy")
            print(f"{path}: {equal} tensors equal, {refused} refused, {wrong} wrong")
            failed = failed or wrong > 0 or equal + refused == 0
    sys.exit(failed)


if __name__ == "__main__":
    main()
