#!/usr/bin/env python3
"""Runs a small task of lm-eval against a server and compares each log-likelihood with what the program gives
offline for the same tokens: lm_eval_check.py URL MODEL AGAVE FILE

The task is made here from text (sentences with two endings), because Hugging Face's hub cannot be reached.
Token ids come from the server's /tokenize. Exits 1 when a value differs by more than 1e-4, or a
task's accuracy does not follow from the values.
"""
import json
import os
import subprocess
import sys
import tempfile
import urllib.request

os.environ.update(HF_HUB_OFFLINE="1", HF_DATASETS_OFFLINE="1", TOKENIZERS_PARALLELISM="false")
import lm_eval
import lm_eval.tasks
import numpy
from lm_eval.models.openai_completions import LocalCompletionsAPI

URL, MODEL, AGAVE, FILE = sys.argv[1:5]
QUESTIONS = [
    ("The capital of France is", [" Paris.", " a kind of cheese."], 0),
    ("Water is made of hydrogen and", [" violins.", " oxygen."], 1),
    ("A day has twenty-four", [" hours.", " trees in it."], 0),
    ("The sun rises in the", [" east.", " drawer."], 0),
    ("Two and two make", [" seventeen horses.", " four."], 1),
    ("In winter it is", [" cold.", " Tuesday."], 0),
]
TASK = """
task: agave_endings
dataset_path: json
dataset_kwargs: {data_files: {test: %s}}
test_split: test
output_type: multiple_choice
doc_to_text: "{{question}}"
doc_to_target: "{{label}}"
doc_to_choice: "{{choices}}"
target_delimiter: ""
metric_list: [{metric: acc}]
"""


def post(path, body):
    request = urllib.request.Request(URL + path, json.dumps(body).encode(), {"content-type": "application/json"})
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


class ServerCompletions(LocalCompletionsAPI):
    """Completions with the server's own tokenizer."""
    eot_token_id = prefix_token_id = 0

    def tok_encode(self, string, *_, **__):
        if isinstance(string, str):
            return post("/tokenize", {"content": string})["tokens"]
        return [self.tok_encode(one) for one in string]


def offline(folder, context, whole):
    """Log-likelihood of what follows the context, and whether it is the greedy continuation."""
    path = os.path.join(folder, "logits.npy")
    # K and V as the server stores them.
    subprocess.run([AGAVE, "logits", FILE, "--tokens", ",".join(map(str, whole)), "--kv-type", "f16", "--out", path],
                   check=True)
    logits = numpy.load(path).astype(numpy.float64)[len(context) - 1:-1]
    logprobs = logits - logits.max(axis=1, keepdims=True)
    logprobs -= numpy.log(numpy.exp(logprobs).sum(axis=1, keepdims=True))
    ids = whole[len(context):]
    return sum(row[i] for row, i in zip(logprobs, ids)), all(row.argmax() == i for row, i in zip(logprobs, ids))


def main():
    with tempfile.TemporaryDirectory() as folder:
        data = os.path.join(folder, "endings.jsonl")
        with open(data, "w") as file:
            for question, choices, label in QUESTIONS:
                file.write(json.dumps({"question": question, "choices": choices, "label": label}) + "\n")
        with open(os.path.join(folder, "endings.yaml"), "w") as file:
            file.write(TASK % data)
        os.environ["HF_DATASETS_CACHE"] = folder
        model = ServerCompletions(base_url=URL + "/v1/completions", model=MODEL, tokenizer_backend=None, batch_size=4)
        model.tokenizer, model.tokenized_requests = "the server", True
        result = lm_eval.simple_evaluate(model, tasks=["agave_endings"], log_samples=True, bootstrap_iters=0,
                                         task_manager=lm_eval.tasks.TaskManager(include_path=folder))
        worst, right, n = 0.0, 0, 0
        for sample in result["samples"]["agave_endings"]:
            values = []
            for argument, response in zip(sample["arguments"], sample["filtered_resps"]):
                context, continuation = argument[0], argument[1]
                begin, whole = model.tok_encode(context), model.tok_encode(context + continuation)
                expected, greedy = offline(folder, begin, whole)
                got, got_greedy = float(response[0]), str(response[1]) == "True"
                worst = max(worst, abs(got - expected))
                n += 1
                if greedy != got_greedy:
                    sys.exit("lm_eval_check: %r%r is greedy: %s, offline: %s" % (context, continuation, got_greedy, greedy))
                values.append(expected)
            right += values.index(max(values)) == sample["doc"]["label"]
    accuracy = result["results"]["agave_endings"]["acc,none"]
    print("lm-eval: %d log-likelihoods, largest difference from offline %.2g, accuracy %g" % (n, worst, accuracy))
    if worst > 1e-4 or abs(accuracy - right / len(QUESTIONS)) > 1e-9 or n != 2 * len(QUESTIONS):
        sys.exit("lm_eval_check: the server's values are not those computed offline (accuracy %g)" % (right / len(QUESTIONS)))


main()
