#!/usr/bin/env python3
"""Writes GGUF files with the shapes, metadata and vocabularies of real models and random weights, to measure speed with.

    tools/synth/make_synth.py qwen3.5-0.8b|gemma3-1b|gemma4-e2b|gpt-oss-4|glm-4.7-flash-4 OUT.gguf [--format q4_k_m]

gpt-oss-4 and glm-4.7-flash-4 are cut to four layers. Matrices are random blocks of the format, drawn directly, so that a
file of some gigabytes takes a minute and no second copy: f16, q8_0, q4_0, or the mix q4_k_m (Q6_K for the embedding,
attn_v and ffn_down of every other layer, Q4_K elsewhere, Q8_0 where rows do not divide by 256). GPT-OSS always has
MXFP4 experts and Q8_0 elsewhere, as released. Weights are spread evenly about 0 with a deviation of --deviation.

--vocabularies names the folder with llama.cpp's ggml-vocab-{qwen35,gemma-4,gpt-2}.gguf (in its repository under models/);
Gemma 3's vocabulary comes from any Gemma 3 GGUF, --gemma3 (scripts/get-model.sh gemma3-270m). They are padded with unused
tokens to the model's real size. Needs PyPI's gguf and numpy.
"""
import argparse
import os
import pathlib

import gguf
import numpy as np
from gguf import GGMLQuantizationType as Type

# (bytes, elements) of a block, and what its numbers are drawn from.
FORMATS = {"f16": Type.F16, "q8_0": Type.Q8_0, "q4_0": Type.Q4_0, "q4_k": Type.Q4_K, "q6_k": Type.Q6_K, "mxfp4": Type.MXFP4}
SAME_SCALES = bytes([32 | 0x80] * 4 + [32 | 0x80] * 4 + [0] * 4)  # all eight scales and minima of Q4_K are 32


