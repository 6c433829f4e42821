#!/usr/bin/env python3
"""Renders conversations that end with an assistant's message, with the chat templates of ../shared/templates and
PyPI's jinja2, and writes what the model would have said, and meant, to tests/data/chat/replies.json: a list of
{"template", "reasoning_syntax", "tool_syntax", "prompt" (its end), "reply", "tools", "content", "reasoning",
"calls": [{"name", "arguments"}]}. The reply is what the full conversation adds to the prompt.

    tools/chat/make_replies.py
"""
import json
import os.path
import pathlib
import sys

sys.path.insert(0, str(pathlib.Path(__file__).parent))
import oracle

ROOT = pathlib.Path(__file__).resolve().parents[2]
TEMPLATES = ROOT.parent / "shared/templates"

# Template: reasoning syntax, tool syntax, what the full conversation is followed by, what it can hold:
# r = reasoning, c = content beside calls, p = parallel calls, and n = only before another message, and variables for both texts.
FAMILIES = {
    "Qwen-Qwen2.5-7B-Instruct": ("none", "json", "<|im_end|>\n", "cp", {}),
    "Qwen-Qwen3-0.6B": ("think", "json", "<|im_end|>\n", "rcp", {}),
    "Qwen-QwQ-32B": ("think", "json", "<|im_end|>\n", "cp", {}),
    "Qwen3-Coder": ("none", "xml", "<|im_end|>\n", "cp", {}),
    "Qwen3.5-4B": ("think", "xml", "<|im_end|>\n", "rcp", {}),
    "NVIDIA-Nemotron-3-Nano-30B-A3B-BF16": ("think", "xml", "<|im_end|>\n", "rcp", {}),
    "NVIDIA-Nemotron-Nano-v2": ("think", "toolcall", "\n<SPECIAL_12>\n<SPECIAL_11>User", "cpn", {}),
    "GLM-4.6": ("think", "glm", "", "rcp", {}),
    "GLM-4.7-Flash": ("think", "glm", "", "rcp", {}),
    "google-gemma-4-31B-it": ("gemma", "gemma", ("<turn|>\n", "<|tool_response>"), "rp", {"enable_thinking": True}),
    "google-gemma-4-31B-it-interleaved": ("gemma", "gemma", ("<turn|>\n", "<|tool_response>"), "rp", {"enable_thinking": True}),
    "openai-gpt-oss-120b": ("harmony", "harmony", "", "r", {}),
    "meta-llama-Llama-3.1-8B-Instruct": ("none", "llama", "<|eot_id|>", "", {}),
    "meta-llama-Llama-3.2-3B-Instruct": ("none", "llama", "<|eot_id|>", "", {}),
    "meta-llama-Llama-3.3-70B-Instruct": ("none", "llama", "<|eot_id|>", "", {}),
    "mistralai-Mistral-Nemo-Instruct-2407": ("none", "mistral", "</s>", "p", {}),
    "Mistral-Small-3.2-24B-Instruct-2506": ("none", "mistral", "</s>", "p", {}),
    "mistralai-Ministral-3-14B-Reasoning-2512": ("mistral", "mistral", "</s>", "cpb", {}),
    "unsloth-mistral-Devstral-Small-2507": ("none", "mistral", "</s>", "p", {}),
    "ibm-granite-granite-4.0": ("none", "json", "<|end_of_text|>\n", "cp", {}),
    "HuggingFaceTB-SmolLM3-3B": ("think", "none", "<|im_end|>\n", "", {}),
}

