"""Reading a request's fields: from the query string, or from a JSON body, each once."""

from __future__ import annotations

from typing import Annotated, Any

from anyio import CapacityLimiter, to_thread
from fastapi import Depends, Request

from remit.api.strict_json import parse_object
from remit.errors import FieldError, InvalidRequest

AT_ONCE = 32 * 1024
"""Bytes of a body that are parsed on the event loop: some 0.2 ms. More are parsed on a thread."""

_PARSING = CapacityLimiter(2)
"""Threads of the hook's own, for Airflow's routes need theirs. More would wait for one another."""


async def parameters(request: Request) -> dict[str, Any]:
    """The fields by name, unchecked.

    Raises:
        InvalidRequest: a field is given twice, or the body is no JSON object.
    """
    values: dict[str, Any] = {}
    for name, value in request.query_params.multi_items():
        _take(values, name, value)
    for name, value in (await json_object(request)).items():
        _take(values, name, value)
    return values


async def json_object(request: Request) -> dict[str, Any]:
    """The members of the body, which is a JSON object; none without a body.

    Raises:
        InvalidRequest: it is something else; see `parse_object`.
    """
    body = await request.body()  # it is here already, and not too large: see `Intake`
    if not body:
        return {}
    if len(body) <= AT_ONCE:
        return parse_object(body)
    return await to_thread.run_sync(parse_object, body, limiter=_PARSING)


Parameters = Annotated[dict[str, Any], Depends(parameters)]
"""What a route declares to be given its fields, wherever they are."""

Body = Annotated[dict[str, Any], Depends(json_object)]
"""What a route declares to be given the members of its body."""


def _take(values: dict[str, Any], name: str, value: Any) -> None:
    if name in values:
        raise InvalidRequest(FieldError(name, "given more than once", "one value"))
    values[name] = value
