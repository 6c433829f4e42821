#!/usr/bin/env python3
"""Writes tests/data/schemes: matrices in the weight schemes of SafeTensors folders, and what the package of each scheme
decodes them to.

    tools/quant/make_scheme_fixtures.py --auto-gptq FOLDER --auto-awq FOLDER [--out tests/data/schemes]

A case is a folder with config.json, model.safetensors (what agave reads) and expected.safetensors (float32). Weights are
random bits, so that every code occurs, with the edges of each type of scale among them. Needs torch, safetensors,
compressed-tensors (0.20), mlx (0.32, its CPU build), transformers (5.24) and nvidia-modelopt (0.47); and unpacked, because
they do not install without a GPU, auto_gptq 0.7.1 (its wheel) and a checkout of AutoAWQ.
"""

import argparse
import importlib.util
import json
import logging
import pathlib
import sys

import mlx.core as mx
import numpy as np
import torch
from compressed_tensors.compressors import (
    IntQuantizationCompressor,
    MXFP4PackedCompressor,
    NaiveQuantizationCompressor,
    NVFP4PackedCompressor,
    PackedQuantizationCompressor,
)
from compressed_tensors.compressors.mx_utils import decompress_mx_scale
from compressed_tensors.compressors.nvfp4.helpers import unpack_fp4_from_uint8
from compressed_tensors.quantization import QuantizationArgs, QuantizationScheme
from compressed_tensors.quantization.lifecycle.forward import dequantize
from safetensors.torch import save_file

random = torch.Generator().manual_seed(5)


def bits(*shape: int, dtype: torch.dtype = torch.uint8) -> torch.Tensor:
    """Random bits as whole numbers of this type."""
    n_bytes = torch.empty(0, dtype=dtype).element_size()
    data = torch.randint(0, 256, (*shape[:-1], shape[-1] * n_bytes), generator=random, dtype=torch.uint8)
    return data.view(dtype)


