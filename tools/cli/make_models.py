#!/usr/bin/env python3
"""Writes the tiny models of the command line's tests into tests/data/models/, with what they should compute.

Random weights in a llama-architecture GGUF (written by gguf-py) with a byte-level BPE vocabulary; the expected logits
and greedy ids come from a forward pass in NumPy, float64, over the exactly decoded weights. Needs numpy and gguf.

    chat.gguf     Q8_0 matrices, F16 embedding, a chat template, adds BOS
    plain.gguf    the same weights, no chat template, no BOS
    foreign.gguf  an architecture that nobody runs
    expected.json tokens, logits after the last of them, greedy ids
"""

import json
import pathlib

import gguf
import numpy as np
from gguf.quants import dequantize, quantize

OUT = pathlib.Path(__file__).resolve().parents[2] / "tests/data/models"
N_EMBD, N_LAYERS, N_HEADS, KV_HEADS, N_FF, CONTEXT, EPSILON, ROPE_BASE = 32, 2, 4, 2, 64, 32768, 1e-5, 10000.0
HEAD_DIM = N_EMBD // N_HEADS
TEMPLATE = ("{{ bos_token }}{% for message in messages %}<|{{ message.role }}|>{{ message.content }}<|end|>{% endfor %}"
            "{% if add_generation_prompt %}<|assistant|>{% endif %}")
TOKENS = [1, 60, 61, 262, 17, 4, 99, 200, 130, 5]
N_GREEDY = 12
Q8_0, F16, F32 = gguf.GGMLQuantizationType.Q8_0, gguf.GGMLQuantizationType.F16, gguf.GGMLQuantizationType.F32


def byte_characters() -> list[str]:
    """GPT-2's printable stand-in for each byte."""
    printable = list(range(33, 127)) + list(range(161, 173)) + list(range(174, 256))
    extra = iter(range(256, 512))
    return [chr(b) if b in printable else chr(next(extra)) for b in range(256)]


def vocabulary() -> tuple[list[str], list[int], list[str]]:
    merges = [("h", "e"), ("Ġ", "t"), ("Ġt", "he"), ("i", "n"), ("o", "n"), ("r", "e"), ("Ġ", "a"), ("l", "l")]
    control = ["<|pad|>", "<|bos|>", "<|end|>", "<|user|>", "<|assistant|>", "<|system|>"]
    tokens = control + byte_characters() + [a + b for a, b in merges]
    types = [gguf.TokenType.CONTROL] * len(control) + [gguf.TokenType.NORMAL] * (len(tokens) - len(control))
    return tokens, types, [f"{a} {b}" for a, b in merges]


def weights(n_vocab: int) -> dict[str, tuple[np.ndarray, gguf.GGMLQuantizationType]]:
    rng = np.random.default_rng(7)

    def matrix(rows: int, columns: int, scale: float = 0.25):
        return rng.normal(0, scale, (rows, columns)).astype(np.float32)

    def norm():
        return (rng.normal(1, 0.1, N_EMBD).astype(np.float32), F32)

    tensors = {"token_embd.weight": (matrix(n_vocab, N_EMBD, 1.0), F16), "output_norm.weight": norm(),
               "output.weight": (matrix(n_vocab, N_EMBD, 0.6), Q8_0)}
    for i in range(N_LAYERS):
        tensors |= {f"blk.{i}.attn_norm.weight": norm(), f"blk.{i}.ffn_norm.weight": norm(),
                    f"blk.{i}.attn_q.weight": (matrix(N_EMBD, N_EMBD), Q8_0),
                    f"blk.{i}.attn_k.weight": (matrix(KV_HEADS * HEAD_DIM, N_EMBD), Q8_0),
                    f"blk.{i}.attn_v.weight": (matrix(KV_HEADS * HEAD_DIM, N_EMBD), Q8_0),
                    f"blk.{i}.attn_output.weight": (matrix(N_EMBD, N_EMBD), Q8_0),
                    f"blk.{i}.ffn_gate.weight": (matrix(N_FF, N_EMBD), Q8_0),
                    f"blk.{i}.ffn_up.weight": (matrix(N_FF, N_EMBD), Q8_0),
                    f"blk.{i}.ffn_down.weight": (matrix(N_EMBD, N_FF), Q8_0)}
    return tensors


