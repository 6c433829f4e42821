#!/usr/bin/env python3
"""Talks to a running server through the Python clients that are installed; each case is a function.

    python_clients.py URL MODEL [NAME...]

NAME is one of openai, anthropic, litellm, langchain, llm; without any, all that
can be imported. Exits 1 when a case fails. The model may be a small one: what is checked is the protocol, and
the content only where a grammar or a temperature of 0 settles it.
"""
import json
import os
import subprocess
import sys
import time
import urllib.request

URL, MODEL = sys.argv[1].rstrip("/"), sys.argv[2]
ASK = [{"role": "user", "content": "Say one short sentence about the sea."}]
SCHEMA = {"type": "object", "properties": {"city": {"type": "string", "maxLength": 20},
                                           "people": {"type": "integer", "minimum": 0, "maximum": 99999999}},
          "required": ["city", "people"], "additionalProperties": False}
PARAMETERS = {"type": "object", "properties": {"city": {"type": "string", "maxLength": 20}},
              "required": ["city"], "additionalProperties": False}
TOOL = {"type": "function", "function": {"name": "get_weather", "description": "The weather of a city.",
                                         "parameters": PARAMETERS}}


def running():
    """Sequences that generate now, as /metrics says."""
    with urllib.request.urlopen(URL + "/metrics") as answer:
        for line in answer.read().decode().splitlines():
            if line.startswith("agave_requests_running") or line.startswith("agave_running"):
                return float(line.split()[-1])
    raise AssertionError("/metrics does not say what runs")


def idle_soon():
    for _ in range(100):
        if running() == 0:
            return
        time.sleep(0.05)
    raise AssertionError("a generation goes on after its client has gone")


def openai_client():
    import openai
    return openai.OpenAI(base_url=URL + "/v1", api_key="none", max_retries=0)


def case_openai_chat():
    client = openai_client()
    whole = client.chat.completions.create(model=MODEL, messages=ASK, temperature=0, max_tokens=16)
    assert whole.choices[0].message.role == "assistant" and whole.usage.completion_tokens > 0
    chunks = list(client.chat.completions.create(model=MODEL, messages=ASK, temperature=0, max_tokens=16,
                                                 stream=True, stream_options={"include_usage": True}))
    text = "".join(c.choices[0].delta.content or "" for c in chunks if c.choices)
    assert text == whole.choices[0].message.content, (text, whole.choices[0].message.content)
    assert chunks[-1].usage.completion_tokens == whole.usage.completion_tokens
    assert [c.choices[0].finish_reason for c in chunks if c.choices][-1] == whole.choices[0].finish_reason
    parts = [{"role": "user", "content": [{"type": "text", "text": ASK[0]["content"]}]}]
    again = client.chat.completions.create(model=MODEL, messages=parts, temperature=0, max_completion_tokens=16)
    assert again.choices[0].message.content == text
    assert again.usage.prompt_tokens_details.cached_tokens >= 0


def case_openai_choices():
    client = openai_client()
    def ask():
        r = client.chat.completions.create(model=MODEL, messages=ASK, n=3, seed=5, temperature=1.2, max_tokens=8)
        return [c.message.content for c in r.choices]
    one = ask()
    assert len(one) == 3 and len(set(one)) > 1 and one == ask()
    stop = client.chat.completions.create(model=MODEL, messages=ASK, temperature=0, max_tokens=40, stop=["e"])
    assert "e" not in stop.choices[0].message.content and stop.choices[0].finish_reason == "stop"
    banned = client.chat.completions.create(model=MODEL, messages=ASK, temperature=0, max_tokens=4,
                                            logit_bias={"0": -100}, presence_penalty=0.5, frequency_penalty=0.5)
    assert banned.choices


def case_openai_logprobs():
    client = openai_client()
    r = client.chat.completions.create(model=MODEL, messages=ASK, temperature=0, max_tokens=8, logprobs=True,
                                       top_logprobs=4)
    content = r.choices[0].logprobs.content
    assert "".join(t.token for t in content) == r.choices[0].message.content
    for token in content:
        assert len(token.top_logprobs) == 4 and token.top_logprobs[0].logprob == token.logprob
    chunks = client.chat.completions.create(model=MODEL, messages=ASK, temperature=0, max_tokens=8, logprobs=True,
                                            stream=True)
    streamed = [t.token for c in chunks if c.choices and c.choices[0].logprobs
                for t in c.choices[0].logprobs.content]
    assert streamed == [t.token for t in content]


