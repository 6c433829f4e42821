#!/usr/bin/env python3
"""Packs oracle folders (tiny models with Hugging Face's logits) into the fixtures of tests/engine.

usage: make_fixtures.py ORACLE_DATA OUT [NAME...]

ORACLE_DATA is the oracle's, or what make_decoders.py wrote.

For each NAME: NAME.gguf, its matrices as bfloat16 (every weight of the oracle is bf16-representable, so nothing is
lost), NAME-logits-<i>.npy (float32 [last positions, n_vocab]), NAME-prompts.txt (one prompt of ids a line) and
NAME-greedy.txt (the ids that Hugging Face generates greedily from each prompt). Needs PyPI's gguf and numpy.
"""
import json
import pathlib
import shutil
import sys

import gguf
import numpy

NAMES = ["llama-nano", "llamaspm-nano", "qwen3-nano", "gemma3-nano", "glm4-nano", "glm4moe-nano", "glm47flash-nano", "gptoss-nano", "gemma4d-nano", "gemma4e-nano", "gemma4m-nano", "nemotronh-nano", "nemotronhmoe-nano", "qwen35-nano", "qwen35moe-nano"]


def write_bfloat16(source: pathlib.Path, target: pathlib.Path) -> None:
    reader = gguf.GGUFReader(source)
    architecture = reader.fields["general.architecture"].contents()
    writer = gguf.GGUFWriter(target, architecture)
    for field in reader.fields.values():
        if field.name.startswith("GGUF.") or field.name == "general.architecture":
            continue
        kind = field.types[0]
        element = field.types[-1] if kind == gguf.GGUFValueType.ARRAY else None
        writer.add_key_value(field.name, field.contents(), kind, sub_type=element)
    for tensor in reader.tensors:
        data = tensor.data
        # Converters keep norms and convolutions in float32.
        matrix = len(tensor.shape) > 1 and tensor.name.endswith(".weight") and not any(
            name in tensor.name for name in ("norm", "conv1d"))
        if matrix and tensor.tensor_type == gguf.GGMLQuantizationType.F32:
            bits = data.view(numpy.uint32)
            assert not (bits & 0xFFFF).any(), f"{tensor.name} is not bfloat16-representable"
            halves = numpy.ascontiguousarray((bits >> 16).astype(numpy.uint16))
            writer.add_tensor(tensor.name, halves.view(numpy.uint8), raw_dtype=gguf.GGMLQuantizationType.BF16)
        else:
            writer.add_tensor(tensor.name, data)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def main() -> None:
    oracle, out = pathlib.Path(sys.argv[1]), pathlib.Path(sys.argv[2])
    out.mkdir(parents=True, exist_ok=True)
    for name in sys.argv[3:] or NAMES:
        folder = oracle / name
        write_bfloat16(folder / "model-f32.gguf", out / f"{name}.gguf")
        for i in range(3):
            shutil.copyfile(folder / f"logits_p{i}.npy", out / f"{name}-logits-{i}.npy")
            (out / f"{name}-logits-{i}.npy").chmod(0o644)
        shutil.copyfile(folder / "prompts.txt", out / f"{name}-prompts.txt")
        (out / f"{name}-prompts.txt").chmod(0o644)
        greedy = json.loads((folder / "greedy.json").read_text())
        (out / f"{name}-greedy.txt").write_text("".join(" ".join(map(str, run["ids"])) + "\n" for run in greedy))


main()
