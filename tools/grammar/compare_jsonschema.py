"""Random JSON Schemas and instances: a text in the form that agave writes is accepted exactly when PyPI's
jsonschema calls its value valid, and a text of any other form is never accepted when it is not.

    python compare_jsonschema.py [SCHEMAS] [SEED]     (needs jsonschema; grammar_tool in build/dev/bin)
"""
import json
import random
import sys

import jsonschema
from grammar_client import Client

NAMES = ["a", "b", "ab", "c", "x\"y", "é"]


def for_python(schema):
    """The schema with its regular expressions, which are ECMA-262's, as Python reads them."""
    if isinstance(schema, list):
        return [for_python(s) for s in schema]
    if not isinstance(schema, dict):
        return schema
    result = {}
    for key, value in schema.items():
        if key == "pattern":
            value = value.replace("\\w", "A-Za-z0-9_").replace("$", "\\Z")
        elif key == "patternProperties":
            value = {k.replace("$", "\\Z"): for_python(v) for k, v in value.items()}
        elif key not in ("enum", "const"):
            value = for_python(value)
        result[key] = value
    return result


class Maker:
    def __init__(self, rng):
        self.rng = rng

    def schema(self, depth=0):
        r = self.rng
        kind = r.choice(["integer", "number", "string", "boolean", "null", "enum", "const", "pattern", "types"]
                        + (["object", "array", "anyOf", "allOf", "ref", "true", "map", "tuple"] * 2
                           if depth < 3 else []))
        return getattr(self, "make_" + kind)(depth)

    def make_true(self, depth):
        return self.rng.choice([True, {}, {"description": "any"}])

    def make_null(self, depth):
        return {"type": "null"}

    def make_boolean(self, depth):
        return {"type": "boolean"}

    def make_types(self, depth):
        return {"type": self.rng.sample(["null", "boolean", "integer", "number", "string", "array", "object"], 2)}

    def make_enum(self, depth):
        return {"enum": self.rng.sample([1, -2, 2.5, "a", "b\"", None, True, [1, "x"], {"a": 1}, "é\n"], 3)}

    def make_const(self, depth):
        return {"const": self.rng.choice([1, 2.5, "ab", None, False, [], [[1]], {"b": {"a": 2}}])}

    def bounds(self, numbers):
        r = self.rng
        s = {}
        if r.random() < 0.6:
            s[r.choice(["minimum", "exclusiveMinimum"])] = r.choice(numbers)
        if r.random() < 0.6:
            s[r.choice(["maximum", "exclusiveMaximum"])] = r.choice(numbers)
        return s

    def make_integer(self, depth):
        s = {"type": "integer", **self.bounds([-120, -10, -9.5, -1, 0, 0.5, 1, 9, 10, 99, 100.25, 1000])}
        if self.rng.random() < 0.2:
            s["multipleOf"] = self.rng.choice([1, 2, 3, 7, 10, 25])
        return s

    def make_number(self, depth):
        s = {"type": "number", **self.bounds([-10, -2.5, -0.125, 0, 0.1, 0.25, 1, 1.05, 9.99, 10, 100])}
        if self.rng.random() < 0.2:
            s["multipleOf"] = self.rng.choice([1, 2, 0.5, 0.25])
        return s

    def make_string(self, depth):
        r = self.rng
        s = {"type": "string"} if r.random() < 0.8 else {}
        if r.random() < 0.5:
            s["minLength"] = r.randrange(4)
        if r.random() < 0.5:
            s["maxLength"] = r.randrange(6)
        return s

    def make_pattern(self, depth):
        r = self.rng
        s = {"type": "string", "pattern": r.choice(
            ["^a+$", "b", "^(a|bc)*$", "^[a-c]{1,3}x?$", "^a|b$", "[^a-z]", "^.{2}$", "^[\\w-]+$", "a.c", "^$", "\\\\",
             "^(?:x|y)+?z$", "\\.", "^[^\\n]*$"])}
        if r.random() < 0.3:
            s["maxLength"] = r.randrange(1, 5)
        return s

    def make_object(self, depth):
        r = self.rng
        names = r.sample(NAMES, r.randrange(4))
        s = {"type": "object", "properties": {n: self.schema(depth + 1) for n in names}}
        if names and r.random() < 0.7:
            s["required"] = r.sample(names, r.randrange(len(names) + 1)) + (["zz"] if r.random() < 0.1 else [])
        if r.random() < 0.6:
            s["additionalProperties"] = False if r.random() < 0.6 else self.schema(depth + 1)
        if r.random() < 0.15:
            s["patternProperties"] = {r.choice(["^a", "b$", "^x"]): self.schema(depth + 1)}
        if r.random() < 0.1:
            s["minProperties"] = 1
        return s

    def make_map(self, depth):
        s = {"type": "object", "additionalProperties": self.schema(depth + 1)}
        if self.rng.random() < 0.4:
            s["maxProperties"] = self.rng.randrange(3)
        return s

    def make_array(self, depth):
        r = self.rng
        s = {"type": "array", "items": self.schema(depth + 1)}
        if r.random() < 0.5:
            s["minItems"] = r.randrange(3)
        if r.random() < 0.5:
            s["maxItems"] = r.randrange(4)
        return s

    def make_tuple(self, depth):
        s = self.make_array(depth)
        s["prefixItems"] = [self.schema(depth + 1) for _ in range(self.rng.randrange(1, 3))]
        if self.rng.random() < 0.3:
            s["items"] = False
        return s

    def make_anyOf(self, depth):
        r = self.rng
        s = {r.choice(["anyOf", "anyOf", "oneOf"]): [self.schema(depth + 1) for _ in range(r.randrange(1, 4))]}
        if r.random() < 0.3:
            s.update(self.make_string(depth))
        return s

    def make_allOf(self, depth):
        return {"allOf": [self.schema(depth + 1) for _ in range(2)]}

    def make_ref(self, depth):
        return {"$ref": self.rng.choice(["#/$defs/one", "#/$defs/two"])}

    def value(self, depth=0):
        r = self.rng
        k = r.random()
        if depth < 3 and k < 0.2:
            return {n: self.value(depth + 1) for n in r.sample(NAMES, r.randrange(3))}
        if depth < 3 and k < 0.35:
            return [self.value(depth + 1) for _ in range(r.randrange(4))]
        if k < 0.55:
            return "".join(r.choice("abcxyz.-é\"\\\n") for _ in range(r.randrange(5)))
        return r.choice([None, True, False, 0, 1, 2, -1, 7, 10, 25, 99, 100, -120, 0.1, 0.25, 1.05, 2.5, -2.5, 9.99])

    def fit(self, schema, root, depth=0):
        """A value that is likely to be valid, with its members in the schema's order."""
        r = self.rng
        if depth > 8 or not isinstance(schema, dict) or r.random() < 0.05:
            return self.value(2)
        if "$ref" in schema:
            return self.fit(root["$defs"][schema["$ref"].split("/")[-1]], root, depth + 1)
        for key in ("anyOf", "oneOf", "allOf"):
            if key in schema:
                return self.fit(r.choice(schema[key]), root, depth + 1)
        if "enum" in schema:
            return r.choice(schema["enum"])
        if "const" in schema:
            return schema["const"]
        kind = schema.get("type", "string")
        kind = r.choice(kind) if isinstance(kind, list) else kind
        if kind == "object":
            value = {}
            for name, part in schema.get("properties", {}).items():
                if name in schema.get("required", []) or r.random() < 0.5:
                    value[name] = self.fit(part, root, depth + 1)
            for name in r.sample(NAMES + ["zz"], r.randrange(3)):
                if name not in value:
                    value[name] = self.fit(schema.get("additionalProperties", True), root, depth + 1)
            return value
        if kind == "array":
            prefix = schema.get("prefixItems", [])
            least = schema.get("minItems", 0)
            n = r.randrange(least, max(least, min(schema.get("maxItems", 4), 4)) + 2)
            return [self.fit(prefix[i] if i < len(prefix) else schema.get("items", True), root, depth + 1)
                    for i in range(n)]
        if kind == "string":
            return "".join(r.choice("aabbcxyz.-é\"\\\n") for _ in range(r.randrange(6)))
        if kind == "integer":
            return r.choice([r.randrange(-130, 130), r.randrange(-12, 12), 1000])
        if kind == "number":
            number = round(r.uniform(-12, 12), r.randrange(3))
            return int(number) if number == int(number) else number  # as agave writes it
        return {"boolean": True, "null": None}.get(kind)


