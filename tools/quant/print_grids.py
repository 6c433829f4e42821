#!/usr/bin/env python3
"""Prints the codebook of a GGUF format (IQ1_S, IQ2_XXS, IQ2_XS, IQ2_S, IQ3_XXS, IQ3_S) as src/quant holds it.

An entry is a 16-bit number, value i in its bits 2 i and 2 i + 1 (8 values) or bits 4 i to 4 i + 3 (4 values), as
gguf-py has them too. Needs numpy and gguf (PyPI).
"""
import sys

import gguf.quants
import numpy as np

grid = np.frombuffer(bytes.fromhex(getattr(gguf.quants, sys.argv[1]).grid_hex.decode()), dtype="<u2")
for at in range(0, len(grid), 13):
    print("    " + " ".join(f"0x{entry:04X}," for entry in grid[at:at + 13]))
