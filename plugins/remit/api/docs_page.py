"""The page for people: the OpenAPI document as plain HTML, made on the server.

It has no script, and its only style is its own, which the policy names by its hash: nothing that
got into the document could run, or load anything from elsewhere.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Iterator, Mapping
from html import escape
from types import MappingProxyType
from typing import Any

from remit.api.docs_example import curl_of, follow
from remit.api.docs_style import STYLE

_HASH = base64.b64encode(hashlib.sha256(STYLE.encode()).digest()).decode()
POLICY = (
    f"default-src 'none'; style-src 'sha256-{_HASH}'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
"""The page's `Content-Security-Policy`."""

_CODE = re.compile(r"`([^`]+)`")
_STRONG = re.compile(r"\*\*([^*]+)\*\*")

_LIMITS: Mapping[str, str] = MappingProxyType(
    {
        "format": "format",
        "minimum": "at least",
        "maximum": "at most",
        "minLength": "characters at least",
        "maxLength": "characters at most",
        "minItems": "items at least",
        "maxItems": "items at most",
        "pattern": "pattern",
        "default": "by default",
    }
)
"""Keyword of a schema to how it is said."""


def page_of(document: Mapping[str, Any]) -> str:
    """The page."""
    info = document["info"]
    return "\n".join(
        [
            '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">',
            '<meta name="viewport" content="width=device-width, initial-scale=1">',
            '<meta name="color-scheme" content="light dark">',
            f"<title>{escape(info['title'])} API</title>",
            f"<style>{STYLE}</style>\n</head>\n<body>",
            '<a class="skip" href="#main">Skip to the text</a>',
            '<nav aria-label="Contents">',
            *_contents(document),
            '</nav>\n<main id="main">',
            *_introduction(document),
            *(part for tag in document["tags"] for part in _section(document, tag)),
            *_problems(document),
            *_schemas(document),
            "</main>\n</body>\n</html>\n",
        ]
    )


def _operations(
    document: Mapping[str, Any], tag: str
) -> Iterator[tuple[str, str, Mapping[str, Any]]]:
    for path, item in document["paths"].items():
        for method, operation in item.items():
            if tag in operation["tags"]:
                yield method.upper(), path, operation


def _contents(document: Mapping[str, Any]) -> Iterator[str]:
    yield f'<p class="name"><a href="#main">{escape(document["info"]["title"])}</a></p>'
    for tag in document["tags"]:
        yield f"<details open><summary>{escape(tag['name'])}</summary>\n<ul>"
        for _, _, operation in _operations(document, tag["name"]):
            name = operation["operationId"]
            yield f'<li><a href="#{name}">{escape(operation["summary"])}</a></li>'
        yield "</ul></details>"
    yield '<ul><li><a href="#problems">Problems</a></li>'
    yield '<li><a href="#schemas">Schemas</a></li></ul>'


def _introduction(document: Mapping[str, Any]) -> Iterator[str]:
    info = document["info"]
    yield f"<h1>{escape(info['title'])} API <small>{escape(info['version'])}</small></h1>"
    yield from (f"<p>{text_of(part)}</p>" for part in info["description"].split("\n\n"))
    yield "<p>The commands below want to know where the hook is, and a token:</p>"
    root = document["servers"][0]["url"].rstrip("/")
    yield _block(f"export REMIT=https://hook.example{root} TOKEN=eyJ…")
    yield (
        f'<p>For programs: <a href="{escape(root)}/openapi.json">openapi.json</a>, '
        f"OpenAPI {escape(document['openapi'])}.</p>"
    )


def _section(document: Mapping[str, Any], tag: Mapping[str, Any]) -> Iterator[str]:
    yield f"<section>\n<h2>{escape(tag['name'])}</h2>\n<p>{text_of(tag['description'])}.</p>"
    for method, path, operation in _operations(document, tag["name"]):
        yield from _operation(document, method, path, operation)
    yield "</section>"


def _operation(
    document: Mapping[str, Any], method: str, path: str, operation: Mapping[str, Any]
) -> Iterator[str]:
    name = operation["operationId"]
    yield f'<article id="{name}" aria-labelledby="{name}-title">'
    yield (
        f'<h3 id="{name}-title"><a href="#{name}">{escape(operation["summary"])}</a></h3>\n'
        f'<p class="route"><b class="{method.lower()}">{method}</b> <code>{escape(path)}</code></p>'
    )
    yield from (f"<p>{text_of(part)}</p>" for part in operation["description"].split("\n\n"))
    yield _block(curl_of(document, method, path, operation))
    yield from _parameters(document, operation)
    yield from _body(operation)
    yield "<h4>Answers</h4>"
    for status, answer in operation["responses"].items():
        yield from _answer(status, answer)
    yield "</article>"


