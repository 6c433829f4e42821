#!/usr/bin/env python3
"""Compares perplexity with llama.cpp on 20,000 words of Jane Austen's "Emma" (see english_text.py).

Both take whole chunks of 512 ids, put BOS in place of a chunk's first id when the model adds BOS, and score
the second half of each chunk. Exits 1 when the two are more than 0.2 % apart.

    bench/compare_perplexity.py [--file TEXT] [--ctx-size 512] [MODEL...]
"""

import argparse
import json
import pathlib
import sys

import common


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    common.add_options(parser)
    parser.add_argument("--file", type=pathlib.Path, help="another text")
    parser.add_argument("--ctx-size", type=int, default=512)
    arguments = parser.parse_args()
    common.check_agave(arguments.agave)
    python = common.peer_python(arguments.peers)
    text = arguments.file
    if text is None:
        text = common.ROOT / "build/emma.txt"
        if not text.exists():
            text.parent.mkdir(exist_ok=True)
            common.run(sys.executable, common.ROOT / "bench/english_text.py", text)
    fine = True
    for name in arguments.models:
        model = common.model_path(name)
        ours = json.loads(common.run(arguments.agave, "perplexity", model, "--file", text, "--ctx-size",
                                     arguments.ctx_size, "--threads", arguments.threads, "--json"))
        theirs = common.llama_cpp(python, "perplexity", model, "--file", text, "--ctx-size", arguments.ctx_size,
                                  "--threads", arguments.threads)
        off = ours["perplexity"] / theirs["perplexity"] - 1
        print(f"{model.name}: agave {ours['perplexity']:.4f}, llama.cpp {theirs['perplexity']:.4f}, {off:+.3%} "
              f"({theirs['scored']} of {theirs['tokens']} tokens scored)", flush=True)
        fine = fine and abs(off) <= 0.002
    sys.exit(0 if fine else 1)


if __name__ == "__main__":
    main()