def case_openai_tools():
    client = openai_client()
    for choice in ("required", {"type": "function", "function": {"name": "get_weather"}}):
        r = client.chat.completions.create(model=MODEL, messages=ASK, tools=[TOOL], tool_choice=choice,
                                           temperature=0, max_tokens=100, parallel_tool_calls=False)
        call = r.choices[0].message.tool_calls[0]
        assert r.choices[0].finish_reason == "tool_calls" and call.function.name == "get_weather"
        assert set(json.loads(call.function.arguments)) == {"city"}
    chunks = list(client.chat.completions.create(model=MODEL, messages=ASK, tools=[TOOL], tool_choice="required",
                                                 temperature=0, max_tokens=100, stream=True,
                                                 parallel_tool_calls=False))
    deltas = [d for c in chunks if c.choices for d in (c.choices[0].delta.tool_calls or [])]
    assert deltas[0].id and deltas[0].function.name == "get_weather"
    assert json.loads("".join(d.function.arguments or "" for d in deltas)).keys() == {"city"}
    assert len(deltas) > 2, "the arguments came at once"
    history = ASK + [{"role": "assistant", "content": None, "tool_calls": [call.model_dump()]},
                     {"role": "tool", "tool_call_id": call.id, "content": "sunny"}]
    r = client.chat.completions.create(model=MODEL, messages=history, tools=[TOOL], max_tokens=8)
    assert r.choices[0].message
    r = client.chat.completions.create(model=MODEL, messages=ASK, tools=[TOOL], tool_choice="none", max_tokens=8)
    assert not r.choices[0].message.tool_calls


def case_openai_schema():
    client = openai_client()
    r = client.chat.completions.create(model=MODEL, messages=ASK, temperature=0, max_tokens=120, response_format={
        "type": "json_schema", "json_schema": {"name": "place", "strict": True, "schema": SCHEMA}})
    assert set(json.loads(r.choices[0].message.content)) == {"city", "people"}
    r = client.chat.completions.create(model=MODEL, messages=ASK, temperature=0, max_tokens=200,
                                       response_format={"type": "json_object"})
    if r.choices[0].finish_reason == "stop":
        assert isinstance(json.loads(r.choices[0].message.content), dict)
    import openai
    import pydantic

    class Place(pydantic.BaseModel):
        people: int
        large: bool

    parse = getattr(client.chat.completions, "parse", None) or client.beta.chat.completions.parse
    try:
        r = parse(model=MODEL, messages=ASK, temperature=0, max_tokens=200, response_format=Place)
        assert isinstance(r.choices[0].message.parsed, Place)
    except openai.LengthFinishReasonError:
        pass  # a whole number may have any number of digits


def case_openai_completions():
    client = openai_client()
    r = client.completions.create(model=MODEL, prompt=["The sea", "A ship"], max_tokens=4, temperature=0, echo=True,
                                  logprobs=2)
    assert len(r.choices) == 2 and r.choices[0].text.startswith("The sea")
    assert r.choices[0].logprobs.token_logprobs[0] is None
    assert len(r.choices[0].logprobs.tokens) == len(r.choices[0].logprobs.text_offset)
    chunks = list(client.completions.create(model=MODEL, prompt="The sea", max_tokens=4, temperature=0, stream=True))
    assert "The sea" + "".join(c.choices[0].text for c in chunks if c.choices) == r.choices[0].text


def case_openai_errors():
    import openai
    client = openai_client()
    try:
        client.chat.completions.create(model="no-such", messages=ASK)
        raise AssertionError("an unknown model was served")
    except openai.NotFoundError as error:
        assert error.code == "model_not_found" and error.param == "model", error
    for bad in ({"temperature": -1}, {"n": 0}, {"max_tokens": -5}, {"top_logprobs": 3}, {"stop": [""]}):
        try:
            client.chat.completions.create(model=MODEL, messages=ASK, **bad)
            raise AssertionError(bad)
        except openai.BadRequestError as error:
            assert error.param == next(iter(bad)) and error.type == "invalid_request_error", error
    image = [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}}]}]
    try:
        client.chat.completions.create(model=MODEL, messages=image)
        raise AssertionError("an image was taken")
    except openai.BadRequestError as error:
        assert "text" in str(error)
    assert client.models.list().data[0].id == MODEL and client.models.retrieve(MODEL).id == MODEL