def main():
    n_schemas = int(sys.argv[1]) if len(sys.argv) > 1 else 2000
    rng = random.Random(int(sys.argv[2]) if len(sys.argv) > 2 else 1)
    maker, client = Maker(rng), Client()
    refused, checked, valid_accepted, order, bad = {}, 0, 0, 0, 0
    for _ in range(n_schemas):
        schema = maker.schema()
        if not isinstance(schema, dict):
            continue
        schema = dict(schema)
        schema["$defs"] = {"one": maker.make_object(2), "two": maker.schema(3)}
        why = client.compile("S", json.dumps(schema, ensure_ascii=rng.random() < 0.5))
        validator = jsonschema.Draft202012Validator(for_python(schema))
        if why is not None:
            key = why.split(" ", 6)[-1][-60:] if "honoured" in why else why[:60]
            refused[key] = refused.get(key, 0) + 1
            if "no text" in why:  # then nothing may be valid
                for _ in range(30):
                    value = maker.fit(schema, schema)
                    if validator.is_valid(value):
                        bad += 1
                        print("REFUSED AS EMPTY", json.dumps(schema), json.dumps(value))
                        break
            continue
        for _ in range(30):
            value = maker.fit(schema, schema) if rng.random() < 0.8 else maker.value()
            indent = rng.choice([None, None, 1, 4])
            separators = (",", ":") if rng.random() < 0.3 and indent is None else None
            text = json.dumps(value, ensure_ascii=False, indent=indent, separators=separators)
            valid, accepted = validator.is_valid(value), client.matches(text)
            checked += 1
            valid_accepted += valid and accepted
            if accepted and not valid:
                bad += 1
                print("ACCEPTED BUT INVALID", json.dumps(schema), text)
            elif valid and not accepted:
                if any_order(client, value):
                    order += 1
                else:
                    bad += 1
                    print("VALID BUT NOT ACCEPTED", json.dumps(schema), text)
    print(f"{n_schemas} schemas, {sum(refused.values())} refused; {checked} values, {valid_accepted} valid and accepted, "
          f"{order} only in another order of members, {bad} wrong")
    for why, n in sorted(refused.items(), key=lambda item: -item[1])[:12]:
        print(f"  {n} refused: {why}")
    return bad != 0


def any_order(client, value, limit=400):
    """Whether some order of the members of its objects is accepted."""
    import itertools

    def orders(v):
        if isinstance(v, list):
            for parts in itertools.product(*[list(itertools.islice(orders(p), 24)) for p in v]):
                yield list(parts)
        elif isinstance(v, dict):
            for names in itertools.permutations(v):
                for parts in itertools.product(*[list(itertools.islice(orders(v[n]), 24)) for n in names]):
                    yield dict(zip(names, parts))
        else:
            yield v

    return any(client.matches(json.dumps(v, ensure_ascii=False)) for v in itertools.islice(orders(value), limit))


if __name__ == "__main__":
    sys.exit(main())