def _parameters(document: Mapping[str, Any], operation: Mapping[str, Any]) -> Iterator[str]:
    parameters = [follow(document, one) for one in operation["parameters"]]
    yield f"<details><summary>Parameters ({len(parameters)})</summary>\n<dl>"
    for one in parameters:
        needed = ", required" if one.get("required") else ""
        shown = f", such as <code>{_json(one['example'])}</code>" if "example" in one else ""
        yield (
            f"<dt><code>{escape(one['name'])}</code> <small>{one['in']}{needed}</small></dt>\n"
            f"<dd>{text_of(one.get('description', ''))} "
            f"<small>{_kind(one['schema'])}{shown}</small></dd>"
        )
    yield "</dl></details>"


def _body(operation: Mapping[str, Any]) -> Iterator[str]:
    if "requestBody" not in operation:
        return
    body = operation["requestBody"]
    needed = "required" if body["required"] else "optional"
    for media_type, content in body["content"].items():
        yield f"<details><summary>Body <small>{escape(media_type)}, {needed}</small></summary>"
        yield from _content(content)
        yield "</details>"


def _answer(status: str, answer: Mapping[str, Any]) -> Iterator[str]:
    kind = "good" if status < "400" else "bad"
    yield (
        f'<details><summary><b class="{kind}">{status}</b> '
        f"{text_of(answer['description'])}</summary>"
    )
    names = ", ".join(f"<code>{escape(name)}</code>" for name in answer["headers"])
    yield f"<p>Headers: {names}</p>"
    for content in answer.get("content", {}).values():
        yield from _content(content)
    yield "</details>"


def _content(content: Mapping[str, Any]) -> Iterator[str]:
    yield f"<p>Schema: {_kind(content['schema'])}</p>"
    if "example" in content:
        yield _block(_pretty(content["example"]))
    for name in content.get("examples", {}):
        yield f'<p>Example: <a href="#problem-{escape(name)}">{escape(name)}</a></p>'


def _problems(document: Mapping[str, Any]) -> Iterator[str]:
    yield '<section id="problems">\n<h2>Problems</h2>'
    yield "<p>What errors look like: by the last part of their <code>type</code>.</p>"
    for name, example in document["components"]["examples"].items():
        status = example["value"]["status"]
        yield (
            f'<details id="problem-{escape(name)}"><summary><b class="bad">{status}</b> '
            f"<code>{escape(name)}</code> {escape(example['summary'])}</summary>"
        )
        yield f"{_block(_pretty(example['value']))}</details>"
    yield "</section>"


def _schemas(document: Mapping[str, Any]) -> Iterator[str]:
    yield '<section id="schemas">\n<h2>Schemas</h2>'
    for name, schema in document["components"]["schemas"].items():
        yield f'<details id="schema-{name}"><summary><code>{name}</code></summary>'
        yield f"<p>{text_of(schema.get('description', ''))}</p>\n<dl>"
        yield from _members(schema)
        yield "</dl></details>"
    yield "</section>"


def _members(schema: Mapping[str, Any]) -> Iterator[str]:
    required = schema.get("required", ())
    for name, member in schema.get("properties", {}).items():
        needed = " <small>required</small>" if name in required else ""
        yield f"<dt><code>{escape(name)}</code>{needed}</dt>"
        yield f"<dd>{text_of(member.get('description', ''))} <small>{_kind(member)}</small>"
        inner = member.get("items", member)
        if isinstance(inner, Mapping) and "properties" in inner:
            yield from ("<dl>", *_members(inner), "</dl>")
        yield "</dd>"


def _kind(schema: Mapping[str, Any]) -> str:
    """What a value may be, in a few words, as HTML."""
    if (target := schema.get("$ref")) is not None:
        name = target.rpartition("/")[2]
        return f'<a href="#schema-{name}">{name}</a>'
    if "anyOf" in schema:
        return " or ".join(_kind(one) for one in schema["anyOf"])
    if "enum" in schema:
        return " · ".join(f"<code>{_json(one)}</code>" for one in schema["enum"])
    types = schema.get("type", "any")
    words = " or ".join([types] if isinstance(types, str) else types)
    if isinstance(items := schema.get("items"), Mapping) and "properties" not in items:
        words += f" of {_kind(items)}"
    limits = [
        f"{word} {_json(schema[name])}"
        for name, word in _LIMITS.items()
        if schema.get(name) is not None
    ]
    return ", ".join([words, *limits])


def text_of(text: str) -> str:
    """A text with `code` and **strong** words, as HTML."""
    marked = _CODE.sub(r"<code>\1</code>", escape(text))
    return _STRONG.sub(r"<strong>\1</strong>", marked)


def _block(text: str) -> str:
    # A block that may scroll can be reached by the keyboard.
    return f'<pre tabindex="0"><code>{escape(text)}</code></pre>'


def _pretty(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)


def _json(value: Any) -> str:
    return escape(value if isinstance(value, str) else json.dumps(value))
