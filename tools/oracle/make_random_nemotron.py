#!/usr/bin/env python3
"""Writes a GGUF of Nemotron's real layer shapes with random weights, cut to a few layers: for measuring speed only.

usage: make_random_nemotron.py nano-v2|nano-v3 VOCABULARY.gguf OUT.gguf [--type Q8_0] [--pattern MEM*E] [--experts 16]

nano-v2 has the layers of NVIDIA-Nemotron-Nano-9B-v2, nano-v3 those of NVIDIA-Nemotron-3-Nano-30B-A3B. The vocabulary is
that of the file named, padded to 16384 tokens. Types: F16, Q8_0, Q4_0 (what gguf-py encodes). Needs PyPI's gguf and numpy.
"""
import argparse

import gguf
import numpy
from gguf.quants import quantize

N_VOCAB = 16384
SHAPES = {
    "nano-v2": dict(architecture="nemotron_h", pattern="M-M*-", hidden=4480, heads=40, kv_heads=8, mamba_heads=128,
                    mamba_head_dim=80, ff=15680),
    "nano-v3": dict(architecture="nemotron_h_moe", pattern="MEM*E", hidden=2688, heads=32, kv_heads=2, mamba_heads=64,
                    mamba_head_dim=64, ff=1856, shared_ff=3712),
}
HEAD_DIM, GROUPS, STATE, KERNEL, N_USED = 128, 8, 128, 4, 6


