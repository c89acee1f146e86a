"""Errors as problem documents (RFC 9457)."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict, dataclass
from datetime import timedelta
from types import MappingProxyType
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException
from starlette.routing import Match
from starlette.types import Receive, Scope, Send

from remit.api import request_id
from remit.api.call import shown_path
from remit.api.refusals import (
    BodyTooSlow,
    KeyInUse,
    KeyReused,
    Overloaded,
    PayloadTooLarge,
    RateLimited,
    UnsupportedMediaType,
)
from remit.errors import (
    ConfigurationError,
    Conflict,
    Gone,
    InvalidRequest,
    NotAuthenticated,
    NotFound,
    NotPermitted,
    QueueFull,
    RecordRefused,
    RemitError,
    SecretUnreadable,
    TooManyExports,
    Transient,
)

log = logging.getLogger(__name__)

PREFIX = "/remit/problems/"

PROBLEM = "remit.problem"
"""Member of an ASGI scope: the `Kind` of the problem that the request was answered with."""

RETRY_AFTER = timedelta(seconds=5)
"""When a request that found no store is worth sending again."""


@dataclass(frozen=True)
class Kind:
    """A kind of problem: its stable type, its HTTP status, and its title. `detail` is what is said
    in place of the error's own message, which may name hosts, tables or settings."""

    type: str
    status: int
    title: str
    detail: str | None = None


_OPERATORS = "The operator finds the reason in the API server's log."

KINDS: Mapping[type[RemitError], Kind] = MappingProxyType(
    {
        InvalidRequest: Kind("invalid-request", 422, "The request is not valid"),
        NotAuthenticated: Kind(
            "not-authenticated",
            401,
            "A valid token is needed",
            "Send 'Authorization: Bearer <token>' with a token that is valid now.",
        ),
        NotPermitted: Kind("not-permitted", 403, "The token lacks a permission"),
        NotFound: Kind("not-found", 404, "There is no such thing"),
        Gone: Kind("gone", 410, "It is there no longer"),
        KeyInUse: Kind("idempotency-key-in-use", 409, "The first request is still under way"),
        Conflict: Kind("conflict", 409, "The state does not allow it"),
        KeyReused: Kind("idempotency-key-reused", 422, "The key belongs to another request"),
        RecordRefused: Kind(
            "record-refused",
            422,
            "What would be stored is too large",
            "The record would be larger than the store takes, or is of another kind than it was.",
        ),
        BodyTooSlow: Kind("request-timeout", 408, "The request came too slowly"),
        PayloadTooLarge: Kind("payload-too-large", 413, "The body is too large"),
        UnsupportedMediaType: Kind("unsupported-media-type", 415, "The body is not plain JSON"),
        RateLimited: Kind("rate-limited", 429, "Too many requests"),
        TooManyExports: Kind("too-many-exports", 429, "Too many exports are under way"),
        QueueFull: Kind("queue-full", 429, "Too many webhooks wait for delivery"),
        Overloaded: Kind(
            "overloaded",
            503,
            "Too much is under way",
            "So much is under way that no more is taken: nothing was done. Send it again later.",
        ),
        Transient: Kind(
            "unavailable",
            503,
            "Try again later",
            "The store does not answer: the request was not taken. Send it again later.",
        ),
        ConfigurationError: Kind(
            "not-configured", 503, "The service is not configured", _OPERATORS
        ),
        SecretUnreadable: Kind("not-configured", 503, "The service is not configured", _OPERATORS),
    }
)
"""Error to problem. The first entry that the error is an instance of counts."""

METHOD_NOT_ALLOWED = Kind("method-not-allowed", 405, "The path has no such method")
HTTP_ERROR = Kind("http-error", 400, "The request was refused")
NOT_READY = Kind(
    "not-ready", 503, "A part that the service needs is failing", "`components` says which."
)
INTERNAL_ERROR = Kind(
    "internal-error",
    500,
    "Something went wrong here",
    "The error has been logged; the request may not have taken effect.",
)

EVERY_KIND: tuple[Kind, ...] = tuple(
    dict.fromkeys([*KINDS.values(), METHOD_NOT_ALLOWED, NOT_READY, INTERNAL_ERROR, HTTP_ERROR])
)
"""All that may be answered, for the documents; of kinds with one status, the usual one first."""

