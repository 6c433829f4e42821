"""Writes the fixtures of tests/data/gguf with gguf-py: every value type, every weight format of the spine, a custom
alignment, and a model in three parts. Run it from the repository's root; the output does not change between runs.

    python tools/gguf/make_fixtures.py
"""

import pathlib

import gguf
import numpy

from dump import dump

FOLDER = pathlib.Path("tests/data/gguf")
FORMATS = ["F32", "F16", "BF16", "Q4_0", "Q4_1", "Q5_0", "Q5_1", "Q8_0", "Q2_K", "Q3_K", "Q4_K", "Q5_K", "Q6_K"]


def add_keys(writer):
    t = gguf.GGUFValueType
    writer.add_uint8("test.u8", 255)
    writer.add_int8("test.i8", -128)
    writer.add_uint16("test.u16", 65535)
    writer.add_int16("test.i16", -32768)
    writer.add_uint32("test.u32", 2**32 - 1)
    writer.add_int32("test.i32", -(2**31))
    writer.add_uint64("test.u64", 2**64 - 1)
    writer.add_key_value("test.i64", -(2**63), t.INT64)
    writer.add_float32("test.f32", 1e-5)
    writer.add_float64("test.f64", -1e-300)
    writer.add_bool("test.yes", True)
    writer.add_bool("test.no", False)
    writer.add_string("test.text", "na\u00efve \u65e5\u672c\u8a9e \U0001f980 \0 end")
    writer.add_string("test.empty", "")
    writer.add_array("test.texts", ["a", "", "\u2581the", "<0x0A>"])
    writer.add_array("test.integers", [1, -2, 3])
    writer.add_array("test.numbers", [0.5, -1000.0, 1e-7])
    writer.add_array("test.booleans", [True, False, False, True])
    for sub_type, values in ((t.UINT8, [0, 255]), (t.UINT16, [65535]), (t.INT64, [-(2**63)]), (t.FLOAT64, [0.1])):
        writer.add_key_value(f"test.array.{sub_type.name.lower()}", values, t.ARRAY, sub_type)


def add_tensors(writer, random):
    for name in FORMATS:
        kind = gguf.GGMLQuantizationType[name]
        block, n_bytes = gguf.GGML_QUANT_SIZES[kind]
        shape = (3, 256) if block > 1 else (2, 3, 5)
        row = shape[-1] // block * n_bytes
        data = random.integers(0, 256, (*shape[:-1], row), dtype=numpy.uint8)
        writer.add_tensor(f"weights.{name.lower()}", data, raw_dtype=kind)
    writer.add_tensor("vector", numpy.arange(7, dtype=numpy.float32))
    writer.add_tensor("four", numpy.arange(24, dtype=numpy.float32).reshape(1, 2, 3, 4))


def write(path, alignment=None, **options):
    writer = gguf.GGUFWriter(path, "llama", **options)
    if alignment:
        writer.add_custom_alignment(alignment)
    add_keys(writer)
    add_tensors(writer, numpy.random.default_rng(1))
    writer.write_header_to_file(path)
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


if __name__ == "__main__":
    FOLDER.mkdir(parents=True, exist_ok=True)
    write(FOLDER / "small.gguf")
    write(FOLDER / "aligned.gguf", alignment=256)
    write(FOLDER / "split.gguf", split_max_tensors=6)
    for file in sorted(FOLDER.glob("*.gguf")):
        with open(file.with_suffix(".txt"), "w") as out:
            dump(file, out)
