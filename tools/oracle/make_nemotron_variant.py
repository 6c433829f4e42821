#!/usr/bin/env python3
"""Makes the fixture nemotronh-variant of tests/engine: what the oracle's Nemotron models leave out.

usage: make_nemotron_variant.py OUT

A tiny NemotronHForCausalLM of random weights with expert groups, a latent space for the experts, dense MLPs beside
mixtures, head sizes that are no multiple of a vector, an odd convolution, and steps of the recurrence below
time_step_min, so that the clamp shows. Written are the files that make_fixtures.py writes: the GGUF by the rules of
llama.cpp's converter, Hugging Face's logits in float32, and its greedy ids without a cache. Needs PyPI's torch,
transformers (5.24), gguf and numpy.
"""
import pathlib
import sys

import gguf
import numpy
import torch
from transformers import NemotronHConfig, NemotronHForCausalLM

NAME, SEED, N_GREEDY = "nemotronh-variant", 5, 16
PATTERN = "MEM*E-M-E"
CONFIG = dict(vocab_size=288, hidden_size=48, hybrid_override_pattern=PATTERN, num_attention_heads=3, num_key_value_heads=1,
              head_dim=32, mamba_num_heads=6, mamba_head_dim=24, n_groups=3, ssm_state_size=20, conv_kernel=3, expand=3,
              chunk_size=16, max_position_embeddings=4096, tie_word_embeddings=False, intermediate_size=56,
              moe_intermediate_size=40, moe_shared_expert_intermediate_size=72, moe_latent_size=32, n_routed_experts=12,
              num_experts_per_tok=3, n_shared_experts=1, routed_scaling_factor=2.5, norm_topk_prob=True, n_group=4,
              topk_group=2)
# What of a parameter's name decides its values: mean and deviation; deviation None: 1.5 / sqrt(row length).
DRAWN = [("A_log", 0.5, 0.8), ("dt_bias", -5.0, 3.0), ("mixer.D", 1.0, 0.5), ("conv1d.weight", 0.0, 0.6),
         ("conv1d.bias", 0.0, 0.3), ("norm", 1.0, 0.2), ("e_score_correction_bias", 0.0, 0.2), ("embeddings", 0.0, 1.0)]


def randomize(model: NemotronHForCausalLM) -> None:
    generator = torch.Generator().manual_seed(SEED)
    state = model.state_dict()
    for name in sorted(state):
        tensor = state[name]
        mean, deviation = next(((m, d) for part, m, d in DRAWN if part in name), (0.0, 1.5 / tensor.shape[-1] ** 0.5))
        drawn = mean + deviation * torch.randn(tensor.shape, generator=generator)
        tensor.copy_(drawn.to(torch.bfloat16).float())


def tensors(model: NemotronHForCausalLM):
    """GGUF's names and values."""
    renamed = {"norm": "attn_norm", "mixer.in_proj": "ssm_in", "mixer.out_proj": "ssm_out", "mixer.conv1d": "ssm_conv1d",
               "mixer.q_proj": "attn_q", "mixer.k_proj": "attn_k", "mixer.v_proj": "attn_v", "mixer.o_proj": "attn_output",
               "mixer.up_proj": "ffn_up", "mixer.down_proj": "ffn_down", "mixer.gate": "ffn_gate_inp",
               "mixer.shared_experts.up_proj": "ffn_up_shexp", "mixer.shared_experts.down_proj": "ffn_down_shexp",
               "mixer.fc1_latent_proj": "ffn_latent_down", "mixer.fc2_latent_proj": "ffn_latent_up"}
    whole = {"model.embeddings.weight": "token_embd.weight", "model.norm_f.weight": "output_norm.weight",
             "lm_head.weight": "output.weight"}
    for name, tensor in model.state_dict().items():
        values = tensor.numpy()
        if name in whole:
            yield whole[name], values
            continue
        _, _, layer, rest = name.split(".", 3)
        block = f"blk.{layer}."
        if rest == "mixer.A_log":
            yield block + "ssm_a", -numpy.exp(values)[:, None]
        elif rest == "mixer.D":
            yield block + "ssm_d", values[:, None]
        elif rest == "mixer.dt_bias":
            yield block + "ssm_dt.bias", values
        elif rest == "mixer.norm.weight":
            yield block + "ssm_norm.weight", values.reshape(CONFIG["n_groups"], -1)
        elif rest == "mixer.gate.e_score_correction_bias":
            yield block + "exp_probs_b.bias", values
        elif rest in ("mixer.experts.up_proj", "mixer.experts.down_proj"):
            yield block + f"ffn_{rest.split('.')[-1][:-5]}_exps.weight", values
        else:
            module, kind = rest.rsplit(".", 1)
            yield f"{block}{renamed[module]}.{kind}", values.squeeze(1) if module.endswith("conv1d") and kind == "weight" else values


