#!/usr/bin/env python3
"""Times llama.cpp's matrix x vector product for each weight format, to compare with bench/kernels.

    ggml_gemv.py [--threads 2] [--k 2048] [FORMAT ...]

It runs in a Python environment that holds llama-cpp-python (bench/peers.py makes one): a graph of one mul_mat over
a matrix of about 192 MB, so that it does not fit the cache, the fastest of several passes.
"""

import argparse
import ctypes
import functools
import os
import time
from pathlib import Path

import llama_cpp

FORMATS = {
    "Q4_0": 2, "Q4_1": 3, "Q5_0": 6, "Q5_1": 7, "Q8_0": 8, "Q2_K": 10, "Q3_K": 11, "Q4_K": 12, "Q5_K": 13, "Q6_K": 14,
    "IQ2_XXS": 16, "IQ2_XS": 17, "IQ3_XXS": 18, "IQ1_S": 19, "IQ4_NL": 20, "IQ3_S": 21, "IQ2_S": 22, "IQ4_XS": 23,
    "IQ1_M": 29, "TQ1_0": 34, "TQ2_0": 35, "MXFP4": 39, "NVFP4": 40, "Q1_0": 41, "Q2_0": 42,
}  # fmt: skip


class InitParams(ctypes.Structure):
    _fields_ = [("mem_size", ctypes.c_size_t), ("mem_buffer", ctypes.c_void_p), ("no_alloc", ctypes.c_bool)]


@functools.cache
def random_bytes(n: int) -> bytes:
    return os.urandom(n)


def libraries() -> tuple[ctypes.CDLL, ctypes.CDLL]:
    folder = Path(llama_cpp.__file__).parent / "lib"
    base = ctypes.CDLL(str(folder / "libggml-base.so"))
    cpu = ctypes.CDLL(str(folder / "libggml-cpu.so"))
    base.ggml_init.restype = ctypes.c_void_p
    base.ggml_init.argtypes = [InitParams]
    base.ggml_new_tensor_2d.restype = ctypes.c_void_p
    base.ggml_new_tensor_2d.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_int64, ctypes.c_int64]
    base.ggml_mul_mat.restype = ctypes.c_void_p
    base.ggml_mul_mat.argtypes = [ctypes.c_void_p] * 3
    base.ggml_new_graph.restype = ctypes.c_void_p
    base.ggml_new_graph.argtypes = [ctypes.c_void_p]
    base.ggml_build_forward_expand.argtypes = [ctypes.c_void_p] * 2
    base.ggml_get_data.restype = ctypes.c_void_p
    base.ggml_get_data.argtypes = [ctypes.c_void_p]
    base.ggml_nbytes.restype = ctypes.c_size_t
    base.ggml_nbytes.argtypes = [ctypes.c_void_p]
    base.ggml_row_size.restype = ctypes.c_size_t
    base.ggml_row_size.argtypes = [ctypes.c_int, ctypes.c_int64]
    base.ggml_free.argtypes = [ctypes.c_void_p]
    cpu.ggml_graph_compute_with_ctx.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_int]
    return base, cpu


def gigabytes_per_second(base, cpu, type_id: int, k: int, threads: int, total: int, passes: int) -> float:
    """One graph of matrices of 2048 rows, together about `total` bytes, each times the same vector."""
    rows = 2048
    count = max(1, total // (base.ggml_row_size(type_id, k) * rows))
    memory = base.ggml_init(InitParams(total + count * 200_000 + (64 << 20), None, False))
    x = base.ggml_new_tensor_2d(memory, 0, k, 1)
    ctypes.memset(base.ggml_get_data(x), 0x3F, 4 * k)
    graph = base.ggml_new_graph_custom
    graph.restype = ctypes.c_void_p
    graph.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_bool]
    g = graph(memory, 3 * count + 16, False)
    n_bytes = 0
    for _ in range(count):
        w = base.ggml_new_tensor_2d(memory, type_id, k, rows)
        n = base.ggml_nbytes(w)
        # Random bytes: lookups in codebooks must not always hit the same entry.
        ctypes.memmove(base.ggml_get_data(w), random_bytes(n), n)
        n_bytes += n
        base.ggml_build_forward_expand(g, base.ggml_mul_mat(memory, w, x))
    best = 1e30
    for _ in range(passes):
        start = time.perf_counter()
        cpu.ggml_graph_compute_with_ctx(memory, g, threads)
        best = min(best, time.perf_counter() - start)
    base.ggml_free(memory)
    return n_bytes / best * 1e-9


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--k", type=int, default=2048)
    parser.add_argument("--passes", type=int, default=7)
    parser.add_argument("formats", nargs="*", metavar="FORMAT")
    arguments = parser.parse_args()
    base, cpu = libraries()
    for name in arguments.formats or FORMATS:
        speed = gigabytes_per_second(base, cpu, FORMATS[name], arguments.k, arguments.threads, 192 << 20, arguments.passes)
        print(f"{name:8} {speed:6.2f} GB/s", flush=True)


if __name__ == "__main__":
    main()
