#!/usr/bin/env python3
"""Makes oracle folders of plain decoders that oracle/data lacks: Gemma 2, Mistral, Qwen 2, Qwen 3 MoE, DeepSeek-V2 and V3.

usage: make_decoders.py LLAMA_CPP ORACLE_DATA OUT [NAME...]

Each NAME becomes OUT/NAME, laid out as the folders of ORACLE_DATA are, so that make_fixtures.py and compare_logits.py
take it: hf/ (a tiny model of random weights, all bfloat16-representable, saved by transformers, with the tokenizer of a
folder of ORACLE_DATA), model-f32.gguf (by llama.cpp's own converter, from a checkout LLAMA_CPP), prompts.json and
prompts.txt (5, 33 and 300 ids), logits_p<i>.npy (float32, eager attention, no cache; the last 8 positions) and
greedy.json (32 ids; prompts are drawn anew while two candidates are closer than 0.004). Needs PyPI's torch,
transformers (5.24), gguf, safetensors and sentencepiece.
"""
import copy
import json
import pathlib
import shutil
import subprocess
import sys

import numpy
import torch
import transformers

ATTENTION = dict(hidden_size=64, num_attention_heads=4, num_key_value_heads=2, head_dim=32, max_position_embeddings=4096,
                 vocab_size=512, tie_word_embeddings=False)
LATENT = dict(hidden_size=64, vocab_size=512, num_hidden_layers=3, num_attention_heads=4, num_key_value_heads=4, intermediate_size=96,
              moe_intermediate_size=32, n_routed_experts=8, num_experts_per_tok=3, n_shared_experts=2, kv_lora_rank=48,
              qk_rope_head_dim=16, qk_nope_head_dim=24, v_head_dim=32, first_k_dense_replace=1, max_position_embeddings=4096,
              tie_word_embeddings=False)
YARN = dict(rope_type="yarn", rope_theta=10000.0, factor=8.0, original_max_position_embeddings=64, beta_fast=32.0, beta_slow=1.0)

# Class of transformers, its configuration, the folder whose tokenizer it takes, GGUF's name of the pre-tokenizer.
MODELS = {
    "gemma2-nano": ("Gemma2", dict(ATTENTION, num_hidden_layers=5, intermediate_size=128, sliding_window=32, query_pre_attn_scalar=32,
                                   attn_logit_softcapping=4.0, final_logit_softcapping=5.0, tie_word_embeddings=True), "gemma3-nano", None),
    "mistral-nano": ("Mistral", dict(ATTENTION, num_hidden_layers=4, intermediate_size=128, sliding_window=None), "llamaspm-nano", None),
    "qwen2-nano": ("Qwen2", dict(ATTENTION, head_dim=16, num_hidden_layers=4, intermediate_size=128, tie_word_embeddings=True), "qwen3-nano", "qwen2"),
    "qwen3moe-nano": ("Qwen3Moe", dict(ATTENTION, num_hidden_layers=4, intermediate_size=96, moe_intermediate_size=32, num_experts=8,
                                       num_experts_per_tok=3, norm_topk_prob=True), "qwen3-nano", "qwen2"),
    "deepseek2-nano": ("DeepseekV2", dict(LATENT, q_lora_rank=None, topk_method="greedy", scoring_func="softmax", n_group=1, topk_group=1, norm_topk_prob=False,
                                          routed_scaling_factor=1.0, rope_parameters=dict(YARN, mscale=0.707, mscale_all_dim=0.707)), "qwen3-nano", "qwen2"),
    "deepseek3-nano": ("DeepseekV3", dict(LATENT, q_lora_rank=32, n_group=4, topk_group=2, norm_topk_prob=True, routed_scaling_factor=2.5,
                                          rope_parameters=dict(YARN, mscale=1.0, mscale_all_dim=1.0)), "qwen3-nano", "qwen2"),
}
# What of a parameter's name decides how it is drawn: mean, and deviation or None for gain / sqrt(row length).
DRAWN = [("correction_bias", 0.0, 0.2, 0), ("mlp.gate.weight", 0.0, None, 1.2), ("embed_tokens", 0.0, 1.0, 0), ("bias", 0.0, 0.3, 0),
         ("lm_head", 0.0, None, 2.0), ("q_proj", 0.0, None, 1.5), ("k_proj", 0.0, None, 1.5), ("down_proj", 0.0, None, 2.5),
         ("o_proj", 0.0, None, 2.5), ("", 0.0, None, 1.2)]


