#!/usr/bin/env python3
"""Drives llama.cpp through the low-level API of the PyPI package llama-cpp-python; prints one JSON object.

It runs in the Python environment that holds that package (bench/peers.py makes one) and does by hand what
the other scripts of this folder compare with:

    llama_cpp_driver.py info MODEL
    llama_cpp_driver.py tokenize MODEL < text
    llama_cpp_driver.py prompt MODEL --count 16 < text
    llama_cpp_driver.py bench MODEL --prefill 512 --decode 128 --flash 0|1
    llama_cpp_driver.py first-token MODEL --tokens 1,2,3 --ctx-size 2048
    llama_cpp_driver.py greedy MODEL --tokens 1,2,3 --count 64
    llama_cpp_driver.py probabilities MODEL --tokens 1,2,3 --candidates 4,5
    llama_cpp_driver.py perplexity MODEL --file text [--ctx-size 512]
"""

import argparse
import ctypes
import json
import re
import sys
import time

import llama_cpp
import numpy as np

_quiet = llama_cpp.llama_log_callback(lambda level, text, data: None)


def resident_bytes(field: str) -> int:
    """VmRSS (now) or VmHWM (peak) of this process."""
    with open("/proc/self/status", encoding="ascii") as status:
        return int(re.search(rf"{field}:\s+(\d+) kB", status.read())[1]) * 1024


class Session:
    """A model and a context of it, one sequence."""

    def __init__(self, path: str, n_ctx: int, n_batch: int, n_threads: int, flash: bool):
        parameters = llama_cpp.llama_model_default_params()
        parameters.n_gpu_layers = 0
        self.model = llama_cpp.llama_model_load_from_file(path.encode(), parameters)
        if not self.model:
            sys.exit(f"llama_cpp_driver.py: llama.cpp cannot load {path}")
        self.vocab = llama_cpp.llama_model_get_vocab(self.model)
        self.n_vocab = llama_cpp.llama_vocab_n_tokens(self.vocab)
        context = llama_cpp.llama_context_default_params()
        context.n_ctx = n_ctx
        context.n_batch = context.n_ubatch = n_batch
        context.n_threads = context.n_threads_batch = n_threads
        context.flash_attn_type = 1 if flash else 0
        context.no_perf = True
        self.context = llama_cpp.llama_init_from_model(self.model, context)
        if not self.context:
            sys.exit("llama_cpp_driver.py: llama.cpp cannot make a context")
        self.position = 0

    def clear(self) -> None:
        llama_cpp.llama_memory_clear(llama_cpp.llama_get_memory(self.context), True)
        self.position = 0

    def decode(self, tokens: list[int], all_logits: bool = False) -> None:
        """Runs tokens at the next positions; logits are kept for the last one or for all of them."""
        batch = llama_cpp.llama_batch_init(len(tokens), 0, 1)
        batch.n_tokens = len(tokens)
        for i, token in enumerate(tokens):
            batch.token[i] = token
            batch.pos[i] = self.position + i
            batch.n_seq_id[i] = 1
            batch.seq_id[i][0] = 0
            batch.logits[i] = all_logits or i + 1 == len(tokens)
        status = llama_cpp.llama_decode(self.context, batch)
        llama_cpp.llama_synchronize(self.context)
        llama_cpp.llama_batch_free(batch)
        if status != 0:
            sys.exit(f"llama_cpp_driver.py: llama_decode gave {status}")
        self.position += len(tokens)

    def logits(self, row: int = -1) -> np.ndarray:
        return np.ctypeslib.as_array(llama_cpp.llama_get_logits_ith(self.context, row), (self.n_vocab,))

    def tokenize(self, text: bytes) -> list[int]:
        """Ids of a text, with BOS when the model adds it; special tokens are not read from the text."""
        room = len(text) + 8
        ids = (llama_cpp.llama_token * room)()
        count = llama_cpp.llama_tokenize(self.vocab, text, len(text), ids, room, True, False)
        if count < 0:
            sys.exit("llama_cpp_driver.py: llama_tokenize needs more room")
        return list(ids[:count])


def log_softmax(logits: np.ndarray) -> np.ndarray:
    wide = logits.astype(np.float64)
    wide -= wide.max(axis=-1, keepdims=True)
    return wide - np.log(np.exp(wide).sum(axis=-1, keepdims=True))


def info(session: Session, arguments: argparse.Namespace) -> dict:
    return {"package": llama_cpp.__version__, "system_info": llama_cpp.llama_print_system_info().decode().strip(),
            "adds_bos": bool(llama_cpp.llama_vocab_get_add_bos(session.vocab)), "n_vocab": session.n_vocab}


def tokenize(session: Session, arguments: argparse.Namespace) -> dict:
    return {"ids": session.tokenize(sys.stdin.buffer.read())}


def prompt(session: Session, arguments: argparse.Namespace) -> dict:
    """The shortest beginning, in words, of the text that has exactly `count` tokens, BOS included."""
    words = sys.stdin.read().split()
    for n_words in range(1, len(words) + 1):
        text = " ".join(words[:n_words])
        ids = session.tokenize(text.encode())
        if len(ids) == arguments.count:
            return {"text": text, "ids": ids}
    sys.exit(f"llama_cpp_driver.py: no beginning of the text has {arguments.count} tokens")


