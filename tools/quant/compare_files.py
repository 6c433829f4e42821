#!/usr/bin/env python3
"""Compares every tensor of GGUF files, as agave decodes it, with gguf-py, bit for bit.

    compare_files.py [--agave build/release/bin/agave] FILE...

Runs `agave inspect FILE --tensor NAME --out x.npy` for each tensor. Files with a tensor in a format that gguf-py
does not decode (Q1_0, Q2_0) are skipped. Needs numpy and gguf (PyPI).
"""
import argparse
import pathlib
import subprocess
import sys
import tempfile

import gguf
import numpy as np
from gguf.quants import dequantize

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


def inspect(agave, path, name, out):
    command = [agave, "inspect", path, "--tensor", name, "--out", str(out)]
    out.unlink(missing_ok=True)
    return subprocess.run(command, capture_output=True, text=True)


def tensors_of(path):
    """The tensors, or None where gguf-py does not decode one."""
    try:
        tensors = gguf.GGUFReader(path).tensors
    except ValueError:
        return None
    return None if any(tensor.tensor_type.name in ("Q1_0", "Q2_0") for tensor in tensors) else tensors


def compare(agave, path, out):
    """True when every tensor is equal, or gguf-py cannot tell."""
    tensors = tensors_of(path)
    if tensors is None:
        print(f"{path}: skipped, gguf-py does not decode it")
        return True
    wrong = 0
    for tensor in tensors:
        run = inspect(agave, path, tensor.name, out)
        if run.returncode:
            problem = f"exit {run.returncode}: {run.stderr.strip()}"
        else:
            problem = difference(np.load(out), reference(tensor))
        if problem:
            wrong += 1
            print(f"{path}: {tensor.name} ({tensor.tensor_type.name}): {problem}")
    print(f"{path}: {len(tensors) - wrong} tensors equal, {wrong} wrong")
    return wrong == 0 and len(tensors) > 0


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--agave", default="build/release/bin/agave")
    parser.add_argument("files", nargs="+", metavar="FILE")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        out = pathlib.Path(folder) / "x.npy"
        results = [compare(arguments.agave, path, out) for path in arguments.files]
    sys.exit(not all(results))


if __name__ == "__main__":
    main()
