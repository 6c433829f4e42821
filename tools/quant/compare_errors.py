#!/usr/bin/env python3
"""Compares the errors of agave's encoders with those of llama.cpp's, on the same rows.

    compare_errors.py [--tool build/dev/bin/encode_tool] [--model FILE.gguf ...] [--formats Q4_K,...]

prints for every format the mean squared error over all rows that each leaves, without importance and with (then
weighted by it), and the largest ratio over the kinds of rows. Both sides' blocks are decoded by the same
decoder (gguf-py, and llama.cpp's for what it lacks). --record tests/data/quant writes rows and llama.cpp's errors
for tests/quant/encode_test.cpp. Needs numpy, gguf and llama-cpp-python (PyPI).
"""
import argparse
import ctypes
import importlib.util
import pathlib
import subprocess
import sys
import tempfile

import gguf
import numpy as np
from gguf.quants import dequantize

IDS = {"F16": 1, "BF16": 30, "Q4_0": 2, "Q4_1": 3, "Q5_0": 6, "Q5_1": 7, "Q8_0": 8, "Q2_K": 10, "Q3_K": 11,
       "Q4_K": 12, "Q5_K": 13, "Q6_K": 14, "IQ2_XXS": 16, "IQ2_XS": 17, "IQ3_XXS": 18, "IQ1_S": 19, "IQ4_NL": 20,
       "IQ3_S": 21, "IQ2_S": 22, "IQ4_XS": 23, "IQ1_M": 29, "TQ1_0": 34, "TQ2_0": 35, "MXFP4": 39, "NVFP4": 40,
       "Q1_0": 41, "Q2_0": 42}
ROOT = pathlib.Path(__file__).parents[2]
COLUMNS = 1024


def open_ggml():
    package = pathlib.Path(importlib.util.find_spec("llama_cpp").origin).parent
    library = ctypes.CDLL(str(package / "lib" / "libggml-base.so"))
    library.ggml_quantize_chunk.restype = ctypes.c_size_t
    library.ggml_quantize_chunk.argtypes = [ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int64,
                                            ctypes.c_int64, ctypes.c_int64, ctypes.c_void_p]
    library.ggml_row_size.restype = ctypes.c_size_t
    library.ggml_row_size.argtypes = [ctypes.c_int, ctypes.c_int64]
    return library


def needs_importance(name):
    return name in ("IQ2_XXS", "IQ2_XS", "IQ1_S", "IQ1_M")


def quantize_ggml(library, name, rows, importance):
    n_rows, n = rows.shape
    if importance is None and needs_importance(name):
        importance = np.ones(n, np.float32)
    row_bytes = library.ggml_row_size(IDS[name], n)
    out = np.zeros((n_rows, row_bytes), np.uint8)
    library.ggml_quantize_chunk(IDS[name], rows.ctypes.data, out.ctypes.data, 0, n_rows, n,
                                importance.ctypes.data if importance is not None else None)
    return out


def quantize_agave(tool, name, rows, importance):
    command = [tool, name, str(rows.shape[1])]
    with tempfile.NamedTemporaryFile() as file:
        if importance is not None:
            importance.tofile(file.name)
            command.append(file.name)
        blocks = subprocess.run(command, input=rows.tobytes(), stdout=subprocess.PIPE, check=True).stdout
    return np.frombuffer(blocks, np.uint8).reshape(rows.shape[0], -1)


def decode(library, name, blocks, columns):
    if name in ("Q1_0", "Q2_0"):
        out = np.zeros((blocks.shape[0], columns), np.float32)
        function = getattr(library, "dequantize_row_" + name.lower())
        for row, values in zip(np.ascontiguousarray(blocks), out):
            function(row.ctypes.data_as(ctypes.c_void_p), values.ctypes.data_as(ctypes.c_void_p),
                     ctypes.c_int64(columns))
        return out
    return dequantize(np.ascontiguousarray(blocks), gguf.GGMLQuantizationType(IDS[name])).reshape(-1, columns)