def bench(session: Session, arguments: argparse.Namespace) -> dict:
    """One measured run after one warm-up, as `agave bench -r 1` does."""
    prompt = [(1000 + 7 * i) % session.n_vocab for i in range(max(arguments.prefill, arguments.decode))]
    result = {}
    session.decode(prompt[: arguments.prefill or 8])
    session.clear()
    if arguments.prefill:
        begin = time.perf_counter()
        session.decode(prompt[: arguments.prefill])
        result["prefill_tokens_per_second"] = arguments.prefill / (time.perf_counter() - begin)
        session.clear()
    if arguments.decode:
        session.decode(prompt[:1])
        session.clear()
        begin = time.perf_counter()
        for token in prompt[: arguments.decode]:
            session.decode([token])
        result["decode_tokens_per_second"] = arguments.decode / (time.perf_counter() - begin)
    return result


def greedy(session: Session, arguments: argparse.Namespace) -> dict:
    """Greedy ids, and for each step the probability of the best and the second token."""
    session.decode(arguments.tokens)
    ids, best = [], []
    for _ in range(arguments.count):
        logits = session.logits()
        ids.append(int(logits.argmax()))
        top = np.sort(np.exp(log_softmax(logits)))[-2:]
        best.append([float(top[1]), float(top[0])])
        session.decode([ids[-1]])
    return {"ids": ids, "best_two": best}


def probabilities(session: Session, arguments: argparse.Namespace) -> dict:
    session.decode(arguments.tokens)
    after = np.exp(log_softmax(session.logits()))
    return {"probabilities": [float(after[token]) for token in arguments.candidates]}


def perplexity(session: Session, arguments: argparse.Namespace) -> dict:
    """As llama.cpp's own tool: whole chunks of n_ctx ids, BOS put in place of each chunk's first id when the
    model adds BOS, and the second half of each chunk scored."""
    n_ctx = arguments.ctx_size
    with open(arguments.file, "rb") as file:
        ids = session.tokenize(file.read())
    adds_bos = llama_cpp.llama_vocab_get_add_bos(session.vocab)
    bos = llama_cpp.llama_vocab_bos(session.vocab)
    first = n_ctx // 2
    total, count = 0.0, 0
    for start in range(0, len(ids) - n_ctx + 1, n_ctx):
        chunk = ids[start : start + n_ctx]
        session.clear()
        session.decode(([bos] + chunk[1:]) if adds_bos else chunk, all_logits=True)
        for row in range(first, n_ctx - 1):
            total -= log_softmax(session.logits(row))[chunk[row + 1]]
            count += 1
    if not count:
        sys.exit(f"llama_cpp_driver.py: {len(ids)} tokens do not fill one chunk of {n_ctx}")
    return {"perplexity": float(np.exp(total / count)), "tokens": len(ids), "scored": count,
            "chunks": len(ids) // n_ctx}


def first_token(arguments: argparse.Namespace) -> dict:
    """From just before the model is opened to the first greedy token. Starting the interpreter and loading
    the library are left out, and so is the memory that they took: a C program would not need them."""
    before = resident_bytes("VmRSS")
    begin = time.perf_counter()
    session = Session(arguments.model, arguments.ctx_size, 512, arguments.threads, bool(arguments.flash))
    session.decode(arguments.tokens)
    session.logits().argmax()
    return {"seconds": time.perf_counter() - begin, "resident_bytes": resident_bytes("VmHWM") - before}


def ids_of(text: str) -> list[int]:
    return [int(part) for part in text.split(",")]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    actions = {"info": info, "tokenize": tokenize, "prompt": prompt, "bench": bench, "greedy": greedy,
               "probabilities": probabilities, "perplexity": perplexity, "first-token": None}
    parser.add_argument("action", choices=list(actions))
    parser.add_argument("model")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--flash", type=int, choices=[0, 1], default=1)
    parser.add_argument("--prefill", type=int, default=0)
    parser.add_argument("--decode", type=int, default=0)
    parser.add_argument("--tokens", type=ids_of)
    parser.add_argument("--candidates", type=ids_of)
    parser.add_argument("--count", type=int, default=64)
    parser.add_argument("--file")
    parser.add_argument("--ctx-size", type=int, default=512)
    arguments = parser.parse_args()

    llama_cpp.llama_log_set(_quiet, ctypes.c_void_p(0))
    llama_cpp.llama_backend_init()
    if arguments.action == "first-token":
        print(json.dumps(first_token(arguments)))
        return
    n_ctx = arguments.ctx_size
    if arguments.action in ("greedy", "probabilities"):
        n_ctx = max(n_ctx, len(arguments.tokens) + arguments.count + 8)
    n_ctx = max(n_ctx, arguments.prefill, arguments.decode)
    session = Session(arguments.model, n_ctx, max(512, n_ctx), arguments.threads, bool(arguments.flash))
    print(json.dumps(actions[arguments.action](session, arguments)))


if __name__ == "__main__":
    main()
