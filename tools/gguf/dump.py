"""Prints a GGUF file's metadata and tensors as gguf-py reads them, one line each, for tests/formats/gguf_test.cpp.

    python dump.py FILE.gguf > FILE.txt

    key <name> <kind> <value>               texts in hexadecimal, floating-point numbers with 17 digits
    array <name> <kind> <length> <values>
    tensor <name> <type> <offset in the file> <bytes> <shape, innermost first>
"""

import sys

from gguf import GGUFReader, GGUFValueType

KINDS = {
    GGUFValueType.STRING: "text",
    GGUFValueType.BOOL: "bool",
    GGUFValueType.FLOAT32: "number",
    GGUFValueType.FLOAT64: "number",
    **{getattr(GGUFValueType, f"UINT{n}"): "unsigned" for n in (8, 16, 32, 64)},
    **{getattr(GGUFValueType, f"INT{n}"): "signed" for n in (8, 16, 32, 64)},
}


def show(kind, part):
    if kind == "text":
        return bytes(part).hex() or "-"
    if kind == "number":
        return "%.17g" % float(part[0])
    return str(int(part[0]))


def dump(path, out):
    reader = GGUFReader(path)
    for name, field in reader.fields.items():
        if name.startswith("GGUF."):
            continue
        if field.types[0] == GGUFValueType.ARRAY:
            # gguf-py leaves the element type of an empty array out of `types`.
            element = GGUFValueType(int(field.parts[3][0])) if len(field.parts) > 3 else field.types[-1]
            kind = KINDS[element]
            values = [show(kind, field.parts[i]) for i in field.data]
            print("array", name, kind, len(values), *values, file=out)
        else:
            kind = KINDS[field.types[0]]
            print("key", name, kind, show(kind, field.parts[field.data[0]]), file=out)
    for tensor in reader.tensors:
        shape = "x".join(str(int(n)) for n in tensor.shape)
        print("tensor", tensor.name, tensor.tensor_type.name, tensor.data_offset, tensor.n_bytes, shape, file=out)


if __name__ == "__main__":
    dump(sys.argv[1], sys.stdout)
