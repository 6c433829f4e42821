#!/usr/bin/env python3
"""Compares every tensor of GGUF files, as agave decodes it, with gguf-py, bit for bit.

    compare_files.py [--agave build/release/bin/agave] FILE...

Runs `agave inspect FILE --tensor NAME --out x.npy` for each tensor. A file that has a tensor in a format that
agave does not know (or that gguf-py does not) must be refused with exit status 2. Needs numpy and gguf (PyPI).
"""
import argparse
import pathlib
import subprocess
import sys
import tempfile

import gguf
import numpy as np
from gguf.quants import dequantize

KNOWN = ("F32 F16 BF16 Q4_0 Q4_1 Q5_0 Q5_1 Q8_0 Q2_K Q3_K Q4_K Q5_K Q6_K IQ1_S IQ1_M IQ2_XXS IQ2_XS IQ2_S "
         "IQ3_XXS IQ3_S IQ4_NL IQ4_XS TQ1_0 TQ2_0 MXFP4 NVFP4").split()


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
    """The tensors, or None where one has an unknown format."""
    try:
        tensors = gguf.GGUFReader(path).tensors
    except ValueError:
        return None
    return tensors if all(tensor.tensor_type.name in KNOWN for tensor in tensors) else None


def compare(agave, path, out):
    """True when the file is decoded, or refused, as it must be."""
    tensors = tensors_of(path)
    if tensors is None:
        run = inspect(agave, path, "output_norm.weight", out)
        refused = run.returncode == 2 and "weight format" in run.stderr
        print(f"{path}: {'refused' if refused else f'exit {run.returncode} instead of 2'}: {run.stderr.strip()}")
        return refused
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
