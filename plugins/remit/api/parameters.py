"""Reading a request's fields: from the query string, or from a JSON body, each once."""

from __future__ import annotations

import json
from typing import Any

from fastapi import Request

from remit.errors import FieldError, InvalidRequest

MAX_BODY_BYTES = 64 * 1024


async def parameters(request: Request) -> dict[str, Any]:
    """The fields by name, unchecked.

    Raises:
        InvalidRequest: a field is given twice, or the body is no JSON object.
    """
    values: dict[str, Any] = {}
    for name, value in request.query_params.multi_items():
        _take(values, name, value)
    for name, value in (await _json_body(request)).items():
        _take(values, name, value)
    return values


def _take(values: dict[str, Any], name: str, value: Any) -> None:
    if name in values:
        raise InvalidRequest(FieldError(name, "given more than once", "one value"))
    values[name] = value


def _each_once(members: list[tuple[str, Any]]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, value in members:
        _take(values, name, value)
    return values


async def _json_body(request: Request) -> dict[str, Any]:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise InvalidRequest(FieldError("body", "too large", f"at most {MAX_BODY_BYTES} bytes"))
    if not body:
        return {}
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        message = f"the content type is {media_type!r}"
        raise InvalidRequest(FieldError("body", message, "application/json, or no body"))
    try:
        values = json.loads(bytes(body), object_pairs_hook=_each_once)
        # JSON can name half a character ("\ud800"), which nothing can store or answer.
        json.dumps(values, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        raise InvalidRequest(FieldError("body", "not JSON", "a JSON object")) from None
    if not isinstance(values, dict):
        raise InvalidRequest(FieldError("body", "not a JSON object", "a JSON object"))
    return values