def write_gguf(model: NemotronHForCausalLM, path: pathlib.Path) -> None:
    architecture, c = "nemotron_h_moe", CONFIG
    writer = gguf.GGUFWriter(path, architecture)
    for key, value in {"block_count": len(PATTERN), "context_length": 4096, "embedding_length": c["hidden_size"],
                       "attention.head_count": c["num_attention_heads"], "attention.key_length": c["head_dim"],
                       "attention.value_length": c["head_dim"], "ssm.conv_kernel": c["conv_kernel"],
                       "ssm.state_size": c["ssm_state_size"], "ssm.group_count": c["n_groups"],
                       "ssm.inner_size": c["mamba_num_heads"] * c["mamba_head_dim"],
                       "ssm.time_step_rank": c["mamba_num_heads"], "expert_count": c["n_routed_experts"],
                       "expert_used_count": c["num_experts_per_tok"], "expert_group_count": c["n_group"],
                       "expert_group_used_count": c["topk_group"],
                       "moe_latent_size": c["moe_latent_size"]}.items():
        writer.add_uint32(f"{architecture}.{key}", value)
    writer.add_float32(f"{architecture}.attention.layer_norm_rms_epsilon", 1e-5)
    writer.add_float32(f"{architecture}.expert_weights_scale", c["routed_scaling_factor"])
    writer.add_bool(f"{architecture}.expert_weights_norm", True)
    writer.add_array(f"{architecture}.attention.head_count_kv", [c["num_key_value_heads"] * (k == "*") for k in PATTERN])
    lengths = {"E": c["moe_intermediate_size"], "-": c["intermediate_size"]}
    writer.add_array(f"{architecture}.feed_forward_length", [lengths.get(kind, 0) for kind in PATTERN])
    for name, values in tensors(model):
        values = numpy.ascontiguousarray(values, dtype=numpy.float32)
        if values.ndim > 1 and name.endswith(".weight") and "norm" not in name and "conv1d" not in name:
            halves = numpy.ascontiguousarray((values.view(numpy.uint32) >> 16).astype(numpy.uint16))
            writer.add_tensor(name, halves.view(numpy.uint8), raw_dtype=gguf.GGMLQuantizationType.BF16)
        else:
            writer.add_tensor(name, values)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


@torch.no_grad()
def main() -> None:
    out = pathlib.Path(sys.argv[1])
    config = NemotronHConfig(**CONFIG)
    config._attn_implementation = config._experts_implementation = "eager"
    model = NemotronHForCausalLM(config).eval()
    randomize(model)
    write_gguf(model, out / f"{NAME}.gguf")
    generator = torch.Generator().manual_seed(SEED + 1)
    prompts = [torch.randint(0, CONFIG["vocab_size"], (n,), generator=generator).tolist() for n in (5, 33, 300)]
    greedy = []
    for i, prompt in enumerate(prompts):
        logits = model(torch.tensor([prompt]), use_cache=False).logits[0]
        numpy.save(out / f"{NAME}-logits-{i}.npy", logits[-min(8, len(prompt)):].numpy())
        ids, margins = list(prompt), []
        for _ in range(N_GREEDY):
            best = model(torch.tensor([ids]), use_cache=False).logits[0, -1].topk(2)
            margins.append(float(best.values[0] - best.values[1]))
            ids.append(int(best.indices[0]))
        greedy.append(ids[len(prompt):])
        print(f"prompt of {len(prompt)}: logits' deviation {float(logits.std()):.2f}, smallest margin {min(margins):.4f}")
    lines = lambda rows: "".join(" ".join(map(str, row)) + "\n" for row in rows)
    (out / f"{NAME}-prompts.txt").write_text(lines(prompts))
    (out / f"{NAME}-greedy.txt").write_text(lines(greedy))


main()
