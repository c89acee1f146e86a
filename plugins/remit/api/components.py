"""What operations have in common in the OpenAPI document: headers, parameters, the token, and
schemas, which are written in their places and kept once."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from remit.api import idempotency, request_id

TOKEN = "token"  # noqa: S105 - the name of a security scheme

SECURITY_SCHEMES: Mapping[str, Any] = MappingProxyType(
    {
        TOKEN: {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "JWT",
            "description": "A token that names the merchant and the permissions. It is read from "
            "the `Authorization` header alone.",
        }
    }
)

_TEXT: Mapping[str, Any] = {"type": "string"}

HEADERS: Mapping[str, Any] = MappingProxyType(
    {
        request_id.HEADER: {
            "description": "The id of the request, in every answer and in the log",
            "required": True,
            "schema": _TEXT,
            "example": "0f5d2c7f1b9a4e370f5d2c7f1b9a4e37",
        },
        "RateLimit-Policy": {
            "description": "How many requests (`q`) a merchant may make in so many seconds (`w`)",
            "schema": _TEXT,
            "example": '"requests";q=100;w=1',
        },
        "RateLimit": {
            "description": "How many requests are left (`r`), and in how many seconds (`t`) there "
            "are more; it is not there while the store is out of reach",
            "schema": _TEXT,
            "example": '"requests";r=99;t=1',
        },
        "Retry-After": {
            "description": "In how many seconds the request is worth sending again",
            "schema": {"type": "integer", "minimum": 1},
            "example": 5,
        },
        idempotency.REPLAYED: {
            "description": "The answer was given before, to the first request with this key",
            "schema": {"type": "string", "enum": ["true"]},
            "example": "true",
        },
        "Location": {
            "description": "Where it is",
            "required": True,
            "schema": {"type": "string", "format": "uri-reference"},
            "example": "/remit/webhooks/endpoints/ep-01m84ekemg2w5g23n8btf52x14",
        },
        "WWW-Authenticate": {
            "description": "How to prove who is calling",
            "required": True,
            "schema": _TEXT,
            "example": 'Bearer realm="remit"',
        },
    }
)

PARAMETERS: Mapping[str, Any] = MappingProxyType(
    {
        idempotency.HEADER: {
            "name": idempotency.HEADER,
            "in": "header",
            "description": "Makes it safe to send the request again: with the same key it is done "
            "once, and answered as before. The same key with another request is refused. A key is "
            "the merchant's own, and good for a day unless the deployment says otherwise.",
            "schema": {"type": "string", "pattern": "^[ -~]{1,255}$"},
            "example": "2f1c8f0e-6f0b-4a52-9a7e-5d0c2f6f1b9a",
        },
        request_id.HEADER: {
            "name": request_id.HEADER,
            "in": "header",
            "description": "Becomes the id of the request, if it has 1 to 128 characters of "
            "`A-Z a-z 0-9 . _ : / = @ + ~ -`; otherwise there is a new one",
            "schema": _TEXT,
            "example": "order-4711",
        },
    }
)

PATH_EXAMPLES: Mapping[str, str] = MappingProxyType(
    {
        "export": "export-01m84ekemg2w5g23n8btf52x14",
        "name": "payments",
        "endpoint": "ep-01m84ekemg2w5g23n8btf52x14",
        "webhook": "wh-61d6ece3fa5f7f786245b75450aa9846",
        "replay": "replay-0f5d2c7f1b9a4e370f5d2c7f1b9a4e37",
        "schedule": "schedule-01kbp1v9x8m3q5w7e9r1t3y5z7",
    }
)
QUERY_EXAMPLES: Mapping[str, Any] = MappingProxyType(
    {
        "limit": 20,
        "cursor": "WyI2ZDhhNmU0Y2IyZjg5MWE3Iix7ImlkIjoi4oCmIn1d",
        "created_after": "2026-01-01T00:00:00Z",
        "created_before": "2026-02-01T00:00:00Z",
        "after": "2026-01-01T00:00:00Z",
        "before": "2026-02-01T00:00:00Z",
        "file": 1,
        "action": "exports.*",
        "endpoint": "ep-01m84ekemg2w5g23n8btf52x14",
        "type": "payment.*",
    }
)
"""Parameter to an example of it; `status` differs from list to list."""


def reference(kind: str, name: str) -> dict[str, str]:
    """A reference to a component."""
    return {"$ref": f"#/components/{kind}/{name}"}


class Schemas:
    """Collects the schemas that have a title, and puts references into their places."""

    def __init__(self) -> None:
        self.found: dict[str, Any] = {}

    def hoisted(self, part: Any) -> Any:
        """A part of the document, with a reference for each schema that has a title.

        Raises:
            ValueError: two schemas have one title.
        """
        if isinstance(part, list | tuple):
            return [self.hoisted(one) for one in part]
        if not isinstance(part, Mapping):
            return part
        if isinstance(title := part.get("title"), str) and {"type", "anyOf"} & part.keys():
            schema = {name: self._inside(name, one) for name, one in part.items()}
            schema.pop("title")
            if self.found.setdefault(title, schema) != schema:
                raise ValueError(f"there are two schemas {title!r}")
            return reference("schemas", title)
        return {name: self._inside(name, one) for name, one in part.items()}

    def _inside(self, name: str, part: Any) -> Any:
        if name in {"example", "examples", "default", "enum"}:
            return part  # not schemas, whatever members they have
        if name == "properties" and isinstance(part, Mapping):
            return {member: self.hoisted(schema) for member, schema in part.items()}
        return self.hoisted(part)
