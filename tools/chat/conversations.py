"""Conversations that try what chat templates do: the variables that transformers passes to a template."""

USER = {"role": "user", "content": "What is the capital of France?"}
ASSISTANT = {"role": "assistant", "content": "The capital of France is Paris."}
SYSTEM = {"role": "system", "content": "You are a helpful assistant."}
SPECIAL = {"bos_token": "<s>", "eos_token": "</s>"}

WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Get the weather in a city.",
        "parameters": {
            "type": "object",
            "properties": {
                "city": {"type": "string", "description": "The city's \"name\", e.g. Zürich <CH> & others"},
                "unit": {"type": "string", "enum": ["celsius", "fahrenheit"], "default": "celsius"},
                "days": {"type": "integer", "minimum": 1, "maximum": 14},
                "detail": {"type": ["string", "null"], "description": "How much detail"},
            },
            "required": ["city"],
        },
    },
}
SEARCH = {
    "type": "function",
    "function": {
        "name": "search",
        "description": "Search documents.\nSecond line.",
        "parameters": {
            "type": "object",
            "properties": {
                "query": {"type": "string"},
                "limit": {"type": "number", "default": 2.5},
                "tags": {"type": "array", "items": {"type": "string"}},
                "filters": {
                    "type": "object",
                    "properties": {"year": {"type": "integer"}, "open": {"type": "boolean", "default": False}},
                    "required": ["year"],
                    "additionalProperties": False,
                },
                "any": {"anyOf": [{"type": "string"}, {"type": "integer"}]},
            },
            "required": ["query", "filters"],
            "additionalProperties": False,
        },
        "return": {"type": "string"},
    },
}
PING = {"type": "function", "function": {"name": "ping", "description": "No parameters",
                                         "parameters": {"type": "object", "properties": {}}}}
BARE = {"name": "bare_tool", "description": "Not wrapped", "parameters": {"type": "object", "properties": {"x": {"type": "integer"}}, "required": ["x"]}}


def call(name, arguments, id="call_0001", **more):
    return {"type": "function", "id": id, "function": {"name": name, "arguments": arguments}, **more}


def tool_turns(arguments, content="", id="abc123XYZ", **more):
    return [
        USER,
        {"role": "assistant", "content": content, "tool_calls": [call("get_weather", arguments, id)], **more},
        {"role": "tool", "content": "{\"temperature\": 21.5}", "tool_call_id": id, "name": "get_weather"},
    ]


def make(messages, tools=None, add_generation_prompt=True, **more):
    return {"messages": messages, "tools": tools, "documents": None,
            "add_generation_prompt": add_generation_prompt, **SPECIAL, **more}


ARGUMENTS = {"city": "Zürich", "days": 3, "detail": None, "nested": {"a": [1, 2.5, True], "b": "x\ny"}}
ARGUMENTS_TEXT = '{"city": "Zürich", "days": 3}'
MULTI = [SYSTEM, USER, ASSISTANT, {"role": "user", "content": "And of Italy?"},
         {"role": "assistant", "content": "Rome."}, {"role": "user", "content": "Thanks!"}]
THINKING = {"role": "assistant", "content": "Paris.", "reasoning_content": "The user asks about France.\nEasy."}
INLINE_THINKING = {"role": "assistant", "content": "<think>\nHm, France...\n</think>\n\nParis."}
PARTS = {"role": "user", "content": [{"type": "text", "text": "Describe"}, {"type": "text", "text": " this."}]}
IMAGE_PARTS = {"role": "user", "content": [{"type": "image", "image": "x.png"}, {"type": "text", "text": "What is it?"}]}
UNICODE = {"role": "user", "content": " \tGrüße 你好 👋🏽 e\u0301 \u200b \"quoted\" <tag> & 'single' \\n {{ x }} {% y %}\n\n "}