_BY_STATUS: Mapping[int, Kind] = MappingProxyType(
    {404: KINDS[NotFound], 405: METHOD_NOT_ALLOWED, 413: KINDS[PayloadTooLarge]}
)
"""What Starlette refuses by itself."""

_HEADERS: Mapping[int, Mapping[str, str]] = MappingProxyType(
    {401: {"WWW-Authenticate": 'Bearer realm="remit"'}}
)


class _Problem(Response):
    """An answer that leaves its kind in the scope of the request, for whoever looks at it then."""

    def __init__(self, kind: Kind, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._kind = kind

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope[PROBLEM] = self._kind
        await super().__call__(scope, receive, send)


def problem(error: RemitError) -> Response:
    """The answer to an error of `KINDS`."""
    kind = next(kind for base, kind in KINDS.items() if isinstance(error, base))
    members: dict[str, Any] = {}
    if isinstance(error, InvalidRequest):
        members["errors"] = [asdict(field) for field in error.errors]
    headers = dict(_HEADERS.get(kind.status, {}))
    wait = getattr(error, "retry_after", RETRY_AFTER if kind.status == 503 else None)
    if wait is not None:
        headers["Retry-After"] = str(max(1, math.ceil(wait.total_seconds())))
    return document(kind, kind.detail or str(error), members, headers)


def internal_error() -> Response:
    """The answer to an error that nobody has foreseen."""
    return document(INTERNAL_ERROR)


def document(
    kind: Kind,
    detail: str | None = None,
    members: Mapping[str, Any] | None = None,
    headers: Mapping[str, str] | None = None,
) -> Response:
    """A problem document."""
    body = {
        "type": f"{PREFIX}{kind.type}",
        "title": kind.title,
        "status": kind.status,
        "detail": detail or kind.detail,
        "request_id": request_id.current(),
        **(members or {}),
    }
    return _Problem(
        kind,
        # A lone surrogate, which a member's name may hold, has no UTF-8: it stays an escape.
        json.dumps(body, ensure_ascii=False).encode(errors="backslashreplace"),
        status_code=kind.status,
        media_type="application/problem+json",
        headers=dict(headers or {}),
    )


def install(app: FastAPI) -> None:
    """Answer every error that the app raises on purpose with a problem document. What it does not
    raise on purpose is for `Conduct`."""
    # Asynchronous ones: Starlette has others done on threads, which Airflow's own routes need.
    handlers: Mapping[type[Exception], Callable[[Request, Any], Awaitable[Response]]] = {
        RemitError: _on_remit_error,
        HTTPException: _on_http_exception,
        RequestValidationError: _on_validation_error,
    }
    for kind, handler in handlers.items():
        app.add_exception_handler(kind, handler)


async def _on_remit_error(request: Request, error: RemitError) -> Response:
    if not any(isinstance(error, kind) for kind in KINDS):
        raise error
    answer = problem(error)
    if answer.status_code >= 500:
        log.error("%s %r: %s", request.method, shown_path(request.url.path), error)
    return answer


async def _on_http_exception(request: Request, error: HTTPException) -> Response:
    kind = _BY_STATUS.get(error.status_code)
    if kind is None:
        kind = Kind(HTTP_ERROR.type, error.status_code, HTTP_ERROR.title)
    headers = dict(error.headers or {})
    detail = str(error.detail)
    if kind is METHOD_NOT_ALLOWED:
        headers["Allow"] = allowed = ", ".join(_methods(request))
        detail = f"{request.method} is not one of: {allowed}"
    return document(kind, detail, headers=headers)


async def _on_validation_error(request: Request, error: RequestValidationError) -> Response:  # noqa: ARG001
    fields = [
        {
            # The first part is where the field stands: `query`, `path`.
            "field": ".".join(map(str, one["loc"][1:] or one["loc"])),
            "message": one["msg"],
            "allowed": str(one.get("ctx", {}).get("expected", "")),
        }
        for one in error.errors()
    ]
    return document(KINDS[InvalidRequest], "a parameter is not valid", {"errors": fields})


def _methods(request: Request) -> list[str]:
    """All that the path can be asked. Starlette names those of the first of its routes."""
    methods: set[str] = set()
    for route in request.app.routes:
        if route.matches(request.scope)[0] != Match.NONE:
            methods |= getattr(route, "methods", None) or set()
    return sorted(methods)
