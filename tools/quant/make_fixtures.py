#!/usr/bin/env python3
"""Writes tests/data/quant: blocks of every weight format and what gguf-py decodes them to.

NAME.bin holds whole blocks and then the float32 weights of all of them, little-endian; formats.txt holds
gguf-py's table (name, type id, weights and bytes of a block). llama.cpp's C library is the second witness of
every quantised format, and the only one of Q1_0 and Q2_0, which gguf-py does not decode. Needs numpy, gguf and
llama-cpp-python (PyPI).
"""
import argparse
import ctypes
import importlib.util
import pathlib

import gguf
import numpy as np
from gguf.quants import dequantize

FORMATS = ("F32 F16 BF16 Q4_0 Q4_1 Q5_0 Q5_1 Q8_0 Q2_K Q3_K Q4_K Q5_K Q6_K IQ1_S IQ1_M IQ2_XXS IQ2_XS IQ2_S "
           "IQ3_XXS IQ3_S IQ4_NL IQ4_XS TQ1_0 TQ2_0 MXFP4 NVFP4 Q1_0 Q2_0").split()

# Type id, weights and bytes of a block where gguf-py has no such row: those of the C library.
ONLY_IN_C = {"Q1_0": (41, 128, 18), "Q2_0": (42, 64, 18)}

# Byte offsets of the binary16 scales of a block: the first multiplies the quants (or their scales), the second,
# where there is one, is the minimum (or multiplies the minima).
SCALES = {
    "Q4_0": [0], "Q4_1": [0, 2], "Q5_0": [0], "Q5_1": [0, 2], "Q8_0": [0],
    "Q2_K": [80, 82], "Q3_K": [108], "Q4_K": [0, 2], "Q5_K": [0, 2], "Q6_K": [208],
    "IQ1_S": [0], "IQ2_XXS": [0], "IQ2_XS": [0], "IQ2_S": [0], "IQ3_XXS": [0], "IQ3_S": [0], "IQ4_NL": [0],
    "IQ4_XS": [0], "TQ1_0": [52], "TQ2_0": [64], "Q1_0": [0], "Q2_0": [0],
}

# Scales of blocks whose other bytes are random: ordinary, the largest, subnormal, negative zero, infinity, NaN.
RANDOM_BYTES = [
    (0x2A3D, 0x2C11), (0xA5F1, 0x2801), (0x3555, 0xB123),
    (0x7BFF, 0xFBFF), (0x0001, 0x83FF), (0x8000, 0x0000), (0x7C00, 0x3C00), (0x7E00, 0x3C00),
]

# Scale bytes: of MXFP4 zero to the largest with all that is subnormal, of NVFP4 (4 a block) zero, both zeros with
# the ignored bit, subnormal, the smallest normal, ordinary, the largest, NaN with and without the ignored bit.
E8M0_BYTES = [0, 1, 2, 3, 64, 127, 128, 253, 254, 255]
E4M3_BYTES = [(0x00, 0x80, 0x01, 0x07), (0x08, 0x38, 0x45, 0x7E), (0x7F, 0xFF, 0xFE, 0x87), (0x40, 0x33, 0x2A, 0x11)]

F32_BITS = [0x00000000, 0x80000000, 0x00000001, 0x807FFFFF, 0x00800000, 0x3F800000, 0xC0490FDB, 0x7F7FFFFF,
            0x7F800000, 0xFF800000, 0x7FC00000, 0x7FA00001]
F16_BITS = [0x0000, 0x8000, 0x0001, 0x83FF, 0x0200, 0x0400, 0x3C00, 0xBC00, 0x3555, 0x7BFF, 0xFBFF, 0x7C00,
            0xFC00, 0x7E00, 0x7D01]
BF16_BITS = [0x0000, 0x8000, 0x0001, 0x807F, 0x0080, 0x3F80, 0xC049, 0x7F7F, 0xFF7F, 0x7F80, 0xFF80, 0x7FC0,
             0x7FA1]


