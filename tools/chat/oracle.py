"""Jinja2 as Hugging Face transformers configures it for chat templates (utils/chat_template_utils.py)."""
import datetime
import json

import jinja2
from jinja2 import nodes
from jinja2.ext import Extension, loopcontrols
from jinja2.sandbox import ImmutableSandboxedEnvironment

NOW = 1767323045  # 2026-01-02 03:04:05 UTC


class Generation(Extension):
    """{% generation %}: marks what the assistant wrote; prints its body."""

    tags = {"generation"}

    def parse(self, parser):
        line = next(parser.stream).lineno
        body = parser.parse_statements(["name:endgeneration"], drop_needle=True)
        return nodes.CallBlock(self.call_method("_body"), [], [], body).set_lineno(line)

    def _body(self, caller):
        return caller()


def raise_exception(message):
    raise jinja2.exceptions.TemplateError(message)


def tojson(x, ensure_ascii=False, indent=None, separators=None, sort_keys=False):
    return json.dumps(x, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def strftime_now(format):
    return datetime.datetime.fromtimestamp(NOW, datetime.timezone.utc).strftime(format)


def environment():
    env = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[Generation, loopcontrols]
    )
    env.filters["tojson"] = tojson
    env.globals["raise_exception"] = raise_exception
    env.globals["strftime_now"] = strftime_now
    return env


ENVIRONMENT = environment()


def compile(source):
    """The template, or the exception."""
    try:
        return ENVIRONMENT.from_string(source)
    except Exception as error:
        return error


def render(template, context):
    """The text, or the exception; every kind counts as "raises"."""
    if isinstance(template, str):
        template = compile(template)
    if isinstance(template, Exception):
        return template
    try:
        return template.render(**context)
    except Exception as error:
        return error