def case_openai_cancel():
    client = openai_client()
    stream = client.chat.completions.create(model=MODEL, messages=ASK, max_tokens=4000, stream=True,
                                            extra_body={"ignore_eos": True})
    for _ in range(4):
        next(iter(stream))
    stream.close()
    idle_soon()


def case_openai_responses():
    client = openai_client()
    if not hasattr(client, "responses"):
        return
    r = client.responses.create(model=MODEL, input="Say one short sentence.", instructions="Be brief.",
                                temperature=0, max_output_tokens=12)
    events = list(client.responses.create(model=MODEL, input="Say one short sentence.", instructions="Be brief.",
                                          temperature=0, max_output_tokens=12, stream=True))
    assert events[0].type == "response.created" and events[-1].type in ("response.completed", "response.incomplete")
    assert "".join(e.delta for e in events if e.type == "response.output_text.delta") == r.output_text
    assert events[-1].response.output_text == r.output_text and r.usage.output_tokens > 0
    tool = {"type": "function", "name": "get_weather", "parameters": PARAMETERS, "strict": True}
    with client.responses.stream(model=MODEL, input=ASK, tools=[tool], tool_choice="required", temperature=0,
                                 parallel_tool_calls=False, max_output_tokens=100) as stream:
        kinds = [e.type for e in stream]
        final = stream.get_final_response()
    assert "response.function_call_arguments.delta" in kinds
    call = final.output[0]
    assert call.type == "function_call" and json.loads(call.arguments).keys() == {"city"}
    r = client.responses.create(model=MODEL, max_output_tokens=8, input=ASK + [
        call.model_dump(include={"type", "call_id", "name", "arguments", "id"}),
        {"type": "function_call_output", "call_id": call.call_id, "output": "sunny"}], tools=[tool])
    assert r.id
    r = client.responses.create(model=MODEL, input=ASK, temperature=0, max_output_tokens=120, text={
        "format": {"type": "json_schema", "name": "place", "strict": True, "schema": SCHEMA}})
    assert set(json.loads(r.output_text)) == {"city", "people"}


def anthropic_client():
    import anthropic
    return anthropic.Anthropic(base_url=URL, api_key="none", max_retries=0)


def case_anthropic_messages():
    client = anthropic_client()
    arguments = {"model": MODEL, "max_tokens": 12, "messages": ASK, "system": "Be brief.",
                 "extra_body": {"temperature": 0}}
    whole = client.messages.create(**arguments)
    assert whole.role == "assistant" and whole.usage.output_tokens > 0
    with client.messages.stream(**arguments) as stream:
        text = "".join(stream.text_stream)
        final = stream.get_final_message()
    assert text == whole.content[0].text == final.content[0].text and final.stop_reason == whole.stop_reason
    assert final.usage.output_tokens == whole.usage.output_tokens
    blocks = dict(arguments, system=[{"type": "text", "text": "Be brief.", "cache_control": {"type": "ephemeral"}}])
    assert client.messages.create(**blocks).content[0].text == text
    stopped = client.messages.create(**dict(arguments, max_tokens=60, stop_sequences=["e"]))
    assert stopped.stop_reason == "stop_sequence" and stopped.stop_sequence == "e"
    counted = client.messages.count_tokens(model=MODEL, messages=ASK, system="Be brief.")
    assert counted.input_tokens == whole.usage.input_tokens + (whole.usage.cache_read_input_tokens or 0)


def case_anthropic_tools():
    client = anthropic_client()
    tool = {"name": "get_weather", "description": "The weather of a city.", "input_schema": PARAMETERS}
    choice = {"type": "tool", "name": "get_weather", "disable_parallel_tool_use": True}
    arguments = {"model": MODEL, "max_tokens": 100, "messages": ASK, "tools": [tool],
                 "tool_choice": choice, "extra_body": {"temperature": 0}}
    whole = client.messages.create(**arguments)
    use = whole.content[-1]
    assert whole.stop_reason == "tool_use" and use.name == "get_weather" and set(use.input) == {"city"}
    with client.messages.stream(**arguments) as stream:
        final = stream.get_final_message()
    assert final.content[-1].input == use.input
    history = ASK + [{"role": "assistant", "content": [use.model_dump(include={"type", "id", "name", "input"})]},
                     {"role": "user", "content": [{"type": "tool_result", "tool_use_id": use.id,
                                                   "content": [{"type": "text", "text": "sunny"}]}]}]
    assert client.messages.create(model=MODEL, max_tokens=8, messages=history, tools=[tool]).id