CASES = {
    "user": make([USER]),
    "user-no-prompt": make([USER], add_generation_prompt=False),
    "system-user": make([SYSTEM, USER]),
    "user-assistant": make([USER, ASSISTANT], add_generation_prompt=False),
    "user-assistant-prompt": make([USER, ASSISTANT]),
    "multi-turn": make(MULTI),
    "multi-turn-no-prompt": make(MULTI, add_generation_prompt=False),
    "thinking-on": make(MULTI, enable_thinking=True),
    "thinking-off": make(MULTI, enable_thinking=False),
    "thinking-kwarg": make([USER], thinking=True, reasoning_effort="high"),
    "thinking-budget": make([USER], thinking_budget=512, enable_thinking=True, preserve_thinking=True),
    "reasoning": make([USER, THINKING, USER]),
    "reasoning-last": make([USER, THINKING], add_generation_prompt=False),
    "reasoning-inline": make([USER, INLINE_THINKING, USER], enable_thinking=True),
    "reasoning-keep": make([USER, THINKING, USER], clear_thinking=False, keep_past_thinking=True, preserve_thinking=True),
    "thinking-field": make([USER, {"role": "assistant", "content": "Paris.", "thinking": "France...", "reasoning": "x"}, USER]),
    "tools": make([USER], [WEATHER, SEARCH, PING]),
    "tools-system": make([SYSTEM, USER], [WEATHER]),
    "tools-bare": make([USER], [BARE]),
    "tools-empty": make([USER], []),
    "tool-call": make(tool_turns(ARGUMENTS), [WEATHER]),
    "tool-call-no-prompt": make(tool_turns(ARGUMENTS), [WEATHER], add_generation_prompt=False),
    "tool-call-pending": make(tool_turns(ARGUMENTS)[:2], [WEATHER], add_generation_prompt=False),
    "tool-call-text": make(tool_turns(ARGUMENTS_TEXT), [WEATHER]),
    "tool-call-content": make(tool_turns(ARGUMENTS, "Let me look."), [WEATHER]),
    "tool-call-none": make(tool_turns(ARGUMENTS, None), [WEATHER]),
    "tool-call-none-text": make(tool_turns(ARGUMENTS_TEXT, None), [WEATHER]),
    "tool-call-reasoning": make(tool_turns(ARGUMENTS, "", reasoning_content="I need the weather."), [WEATHER], enable_thinking=True),
    "tool-call-done": make([SYSTEM] + tool_turns(ARGUMENTS, None) + [{"role": "assistant", "content": "21.5 degrees."}, USER], [WEATHER, SEARCH]),
    "tool-call-done-text": make([SYSTEM] + tool_turns(ARGUMENTS_TEXT, "") + [{"role": "assistant", "content": "21.5 degrees."}, USER], [WEATHER, SEARCH]),
    "tool-call-two": make([USER, {"role": "assistant", "content": None, "tool_calls": [
        call("get_weather", {"city": "Rome"}, "abcdefgh1"), call("search", {"query": "q", "filters": {"year": 1999}}, "abcdefgh2")]},
        {"role": "tool", "content": "sun", "tool_call_id": "abcdefgh1", "name": "get_weather"},
        {"role": "tool", "content": ["list"], "tool_call_id": "abcdefgh2", "name": "search"}], [WEATHER, SEARCH]),
    "tool-call-parts": make([USER, {"role": "assistant", "tool_calls": [call("ping", {}, "functions.ping:0")]},
        {"role": "tool", "content": [{"type": "text", "text": "pong"}], "tool_call_id": "functions.ping:0", "name": "ping"}], [PING]),
    "tool-call-no-type": make([USER, {"role": "assistant", "content": "", "tool_calls": [{"function": {"name": "ping", "arguments": {}}}]},
        {"role": "tool", "content": "pong"}], [PING]),
    "tool-call-flat": make([USER, {"role": "assistant", "content": "", "tool_calls": [{"name": "ping", "arguments": {"a": 1}}]},
        {"role": "tool", "name": "ping", "content": "pong"}]),
    "tool-dict-result": make([USER, {"role": "assistant", "content": "", "tool_calls": [call("ping", {"a": {"b": None}})]},
        {"role": "tool", "name": "ping", "content": {"a": [1, {"b": 2}], "ok": True}}, USER]),
    "content-none": make([{"role": "user", "content": None}]),
    "content-missing": make([USER, {"role": "assistant"}, USER]),
    "content-empty": make([{"role": "user", "content": ""}]),
    "content-parts": make([PARTS]),
    "content-parts-system": make([{"role": "system", "content": [{"type": "text", "text": "Be brief."}]}, PARTS,
                                  {"role": "assistant", "content": [{"type": "text", "text": "Ok."}]}, PARTS]),
    "content-image": make([IMAGE_PARTS]),
    "content-number": make([{"role": "user", "content": 42}]),
    "unicode": make([UNICODE, {"role": "assistant", "content": "Ünïcödé\n"}, UNICODE]),
    "long": make([{"role": "user", "content": "All work and no play makes Jack a dull boy.\n" * 400}]),
    "whitespace": make([{"role": "system", "content": "  \n"}, {"role": "user", "content": "  padded \n"}, {"role": "assistant", "content": "\n\nanswer  "},
                        {"role": "user", "content": "\t"}]),
    "two-users": make([USER, USER]),
    "assistant-first": make([ASSISTANT, USER]),
    "two-systems": make([SYSTEM, SYSTEM, USER]),
    "developer": make([{"role": "developer", "content": "Obey."}, USER]),
    "unknown-role": make([{"role": "narrator", "content": "Once upon a time"}, USER]),
    "empty": make([]),
    "only-system": make([SYSTEM]),
    "documents": {**make([USER]), "documents": [{"title": "Paris", "text": "A city."}, {"title": "Rome", "text": "Also a city.", "doc_id": 2}]},
    "date": make([USER], date_string="26 Jul 2024", current_date="2024-07-26", today="x", tools_in_user_message=False),
    "no-specials": {"messages": [SYSTEM, USER], "tools": None, "documents": None, "add_generation_prompt": True},
    "no-tools-variable": {"messages": [USER], "add_generation_prompt": True, **SPECIAL},
    "named": make([{"role": "user", "name": "Ann", "content": "Hi"}, {"role": "assistant", "name": "Bot", "content": "Hello", "prefix": True}]),
    "builtin-tools": make([SYSTEM, USER], [WEATHER], builtin_tools=["wolfram_alpha", "browser", "python"], custom_tools=None),
    "cohere": make([USER], [WEATHER], safety_mode="CONTEXTUAL", citation_mode="FAST", reasoning=False, developer_preamble="x"),
    "effort": make([USER], reasoning_effort="low", model_identity="You are X.", thinking_mode="thinking", mode="chat"),
    "json-format": make([USER], response_format={"type": "json_object"}, json_schema={"type": "object"}),
    "continue": make([USER, {"role": "assistant", "content": "The capital"}], add_generation_prompt=False, continue_final_message=True),
    "bytes": make([{"role": "user", "content": "tab\there \u0000 nul \u001f \u007f \u2028 end"}]),
}