class File:
    def __init__(self, path: str, architecture: str, kind: str):
        self.writer = gguf.GGUFWriter(path, architecture)
        self.architecture = architecture
        self.kind = gguf.GGMLQuantizationType[kind]
        self.random = numpy.random.default_rng(1)
        self.pools: dict[int, numpy.ndarray] = {}

    def number(self, key: str, value: int) -> None:
        self.writer.add_uint32(f"{self.architecture}.{key}", value)

    def matrix(self, name: str, *shape: int) -> None:
        """Rows of 1 / sqrt(row length); after 4 M weights they repeat."""
        k = shape[-1]
        n_rows = int(numpy.prod(shape[:-1]))
        if k not in self.pools:
            rows = self.random.standard_normal((max(1, (4 << 20) // k), k), dtype=numpy.float32) / numpy.sqrt(numpy.float32(k))
            self.pools[k] = quantize(rows, self.kind)
        pool = self.pools[k]
        data = numpy.resize(pool, (n_rows, pool.shape[1])).reshape(*shape[:-1], pool.shape[1])
        self.writer.add_tensor(name, data, raw_dtype=self.kind)

    def vector(self, name: str, shape, mean: float, deviation: float) -> None:
        values = mean + deviation * self.random.standard_normal(shape, dtype=numpy.float32)
        self.writer.add_tensor(name, values.astype(numpy.float32))


def write_vocabulary(file: File, source: str) -> None:
    reader = gguf.GGUFReader(source)
    for field in reader.fields.values():
        if not field.name.startswith("tokenizer."):
            continue
        value, kind = field.contents(), field.types[0]
        if field.name == "tokenizer.ggml.tokens":
            value = value + [f"[PAD{i}]" for i in range(len(value), N_VOCAB)]
        if field.name == "tokenizer.ggml.token_type":
            value = value + [5] * (N_VOCAB - len(value))
        file.writer.add_key_value(field.name, value, kind,
                                  sub_type=field.types[-1] if kind == gguf.GGUFValueType.ARRAY else None)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("shape", choices=SHAPES)
    parser.add_argument("vocabulary")
    parser.add_argument("out")
    parser.add_argument("--type", default="Q8_0", choices=["F16", "Q8_0", "Q4_0"])
    parser.add_argument("--pattern")
    parser.add_argument("--experts", type=int, default=16)
    options = parser.parse_args()
    s = SHAPES[options.shape]
    pattern, hidden, inner = options.pattern or s["pattern"], s["hidden"], s["mamba_heads"] * s["mamba_head_dim"]
    convolved = inner + 2 * GROUPS * STATE

    file = File(options.out, s["architecture"], options.type)
    write_vocabulary(file, options.vocabulary)
    for key, value in {"block_count": len(pattern), "context_length": 1 << 17, "embedding_length": hidden,
                       "attention.head_count": s["heads"], "attention.key_length": HEAD_DIM,
                       "attention.value_length": HEAD_DIM, "rope.dimension_count": HEAD_DIM, "ssm.conv_kernel": KERNEL,
                       "ssm.state_size": STATE, "ssm.group_count": GROUPS, "ssm.inner_size": inner,
                       "ssm.time_step_rank": s["mamba_heads"], "vocab_size": N_VOCAB}.items():
        file.number(key, value)
    if "E" in pattern:
        for key, value in {"expert_count": options.experts, "expert_used_count": N_USED, "expert_shared_count": 1,
                           "expert_feed_forward_length": s["ff"], "expert_shared_feed_forward_length": s["shared_ff"],
                           "expert_group_count": 1, "expert_group_used_count": 1}.items():
            file.number(key, value)
        file.writer.add_bool(f"{file.architecture}.expert_weights_norm", True)
        file.writer.add_float32(f"{file.architecture}.expert_weights_scale", 2.5)
    for key in ("layer_norm_rms_epsilon", "layer_norm_epsilon"):
        file.writer.add_float32(f"{file.architecture}.attention.{key}", 1e-5)
    file.writer.add_array(f"{file.architecture}.attention.head_count_kv", [s["kv_heads"] * (k == "*") for k in pattern])
    file.writer.add_array(f"{file.architecture}.feed_forward_length", [s["ff"] * (k in "E-") for k in pattern])

    file.matrix("token_embd.weight", N_VOCAB, hidden)
    file.vector("output_norm.weight", hidden, 1, 0.1)
    file.matrix("output.weight", N_VOCAB, hidden)
    for i, kind in enumerate(pattern):
        block = f"blk.{i}."
        file.vector(block + "attn_norm.weight", hidden, 1, 0.1)
        if kind == "M":
            file.matrix(block + "ssm_in.weight", inner + convolved + s["mamba_heads"], hidden)
            file.vector(block + "ssm_conv1d.weight", (convolved, KERNEL), 0, 0.5)
            file.vector(block + "ssm_conv1d.bias", convolved, 0, 0.1)
            file.vector(block + "ssm_dt.bias", s["mamba_heads"], -3, 1)
            file.vector(block + "ssm_a", (s["mamba_heads"], 1), -5, 1)
            file.vector(block + "ssm_d", (s["mamba_heads"], 1), 1, 0.1)
            file.vector(block + "ssm_norm.weight", (GROUPS, inner // GROUPS), 1, 0.1)
            file.matrix(block + "ssm_out.weight", hidden, inner)
        elif kind == "*":
            for name, n in (("q", s["heads"]), ("k", s["kv_heads"]), ("v", s["kv_heads"])):
                file.matrix(block + f"attn_{name}.weight", n * HEAD_DIM, hidden)
            file.matrix(block + "attn_output.weight", hidden, s["heads"] * HEAD_DIM)
        elif kind == "-":
            file.matrix(block + "ffn_up.weight", s["ff"], hidden)
            file.matrix(block + "ffn_down.weight", hidden, s["ff"])
        else:
            file.vector(block + "ffn_gate_inp.weight", (options.experts, hidden), 0, hidden ** -0.5)
            file.vector(block + "exp_probs_b.bias", options.experts, 0, 0.01)
            file.matrix(block + "ffn_up_exps.weight", options.experts, s["ff"], hidden)
            file.matrix(block + "ffn_down_exps.weight", options.experts, hidden, s["ff"])
            file.matrix(block + "ffn_up_shexp.weight", s["shared_ff"], hidden)
            file.matrix(block + "ffn_down_shexp.weight", hidden, s["shared_ff"])
    file.writer.write_header_to_file()
    file.writer.write_kv_data_to_file()
    file.writer.write_tensors_to_file()
    file.writer.close()


main()