def case_anthropic_errors():
    import anthropic
    client = anthropic_client()
    for bad, kind in (({"max_tokens": -1}, anthropic.BadRequestError), ({"model": "none"}, anthropic.NotFoundError),
                      ({"extra_body": {"temperature": -1}}, anthropic.BadRequestError)):
        try:
            client.messages.create(**{"model": MODEL, "max_tokens": 4, "messages": ASK, **bad})
            raise AssertionError(bad)
        except kind as error:
            assert error.body["type"] == "error" and error.body["error"]["message"], error.body


def case_anthropic_cancel():
    with anthropic_client().messages.stream(model=MODEL, max_tokens=4000, messages=ASK) as stream:
        next(iter(stream.text_stream))
    idle_soon()


def case_litellm_chat():
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
    import litellm
    for name, base in (("openai/", URL + "/v1"), ("anthropic/", URL)):
        r = litellm.completion(model=name + MODEL, api_base=base, api_key="none", messages=ASK, max_tokens=8,
                               temperature=0)
        chunks = litellm.completion(model=name + MODEL, api_base=base, api_key="none", messages=ASK, max_tokens=8,
                                    temperature=0, stream=True)
        text = "".join(c.choices[0].delta.content or "" for c in chunks)
        assert text == r.choices[0].message.content, (name, text, r.choices[0].message.content)
    r = litellm.completion(model="openai/" + MODEL, api_base=URL + "/v1", api_key="none", messages=ASK, tools=[TOOL],
                           tool_choice="required", parallel_tool_calls=False, temperature=0, max_tokens=100)
    assert json.loads(r.choices[0].message.tool_calls[0].function.arguments).keys() == {"city"}
    r = litellm.completion(model="ollama_chat/" + MODEL, api_base=URL, messages=ASK, max_tokens=8, temperature=0)
    assert r.choices[0].message.content


def case_langchain_chat():
    from langchain_openai import ChatOpenAI
    llm = ChatOpenAI(model=MODEL, base_url=URL + "/v1", api_key="none", temperature=0, max_tokens=300, max_retries=0)
    whole = llm.invoke("Say one short sentence.", max_tokens=30)
    assert "".join(c.content for c in llm.stream("Say one short sentence.", max_tokens=30)) == whole.content
    made = llm.with_structured_output({"title": "place", **SCHEMA}, method="json_schema").invoke("A city?")
    assert set(made) == {"city", "people"}
    bound = llm.bind_tools([TOOL], tool_choice="get_weather", parallel_tool_calls=False).invoke("Rome?")
    assert bound.tool_calls[0]["name"] == "get_weather"


def case_llm_prompt():
    folder = os.path.join(os.environ.get("TMPDIR", "/tmp"), "agave-llm-%d" % os.getpid())
    os.makedirs(folder, exist_ok=True)
    with open(os.path.join(folder, "extra-openai-models.yaml"), "w") as file:
        file.write("- model_id: local\n  model_name: %s\n  api_base: %s/v1\n  api_key_name: none\n" % (MODEL, URL))
    environment = dict(os.environ, LLM_USER_PATH=folder, OPENAI_API_KEY="none")
    program = os.path.join(os.path.dirname(sys.executable), "llm")
    for flags in ([], ["--no-stream"]):
        out = subprocess.run([program, "-m", "local", "-o", "max_tokens", "8", "Say hello", *flags], env=environment,
                             capture_output=True, text=True, timeout=120)
        assert out.returncode == 0 and out.stdout.strip(), out


def main():
    wanted = sys.argv[3:]
    failed = 0
    for name, case in list(globals().items()):
        if not name.startswith("case_") or (wanted and name.split("_")[1] not in wanted):
            continue
        begin = time.time()
        try:
            case()
            print("ok   %s (%.1f s)" % (name[5:], time.time() - begin), flush=True)
        except Exception as error:
            failed += 1
            where = error.__traceback__
            while where.tb_next and where.tb_next.tb_frame.f_code.co_filename == __file__:
                where = where.tb_next
            print("FAIL %s, line %d: %s: %.400s" % (name[5:], where.tb_lineno, type(error).__name__, error), flush=True)
    sys.exit(1 if failed else 0)


main()