def randomize(model: torch.nn.Module, seed: int, gemma: bool) -> None:
    generator = torch.Generator().manual_seed(seed)
    for name, tensor in sorted(model.state_dict().items()):
        if "norm" in name:
            mean, deviation, gain = 0.0 if gemma else 1.0, 0.25, 0
        else:
            mean, deviation, gain = next(rule[1:] for rule in DRAWN if rule[0] in name)
        if "post_" in name and gemma:
            mean = 1.5
        if "embed_tokens" in name and model.config.tie_word_embeddings:
            deviation = 2.0 / tensor.shape[-1] ** 0.5
        if deviation is None:
            deviation = gain / tensor.shape[-1] ** 0.5
        drawn = mean + deviation * torch.randn(tensor.shape, generator=generator)
        tensor.copy_(drawn.to(torch.bfloat16).to(tensor.dtype))


def convert(llama_cpp: pathlib.Path, folder: pathlib.Path, target: pathlib.Path, pre: str | None) -> None:
    """llama.cpp's converter; it knows a pre-tokenizer by the hash of the real vocabulary, so it is told the name."""
    program = ("import sys; sys.path[:0] = [sys.argv[1], sys.argv[1] + '/gguf-py']; pre = sys.argv[2]\n"
               "import convert_hf_to_gguf; from conversion import base\n"
               "if pre: base.TextModel.get_vocab_base_pre = lambda self, tokenizer: pre\n"
               "sys.argv[1:] = sys.argv[3:]; convert_hf_to_gguf.main()")
    subprocess.run([sys.executable, "-c", program, llama_cpp, pre or "", folder, "--outfile", target, "--outtype", "f32"],
                   check=True, capture_output=True)


def save(model: torch.nn.Module, tokenizer: pathlib.Path, folder: pathlib.Path) -> None:
    copy.deepcopy(model).to(torch.bfloat16).save_pretrained(folder)
    for name in ("tokenizer.json", "tokenizer.model", "tokenizer_config.json", "chat_template.jinja"):
        if (tokenizer / name).exists():
            shutil.copyfile(tokenizer / name, folder / name)
            (folder / name).chmod(0o644)


def run(model: torch.nn.Module, ids: list[int]) -> torch.Tensor:
    return model(torch.tensor([ids]), use_cache=False).logits[0].float()


def greedy(model: torch.nn.Module, ids: list[int], n: int = 32) -> dict:
    ids, steps = list(ids), []
    for _ in range(n):
        values, best = torch.topk(run(model, ids)[-1], 5)
        steps.append({"id": int(best[0]), "top5": [[int(i), float(v)] for i, v in zip(best, values)]})
        ids.append(int(best[0]))
    return {"ids": [s["id"] for s in steps], "min_margin": min(s["top5"][0][1] - s["top5"][1][1] for s in steps), "steps": steps}


@torch.no_grad()
def make(name: str, llama_cpp: pathlib.Path, oracle: pathlib.Path, out: pathlib.Path) -> None:
    family, options, tokenizer, pre = MODELS[name]
    folder = out / name
    shutil.rmtree(folder, ignore_errors=True)
    (folder / "hf").mkdir(parents=True)
    config = getattr(transformers, family + "Config")(**options)
    config._attn_implementation = config._experts_implementation = "eager"
    model = getattr(transformers, family + "ForCausalLM")(config).eval().to(torch.float32)
    seed = 1000 + list(MODELS).index(name)
    randomize(model, seed, family == "Gemma2")
    save(model, oracle / tokenizer / "hf", folder / "hf")
    convert(llama_cpp, folder / "hf", folder / "model-f32.gguf", pre)

    generator = torch.Generator().manual_seed(seed)
    prompts, runs = [], []
    for length in (5, 33, 300):
        for _ in range(8):
            prompt = torch.randint(0, options["vocab_size"], (length,), generator=generator).tolist()
            result = greedy(model, prompt)
            if result["min_margin"] >= 0.004:
                break
        logits = run(model, prompt)[-8:]
        numpy.save(folder / f"logits_p{len(prompts)}.npy", logits.numpy())
        print(f"{name}: {length} tokens, logit deviation {logits.std():.2f}, {len(set(result['ids']))} ids, margin {result['min_margin']:.4f}")
        runs.append({"prompt": len(prompts), **result})
        prompts.append(prompt)
    (folder / "prompts.json").write_text(json.dumps({"prompts": prompts}))
    (folder / "prompts.txt").write_text("".join(" ".join(map(str, prompt)) + "\n" for prompt in prompts))
    (folder / "greedy.json").write_text(json.dumps(runs))


for name in sys.argv[4:] or MODELS:
    make(name, *map(pathlib.Path, sys.argv[1:4]))
