"""Command lines of the page, made of the document's own examples."""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import quote


def follow(document: Mapping[str, Any], part: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a reference leads to; anything else is itself."""
    found: Any = part
    if isinstance(path := part.get("$ref"), str):
        found = document
        for name in path.removeprefix("#/").split("/"):
            found = found[name]
    return found  # type: ignore[no-any-return]


def curl_of(
    document: Mapping[str, Any], method: str, path: str, operation: Mapping[str, Any]
) -> str:
    """A call of the operation with curl. `$REMIT` is where the hook is, `$TOKEN` the token."""
    return " \\\n  ".join(_words(document, method, path, operation))


def _words(
    document: Mapping[str, Any], method: str, path: str, operation: Mapping[str, Any]
) -> Iterator[str]:
    parameters = [follow(document, one) for one in operation["parameters"]]
    for one in parameters:
        if one["in"] == "path":
            path = path.replace(f"{{{one['name']}}}", quote(str(one["example"]), safe=""))
    yield f'curl -X {method} "$REMIT{path}"' if method != "GET" else f'curl "$REMIT{path}"'
    if operation.get("security", document["security"]):
        yield '-H "Authorization: Bearer $TOKEN"'
    if any(one["name"] == "Idempotency-Key" for one in parameters):
        yield '-H "Idempotency-Key: $(uuidgen)"'
    for content in operation.get("requestBody", {}).get("content", {}).values():
        yield '-H "Content-Type: application/json"'
        yield f"-d {shlex.quote(json.dumps(content['example'], ensure_ascii=False))}"
    if path.endswith("/download"):
        yield "-L -o export"
