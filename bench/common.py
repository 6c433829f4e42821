"""What the scripts of this folder share: our program, the peer's environment, the models."""

import argparse
import json
import os
import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
DRIVER = ROOT / "bench" / "llama_cpp_driver.py"
LLAMA_CPP_PYTHON = "0.3.36"
MODELS = ["smollm2", "gemma3-270m"]


def add_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("models", nargs="*", default=MODELS,
                        help="smollm2, gemma3-270m or GGUF files (default: both small models)")
    parser.add_argument("--agave", default=ROOT / "build/release/bin/agave", type=pathlib.Path,
                        help="our program (default: build/release/bin/agave)")
    parser.add_argument("--peers", default=os.environ.get("AGAVE_PEERS", ROOT / "build/peers"), type=pathlib.Path,
                        help="Python environment with llama-cpp-python; made when it is not there (default: "
                             "$AGAVE_PEERS, else build/peers)")
    parser.add_argument("--threads", type=int, default=2)


def run(*command: object, stdin: bytes | None = None) -> bytes:
    """Standard output of a command; ends the script with the command's own message when it fails."""
    done = subprocess.run([str(part) for part in command], input=stdin, capture_output=True)
    if done.returncode != 0:
        sys.exit(f"{' '.join(str(part) for part in command)[:300]}\n{done.stderr.decode(errors='replace').strip()}\n"
                 f"gave exit status {done.returncode}")
    return done.stdout


def model_path(name: str) -> pathlib.Path:
    return pathlib.Path(run(ROOT / "scripts/get-model.sh", name).decode().strip())


def check_agave(program: pathlib.Path) -> None:
    if not program.exists():
        sys.exit(f"{program} is not there: run `make run` first, or name the program with --agave")


def peer_python(folder: pathlib.Path) -> pathlib.Path:
    """The interpreter of the peer's environment, built for this machine's processor when it is missing."""
    python = folder / "bin" / "python"
    if python.exists() and subprocess.run([python, "-c", "import llama_cpp, numpy"], capture_output=True).returncode == 0:
        return python
    run(ROOT / "scripts/install-deps.sh", "peers")
    print(f"building llama-cpp-python {LLAMA_CPP_PYTHON} in {folder}: 10 to 20 minutes, once", file=sys.stderr)
    run(sys.executable, "-m", "venv", folder)
    os.environ["CMAKE_ARGS"] = "-DGGML_NATIVE=ON"
    run(python, "-m", "pip", "install", "--quiet", "--no-binary", "llama-cpp-python", "numpy",
        f"llama-cpp-python=={LLAMA_CPP_PYTHON}")
    return python


def llama_cpp(python: pathlib.Path, action: str, model: pathlib.Path, *options: object, stdin: bytes | None = None) -> dict:
    """One call of llama_cpp_driver.py in its own process."""
    return json.loads(run(python, DRIVER, action, model, *options, stdin=stdin))


def joined(ids: list[int]) -> str:
    return ",".join(str(i) for i in ids)


def machine() -> str:
    """Processor, cores and memory in words."""
    cpu, memory = "unknown processor", 0
    with open("/proc/cpuinfo", encoding="utf-8") as file:
        for line in file:
            if line.startswith("model name"):
                cpu = line.split(":", 1)[1].strip()
                break
    with open("/proc/meminfo", encoding="ascii") as file:
        memory = int(file.readline().split()[1]) / 2**20
    flags = run("lscpu").decode()
    units = [name for flag, name in [("avx2", "AVX2"), ("avx512_vnni", "AVX-512 VNNI"), ("avx512_bf16", "AVX-512 BF16"),
                                     ("amx_int8", "AMX"), ("asimddp", "dotprod"), ("i8mm", "i8mm")]
             if flag in flags.split()]
    return f"{cpu}, {os.cpu_count()} cores ({', '.join(units)}), {memory:.0f} GiB"


def commit() -> str:
    name = run("git", "-C", ROOT, "rev-parse", "--short", "HEAD").decode().strip()
    changed = run("git", "-C", ROOT, "status", "--porcelain", "--untracked-files=no", "--", "src", "cmake", "CMakeLists.txt")
    return name + (" with local changes" if changed else "")


def write_between(path: pathlib.Path, name: str, text: str) -> None:
    """Replaces what stands between the markers `name:begin` and `name:end` of a Markdown file."""
    begin, end = f"<!-- {name}:begin -->", f"<!-- {name}:end -->"
    old = path.read_text(encoding="utf-8")
    if begin not in old or end not in old:
        sys.exit(f"{path} has no markers {begin} and {end}")
    head, rest = old.split(begin, 1)
    tail = rest.split(end, 1)[1]
    path.write_text(f"{head}{begin}\n{text.strip()}\n{end}{tail}", encoding="utf-8")
