#!/usr/bin/env python3
"""Measures agave beside llama.cpp on this machine and writes the table into docs/benchmarks.md.

The two take turns (ours, theirs, ours, ...), each run in a process of its own, so that a slow minute of the
machine falls on both. llama.cpp is the PyPI package llama-cpp-python, built here for this processor, and
runs with or without flash attention, whichever a first look finds faster.

    bench/peers.py [--pairs 7] [--rows prefill,decode,start,memory] [--no-write] [--ik llama-bench] [MODEL...]
"""

import argparse
import datetime
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time

import common

ROWS = ["prefill", "decode", "start", "memory"]
SENTENCE = "The river ran slowly past the old stone mill while the children of the village played on its bank"


def quartiles(values: list[float]) -> tuple[float, float, float]:
    low, middle, high = statistics.quantiles(values, n=4, method="inclusive")
    return low, middle, high


def agave_bench(program: pathlib.Path, model: pathlib.Path, threads: int, kinds: list[str]) -> dict[str, float]:
    sizes = ("-p", 512 if "prefill" in kinds else 0, "-n", 128 if "decode" in kinds else 0)
    out = json.loads(common.run(program, "bench", model, *sizes, "-r", 1, "-t", threads, "--json"))
    return {kind: out[kind][0]["tokens_per_second"] for kind in kinds}


def llama_cpp_bench(python: pathlib.Path, model: pathlib.Path, threads: int, flash: dict[str, int]) -> dict[str, float]:
    """Measures the kinds that `flash` names."""
    options, result = {"prefill": ("--prefill", 512), "decode": ("--decode", 128)}, {}
    for kind in flash:
        out = common.llama_cpp(python, "bench", model, *options[kind], "--flash", flash[kind], "--threads", threads)
        result[kind] = out[f"{kind}_tokens_per_second"]
    return result


def ik_bench(program: pathlib.Path, model: pathlib.Path, threads: int) -> dict[str, float]:
    out = json.loads(common.run(program, "-m", model, "-p", 512, "-n", 128, "-r", 1, "-t", threads, "-fa", 1, "-o", "json"))
    return {"prefill": next(row["avg_ts"] for row in out if row["n_prompt"] and not row["n_gen"]),
            "decode": next(row["avg_ts"] for row in out if row["n_gen"] and not row["n_prompt"])}


def better_flash(python: pathlib.Path, model: pathlib.Path, threads: int, kinds: list[str]) -> dict[str, int]:
    """Flash attention on (1) or off (0) for each kind: the faster median of three."""
    medians = {}
    for flash in (0, 1):
        runs = [llama_cpp_bench(python, model, threads, dict.fromkeys(kinds, flash)) for _ in range(3)]
        medians[flash] = {kind: statistics.median(run[kind] for run in runs) for kind in kinds}
    return {kind: int(medians[1][kind] >= medians[0][kind]) for kind in kinds}


def prompt_of(python: pathlib.Path, model: pathlib.Path, length: int) -> tuple[str, list[int]]:
    """A text of exactly `length` tokens (BOS included), and its ids."""
    out = common.llama_cpp(python, "prompt", model, "--count", length, stdin=SENTENCE.encode())
    return out["text"], out["ids"]


def agave_first_token(program: pathlib.Path, model: pathlib.Path, text: str, threads: int) -> dict[str, float]:
    """From before the process starts to its first byte of text, and its peak resident memory."""
    command = [program, "run", model, text, "--raw", "-n", 1, "-t", 0, "--ctx-size", 2048, "--threads", threads, "-q"]
    begin = time.perf_counter()
    child = subprocess.Popen([str(part) for part in command], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                             stderr=subprocess.PIPE)
    first = child.stdout.read(1)
    seconds = time.perf_counter() - begin
    child.stdout.read()
    message = child.stderr.read().decode(errors="replace").strip()
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    if child.returncode or not first:
        sys.exit(f"agave run gave no text (exit status {child.returncode}): {message}")
    return {"seconds": seconds, "resident_bytes": usage.ru_maxrss * 1024}


def llama_cpp_first_token(python: pathlib.Path, model: pathlib.Path, ids: list[int], threads: int, flash: int) -> dict[str, float]:
    return common.llama_cpp(python, "first-token", model, "--tokens", common.joined(ids), "--ctx-size", 2048,
                            "--threads", threads, "--flash", flash)


def row(what: str, ours: list[float], theirs: list[float], show, better: str) -> str:
    """One line of the table; the ratio is the median of the pairs' ratios, and above 1 we are the better one."""
    ratios = [a / b if better == "more" else b / a for a, b in zip(ours, theirs)]

    def cell(values, form):
        low, middle, high = quartiles(values)
        return f"{form(middle)} ({form(low)} to {form(high)})"

    return f"| {what} | {cell(ours, show)} | {cell(theirs, show)} | {cell(ratios, lambda v: f'{v:.2f}')} |"


