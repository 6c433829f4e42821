"""Random weights that are exact in bfloat16, and their SafeTensors files."""
import json
import math
import os
import pathlib
import re
from collections.abc import Callable

import torch

Draw = Callable[[torch.Tensor, torch.Generator, str], torch.Tensor]  # (weight, generator, name) -> values
Rule = tuple[str, Draw]                                              # pattern of names, draw
KEEP_FLOAT32 = re.compile(r"e_score_correction_bias|A_log$|\.D$|dt_bias$")  # as in released checkpoints
RANDOM_BUFFERS = re.compile(r"e_score_correction_bias|layer_scalar|(std_bias|std_scale|_min|_max)$")


def normal(std: float, mean: float = 0) -> Draw:
    return lambda tensor, generator, name: torch.randn(tensor.shape, generator=generator) * std + mean


def uniform(low: float, high: float) -> Draw:
    return lambda tensor, generator, name: low + (high - low) * torch.rand(tensor.shape, generator=generator)


def log_uniform(low: float, high: float) -> Draw:
    return lambda tensor, generator, name: torch.log(low + (high - low) * torch.rand(tensor.shape, generator=generator))


def fan_in(gain: float) -> Draw:
    """A matrix that scales what comes in by about `gain`."""
    return lambda tensor, generator, name: torch.randn(tensor.shape, generator=generator) * gain / math.sqrt(tensor.shape[-1])


def randomize(model: torch.nn.Module, seed: int, rules: list[Rule], embedding_std: float, gain: float = 1.0, norm_plus_1: bool = False) -> None:
    """Sets every weight to a random number that bfloat16 holds, so that files of all types hold the same model. The first rule whose pattern
    is found in the name decides; biases, norms and scalars are random too, so that one left out shows."""
    generator = torch.Generator().manual_seed(seed)
    buffers = [(name, buffer) for name, buffer in model.named_buffers() if RANDOM_BUFFERS.search(name)]
    for name, weight in list(model.named_parameters()) + buffers:
        rule = next((rule for pattern, rule in rules if re.search(pattern, name)), None)
        if rule is not None:
            value = rule(weight, generator, name)
        else:
            value = torch.randn(weight.shape, generator=generator)
            if "embed_tokens" in name or name.endswith("embeddings.weight"):
                value = value * embedding_std
            elif "lm_head" in name:
                value = value * 2.0 / math.sqrt(weight.shape[-1])
            elif "norm" in name and name.endswith("weight") and weight.ndim == 1:
                value = value * 0.25 if norm_plus_1 else 1 + value * 0.25
            elif weight.ndim == 1:
                value = value * 0.2
            else:
                value = value * gain / math.sqrt(weight.shape[-1])
        weight.data.copy_(value.to(torch.float32).to(torch.bfloat16).to(torch.float32))


def save(model: torch.nn.Module, folder: pathlib.Path, shard: str | None = None, mxfp4: dict[str, tuple[torch.Tensor, torch.Tensor]] | None = None) -> None:
    """save_pretrained with bfloat16 weights; `mxfp4` names tensors that are stored as blocks and scales instead."""
    from safetensors.torch import load_file, save_file
    model.save_pretrained(folder, **({"max_shard_size": shard} if shard else {}))
    for path in folder.glob("*.safetensors"):
        out = {}
        for name, weight in load_file(str(path)).items():
            if mxfp4 and name in mxfp4:
                out[name + "_blocks"], out[name + "_scales"] = mxfp4[name]
                continue
            stored = weight if KEEP_FLOAT32.search(name) else weight.to(torch.bfloat16)
            assert torch.equal(stored.float(), weight.float()), name
            out[name] = stored.contiguous()
        save_file(out, str(path), metadata={"format": "pt"})
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        document = json.loads(index.read_text())
        document["metadata"]["total_size"] = sum(os.path.getsize(path) for path in folder.glob("*.safetensors"))
        index.write_text(json.dumps(document, indent=1))

    def set_dtype(part: object) -> None:
        if isinstance(part, dict):
            for key in part:
                if key in ("dtype", "torch_dtype"):
                    part[key] = "bfloat16"
                else:
                    set_dtype(part[key])

    path = folder / "config.json"
    config = json.loads(path.read_text())
    set_dtype(config)
    config.setdefault("dtype", "bfloat16")
    path.write_text(json.dumps(config, indent=1))


def edit_config(folder: pathlib.Path, edit: Callable[[dict], None]) -> None:
    path = folder / "config.json"
    config = json.loads(path.read_text())
    edit(config)
    path.write_text(json.dumps(config, indent=1))


def edit_tensors(folder: pathlib.Path, edit: Callable[[dict[str, torch.Tensor]], None]) -> None:
    from safetensors.torch import load_file, save_file
    path = str(folder / "model.safetensors")
    tensors = load_file(path)
    edit(tensors)
    save_file(tensors, path, metadata={"format": "pt"})
