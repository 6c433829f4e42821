"""llama.cpp's convert_hf_to_gguf.py, run in this process. The environment variable LLAMA_CPP names a checkout that holds it with its folders
conversion/ and gguf-py/."""
import contextlib
import json
import logging
import os
import pathlib
import sys

_modules = {}


def _load() -> dict:
    if not _modules:
        root = os.environ.get("LLAMA_CPP")
        if not root or not (pathlib.Path(root) / "convert_hf_to_gguf.py").is_file():
            sys.exit("LLAMA_CPP must name a llama.cpp checkout with convert_hf_to_gguf.py")
        sys.path[:0] = [root, root + "/gguf-py"]
        for name in [name for name in sys.modules if name == "gguf" or name.startswith("gguf.")]:
            del sys.modules[name]  # the checkout's own, not PyPI's
        import convert_hf_to_gguf
        from conversion import base
        _modules.update(main=convert_hf_to_gguf.main, base=base, base_pre=base.TextModel.get_vocab_base_pre, load_hparams=base.ModelBase.load_hparams)
    return _modules


def convert(source: pathlib.Path, out: pathlib.Path, pre: str | None, arguments: tuple[str, ...] = (), raw_config: bool = False) -> None:
    """Writes the float32 GGUF of a folder. The converter knows tokenizers by a hash of what they do, so the name `pre` answers for it; no
    tensor is touched. `raw_config`: config.json as it stands, where AutoConfig would fill in defaults that belong to another variant."""
    modules = _load()
    base = modules["base"]
    base.TextModel.get_vocab_base_pre = (lambda self, tokenizer: pre) if pre else modules["base_pre"]

    def read_raw(folder: str, is_mistral_format: bool = False) -> dict:
        return json.loads((pathlib.Path(folder) / "config.json").read_text())

    base.ModelBase.load_hparams = staticmethod(read_raw if raw_config else modules["load_hparams"])
    argv, sys.argv = sys.argv, ["convert_hf_to_gguf.py", str(source), "--outfile", str(out), "--outtype", "f32", *arguments]
    root = logging.getLogger()
    handlers, root.handlers = root.handlers[:], [logging.NullHandler()]
    try:
        with open(os.devnull, "w") as null, contextlib.redirect_stderr(null):
            modules["main"]()
    except SystemExit as stop:
        if stop.code:
            raise RuntimeError(f"the converter exits with {stop.code}") from stop
    finally:
        sys.argv, root.handlers = argv, handlers
        _forget_no_mtp(base.ModelBase)


def _forget_no_mtp(parent: type) -> None:
    """--no-mtp is kept on a class: undone for the next conversion."""
    for child in parent.__subclasses__():
        if child.__dict__.get("no_mtp") is True:
            del child.no_mtp
        _forget_no_mtp(child)


def dequantize(source: pathlib.Path, out: pathlib.Path) -> None:
    """The same GGUF with every tensor in float32."""
    import gguf
    from gguf.quants import dequantize as decode
    reader = gguf.GGUFReader(source)
    writer = gguf.GGUFWriter(out, reader.fields["general.architecture"].contents())
    for key, field in reader.fields.items():
        if key.startswith("GGUF.") or key == "general.architecture":
            continue
        kind = field.types[0]
        value = 0 if key == "general.file_type" else field.contents()
        writer.add_key_value(key, value, kind, sub_type=field.types[-1] if kind == gguf.GGUFValueType.ARRAY else None)
    for tensor in reader.tensors:
        shape = [int(size) for size in reversed(tensor.shape)]
        data = tensor.data if tensor.tensor_type == gguf.GGMLQuantizationType.F32 else decode(tensor.data, tensor.tensor_type)
        writer.add_tensor(tensor.name, data.astype("float32").reshape(shape))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
