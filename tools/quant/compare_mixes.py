#!/usr/bin/env python3
"""Quantises models with llama.cpp and with agave under every name of a mix and compares the formats of all tensors.

    compare_mixes.py [--agave build/dev/bin/agave] [--mixes Q4_K_M,...] [MODEL.gguf ...]

Without a model, small ones are made with the metadata of tests/data/models/plain.gguf: 33 layers, with and
without output.weight, with shared K/V heads, with 8 and with 32 experts, with rows that 256 does not divide.
An importance matrix is given to the mixes that need one in llama.cpp and, as a second round, to all. Prints the
differences, exits 1 when there are any. Needs numpy, gguf and llama-cpp-python (PyPI).
"""
import argparse
import ctypes
import pathlib
import subprocess
import sys
import tempfile

import gguf
import llama_cpp
import numpy as np

ROOT = pathlib.Path(__file__).parents[2]
FILE_TYPES = {"F16": 1, "BF16": 32, "Q4_0": 2, "Q4_1": 3, "Q8_0": 7, "Q5_0": 8, "Q5_1": 9, "Q2_K": 10, "Q3_K_S": 11,
              "Q3_K_M": 12, "Q3_K_L": 13, "Q4_K_S": 14, "Q4_K_M": 15, "Q5_K_S": 16, "Q5_K_M": 17, "Q6_K": 18,
              "IQ2_XXS": 19, "IQ2_XS": 20, "Q2_K_S": 21, "IQ3_XS": 22, "IQ3_XXS": 23, "IQ1_S": 24, "IQ4_NL": 25,
              "IQ3_S": 26, "IQ3_M": 27, "IQ2_S": 28, "IQ2_M": 29, "IQ4_XS": 30, "IQ1_M": 31, "TQ1_0": 36,
              "TQ2_0": 37, "MXFP4_MOE": 38, "NVFP4": 39, "Q1_0": 40, "Q2_0": 41}
NEED_IMATRIX = {"IQ2_XXS", "IQ2_XS", "IQ2_S", "IQ2_M", "IQ1_S", "IQ1_M", "Q2_K_S"}


class ImatrixData(ctypes.Structure):
    _fields_ = [("name", ctypes.c_char_p), ("data", ctypes.POINTER(ctypes.c_float)), ("size", ctypes.c_size_t)]


def flat_imatrix(path):
    """Name -> ones, for every matrix."""
    entries = {}
    for tensor in gguf.GGUFReader(path).tensors:
        if tensor.name.endswith(".weight") and len(tensor.shape) >= 2:
            experts = int(tensor.shape[2]) if len(tensor.shape) > 2 else 1
            entries[tensor.name] = (np.ones(int(tensor.shape[0]) * experts, np.float32), experts)
    return entries


def write_imatrix(path, entries):
    writer = gguf.GGUFWriter(path, "")
    writer.kv_data[0].pop("general.architecture", None)
    writer.add_type("imatrix")
    writer.add_array("imatrix.datasets", ["flat"])
    writer.add_uint32("imatrix.chunk_count", 1)
    writer.add_uint32("imatrix.chunk_size", 512)
    for name, (values, experts) in entries.items():
        writer.add_tensor(name + ".in_sum2", values.reshape(experts, -1))
        writer.add_tensor(name + ".counts", np.ones((experts, 1), np.float32))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def quantize_llama(source, target, mix, entries):
    params = llama_cpp.llama_model_quantize_default_params()
    params.ftype = FILE_TYPES[mix]
    params.nthread = 2
    params.allow_requantize = True
    if entries:
        table = (ImatrixData * (len(entries) + 1))()
        for slot, (name, (values, _)) in zip(table, entries.items()):
            slot.name = name.encode()
            slot.data = values.ctypes.data_as(ctypes.POINTER(ctypes.c_float))
            slot.size = values.size
        params.imatrix = ctypes.cast(table, type(params.imatrix))
        quantize_llama.keep = table
    return llama_cpp.llama_model_quantize(str(source).encode(), str(target).encode(), ctypes.byref(params))


def types_of(path):
    return {tensor.name: tensor.tensor_type.name if hasattr(tensor.tensor_type, "name") else tensor.tensor_type
            for tensor in gguf.GGUFReader(path).tensors}