def scales(*shape: int, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """Scales of all sizes, with zero, the smallest normal number and a subnormal one."""
    values = torch.exp(torch.randn(shape, generator=random) * 2 - 4).to(dtype)
    flat = values.view(-1)
    for i, edge in enumerate([0.0, torch.finfo(dtype).tiny, torch.finfo(dtype).tiny / 4, -0.5]):
        if flat.numel() > 2 * i + 1:
            flat[2 * i + 1] = edge
    return values


def e8m0(*shape: int) -> torch.Tensor:
    values = torch.randint(118, 136, shape, generator=random, dtype=torch.uint8)
    edges = torch.tensor([0, 1, 254], dtype=torch.uint8)[: values.numel()]
    values.view(-1)[: len(edges)] = edges
    return values


def e4m3(*shape: int) -> torch.Tensor:
    values = torch.randint(1, 127, shape, generator=random, dtype=torch.uint8)
    values.view(-1)[:4] = torch.tensor([0, 1, 126, 127])  # zero, subnormal, largest, NaN
    return values.view(torch.float8_e4m3fn)


class Case:
    def __init__(self, out: pathlib.Path, name: str, config: dict):
        self.folder, self.config, self.tensors, self.expected = out / name, config, {}, {}

    def add(self, name: str, parts: dict[str, torch.Tensor], expected: torch.Tensor) -> None:
        for suffix, tensor in parts.items():
            self.tensors[f"{name}.{suffix}"] = tensor.contiguous().clone()
        assert expected.dtype == torch.float32, (name, expected.dtype)
        self.expected[f"{name}.weight"] = expected.contiguous().clone()

    def write(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        (self.folder / "config.json").write_text(json.dumps(self.config) + "\n")
        save_file(self.tensors, self.folder / "model.safetensors")
        save_file(self.expected, self.folder / "expected.safetensors")


def fp8(out: pathlib.Path) -> None:
    """transformers' Fp8Dequantize; its other schemes for blocks that reach over the edge."""
    from transformers.integrations.finegrained_fp8 import Fp8Dequantize

    decode = Fp8Dequantize(None)._dequantize_one
    case = Case(out, "fp8", {"quantization_config": {"quant_method": "fp8", "weight_block_size": [16, 32]}})
    weight = bits(32, 64).view(torch.float8_e4m3fn)
    scale = scales(2, 2)
    case.add("blocks", {"weight": weight, "weight_scale_inv": scale}, decode(weight, scale))
    weight = bits(20, 40).view(torch.float8_e4m3fn)
    scale = scales(2, 2)
    whole = scale.repeat_interleave(16, 0).repeat_interleave(32, 1)[:20, :40]
    case.add("ragged", {"weight": weight, "weight_scale_inv": scale}, weight.float() * whole)
    weight = bits(16, 32).view(torch.float8_e4m3fn)
    scale = torch.tensor(0.0123)
    case.add("whole", {"weight": weight, "weight_scale_inv": scale}, decode(weight, scale))
    scale = e8m0(2, 1).view(torch.float8_e8m0fnu)
    case.add("exponents", {"weight": weight, "weight_scale_inv": scale}, decode(weight, scale, torch.float32))
    weight = bits(16, 32).view(torch.float8_e5m2)
    scale = scales(16, 1)
    case.add("e5m2", {"weight": weight, "weight_scale": scale}, weight.float() * scale)
    scale = scales(16, 1, dtype=torch.bfloat16)
    case.add("e5m2_bf16", {"weight": weight, "weight_scale": scale}, weight.float() * scale.float())
    case.write()

    case = Case(out, "fp8-128", {"quantization_config": {"quant_method": "fp8", "weight_block_size": [128, 128]}})
    weight = bits(256, 128).view(torch.float8_e4m3fn)[:, :]
    scale = scales(2, 1)
    case.add("blocks", {"weight": weight, "weight_scale_inv": scale}, decode(weight, scale))
    case.write()


def compressed_tensors(out: pathlib.Path) -> None:
    def case(name: str, file_format: str, **weights) -> tuple[Case, QuantizationScheme]:
        arguments = QuantizationArgs(**weights)
        group = {"targets": ["Linear"], "format": file_format, "weights": json.loads(arguments.model_dump_json())}
        config = {"quant_method": "compressed-tensors", "format": file_format, "config_groups": {"group_0": group},
                  "ignore": ["lm_head"]}
        made = Case(out, name, {"quantization_config": config})
        return made, QuantizationScheme(targets=["Linear"], weights=arguments)

    def add(made: Case, name: str, compressor, scheme: QuantizationScheme, parts: dict[str, torch.Tensor]) -> None:
        # Their result has the type of the scales, which float32 takes as they are.
        wide = {k: v.float() if v.dtype in (torch.float16, torch.bfloat16) else v for k, v in parts.items()}
        wide = {k: v.float() if k == "weight_scale" and v.dtype == torch.float8_e4m3fn else v for k, v in wide.items()}
        made.add(name, parts, compressor.decompress(wide, scheme)["weight"].float())

    for strategy, shape, more in [("tensor", (1,), {}), ("channel", (16, 1), {}),
                                  ("block", (2, 2), {"block_structure": [8, 32]})]:
        made, scheme = case(f"ct-float8-{strategy}", "float-quantized", num_bits=8, type="float", strategy=strategy,
                            symmetric=True, **more)
        add(made, "a", NaiveQuantizationCompressor, scheme,
            {"weight": bits(16, 64).view(torch.float8_e4m3fn), "weight_scale": scales(*shape, dtype=torch.bfloat16)})
        made.write()

    for strategy, columns, more in [("channel", 1, {}), ("group", 2, {"group_size": 32}), ("tensor", 0, {})]:
        for symmetric in (True, False):
            made, scheme = case(f"ct-int8-{strategy}-{'sym' if symmetric else 'asym'}", "int-quantized", num_bits=8,
                                type="int", strategy=strategy, symmetric=symmetric, **more)
            shape = (16, columns) if columns else (1,)
            parts = {"weight": bits(16, 64, dtype=torch.int8), "weight_scale": scales(*shape, dtype=torch.float16)}
            if not symmetric:
                parts["weight_zero_point"] = bits(*shape, dtype=torch.int8)
            add(made, "a", IntQuantizationCompressor, scheme, parts)
            made.write()

    for n_bits, n_columns in [(4, 64), (8, 64), (4, 52), (3, 64), (2, 64), (5, 64), (6, 64), (7, 64)]:
        for strategy, group in [("group", 32), ("channel", None)]:
            symmetric = strategy == "channel" and n_bits != 8
            if group and n_columns % group:
                continue
            made, scheme = case(f"ct-int{n_bits}-{strategy}-{n_columns}", "pack-quantized", num_bits=n_bits, type="int",
                                strategy=strategy, symmetric=symmetric, group_size=group)
            n_groups = n_columns // group if group else 1
            parts = {"weight_packed": bits(12, (n_columns * n_bits + 31) // 32, dtype=torch.int32),
                     "weight_scale": scales(12, n_groups, dtype=torch.bfloat16),
                     "weight_shape": torch.tensor([12, n_columns])}
            if not symmetric:
                parts["weight_zero_point"] = bits((12 * n_bits + 31) // 32, n_groups, dtype=torch.int32)
            add(made, "a", PackedQuantizationCompressor, scheme, parts)
            made.write()

    made, scheme = case("ct-nvfp4", "nvfp4-pack-quantized", num_bits=4, type="float", strategy="tensor_group",
                        group_size=16, symmetric=True)
    # Their decompress() rounds to bfloat16; the steps inside it do not.
    packed, scale, whole = bits(8, 32), e4m3(8, 4), torch.tensor([347.3])
    codes = unpack_fp4_from_uint8(packed, 8, 64, torch.float32)
    expected = dequantize(codes, scale.float(), args=scheme.weights, dtype=torch.float32, global_scale=whole)
    made.add("a", {"weight_packed": packed, "weight_scale": scale, "weight_global_scale": whole}, expected)
    made.tensors["a.input_global_scale"] = torch.tensor([12.0])  # of the activations: not used
    made.write()
    made, scheme = case("ct-mxfp4", "mxfp4-pack-quantized", num_bits=4, type="float", strategy="group", group_size=32,
                        symmetric=True, scale_dtype="torch.uint8")
    add(made, "a", MXFP4PackedCompressor, scheme, {"weight_packed": bits(8, 32), "weight_scale": e8m0(8, 2)})
    made.write()
    made, scheme = case("ct-mxfp8", "mxfp8-quantized", num_bits=8, type="float", strategy="group", group_size=32,
                        symmetric=True, scale_dtype="torch.uint8")
    weight, scale = bits(8, 64).view(torch.float8_e4m3fn), e8m0(8, 2)
    made.add("a", {"weight": weight, "weight_scale": scale},
             dequantize(weight, decompress_mx_scale(scale).float(), args=scheme.weights))
    made.write()


def modelopt(out: pathlib.Path) -> None:
    from modelopt.torch.quantization.qtensor.nvfp4_tensor import NVFP4QTensor

    case = Case(out, "modelopt-nvfp4", {"quantization_config": {"quant_method": "modelopt", "quant_algo": "NVFP4"}})
    packed, scale, whole = bits(8, 32), e4m3(8, 4), torch.tensor(0.00271)
    tensor = NVFP4QTensor(torch.Size([8, 64]), torch.float32, packed)
    expected = tensor.dequantize(scale=scale, double_scale=whole, block_sizes={-1: 16})
    case.add("a", {"weight": packed, "weight_scale": scale, "weight_scale_2": whole}, expected)
    case.tensors["a.input_scale"] = torch.tensor(12.0)
    case.write()
    case = Case(out, "modelopt-fp8", {"quantization_config": {"quant_method": "modelopt", "quant_algo": "FP8"}})
    weight, scale = bits(16, 32).view(torch.float8_e4m3fn), torch.tensor(0.0071)
    case.add("a", {"weight": weight, "weight_scale": scale}, weight.float() * scale)
    case.tensors["k_proj.k_scale"] = torch.tensor(1.0)
    case.write()


def mlx(out: pathlib.Path) -> None:
    def array(tensor: torch.Tensor) -> mx.array:
        return mx.array(tensor.numpy())

    quantization = {"group_size": 64, "bits": 4}
    case = Case(out, "mlx", {"quantization": quantization, "quantization_config": quantization})
    for n_bits in (2, 3, 4, 5, 6, 8):
        for group in (32, 64, 128):
            name, dtype = f"b{n_bits}.g{group}", [torch.float16, torch.bfloat16, torch.float32][n_bits % 3]
            if (n_bits, group) != (4, 64):
                quantization[name] = {"group_size": group, "bits": n_bits}
            words = bits(4, 128 * n_bits // 32, dtype=torch.uint32)
            factor, bias = scales(4, 128 // group, dtype=dtype), scales(4, 128 // group, dtype=dtype)
            expected = mx.dequantize(array(words), array(factor.float()), array(bias.float()), group, n_bits)
            case.add(name, {"weight": words, "scales": factor, "biases": bias}, torch.from_numpy(np.array(expected)))
    for mode, n_bits, group in [("mxfp4", 4, 32), ("nvfp4", 4, 16), ("mxfp8", 8, 32)]:
        quantization[mode] = {"group_size": group, "bits": n_bits, "mode": mode}
        words = bits(4, 128 * n_bits // 32, dtype=torch.uint32)
        if mode == "mxfp8":  # mlx reads the two NaN as 480
            flat = words.view(torch.uint8)
            flat[(flat & 127) == 127] = 0x7E
        factor = (torch.randint(118, 136, (4, 128 // group), generator=random, dtype=torch.uint8) if mode != "nvfp4"
                  else torch.randint(1, 127, (4, 128 // group), generator=random, dtype=torch.uint8))
        # In bfloat16 the products of E2M1 and E4M3, of 5 bits, are exact.
        expected = mx.dequantize(array(words), array(factor), group_size=group, bits=n_bits, mode=mode)
        case.add(mode, {"weight": words, "scales": factor}, torch.from_numpy(np.array(expected.astype(mx.float32))))
    case.write()


def load_module(path: pathlib.Path, name: str):
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    logging.disable(logging.WARNING)
    spec.loader.exec_module(module)
    return module


def gptq(out: pathlib.Path, folder: pathlib.Path) -> None:
    module = load_module(folder / "auto_gptq/nn_modules/qlinear/qlinear_cuda.py", "gptq")
    for n_bits in (2, 4, 8):
        for version in ("gptq", "gptq_v2"):
            config = {"quant_method": "gptq", "bits": n_bits, "group_size": 32, "desc_act": True, "sym": False,
                      "checkpoint_format": version}
            case = Case(out, f"{version.replace('_', '-')}-{n_bits}", {"quantization_config": config})
            for name in ("ordered", "act_order"):
                linear = module.QuantLinear(n_bits, 32, 96, 64, False, weight_dtype=torch.float32)
                words = bits(96 * n_bits // 32, 64, dtype=torch.int32)
                zeros = bits(3, 64 * n_bits // 32, dtype=torch.int32)
                one = sum(1 << i for i in range(0, 32, n_bits))
                # What is stored less one: without borrowing, so that it can be told from each field.
                fields = zeros.numpy().view(np.uint32)
                for shift in range(0, 32, n_bits):
                    mask = np.uint32(((1 << n_bits) - 1) << shift)
                    fields |= np.where((fields & mask) == 0, np.uint32(1 << shift), np.uint32(0))
                stored = torch.from_numpy((fields - np.uint32(one)).view(np.int32))
                if name == "act_order":
                    order = torch.arange(96, dtype=torch.int32) // 32
                    linear.g_idx = order[torch.randperm(96, generator=random)]
                linear.qweight, linear.qzeros = words, stored
                linear.scales = scales(3, 64, dtype=torch.float16).float()
                expected = linear(torch.eye(96)).T
                parts = {"qweight": words, "qzeros": stored if version == "gptq" else torch.from_numpy(fields.view(np.int32)),
                         "scales": linear.scales.half()}
                if name == "act_order":
                    parts["g_idx"] = linear.g_idx
                case.add(name, parts, expected)
            case.write()


def awq(out: pathlib.Path, folder: pathlib.Path) -> None:
    packing = load_module(folder / "awq/utils/packing_utils.py", "awq_packing")
    config = {"quant_method": "awq", "bits": 4, "group_size": 32, "version": "gemm", "zero_point": True}
    case = Case(out, "awq", {"quantization_config": config})
    words, zeros = bits(64, 3, dtype=torch.int32), bits(2, 3, dtype=torch.int32)
    factor = scales(2, 24, dtype=torch.float16)
    expected = packing.dequantize_gemm(words, zeros, factor.float(), 4, 32)
    case.add("a", {"qweight": words, "qzeros": zeros, "scales": factor}, expected.T)
    case.write()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--auto-gptq", type=pathlib.Path, required=True)
    parser.add_argument("--auto-awq", type=pathlib.Path, required=True)
    parser.add_argument("--out", type=pathlib.Path, default=pathlib.Path("tests/data/schemes"))
    arguments = parser.parse_args()
    mx.set_default_device(mx.cpu)
    fp8(arguments.out)
    compressed_tensors(arguments.out)
    modelopt(arguments.out)
    mlx(arguments.out)
    gptq(arguments.out, arguments.auto_gptq)
    awq(arguments.out, arguments.auto_awq)


if __name__ == "__main__":
    sys.exit(main())