TOOLS = [
    {"type": "function", "function": {
        "name": "get_weather", "description": "The weather of a place.",
        "parameters": {"type": "object", "required": ["city"], "properties": {
            "city": {"type": "string", "description": "Where."}, "days": {"type": "integer", "description": "How many."}}}}},
    {"type": "function", "function": {
        "name": "store", "description": "Stores things.",
        "parameters": {"type": "object", "required": ["text"], "properties": {
            "text": {"type": "string", "description": "What."},
            "count": {"type": "integer", "description": "Times."},
            "ratio": {"type": "number", "description": "Share."},
            "force": {"type": "boolean", "description": "Or not."},
            "limit": {"type": ["integer", "null"], "description": "At most."},
            "tags": {"type": "array", "items": {"type": "string"}, "description": "Names."},
            "where": {"type": "object", "properties": {}, "description": "Place."}}}}},
]
CALLS = {
    "plain": [("get_weather", {"city": "Zürich", "days": 3})],
    "text": [("get_weather", {"city": "He said \"hi\", \\ and\n\n\tleft </b> & 'so' {\"a\": [1]} – 日本 🙂"})],
    "number as text": [("store", {"text": "42", "count": -7})],
    "empty text": [("store", {"text": ""})],
    "every type": [("store", {"text": "true", "count": 0, "ratio": 2.5, "force": True, "limit": 10, "tags": ["a", "b\"c", ""],
                              "where": {"x": 1.25, "deep": {"list": [1, [2, {"y": "z"}]], "no": False}}})],
    "code": [("store", {"text": "def f(x):\n    return x < 3 and x > [1][0]\n\n# <end>\n"})],
    "two": [("get_weather", {"city": "Bern"}), ("get_weather", {"city": "Basel", "days": 1})],
    "three": [("store", {"text": "a"}), ("get_weather", {"city": "b"}), ("store", {"text": "c", "tags": []})],
}
REASONING = "They ask for it.\nSo <b>look</b>: a < b, \"why\" not {1}?\n\n- yes"
CONTENT = "Let me look.\n\n```\nx < y [TOOL] {\n```\nDone"


def assistant(calls, content, reasoning, blocks):
    message = {"role": "assistant", "content": content}
    if reasoning:
        message["reasoning_content"] = reasoning
        message["reasoning"] = reasoning
        message["thinking"] = reasoning
        if blocks:
            message["content"] = [{"type": "thinking", "thinking": reasoning}] + ([{"type": "text", "text": content}] if content else [])
    if calls:
        message["tool_calls"] = [
            {"id": f"callid{i:03}", "type": "function", "function": {"name": name, "arguments": arguments}}
            for i, (name, arguments) in enumerate(calls)]
        if not content and not blocks:
            message["content"] = ""
    return message


def cases_of(name):
    reasoning_syntax, tool_syntax, ends, can, variables = FAMILIES[name]
    template = oracle.compile((TEMPLATES / f"{name}.jinja").read_text())
    blocks = "b" in can
    shapes = [("", CONTENT, None), ("", "Hi", None)]
    if "r" in can or blocks:
        shapes += [("", CONTENT, REASONING)]
    if tool_syntax != "none":
        for key in CALLS:
            if "p" not in can and len(CALLS[key]) > 1:
                continue
            shapes += [(key, "", None)]
            if "c" in can:
                shapes += [(key, CONTENT, None)]
            if "r" in can:
                shapes += [(key, "", REASONING)]
            if "r" in can and "c" in can:
                shapes += [(key, CONTENT, REASONING)]
    for key, content, reasoning in shapes:
        if name.startswith("google") and reasoning and not key:
            continue  # only drawn together with calls
        calls = CALLS.get(key, [])
        user = [{"role": "user", "content": "Question?"}]
        more = [{"role": "user", "content": "And?"}] if "n" in can else []
        context = dict(tools=TOOLS, bos_token="<s>", eos_token="</s>", **variables)
        message = assistant(calls, content, reasoning, blocks)
        if name.startswith("openai") and not reasoning:
            message.pop("thinking", None)
        full = oracle.render(template, dict(context, messages=user + [message] + more, add_generation_prompt=False))
        if isinstance(full, Exception):
            raise SystemExit(f"{name}, {key}: {full}")
        # An empty reasoning in the history: the model has been asked not to reason.
        for asked in ({}, {"enable_thinking": False}):
            prompt = oracle.render(template, dict(context, **asked, messages=user, add_generation_prompt=True))
            if full.startswith(prompt):
                break
        else:
            common = os.path.commonprefix([prompt, full])
            prompt = common[: common.rindex("<")] if common.rfind("<") > common.rfind(">") else common
        reply = full[len(prompt):]
        for end in (ends,) if isinstance(ends, str) else ends:
            reply = reply[: reply.rindex(end)] if more else reply.removesuffix(end)
        yield {"template": name, "reasoning_syntax": reasoning_syntax, "tool_syntax": tool_syntax, "prompt": prompt[-40:],
               "reply": reply, "content": content, "reasoning": reasoning or "",
               "calls": [{"name": n, "arguments": a} for n, a in calls]}


def main():
    cases = [case for name in FAMILIES for case in cases_of(name)]
    lines = ",\n".join(json.dumps(case, ensure_ascii=False) for case in cases)
    path = ROOT / "tests/data/chat/replies.json"
    path.write_text('{"tools": ' + json.dumps(TOOLS) + ',\n"cases": [\n' + lines + "\n]}\n")
    print(len(cases), "replies,", path.stat().st_size, "bytes")


main()