def make_models(folder):
    """Models of the shapes that the mixes tell apart; their weights are noise."""
    plain = gguf.GGUFReader(ROOT / "tests/data/models/plain.gguf")
    kinds = {"plain": {}, "tied": {"tied": True}, "gqa": {"kv": 1}, "experts8": {"experts": 8},
             "experts32": {"experts": 32, "kv": 1}, "odd": {"columns": 96}, "mixed": {"ff": 512, "columns": 192}}
    random = np.random.default_rng(1)
    for name, kind in kinds.items():
        columns, ff, experts, n_layers = kind.get("columns", 256), kind.get("ff", 256), kind.get("experts", 0), 33
        heads, kv = 4, kind.get("kv", 4)
        writer = gguf.GGUFWriter(folder / f"{name}.gguf", "llama")
        for field in plain.fields.values():
            if field.name.startswith("tokenizer.") and field.name != "tokenizer.chat_template":
                value = field.contents()
                if isinstance(value, list):
                    writer.add_array(field.name, value)
                elif isinstance(value, str):
                    writer.add_string(field.name, value)
                elif isinstance(value, bool):
                    writer.add_bool(field.name, value)
                else:
                    writer.add_uint32(field.name, int(value))
        n_vocab = len(plain.fields["tokenizer.ggml.tokens"].data)
        writer.add_context_length(64)
        writer.add_embedding_length(columns)
        writer.add_block_count(n_layers)
        writer.add_feed_forward_length(ff)
        writer.add_head_count(heads)
        writer.add_head_count_kv(kv)
        writer.add_layer_norm_rms_eps(1e-5)
        writer.add_rope_dimension_count(columns // heads)
        writer.add_file_type(0)
        if experts:
            writer.add_expert_count(experts)
            writer.add_expert_used_count(2)

        def matrix(tensor, *shape):
            writer.add_tensor(tensor, random.standard_normal(shape).astype(np.float32) * 0.02)

        matrix("token_embd.weight", n_vocab, columns)
        matrix("output_norm.weight", columns)
        if not kind.get("tied"):
            matrix("output.weight", n_vocab, columns)
        for i in range(n_layers):
            matrix(f"blk.{i}.attn_norm.weight", columns)
            matrix(f"blk.{i}.ffn_norm.weight", columns)
            matrix(f"blk.{i}.attn_q.weight", columns, columns)
            matrix(f"blk.{i}.attn_k.weight", columns // heads * kv, columns)
            matrix(f"blk.{i}.attn_v.weight", columns // heads * kv, columns)
            matrix(f"blk.{i}.attn_output.weight", columns, columns)
            if experts:
                matrix(f"blk.{i}.ffn_gate_inp.weight", experts, columns)
                matrix(f"blk.{i}.ffn_gate_exps.weight", experts, 32, columns)
                matrix(f"blk.{i}.ffn_up_exps.weight", experts, 32, columns)
                matrix(f"blk.{i}.ffn_down_exps.weight", experts, columns, 256)
            else:
                matrix(f"blk.{i}.ffn_gate.weight", ff, columns)
                matrix(f"blk.{i}.ffn_up.weight", ff, columns)
                matrix(f"blk.{i}.ffn_down.weight", columns, ff)
        writer.write_header_to_file()
        writer.write_kv_data_to_file()
        writer.write_tensors_to_file()
        writer.close()
    return sorted(folder.glob("*.gguf"))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*")
    parser.add_argument("--agave", default=str(ROOT / "build/dev/bin/agave"))
    parser.add_argument("--mixes", default=",".join(FILE_TYPES))
    parser.add_argument("--show", action="store_true", help="print what llama.cpp chose, tensor by tensor")
    options = parser.parse_args()
    callback = llama_cpp.llama_log_callback(lambda *_: None)
    llama_cpp.llama_log_set(callback, ctypes.c_void_p(0))
    n_compared = n_different = 0
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        made = folder / "models"
        made.mkdir()
        for model in options.models or make_models(made):
            entries = flat_imatrix(model)
            write_imatrix(folder / "imatrix.gguf", entries)
            for mix in options.mixes.split(","):
                for imatrix in (False, True):
                    if mix in NEED_IMATRIX and not imatrix:
                        continue
                    theirs, ours = folder / "theirs.gguf", folder / "ours.gguf"
                    if quantize_llama(model, theirs, mix, entries if imatrix else None) != 0:
                        print(f"{pathlib.Path(model).name} {mix} imatrix={imatrix}: llama.cpp refuses")
                        continue
                    command = [options.agave, "quantize", "--force", "-q", str(model), str(ours), mix]
                    if imatrix:
                        command += ["--imatrix", str(folder / "imatrix.gguf")]
                    run = subprocess.run(command, capture_output=True, text=True)
                    if run.returncode:
                        print(f"{mix}: agave: {run.stderr.strip()}")
                        n_different += 1
                        continue
                    a, b = types_of(ours), types_of(theirs)
                    n_compared += len(b)
                    different = [(t, a.get(t), b[t]) for t in b if a.get(t) != b[t]]
                    n_different += len(different) + (a.keys() != b.keys())
                    if options.show:
                        print(mix, b)
                    if different:
                        print(f"{pathlib.Path(model).name} {mix} imatrix={imatrix}: {len(different)} differ, e.g. "
                              + ", ".join(f"{t} {x} (llama.cpp {y})" for t, x, y in different[:4]), flush=True)
    print(f"{n_compared} tensors compared, {n_different} differ")
    return 1 if n_different else 0


if __name__ == "__main__":
    sys.exit(main())
