#!/usr/bin/env python3
"""Writes tests/data/quant: blocks of every weight format and what gguf-py decodes them to.

NAME.bin holds whole blocks and then the float32 weights of all of them, little-endian; formats.txt holds
gguf-py's table (name, type id, weights and bytes of a block). Needs numpy and gguf (PyPI).
"""
import argparse
import pathlib

import gguf
import numpy as np
from gguf.quants import dequantize

FORMATS = "F32 F16 BF16 Q4_0 Q4_1 Q5_0 Q5_1 Q8_0 Q2_K Q3_K Q4_K Q5_K Q6_K".split()

# Byte offsets of the binary16 scales of a block: the first multiplies the quants (or their scales), the second,
# where there is one, is the minimum (or multiplies the minima).
SCALES = {
    "Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2], "Q8_0": [0],
    "Q2_K": [80, 82], "Q3_K": [108], "Q4_K": [0, 2], "Q5_K": [0, 2], "Q6_K": [208],
}

# Scales of blocks whose other bytes are random: ordinary, the largest, subnormal, negative zero, infinity, NaN.
RANDOM_BYTES = [
    (0x2A3D, 0x2C11), (0xA5F1, 0x2801), (0x3555, 0xB123),
    (0x7BFF, 0xFBFF), (0x0001, 0x83FF), (0x8000, 0x0000), (0x7C00, 0x3C00), (0x7E00, 0x3C00),
]

F32_BITS = [0x00000000, 0x80000000, 0x00000001, 0x807FFFFF, 0x00800000, 0x3F800000, 0xC0490FDB, 0x7F7FFFFF,
            0x7F800000, 0xFF800000, 0x7FC00000, 0x7FA00001]
F16_BITS = [0x0000, 0x8000, 0x0001, 0x83FF, 0x0200, 0x0400, 0x3C00, 0xBC00, 0x3555, 0x7BFF, 0xFBFF, 0x7C00,
            0xFC00, 0x7E00, 0x7D01]
BF16_BITS = [0x0000, 0x8000, 0x0001, 0x807F, 0x0080, 0x3F80, 0xC049, 0x7F7F, 0xFF7F, 0x7F80, 0xFF80, 0x7FC0,
             0x7FA1]


def block(name, size, fill, scales):
    data = np.frombuffer(fill, dtype=np.uint8).copy()
    assert len(data) == size
    for offset, bits in zip(SCALES[name], scales):
        data[offset:offset + 2] = np.array([bits], dtype="<u2").view(np.uint8)
    return data


def blocks_of(name, size, random):
    if name == "F32":
        bits = np.concatenate([np.array(F32_BITS, "<u4"), random.integers(0, 2**32, 20, dtype=np.uint32)])
        return bits.view(np.uint8).reshape(-1, size)
    if name in ("F16", "BF16"):
        edges = F16_BITS if name == "F16" else BF16_BITS
        bits = np.concatenate([np.array(edges, "<u2"), random.integers(0, 2**16, 48, dtype=np.uint16)])
        return bits.view(np.uint8).reshape(-1, size)
    rows = [block(name, size, random.bytes(size), scales) for scales in RANDOM_BYTES]
    rows.append(block(name, size, b"\x00" * size, (0x3C00, 0x3C00)))
    rows.append(block(name, size, b"\xff" * size, (0x3C00, 0x3C00)))
    return np.stack(rows)


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    default = pathlib.Path(__file__).resolve().parents[2] / "tests/data/quant"
    parser.add_argument("--out", type=pathlib.Path, default=default)
    out = parser.parse_args().out
    out.mkdir(parents=True, exist_ok=True)
    table = ""
    for seed, name in enumerate(FORMATS):
        kind = gguf.GGMLQuantizationType[name]
        elements, size = gguf.GGML_QUANT_SIZES[kind]
        table += f"{name} {kind.value} {elements} {size}\n"
        blocks = blocks_of(name, size, np.random.default_rng(seed))
        with np.errstate(all="ignore"):
            weights = dequantize(blocks, kind).astype("<f4")
        assert weights.size == len(blocks) * elements
        (out / f"{name}.bin").write_bytes(blocks.tobytes() + weights.tobytes())
    (out / "formats.txt").write_text(table)


if __name__ == "__main__":
    main()
