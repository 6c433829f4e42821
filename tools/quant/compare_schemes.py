#!/usr/bin/env python3
"""Runs tiny models in the weight schemes of SafeTensors folders and compares the logits with transformers'.

    tools/quant/compare_schemes.py --auto-gptq FOLDER --auto-awq FOLDER [--agave PROGRAM] [--shared FOLDER] [NAME...]

The matrices of a model of oracle/data/NAME/hf are quantised with the package of each scheme and written twice: as the
scheme stores them, for agave, and decoded by that package to float32, for transformers (float32, eager attention).
`agave logits FOLDER --exact` must agree within 2e-4 (Gemma 4: 1e-3) on prompts of 5 and 33 tokens. Exits 1 when one does
not. Needs what make_scheme_fixtures.py needs.
"""

import argparse
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

import mlx.core as mx
import numpy as np
import torch
from safetensors.torch import load_file, save_file

sys.path.insert(0, str(pathlib.Path(__file__).parent))
from make_scheme_fixtures import load_module  # noqa: E402

from compressed_tensors.compressors import IntQuantizationCompressor, PackedQuantizationCompressor  # noqa: E402
from compressed_tensors.quantization import QuantizationArgs, QuantizationScheme  # noqa: E402
from modelopt.torch.quantization.qtensor.nvfp4_tensor import NVFP4QTensor  # noqa: E402

ROOT = pathlib.Path(__file__).resolve().parents[2]
MODELS = ["llama-nano", "qwen3-nano", "gemma3-nano", "glm4-nano", "glm4moe-nano", "glm47flash-nano", "qwen35-nano",
          "nemotronh-nano", "gemma4d-nano"]
Parts = dict[str, torch.Tensor]


def e4m3(weight: torch.Tensor) -> torch.Tensor:
    return weight.clamp(-448, 448).to(torch.float8_e4m3fn)


def fp8_blocks(weight: torch.Tensor) -> tuple[Parts, torch.Tensor]:
    rows, columns = weight.shape
    blocks = torch.nn.functional.pad(weight, (0, -columns % 32, 0, -rows % 32)).unflatten(0, (-1, 32)).unflatten(2, (-1, 32))
    scale = (blocks.abs().amax((1, 3)) / 448).clamp(min=1e-12)
    whole = scale.repeat_interleave(32, 0).repeat_interleave(32, 1)[:rows, :columns]
    code = e4m3(weight / whole)
    return {"weight": code, "weight_scale_inv": scale}, code.float() * whole


def fp8_modelopt(weight: torch.Tensor) -> tuple[Parts, torch.Tensor]:
    scale = weight.abs().max() / 448
    code = e4m3(weight / scale)
    return {"weight": code, "weight_scale": scale, "input_scale": torch.tensor(1.0)}, code.float() * scale


def fp8_channel(weight: torch.Tensor) -> tuple[Parts, torch.Tensor]:
    scale = (weight.abs().amax(1, keepdim=True) / 448).bfloat16()
    code = e4m3(weight / scale.float())
    return {"weight": code, "weight_scale": scale}, code.float() * scale.float()


def nvfp4_modelopt(weight: torch.Tensor) -> tuple[Parts, torch.Tensor]:
    tensor, scale, whole = NVFP4QTensor.quantize(weight, 16)
    parts = {"weight": tensor._quantized_data, "weight_scale": scale, "weight_scale_2": whole}
    return parts, tensor.dequantize(scale=scale, double_scale=whole, block_sizes={-1: 16}, dtype=torch.float32)


def nvfp4_compressed(weight: torch.Tensor) -> tuple[Parts, torch.Tensor]:
    parts, decoded = nvfp4_modelopt(weight)
    # The same numbers; the scale of the whole is its inverse here. A power of two, so that both are exact.
    whole = 2.0 ** torch.round(torch.log2(parts["weight_scale_2"]))
    ratio = whole / parts["weight_scale_2"]
    return {"weight_packed": parts["weight"], "weight_scale": parts["weight_scale"],
            "weight_global_scale": (1 / whole).reshape(1)}, decoded * ratio


def compressed(n_bits: int, symmetric: bool, group: int | None):
    def quantize(weight: torch.Tensor) -> tuple[Parts, torch.Tensor]:
        arguments = QuantizationArgs(num_bits=n_bits, type="int", symmetric=symmetric, group_size=group,
                                     strategy="group" if group else "channel")
        scheme = QuantizationScheme(targets=["Linear"], weights=arguments)
        groups = weight.unflatten(1, (-1, group or weight.shape[1]))
        low, high = groups.amin(2).clamp(max=0), groups.amax(2).clamp(min=0)
        if symmetric:
            scale = torch.maximum(-low, high) * 2 / (2**n_bits - 1)
            zero = None
        else:
            scale = (high - low) / (2**n_bits - 1)
            zero = (torch.round(-low / scale) - 2 ** (n_bits - 1)).to(torch.int8)
        state = {"weight": weight, "weight_scale": scale}
        if zero is not None:
            state["weight_zero_point"] = zero
        compressor = IntQuantizationCompressor if n_bits == 8 and not group else PackedQuantizationCompressor
        parts = compressor.compress(state, scheme)
        return parts, compressor.decompress(parts, scheme)["weight"].float()
    return quantize


