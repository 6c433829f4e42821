#!/usr/bin/env python3
"""Compares an importance matrix of `agave calibrate` with what llama.cpp's own graph multiplies its matrices by.

    compare_imatrix.py MODEL.gguf TEXT IMATRIX.gguf [--ctx-size 512]

Runs the same chunks of TEXT through llama.cpp, whose evaluation callback shows the inputs of each matrix product,
adds up their squares, and prints the relative difference of the mean squares for each kind of matrix. Needs numpy,
gguf and llama-cpp-python (PyPI).
"""
import argparse
import collections
import ctypes
import re

import gguf
import llama_cpp
import numpy as np


class GgmlTensor(ctypes.Structure):
    """struct ggml_tensor of ggml.h."""


GgmlTensor._fields_ = [
    ("type", ctypes.c_int), ("buffer", ctypes.c_void_p), ("ne", ctypes.c_int64 * 4), ("nb", ctypes.c_size_t * 4),
    ("op", ctypes.c_int), ("op_params", ctypes.c_int32 * 16), ("flags", ctypes.c_int32),
    ("src", ctypes.POINTER(GgmlTensor) * 10), ("view_src", ctypes.c_void_p), ("view_offs", ctypes.c_size_t),
    ("data", ctypes.c_void_p), ("name", ctypes.c_char * 64)]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("text")
    parser.add_argument("imatrix")
    parser.add_argument("--ctx-size", type=int, default=512)
    options = parser.parse_args()
    sums, counts = {}, collections.Counter()

    def see(pointer, ask, _):
        tensor = ctypes.cast(pointer, ctypes.POINTER(GgmlTensor)).contents
        if not tensor.src[0] or not tensor.src[1]:
            return False
        weight, x = tensor.src[0].contents, tensor.src[1].contents
        name = weight.name.decode()
        if not re.fullmatch(r"blk\..*\.weight", name) or weight.ne[1] < 2 or weight.ne[2] > 1 or x.type != 0:
            return False
        if "norm" in name or x.ne[0] != weight.ne[0] or x.nb[1] != 4 * x.ne[0]:
            return False
        if ask:
            return True
        n = x.ne[0] * x.ne[1]
        rows = np.ctypeslib.as_array(ctypes.cast(x.data, ctypes.POINTER(ctypes.c_float)), (n,))
        squares = (rows.reshape(-1, x.ne[0]).astype(np.float64) ** 2).sum(axis=0)
        sums[name] = sums.get(name, 0) + squares
        counts[name] += x.ne[1]
        return True

    quiet = llama_cpp.llama_log_callback(lambda *_: None)
    llama_cpp.llama_log_set(quiet, ctypes.c_void_p(0))
    model = llama_cpp.llama_model_load_from_file(options.model.encode(), llama_cpp.llama_model_default_params())
    params = llama_cpp.llama_context_default_params()
    params.n_ctx = params.n_batch = params.n_ubatch = options.ctx_size
    callback_type = dict(llama_cpp.llama_context_params._fields_)["cb_eval"]
    signature = ctypes.CFUNCTYPE(ctypes.c_bool, ctypes.c_void_p, ctypes.c_bool, ctypes.c_void_p)
    callback = signature(see)
    params.cb_eval = ctypes.cast(callback, callback_type) if callback_type is not ctypes.c_void_p \
        else ctypes.cast(callback, ctypes.c_void_p)
    context = llama_cpp.llama_init_from_model(model, params)
    vocab = llama_cpp.llama_model_get_vocab(model)
    text = open(options.text, "rb").read()
    buffer = (llama_cpp.llama_token * (len(text) + 8))()
    n = llama_cpp.llama_tokenize(vocab, text, len(text), buffer, len(buffer), True, False)
    tokens = list(buffer[:n])
    for begin in range(0, n - options.ctx_size + 1, options.ctx_size):
        chunk = tokens[begin:begin + options.ctx_size]
        if llama_cpp.llama_vocab_get_add_bos(vocab):
            chunk[0] = llama_cpp.llama_vocab_bos(vocab)
        llama_cpp.llama_memory_clear(llama_cpp.llama_get_memory(context), True)
        array = (llama_cpp.llama_token * len(chunk))(*chunk)
        batch = llama_cpp.llama_batch_init(len(chunk), 0, 1)
        batch.n_tokens = len(chunk)
        for i, token in enumerate(array):
            batch.token[i], batch.pos[i], batch.n_seq_id[i], batch.seq_id[i][0] = token, i, 1, 0
            batch.logits[i] = 1
        assert llama_cpp.llama_decode(context, batch) == 0
        llama_cpp.llama_batch_free(batch)

    ours = {t.name: t.data for t in gguf.GGUFReader(options.imatrix).tensors}
    kinds = collections.defaultdict(list)
    for name, squares in sums.items():
        a = np.asarray(ours[name + ".in_sum2"], np.float64).reshape(-1)
        a = a / float(np.asarray(ours[name + ".counts"]).reshape(-1)[0])
        b = squares / counts[name]
        kinds[name.split(".", 2)[2]].append(float(np.abs(a - b).sum() / b.sum()))
    missing = [n for n in ours if n.endswith(".in_sum2") and n.removesuffix(".in_sum2") not in sums]
    for kind, values in sorted(kinds.items()):
        print(f"{kind:24} {len(values):3} matrices, relative difference {np.mean(values):.2e}, at most {max(values):.2e}")
    print(f"{len(missing)} matrices only in '{options.imatrix}'")


if __name__ == "__main__":
    main()