class Writer:
    def __init__(self, out: str, architecture: str, options: argparse.Namespace):
        self.gguf = gguf.GGUFWriter(out, architecture, use_temp_file=False)
        self.prefix = architecture + "."
        self.random = np.random.default_rng(options.seed)
        self.options = options

    def keys(self, **values: object) -> None:
        """Integers, floats, flags, texts and lists of them, under <architecture>.<name, '__' for '.'>."""
        for name, value in values.items():
            name = self.prefix + name.replace("__", ".")
            if isinstance(value, bool):
                self.gguf.add_bool(name, value)
            elif isinstance(value, int):
                self.gguf.add_uint32(name, value)
            elif isinstance(value, float):
                self.gguf.add_float32(name, value)
            elif isinstance(value, str):
                self.gguf.add_string(name, value)
            else:
                self.gguf.add_array(name, value)

    def vocabulary(self, path: pathlib.Path, size: int) -> None:
        reader = gguf.GGUFReader(path)
        n = len(reader.fields["tokenizer.ggml.tokens"].data)
        padding = {"tokens": [f"[PAD{i}]" for i in range(n, size)], "token_type": [5] * (size - n), "scores": [-1000.0] * (size - n)}
        for field in reader.fields.values():
            if not field.name.startswith("tokenizer."):
                continue
            if field.types[0] == gguf.GGUFValueType.ARRAY:
                values = list(field.contents()) + padding.get(field.name.rsplit(".", 1)[1], [])
                self.gguf.add_key_value(field.name, values, field.types[0], sub_type=field.types[-1])
            else:
                self.gguf.add_key_value(field.name, field.contents(), field.types[0])

    def vector(self, name: str, *shape: int, mean: float = 1.0, deviation: float = 0.05) -> None:
        self.gguf.add_tensor(name, (mean + deviation * self.random.standard_normal(shape)).astype(np.float32))

    def ones(self, size: int, *names: str) -> None:
        for name in names:
            self.vector(name, size)

    def blocks(self, kind: str, n: int) -> np.ndarray:
        """n blocks of random numbers, evenly spread about 0."""
        size = gguf.GGML_QUANT_SIZES[FORMATS[kind]][1]
        blocks = self.random.integers(0, 256, (n, size), dtype=np.uint8)
        deviation = self.options.deviation

        def half(value: float) -> np.ndarray:
            return np.frombuffer(np.float16(value).tobytes(), np.uint8)

        if kind == "q8_0":
            blocks[:, :2] = half(deviation / 73.9)
        elif kind == "q4_0":
            blocks[:, :2] = half(deviation / 4.61)
        elif kind == "q4_k":
            scale = deviation / 4.61 / 32
            blocks[:, :2], blocks[:, 2:4] = half(scale), half(7.5 * scale)
            blocks[:, 4:16] = np.frombuffer(SAME_SCALES, np.uint8)
        elif kind == "q6_k":
            blocks[:, 192:208] = 32
            blocks[:, 208:] = half(deviation / 18.5 / 32)
        elif kind == "mxfp4":
            blocks[:, 0] = 127 - 1 + round(np.log2(deviation / 3.2))
        return blocks

    def matrix(self, name: str, *shape: int, kind: str | None = None) -> None:
        """shape: rows last but one, row length last."""
        kind = kind or self.kind_of(name, shape[-1])
        if kind == "f32":
            return self.vector(name, *shape, mean=0.0, deviation=self.options.deviation)
        n = int(np.prod(shape))
        if kind == "f16":
            values = np.empty(n, np.float16)
            for begin in range(0, n, 1 << 24):
                end = min(n, begin + (1 << 24))
                values[begin:end] = self.options.deviation * self.random.standard_normal(end - begin, dtype=np.float32)
            self.gguf.add_tensor(name, values.reshape(shape))
            return
        elements, size = gguf.GGML_QUANT_SIZES[FORMATS[kind]]
        data = self.blocks(kind, n // elements).reshape(*shape[:-1], shape[-1] // elements * size)
        self.gguf.add_tensor(name, data, raw_dtype=FORMATS[kind])

    def kind_of(self, name: str, row_length: int) -> str:
        kind = self.options.format
        if kind != "q4_k_m":
            return kind
        if row_length % 256 != 0:
            return "q8_0"
        layer = int(name.split(".")[1]) if name.startswith("blk.") else 0
        better = name.split(".")[-2] in ("token_embd", "output", "per_layer_token_embd") or (
            name.split(".")[-2] in ("attn_v", "ffn_down", "ffn_down_exps") and layer % 2 == 0)
        return "q6_k" if better else "q4_k"

    def close(self) -> None:
        self.gguf.write_header_to_file()
        self.gguf.write_kv_data_to_file()
        self.gguf.write_tensors_to_file()
        self.gguf.close()


def qwen35(w: Writer, options: argparse.Namespace) -> None:
    """Qwen3.5-0.8B: three layers of gated DeltaNet to one of attention."""
    layers, e, ff, heads, kv, d, vocab = 24, 1024, 3584, 8, 2, 256, 248320
    k_heads, v_heads, state = 16, 16, 128
    channels = 2 * k_heads * state + v_heads * state
    w.keys(block_count=layers, context_length=262144, embedding_length=e, feed_forward_length=ff, attention__head_count=heads,
           attention__head_count_kv=kv, attention__key_length=d, attention__value_length=d, attention__layer_norm_rms_epsilon=1e-6,
           rope__freq_base=1e7, rope__dimension_count=d // 4, rope__dimension_sections=[11, 11, 10, 0], ssm__conv_kernel=4,
           ssm__state_size=state, ssm__group_count=k_heads, ssm__time_step_rank=v_heads, ssm__inner_size=v_heads * state,
           full_attention_interval=4)
    w.vocabulary(options.vocabularies / "ggml-vocab-qwen35.gguf", vocab)
    w.matrix("token_embd.weight", vocab, e)
    w.ones(e, "output_norm.weight")
    for layer in range(layers):
        p = f"blk.{layer}."
        w.ones(e, p + "attn_norm.weight", p + "post_attention_norm.weight")
        if (layer + 1) % 4 == 0:
            w.matrix(p + "attn_q.weight", 2 * heads * d, e)
            w.matrix(p + "attn_k.weight", kv * d, e)
            w.matrix(p + "attn_v.weight", kv * d, e)
            w.matrix(p + "attn_output.weight", e, heads * d)
            w.ones(d, p + "attn_q_norm.weight", p + "attn_k_norm.weight")
        else:
            w.matrix(p + "attn_qkv.weight", channels, e)
            w.matrix(p + "attn_gate.weight", v_heads * state, e)
            w.vector(p + "ssm_conv1d.weight", channels, 4, mean=0.0, deviation=0.3)
            w.vector(p + "ssm_dt.bias", v_heads, mean=-4.0, deviation=1.0)
            w.gguf.add_tensor(p + "ssm_a", -np.exp(w.random.uniform(0.0, 2.7, v_heads)).astype(np.float32))
            w.matrix(p + "ssm_beta.weight", v_heads, e)
            w.matrix(p + "ssm_alpha.weight", v_heads, e)
            w.ones(state, p + "ssm_norm.weight")
            w.matrix(p + "ssm_out.weight", e, v_heads * state)
        w.matrix(p + "ffn_gate.weight", ff, e)
        w.matrix(p + "ffn_up.weight", ff, e)
        w.matrix(p + "ffn_down.weight", e, ff)


def gemma3(w: Writer, options: argparse.Namespace) -> None:
    """Gemma 3 1B."""
    layers, e, ff, heads, kv, d, vocab = 26, 1152, 6912, 4, 1, 256, 262144
    w.keys(block_count=layers, context_length=32768, embedding_length=e, feed_forward_length=ff, attention__head_count=heads,
           attention__head_count_kv=kv, attention__key_length=d, attention__value_length=d, attention__layer_norm_rms_epsilon=1e-6,
           attention__sliding_window=512, rope__freq_base=1e6)
    w.vocabulary(options.gemma3, vocab)
    w.matrix("token_embd.weight", vocab, e)
    w.ones(e, "output_norm.weight")
    for layer in range(layers):
        p = f"blk.{layer}."
        w.ones(e, *(p + n + ".weight" for n in ("attn_norm", "post_attention_norm", "ffn_norm", "post_ffw_norm")))
        w.ones(d, p + "attn_q_norm.weight", p + "attn_k_norm.weight")
        w.matrix(p + "attn_q.weight", heads * d, e)
        w.matrix(p + "attn_k.weight", kv * d, e)
        w.matrix(p + "attn_v.weight", kv * d, e)
        w.matrix(p + "attn_output.weight", e, heads * d)
        w.matrix(p + "ffn_gate.weight", ff, e)
        w.matrix(p + "ffn_up.weight", ff, e)
        w.matrix(p + "ffn_down.weight", e, ff)


def gemma4(w: Writer, options: argparse.Namespace) -> None:
    """Gemma 4 E2B: embeddings for every layer, K/V shared by the last twenty, whose MLPs are twice as wide."""
    layers, shared, e, ff, heads, kv, d, full_d, per_layer, vocab = 35, 20, 1536, 6144, 8, 1, 256, 512, 256, 262144
    sliding = [(layer + 1) % 5 != 0 for layer in range(layers)]
    widths = [ff if layer < layers - shared else 2 * ff for layer in range(layers)]
    w.keys(block_count=layers, context_length=131072, embedding_length=e, feed_forward_length=widths, attention__head_count=heads,
           attention__head_count_kv=kv, attention__key_length=full_d, attention__value_length=full_d, attention__key_length_swa=d,
           attention__value_length_swa=d, attention__layer_norm_rms_epsilon=1e-6, attention__sliding_window=512,
           attention__sliding_window_pattern=sliding, attention__shared_kv_layers=shared, rope__freq_base=1e6,
           rope__freq_base_swa=1e4, rope__dimension_count=full_d, rope__dimension_count_swa=d, final_logit_softcapping=30.0,
           embedding_length_per_layer_input=per_layer)
    w.vocabulary(options.vocabularies / "ggml-vocab-gemma-4.gguf", vocab)
    w.matrix("token_embd.weight", vocab, e)
    w.matrix("per_layer_token_embd.weight", vocab, layers * per_layer)
    w.matrix("per_layer_model_proj.weight", layers * per_layer, e)
    w.ones(per_layer, "per_layer_proj_norm.weight")
    w.ones(e, "output_norm.weight")
    w.gguf.add_tensor("rope_freqs.weight", np.where(np.arange(full_d // 2) < full_d // 8, 1.0, 1e30).astype(np.float32))
    for layer in range(layers):
        p, dim = f"blk.{layer}.", d if sliding[layer] else full_d
        w.ones(e, *(p + n + ".weight" for n in ("attn_norm", "post_attention_norm", "ffn_norm", "post_ffw_norm", "post_norm")))
        w.ones(1, p + "layer_output_scale.weight")
        w.ones(dim, p + "attn_q_norm.weight")
        w.matrix(p + "attn_q.weight", heads * dim, e)
        if layer < layers - shared:
            w.ones(dim, p + "attn_k_norm.weight")
            w.matrix(p + "attn_k.weight", kv * dim, e)
            w.matrix(p + "attn_v.weight", kv * dim, e)
        w.matrix(p + "attn_output.weight", e, heads * dim)
        w.matrix(p + "ffn_gate.weight", widths[layer], e)
        w.matrix(p + "ffn_up.weight", widths[layer], e)
        w.matrix(p + "ffn_down.weight", e, widths[layer])
        w.matrix(p + "inp_gate.weight", per_layer, e)
        w.matrix(p + "proj.weight", e, per_layer)


def gptoss(w: Writer, options: argparse.Namespace) -> None:
    """GPT-OSS 20B, four layers of it."""
    layers, e, ff, heads, kv, d, experts, vocab = 4, 2880, 2880, 64, 8, 64, 32, 201088
    w.keys(block_count=layers, context_length=131072, embedding_length=e, feed_forward_length=ff, attention__head_count=heads,
           attention__head_count_kv=kv, attention__key_length=d, attention__value_length=d, attention__layer_norm_rms_epsilon=1e-5,
           attention__sliding_window=128, rope__freq_base=150000.0, rope__scaling__type="yarn", rope__scaling__factor=32.0,
           rope__scaling__original_context_length=4096, expert_count=experts, expert_used_count=4, expert_feed_forward_length=ff)
    w.vocabulary(options.vocabularies / "ggml-vocab-gpt-2.gguf", vocab)
    w.matrix("token_embd.weight", vocab, e, kind="q8_0")
    w.matrix("output.weight", vocab, e, kind="q8_0")
    w.ones(e, "output_norm.weight")
    for layer in range(layers):
        p = f"blk.{layer}."
        w.ones(e, p + "attn_norm.weight", p + "post_attention_norm.weight")
        for name, rows, columns in (("q", heads * d, e), ("k", kv * d, e), ("v", kv * d, e), ("output", e, heads * d)):
            w.matrix(f"{p}attn_{name}.weight", rows, columns, kind="q8_0")
            w.vector(f"{p}attn_{name}.bias", rows, mean=0.0)
        w.vector(p + "attn_sinks.weight", heads, mean=0.0, deviation=1.0)
        w.matrix(p + "ffn_gate_inp.weight", experts, e, kind="f32")
        w.vector(p + "ffn_gate_inp.bias", experts, mean=0.0)
        for name, rows, columns in (("gate", ff, e), ("up", ff, e), ("down", e, ff)):
            w.matrix(f"{p}ffn_{name}_exps.weight", experts, rows, columns, kind="mxfp4")
            w.vector(f"{p}ffn_{name}_exps.bias", experts, rows, mean=0.0)


def glm47flash(w: Writer, options: argparse.Namespace) -> None:
    """GLM-4.7-Flash, four layers of it, the first of them dense."""
    layers, e, ff, heads, q_lora, kv_lora, nope, rope, value = 4, 2048, 10240, 20, 768, 512, 192, 64, 256
    experts, expert_ff, vocab = 64, 1536, 151936
    w.keys(block_count=layers, context_length=202752, embedding_length=e, feed_forward_length=ff, attention__head_count=heads,
           attention__head_count_kv=1, attention__key_length=kv_lora + rope, attention__value_length=kv_lora,
           attention__key_length_mla=nope + rope, attention__value_length_mla=value, attention__q_lora_rank=q_lora,
           attention__kv_lora_rank=kv_lora, attention__layer_norm_rms_epsilon=1e-5, rope__freq_base=1e6, rope__dimension_count=rope,
           leading_dense_block_count=1, expert_count=experts, expert_used_count=4, expert_shared_count=1,
           expert_feed_forward_length=expert_ff, expert_weights_scale=1.8, expert_weights_norm=True, expert_gating_func=2,
           vocab_size=vocab)
    w.vocabulary(options.vocabularies / "ggml-vocab-qwen2.gguf", vocab)
    w.matrix("token_embd.weight", vocab, e)
    w.matrix("output.weight", vocab, e)
    w.ones(e, "output_norm.weight")
    for layer in range(layers):
        p = f"blk.{layer}."
        w.ones(e, p + "attn_norm.weight", p + "ffn_norm.weight")
        w.ones(q_lora, p + "attn_q_a_norm.weight")
        w.ones(kv_lora, p + "attn_kv_a_norm.weight")
        w.matrix(p + "attn_q_a.weight", q_lora, e)
        w.matrix(p + "attn_q_b.weight", heads * (nope + rope), q_lora)
        w.matrix(p + "attn_kv_a_mqa.weight", kv_lora + rope, e)
        w.matrix(p + "attn_k_b.weight", heads, kv_lora, nope)
        w.matrix(p + "attn_v_b.weight", heads, value, kv_lora)
        w.matrix(p + "attn_output.weight", e, heads * value)
        if layer == 0:
            w.matrix(p + "ffn_gate.weight", ff, e)
            w.matrix(p + "ffn_up.weight", ff, e)
            w.matrix(p + "ffn_down.weight", e, ff)
            continue
        w.matrix(p + "ffn_gate_inp.weight", experts, e, kind="f32")
        w.vector(p + "exp_probs_b.bias", experts, mean=0.0)
        for suffix, shape in (("exps", (experts,)), ("shexp", ())):
            w.matrix(f"{p}ffn_gate_{suffix}.weight", *shape, expert_ff, e)
            w.matrix(f"{p}ffn_up_{suffix}.weight", *shape, expert_ff, e)
            w.matrix(f"{p}ffn_down_{suffix}.weight", *shape, e, expert_ff)


MODELS = {"qwen3.5-0.8b": ("qwen35", qwen35), "gemma3-1b": ("gemma3", gemma3), "gemma4-e2b": ("gemma4", gemma4),
          "gpt-oss-4": ("gpt-oss", gptoss), "glm-4.7-flash-4": ("deepseek2", glm47flash)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    root = pathlib.Path(__file__).resolve().parents[2]
    parser.add_argument("model", choices=MODELS)
    parser.add_argument("out")
    parser.add_argument("--format", default="q4_k_m", choices=["f16", "q8_0", "q4_0", "q4_k_m"])
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--deviation", type=float, default=0.02)
    parser.add_argument("--vocabularies", type=pathlib.Path, default=root.parent / "shared/tokenizer")
    parser.add_argument("--gemma3", type=pathlib.Path, default=root / "models/gemma270.gguf")
    options = parser.parse_args()
    architecture, fill = MODELS[options.model]
    writer = Writer(options.out, architecture, options)
    writer.gguf.add_type("model")
    writer.gguf.add_name(f"synthetic {options.model}")
    fill(writer, options)
    writer.close()
    print(options.out, os.path.getsize(options.out))


if __name__ == "__main__":
    main()