def mlx(mode: str, n_bits: int, group: int):
    def quantize(weight: torch.Tensor) -> tuple[Parts, torch.Tensor]:
        made = mx.quantize(mx.array(weight.numpy()), group_size=group, bits=n_bits, mode=mode)
        decoded = mx.dequantize(*made, group_size=group, bits=n_bits, mode=mode)
        names = ["weight", "scales", "biases"]
        parts = {name: torch.from_numpy(np.array(part)) for name, part in zip(names, made)}
        return parts, torch.from_numpy(np.array(decoded.astype(mx.float32)))
    return quantize


def to_words(codes: torch.Tensor) -> torch.Tensor:
    """Nibbles along the last dimension, the first lowest, to int32."""
    shifted = codes.to(torch.int64).unflatten(-1, (-1, 8)) << (torch.arange(8) * 4)
    return shifted.sum(-1).to(torch.uint32).view(torch.int32)


def integers(weight: torch.Tensor, group: int, order: torch.Tensor) -> tuple[torch.Tensor, ...]:
    """Codes [rows, columns], zero points (1 to 15) and scales [rows, groups]; `order` is the group of each column."""
    n_groups = weight.shape[1] // group
    picked = [weight[:, order == g] for g in range(n_groups)]
    low = torch.stack([p.amin(1).clamp(max=-1e-4) for p in picked], 1)
    high = torch.stack([p.amax(1).clamp(min=1e-4) for p in picked], 1)
    scale = ((high - low) / 15).half()
    zero = torch.round(-low / scale.float()).clamp(1, 15)
    codes = torch.round(weight / scale.float()[:, order] + zero[:, order]).clamp(0, 15)
    return codes, zero, scale


def gptq(module, act_order: bool):
    def quantize(weight: torch.Tensor) -> tuple[Parts, torch.Tensor]:
        rows, columns = weight.shape
        order = torch.arange(columns) // 32
        if act_order:
            order = order[torch.randperm(columns, generator=torch.Generator().manual_seed(columns))]
        codes, zero, scale = integers(weight, 32, order)
        linear = module.QuantLinear(4, 32, columns, rows, False, weight_dtype=torch.float32)
        linear.qweight = to_words(codes).T.contiguous()
        linear.qzeros = to_words((zero - 1).T)
        linear.g_idx = order.to(torch.int32)
        linear.scales = scale.T.float().contiguous()
        parts = {"qweight": linear.qweight, "qzeros": linear.qzeros, "scales": linear.scales.half(), "g_idx": linear.g_idx}
        return parts, linear(torch.eye(columns)).T
    return quantize


