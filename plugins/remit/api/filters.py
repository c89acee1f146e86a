"""Query parameters of lists: described as what they are, and read strictly, each once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Collection
from datetime import datetime
from typing import Annotated, Any

from fastapi import Query, Request
from pydantic import WithJsonSchema

from remit.api.pages import DEFAULT_LIMIT, MAX_LIMIT
from remit.clock import parse_instant
from remit.errors import FieldError, InvalidRequest

Limit = Annotated[
    str | None,
    WithJsonSchema(
        {"type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT}
    ),
    Query(description="At most so many on one page"),
]
Cursor = Annotated[
    str | None,
    WithJsonSchema({"type": "string"}),
    Query(description="The `next_cursor` of the page before, with the same filters"),
]
After = Annotated[
    str | None,
    WithJsonSchema({"type": "string", "format": "date-time"}),
    Query(description="Only what is of this instant or later; with its offset"),
]
Before = Annotated[
    str | None,
    WithJsonSchema({"type": "string", "format": "date-time"}),
    Query(description="Only what is of before this instant; with its offset"),
]


def instant_of(field: str, text: str | None) -> datetime | None:
    """The instant that a parameter says.

    Raises:
        InvalidRequest: it is none.
    """
    if text is None:
        return None
    try:
        return parse_instant(text)
    except ValueError:
        allowed = "an instant with its offset, such as 2026-01-31T23:59:59Z"
        # A "+" in a query string is a space, unless it is written as %2B.
        raise InvalidRequest(FieldError(field, f"{text[:40]!r} is no instant", allowed)) from None


def only(*names: str, several: Collection[str] = ()) -> Callable[[Request], Any]:
    """A dependency of a route that takes these query parameters, each once, but for `several`, and
    no other."""

    async def check(request: Request) -> None:
        counts = Counter(name for name, _ in request.query_params.multi_items())
        allowed = tuple(sorted({*names, *several}))
        errors = [
            FieldError(name, "unknown parameter", allowed) for name in counts if name not in allowed
        ]
        errors += [
            FieldError(name, "given more than once", "one value")
            for name, count in counts.items()
            if count > 1 and name in names
        ]
        if errors:
            raise InvalidRequest(*errors)

    return check
