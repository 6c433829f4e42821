"""What Hugging Face computes: logits of fixed prompts and greedy continuations, float32, eager attention, no cache."""
import json
import pathlib
from collections.abc import Callable

import numpy as np
import torch

PROMPT_LENGTHS = (5, 33, 300)  # the long one passes every sliding window
N_GREEDY = 32
SMALLEST_MARGIN = 0.004        # between the two best logits of a greedy step; below it another prompt is tried


def make_prompts(seed: int, low: int, high: int, bos: int | None) -> list[list[int]]:
    random = np.random.default_rng(seed)
    prompts = []
    for length in PROMPT_LENGTHS:
        ids = random.integers(low, high, length).tolist()
        if bos is not None:
            ids[0] = int(bos)
        prompts.append([int(i) for i in ids])
    return prompts


def forward(model: torch.nn.Module, ids: list[int]) -> torch.Tensor:
    return model(input_ids=torch.tensor([ids]), use_cache=False).logits[0].float()


def greedy(model: torch.nn.Module, ids: list[int], logits: torch.Tensor, n: int = N_GREEDY) -> dict:
    """The likeliest tokens one after the other, with the five best of each step."""
    ids, steps = list(ids), []
    for step in range(n):
        last = forward(model, ids)[-1] if step else logits[-1]
        values, best = torch.topk(last, 5)
        steps.append({"id": int(best[0]), "top5": [[int(i), float(value)] for i, value in zip(best, values)]})
        ids.append(int(best[0]))
    margin = min(step["top5"][0][1] - step["top5"][1][1] for step in steps)
    return {"ids": [step["id"] for step in steps], "min_margin": margin, "steps": steps}


def write_logits(logits: torch.Tensor, path: pathlib.Path) -> float:
    """The logits of the last eight positions; returns their standard deviation."""
    last = logits[-min(8, len(logits)):]
    np.save(path, last.numpy().astype(np.float32))
    return float(last.std())


def write_reference(model: torch.nn.Module, prompts: list[list[int]], folder: pathlib.Path, tag: str = "",
                    another: Callable[[int, int], list[int]] | None = None) -> dict:
    """logits_<tag>p<i>.npy and greedy_<tag>.json. `another(i, k)` gives the k-th other prompt i, which is taken when the greedy run meets a
    near tie; `prompts` is changed accordingly."""
    runs, deviations = [], []
    for i in range(len(prompts)):
        best = None
        for k in range(5 if another else 1):
            ids = another(i, k) if k else prompts[i]
            logits = forward(model, ids)
            run = greedy(model, ids, logits)
            if best is None or run["min_margin"] > best[2]["min_margin"]:
                best = (list(ids), logits, run)
            if run["min_margin"] >= SMALLEST_MARGIN:
                break
        prompts[i], logits, run = best
        deviations.append(round(write_logits(logits, folder / f"logits_{tag}p{i}.npy"), 3))
        runs.append({"prompt": i, **run})
    (folder / ("greedy_" + tag.rstrip("_") + ".json" if tag else "greedy.json")).write_text(json.dumps(runs))
    return {"logit_std": deviations, "greedy_unique": [len(set(run["ids"])) for run in runs], "min_margin": [round(run["min_margin"], 5) for run in runs]}