def write(path: pathlib.Path, tensors: dict, template: str | None) -> None:
    tokens, types, merges = vocabulary()
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_name("tiny test model")
    writer.add_block_count(N_LAYERS)
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(N_EMBD)
    writer.add_feed_forward_length(N_FF)
    writer.add_head_count(N_HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_layer_norm_rms_eps(EPSILON)
    writer.add_rope_freq_base(ROPE_BASE)
    writer.add_rope_dimension_count(HEAD_DIM)
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(tokens)
    writer.add_token_types(types)
    writer.add_token_merges(merges)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_add_bos_token(template is not None)
    if template is not None:
        writer.add_chat_template(template)
    for name, (values, kind) in tensors.items():
        data = values if kind == F32 else quantize(values, kind)
        writer.add_tensor(name, data, raw_dtype=None if kind == F32 else kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def decoded(tensors: dict) -> dict[str, np.ndarray]:
    return {name: (values if kind == F32 else dequantize(quantize(values, kind), kind)).astype(np.float64)
            for name, (values, kind) in tensors.items()}


def rms_norm(x, weight):
    return x / np.sqrt(np.mean(x * x, axis=-1, keepdims=True) + EPSILON) * weight


def rope(x):
    """Rotates neighbours; x is [tokens, heads, head_dim]."""
    angles = np.arange(len(x))[:, None] * ROPE_BASE ** (-np.arange(0, HEAD_DIM, 2) / HEAD_DIM)
    cos, sin = np.cos(angles)[:, None], np.sin(angles)[:, None]
    even, odd = x[..., 0::2], x[..., 1::2]
    out = np.empty_like(x)
    out[..., 0::2], out[..., 1::2] = even * cos - odd * sin, even * sin + odd * cos
    return out


def logits_of_last(w: dict[str, np.ndarray], tokens: list[int]) -> np.ndarray:
    x, n = w["token_embd.weight"][tokens], len(tokens)
    for i in range(N_LAYERS):
        def linear(name, value):
            return value @ w[f"blk.{i}.{name}.weight"].T

        h = rms_norm(x, w[f"blk.{i}.attn_norm.weight"])
        q = rope(linear("attn_q", h).reshape(n, N_HEADS, HEAD_DIM))
        k = rope(linear("attn_k", h).reshape(n, KV_HEADS, HEAD_DIM)).repeat(N_HEADS // KV_HEADS, axis=1)
        v = linear("attn_v", h).reshape(n, KV_HEADS, HEAD_DIM).repeat(N_HEADS // KV_HEADS, axis=1)
        scores = np.einsum("qhd,khd->hqk", q, k) / np.sqrt(HEAD_DIM) + np.triu(np.full((n, n), -np.inf), 1)
        scores = np.exp(scores - scores.max(-1, keepdims=True))
        attended = np.einsum("hqk,khd->qhd", scores / scores.sum(-1, keepdims=True), v).reshape(n, N_EMBD)
        x = x + linear("attn_output", attended)
        h = rms_norm(x, w[f"blk.{i}.ffn_norm.weight"])
        gate = linear("ffn_gate", h)
        x = x + linear("ffn_down", gate / (1 + np.exp(-gate)) * linear("ffn_up", h))
    return rms_norm(x[-1], w["output_norm.weight"]) @ w["output.weight"].T


def main() -> None:
    OUT.mkdir(parents=True, exist_ok=True)
    tensors = weights(len(vocabulary()[0]))
    write(OUT / "chat.gguf", tensors, TEMPLATE)
    write(OUT / "plain.gguf", tensors, None)
    writer = gguf.GGUFWriter(OUT / "foreign.gguf", "abacus")
    writer.add_name("foreign")
    writer.add_tensor("beads.weight", np.arange(12, dtype=np.float32).reshape(3, 4))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()

    w, ids, margins = decoded(tensors), [], []
    for _ in range(N_GREEDY):
        logits = logits_of_last(w, TOKENS + ids)
        top = np.sort(logits)[-2:]
        margins.append(float(top[1] - top[0]))
        ids.append(int(logits.argmax()))
    print("smallest margin of the greedy ids", min(margins))
    expected = {"tokens": TOKENS, "logits": [round(float(v), 6) for v in logits_of_last(w, TOKENS)], "greedy": ids}
    (OUT / "expected.json").write_text(json.dumps(expected) + "\n")


if __name__ == "__main__":
    main()