def rows_of(models):
    """Name -> rows [n, COLUMNS] of every kind that the encoders must be good at."""
    random = np.random.default_rng(5)

    def normal(n):
        return random.standard_normal((n, COLUMNS))

    outliers = normal(8)
    outliers[random.random(outliers.shape) < 0.01] *= 20
    rows = {
        "gaussian": normal(16),
        "laplace": random.laplace(size=(8, COLUMNS)),
        "uniform": random.uniform(-1, 1, (8, COLUMNS)),
        "outliers": outliers,
        "one-signed": np.abs(normal(8)),
        "negative": -np.abs(normal(4)),
        "offset": normal(4) * 0.1 + 1,
        "half zeros": normal(8) * (random.random((8, COLUMNS)) < 0.5),
        "constant": np.repeat(normal(8)[:, :1], COLUMNS, axis=1),
        "small": normal(8) * 1e-3,
        "smooth": normal(8) * np.exp(np.sin(np.arange(COLUMNS) / 40)),
    }
    for path in models:
        reader = gguf.GGUFReader(path)
        for tensor in reader.tensors:
            if not tensor.name.startswith(("blk.0.", "blk.7.", "token_embd")) or len(tensor.shape) < 2:
                continue
            weights = dequantize(tensor.data, tensor.tensor_type).reshape(-1)
            usable = weights[:weights.size // COLUMNS * COLUMNS].reshape(-1, COLUMNS)
            # Files hold quantised weights: noise of the size of their steps makes them ordinary numbers again.
            picked = usable[random.choice(len(usable), min(8, len(usable)), replace=False)]
            noise = random.standard_normal(picked.shape) * 0.03 * picked.std()
            rows[f"{pathlib.Path(path).stem} {tensor.name}"] = picked + noise
    return {name: np.ascontiguousarray(values, dtype=np.float32) for name, values in rows.items()}


def importance_of(columns):
    random = np.random.default_rng(7)
    return np.exp(1.5 * random.standard_normal(columns)).astype(np.float32)


def mean_error(rows, decoded, importance):
    squares = (rows.astype(np.float64) - decoded) ** 2
    return float((squares if importance is None else squares * importance).mean())


def record(library, folder, models):
    """encode.bin: importance [512], then 4 rows of each kind, binary16; encode.txt: FORMAT KIND PLAIN WEIGHTED,
    llama.cpp's mean squared errors of the kind's rows."""
    columns = 512
    kinds = {name: np.ascontiguousarray(rows[:4, :columns].astype(np.float16).astype(np.float32))
             for name, rows in rows_of(models).items()
             if " " not in name or name.endswith(("zeros", "blk.7.ffn_down.weight", "token_embd.weight"))}
    importance = importance_of(columns).astype(np.float16).astype(np.float32)
    parts = [importance.astype("<f2")] + [rows.astype("<f2").reshape(-1) for rows in kinds.values()]
    np.concatenate(parts).tofile(folder / "encode.bin")
    with open(folder / "encode.txt", "w") as file:
        for name in IDS:
            for kind, rows in kinds.items():
                errors = [mean_error(rows, decode(library, name, quantize_ggml(library, name, rows, weights),
                                                  columns), weights) for weights in (None, importance)]
                print(name, kind.replace(" ", "_"), *(f"{error:.6e}" for error in errors), file=file)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tool", default=str(ROOT / "build/dev/bin/encode_tool"))
    parser.add_argument("--model", action="append", default=[])
    parser.add_argument("--formats", default=",".join(IDS))
    parser.add_argument("--record", help="folder for encode.bin and encode.txt of the test")
    parser.add_argument("--kinds", action="store_true", help="a line for every kind of rows")
    options = parser.parse_args()

    library = open_ggml()
    if options.record:
        record(library, pathlib.Path(options.record), options.model)
        return 0
    kinds = rows_of(options.model)
    importance = importance_of(COLUMNS)
    worse = 0
    print(f"{'format':8} {'importance':10} {'agave':>11} {'llama.cpp':>11} {'ratio':>7}  worst kind")
    for name in options.formats.split(","):
        for weights in (None, importance):
            ours = theirs = 0.0
            worst = (0.0, "")
            for kind, rows in kinds.items():
                scale = float((rows.astype(np.float64) ** 2).mean())
                a = mean_error(rows, decode(library, name, quantize_agave(options.tool, name, rows, weights),
                                            COLUMNS), weights) / scale
                b = mean_error(rows, decode(library, name, quantize_ggml(library, name, rows, weights),
                                            COLUMNS), weights) / scale
                ours, theirs = ours + a / len(kinds), theirs + b / len(kinds)
                # Errors of float32 rounding alone are equal.
                ratio = 1.0 if max(a, b) < 1e-12 else a / b if b > 0 else np.inf
                worst = max(worst, (ratio, kind))
                if options.kinds:
                    print(f"    {kind:40} {a:.4e} {b:.4e} {ratio:.4f}")
            worse += worst[0] > 1 and name not in ("F16", "BF16")
            print(f"{name:8} {'with' if weights is not None else 'none':10} {ours:.5e} {theirs:.5e} "
                  f"{ours / theirs if theirs else 1:7.4f}  {worst[0]:.4f} {worst[1]}", flush=True)
    return 1 if worse else 0


if __name__ == "__main__":
    sys.exit(main())