def awq(packing):
    def quantize(weight: torch.Tensor) -> tuple[Parts, torch.Tensor]:
        codes, zero, scale = integers(weight, 32, torch.arange(weight.shape[1]) // 32)
        mix = lambda t: to_words(t.T.unflatten(1, (-1, 8))[:, :, packing.AWQ_ORDER].flatten(1))
        parts = {"qweight": mix(codes), "qzeros": mix(zero), "scales": scale.T.contiguous()}
        return parts, packing.dequantize_gemm(parts["qweight"], parts["qzeros"], scale.T.float(), 4, 32).T
    return quantize


def compressed_config(file_format: str, **weights) -> dict:
    return {"quantization_config": {"quant_method": "compressed-tensors", "format": file_format,
                                    "config_groups": {"group_0": {"targets": ["Linear"], "weights": weights}}}}


def schemes(arguments: argparse.Namespace) -> dict:
    """Name: (quantize, additions to config.json, whether the embedding is quantised too)."""
    gptq_module = load_module(arguments.auto_gptq / "auto_gptq/nn_modules/qlinear/qlinear_cuda.py", "gptq")
    packing = load_module(arguments.auto_awq / "awq/utils/packing_utils.py", "awq_packing")
    of = lambda **config: {"quantization_config": config}
    quantized = {
        "fp8 blocks": (fp8_blocks, of(quant_method="fp8", weight_block_size=[32, 32])),
        "fp8 modelopt": (fp8_modelopt, of(quant_method="modelopt", quant_algo="FP8")),
        "fp8 channels": (fp8_channel, compressed_config("float-quantized", num_bits=8, type="float", strategy="channel")),
        "nvfp4 modelopt": (nvfp4_modelopt, of(quant_method="modelopt", quant_algo="NVFP4")),
        "nvfp4 compressed": (nvfp4_compressed, compressed_config("nvfp4-pack-quantized", num_bits=4, group_size=16)),
        "int4 groups": (compressed(4, True, 32), compressed_config("pack-quantized", num_bits=4, group_size=32)),
        "int4 asymmetric": (compressed(4, False, 32), compressed_config("pack-quantized", num_bits=4, group_size=32)),
        "int8 channels": (compressed(8, True, None), compressed_config("int-quantized", num_bits=8)),
        "gptq": (gptq(gptq_module, False), of(quant_method="gptq", bits=4, group_size=32)),
        "gptq act-order": (gptq(gptq_module, True), of(quant_method="gptq", bits=4, group_size=32, desc_act=True)),
        "awq": (awq(packing), of(quant_method="awq", bits=4, group_size=32, version="gemm")),
    }
    result = {name: (*both, False) for name, both in quantized.items()}
    for mode, n_bits, group in [("affine", 4, 32), ("affine", 6, 64), ("affine", 3, 32), ("mxfp4", 4, 32)]:
        entry = {"group_size": group, "bits": n_bits, "mode": mode}
        result[f"mlx {mode} {n_bits}"] = (mlx(mode, n_bits, group), {"quantization": entry, "quantization_config": entry}, True)
    return result


def write(source: pathlib.Path, quantize, addition: dict, with_embedding: bool, stored: pathlib.Path,
          decoded: pathlib.Path) -> int:
    """Returns how many matrices were quantised."""
    tensors, count = load_file(source / "model.safetensors"), 0
    parts, plain = {}, {}
    for name, tensor in tensors.items():
        linear = re.search(r"(q|k|v|o|gate|up|down|gate_up|in|out|kv_b|kv_a|in_proj_qkv|in_proj_z)_proj\.weight$", name)
        embedding = with_embedding and name.endswith("embed_tokens.weight")
        if tensor.dim() != 2 or not (linear or embedding) or tensor.shape[1] % 64 or tensor.shape[0] % 8:
            parts[name] = plain[name] = tensor
            continue
        made, plain[name] = quantize(tensor.float())
        base, count = name.removesuffix(".weight"), count + 1
        parts.update({f"{base}.{suffix}": part.contiguous().clone() for suffix, part in made.items()})
    for folder, content in ((stored, parts), (decoded, plain)):
        shutil.copytree(source, folder, ignore=shutil.ignore_patterns("*.safetensors", "tokenizer*"))
        # What stays as it is: in float32 for both.
        save_file({k: (v.float() if v.dtype in (torch.bfloat16, torch.float16) and k in plain else v).contiguous()
                   for k, v in content.items()}, folder / "model.safetensors", {"format": "pt"})
    config = json.loads((stored / "config.json").read_text())
    (stored / "config.json").write_text(json.dumps(config | addition))
    return count


def transformers_logits(folder: pathlib.Path, prompts: list[list[int]]) -> list[np.ndarray]:
    from transformers import AutoModelForCausalLM

    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager").eval()
    with torch.no_grad():
        return [model(torch.tensor([tokens])).logits[0, -1].numpy() for tokens in prompts]


def agave_logits(program: pathlib.Path, folder: pathlib.Path, tokens: list[int]) -> np.ndarray:
    with tempfile.NamedTemporaryFile(suffix=".npy") as out:
        command = [program, "logits", folder, "--tokens", ",".join(map(str, tokens)), "--last", 1, "--exact", "--out", out.name]
        done = subprocess.run([str(word) for word in command], capture_output=True, text=True)
        if done.returncode:
            raise RuntimeError(done.stderr.strip())
        return np.load(out.name).reshape(-1)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--auto-gptq", type=pathlib.Path, required=True)
    parser.add_argument("--auto-awq", type=pathlib.Path, required=True)
    parser.add_argument("--agave", type=pathlib.Path, default=ROOT / "build/dev/bin/agave")
    parser.add_argument("--shared", type=pathlib.Path, default=pathlib.Path(__file__).resolve().parents[3] / "shared")
    parser.add_argument("names", nargs="*", default=MODELS)
    arguments = parser.parse_args()
    mx.set_default_device(mx.cpu)
    failed = 0
    for model in arguments.names:
        source = arguments.shared / "oracle/data" / model
        prompts = json.loads((source / "prompts.json").read_text())["prompts"][:2]
        for name, scheme in schemes(arguments).items():
            with tempfile.TemporaryDirectory() as temporary:
                stored, decoded = pathlib.Path(temporary) / "stored", pathlib.Path(temporary) / "decoded"
                count = write(source / "hf", *scheme, stored, decoded)
                expected = transformers_logits(decoded, prompts)
                try:
                    worst = max(np.abs(agave_logits(arguments.agave, stored, tokens) - logits).max()
                                for tokens, logits in zip(prompts, expected))
                    fine = worst <= (1e-3 if model.startswith("gemma4") else 2e-4)
                    verdict = f"{worst:.1e} {'ok' if fine else 'WRONG'}"
                except RuntimeError as error:
                    fine, verdict = False, str(error)
                failed += not fine
                print(f"{model:16} {name:18} {count:3} matrices  {verdict}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
