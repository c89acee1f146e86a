"""Errors as problem documents (RFC 9457)."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from types import MappingProxyType
from typing import Any

from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import Response
from starlette.exceptions import HTTPException

from remit.errors import (
    ConfigurationError,
    Conflict,
    InvalidRequest,
    NotAuthenticated,
    NotFound,
    NotPermitted,
    RemitError,
    Transient,
)

log = logging.getLogger(__name__)

RETRY_AFTER_SECONDS = 5


@dataclass(frozen=True)
class Kind:
    """A kind of problem: its stable type, its HTTP status, and its title."""

    type: str
    status: int
    title: str


KINDS: Mapping[type[RemitError], Kind] = MappingProxyType(
    {
        InvalidRequest: Kind("invalid-request", 422, "The request is not valid"),
        NotAuthenticated: Kind("not-authenticated", 401, "A valid token is needed"),
        NotPermitted: Kind("not-permitted", 403, "The token lacks a permission"),
        NotFound: Kind("not-found", 404, "There is no such thing"),
        Conflict: Kind("conflict", 409, "The state does not allow it"),
        Transient: Kind("unavailable", 503, "Try again later"),
        ConfigurationError: Kind("not-configured", 503, "The service is not configured"),
    }
)
"""Error to problem. The first entry that the error is an instance of counts."""

_HEADERS: Mapping[int, Mapping[str, str]] = MappingProxyType(
    {
        401: {"WWW-Authenticate": 'Bearer realm="remit"'},
        503: {"Retry-After": str(RETRY_AFTER_SECONDS)},
    }
)

# What these errors say is for the log: it may name hosts, tables or settings.
_DETAILS: Mapping[type[RemitError], str] = MappingProxyType(
    {
        NotAuthenticated: "Send 'Authorization: Bearer <token>' with a token that is valid now.",
        Transient: "The store does not answer: the request was not taken. Send it again later.",
        ConfigurationError: "The operator finds the reason in the API server's log.",
    }
)


def problem(error: RemitError) -> Response:
    """The answer to an error."""
    base, kind = next((base, kind) for base, kind in KINDS.items() if isinstance(error, base))
    members: dict[str, Any] = {}
    if isinstance(error, InvalidRequest):
        members["errors"] = [asdict(field) for field in error.errors]
    return _document(kind, _DETAILS.get(base, str(error)), members)


def install(app: FastAPI) -> None:
    """Answer every error of the app with a problem document."""
    handlers: Mapping[type[Exception], Callable[[Request, Any], Response]] = {
        RemitError: _on_remit_error,
        HTTPException: _on_http_exception,
        RequestValidationError: _on_validation_error,
        Exception: _on_bug,
    }
    for kind, handler in handlers.items():
        app.add_exception_handler(kind, handler)


def _document(kind: Kind, detail: str, members: Mapping[str, Any] | None = None) -> Response:
    body = {
        "type": f"/remit/problems/{kind.type}",
        "title": kind.title,
        "status": kind.status,
        "detail": detail,
        **(members or {}),
    }
    return Response(
        # A lone surrogate, which a member's name may hold, has no UTF-8: it stays an escape.
        json.dumps(body, ensure_ascii=False).encode(errors="backslashreplace"),
        status_code=kind.status,
        media_type="application/problem+json",
        headers={"Cache-Control": "no-store", **_HEADERS.get(kind.status, {})},
    )


def _on_remit_error(request: Request, error: RemitError) -> Response:
    if not any(isinstance(error, kind) for kind in KINDS):
        return _on_bug(request, error)
    answer = problem(error)
    if answer.status_code >= 500:
        log.error("%s %r: %s", request.method, request.url.path, error)
    return answer


def _on_http_exception(request: Request, error: HTTPException) -> Response:  # noqa: ARG001
    kind = Kind("http-error", error.status_code, "The request was refused")
    answer = _document(kind, str(error.detail))
    answer.headers.update(error.headers or {})
    return answer


def _on_validation_error(request: Request, error: RequestValidationError) -> Response:  # noqa: ARG001
    fields = [
        {"field": ".".join(map(str, one["loc"])), "message": one["msg"], "allowed": ""}
        for one in error.errors()
    ]
    return _document(KINDS[InvalidRequest], "a parameter is not valid", {"errors": fields})


def _on_bug(request: Request, error: Exception) -> Response:
    log.error("%s %r failed", request.method, request.url.path, exc_info=error)
    kind = Kind("internal-error", 500, "Something went wrong here")
    return _document(kind, "The error has been logged; the request may not have taken effect.")