def measure(arguments: argparse.Namespace, python: pathlib.Path, name: str) -> list[str]:
    """The table of one model, as lines of Markdown."""
    model = common.model_path(name)
    kinds = [kind for kind in ("prefill", "decode") if kind in arguments.rows]
    start = "start" in arguments.rows or "memory" in arguments.rows
    flash = better_flash(python, model, arguments.threads, kinds)
    text, ids = prompt_of(python, model, 16)
    agave_first_token(arguments.agave, model, text, arguments.threads)  # the file comes into the cache
    ours, theirs, ik, our_start, their_start = [], [], [], [], []
    for pair in range(arguments.pairs):
        print(f"{name}: pair {pair + 1} of {arguments.pairs}", file=sys.stderr)
        ours.append(agave_bench(arguments.agave, model, arguments.threads, kinds))
        theirs.append(llama_cpp_bench(python, model, arguments.threads, flash))
        if arguments.ik:
            ik.append(ik_bench(arguments.ik, model, arguments.threads))
        if not start:
            continue
        our_start.append(agave_first_token(arguments.agave, model, text, arguments.threads))
        their_start.append(llama_cpp_first_token(python, model, ids, arguments.threads, flash.get("prefill", 1)))

    def column(rows, key):
        return [entry[key] for entry in rows]

    def speed(value):
        return f"{value:,.0f}" if value >= 100 else f"{value:.1f}"

    def seconds(value):
        return f"{value:.3f} s"

    def megabytes(value):
        return f"{value / 1e6:.0f} MB"

    lines = [f"### {model.name} ({model.stat().st_size / 1e6:.0f} MB)", "",
             "| what | agave | llama.cpp | agave is better by |", "|---|---|---|---|"]
    titles = {"prefill": "prefill of 512 tokens, tokens/s", "decode": "decode of 128 tokens, tokens/s"}
    lines += [row(titles[kind], column(ours, kind), column(theirs, kind), speed, "more") for kind in kinds]
    if "start" in arguments.rows:
        lines.append(row("start to first token, 16-token prompt", column(our_start, "seconds"),
                         column(their_start, "seconds"), seconds, "less"))
    if "memory" in arguments.rows:
        lines.append(row("resident memory, context 2048", column(our_start, "resident_bytes"),
                         column(their_start, "resident_bytes"), megabytes, "less"))
    if ik:
        lines += ["", "| what | agave | ik_llama.cpp | agave is better by |", "|---|---|---|---|",
                  *(row(titles[kind], column(ours, kind), column(ik, kind), speed, "more") for kind in kinds)]
    if flash:
        on = {0: "off", 1: "on"}
        choices = " and ".join(f"{on[flash[kind]]} for {kind}" for kind in kinds)
        lines += ["", f"llama.cpp ran with flash attention {choices}, whichever was faster."]
    lines.append("")
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    common.add_options(parser)
    parser.add_argument("--pairs", type=int, default=7)
    parser.add_argument("--rows", default=",".join(ROWS), help=f"what to measure, of {', '.join(ROWS)} (default: all)")
    parser.add_argument("--ik", type=pathlib.Path, help="llama-bench of an ik_llama.cpp build, to compare with too")
    parser.add_argument("--no-write", action="store_true", help="print only, leave docs/benchmarks.md as it is")
    arguments = parser.parse_args()
    if arguments.pairs < 2:
        parser.error("--pairs: quartiles need at least 2")
    arguments.rows = arguments.rows.split(",")
    for name in arguments.rows:
        if name not in ROWS:
            parser.error(f"--rows: '{name}' is none of {', '.join(ROWS)}")
    common.check_agave(arguments.agave)
    python = common.peer_python(arguments.peers)
    if os.getloadavg()[0] > 0.5:
        print(f"peers.py: the machine is not idle (load {os.getloadavg()[0]:.1f}); expect noise", file=sys.stderr)

    tables = [line for name in arguments.models for line in measure(arguments, python, name)]
    versions = common.llama_cpp(python, "info", common.model_path(arguments.models[0]))
    ours = common.run(arguments.agave, "--version").decode().split("\n")[0].strip()
    head = [f"{datetime.date.today()}, commit {common.commit()} ({ours}). {common.machine()}; {arguments.threads} threads,",
            f"{arguments.pairs} pairs of runs in turn: median (quartiles).",
            f"llama.cpp: llama-cpp-python {versions['package']}, built here for this processor.", ""]
    text = "\n".join(head + tables)
    print(text)
    if not arguments.no_write:
        common.write_between(common.ROOT / "docs/benchmarks.md", "peers", text)


if __name__ == "__main__":
    main()