def put_iq1_m_scale(data, bits):
    """The binary16 is spread over the top nibbles of the last four 16-bit numbers."""
    for i in range(4):
        data[49 + 2 * i] = data[49 + 2 * i] & 0x0F | (bits >> 4 * i & 0x0F) << 4


def block(name, size, fill, scales):
    data = np.frombuffer(fill, dtype=np.uint8).copy()
    assert len(data) == size
    if name == "IQ1_M":
        put_iq1_m_scale(data, scales[0])
        return data
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
    if name in ("MXFP4", "NVFP4"):
        edges = [bytes([e]) for e in E8M0_BYTES] if name == "MXFP4" else [bytes(e) for e in E4M3_BYTES]
        rows = [edge + random.bytes(size - len(edge)) for edge in edges] + [b"\x00" * size, b"\xff" * size]
        rows += [random.bytes(size) for _ in range(6)]
        return np.frombuffer(b"".join(rows), np.uint8).reshape(-1, size)
    rows = [block(name, size, random.bytes(size), scales) for scales in RANDOM_BYTES]
    rows.append(block(name, size, b"\x00" * size, (0x3C00, 0x3C00)))
    rows.append(block(name, size, b"\xff" * size, (0x3C00, 0x3C00)))
    return np.stack(rows)


def c_library(path):
    if path is None:
        path = pathlib.Path(importlib.util.find_spec("llama_cpp").origin).parent / "lib/libggml-base.so"
    return ctypes.CDLL(str(path))


def decode_in_c(library, name, blocks, n):
    function = name.replace("_K", "_k").lower().replace("_k", "_K")
    out = np.empty(n, "<f4")
    getattr(library, f"dequantize_row_{function}")(
        blocks.ctypes.data_as(ctypes.c_void_p), out.ctypes.data_as(ctypes.c_void_p), ctypes.c_int64(n))
    return out


def decode_in_python(name, kind, blocks):
    with np.errstate(all="ignore"):
        return dequantize(blocks, kind).astype("<f4").reshape(-1)


def row_of(name):
    if name in ONLY_IN_C:
        return ONLY_IN_C[name]
    kind = gguf.GGMLQuantizationType[name]
    return (kind.value, *gguf.GGML_QUANT_SIZES[kind])


def weights_of(library, name, kind, blocks, n):
    in_c = None if name in ("F32", "F16", "BF16") else decode_in_c(library, name, blocks, n)
    if name in ONLY_IN_C:
        return in_c
    weights = decode_in_python(name, gguf.GGMLQuantizationType(kind), blocks)
    if in_c is not None:
        unequal = (weights.view("<u4") != in_c.view("<u4")) & ~(np.isnan(weights) & np.isnan(in_c))
        if unequal.any():
            at = int(np.argwhere(unequal)[0, 0])
            print(f"{name}: C differs in {unequal.sum()} of {n} weights, first at {at}: {in_c[at]!r}, "
                  f"gguf-py {weights[at]!r}")
    return weights


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    default = pathlib.Path(__file__).resolve().parents[2] / "tests/data/quant"
    parser.add_argument("--out", type=pathlib.Path, default=default)
    parser.add_argument("--ggml", help="libggml-base.so; by default that of llama-cpp-python")
    arguments = parser.parse_args()
    library = c_library(arguments.ggml)
    out = arguments.out
    out.mkdir(parents=True, exist_ok=True)
    table = ""
    for seed, name in enumerate(FORMATS):
        kind, elements, size = row_of(name)
        table += f"{name} {kind} {elements} {size}\n"
        blocks = np.ascontiguousarray(blocks_of(name, size, np.random.default_rng(seed)))
        weights = weights_of(library, name, kind, blocks, len(blocks) * elements)
        assert weights.size == len(blocks) * elements
        (out / f"{name}.bin").write_bytes(blocks.tobytes() + weights.tobytes())
    (out / "formats.txt").write_text(table)


if __name__ == "__main__":
    main()
