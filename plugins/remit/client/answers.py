"""What came of a request: what was asked for, a refusal, or nothing; and whether to try again."""

from __future__ import annotations

import json
from http.client import HTTPException
from typing import Any

import requests
from requests.exceptions import ChunkedEncodingError, SSLError
from urllib3.exceptions import HTTPError

from remit.client.errors import RemitApiError, kind_of

Document = dict[str, Any]
"""A JSON object of the hook."""

IN_PROGRESS = frozenset({"idempotency-key-in-use"})
"""Kinds of 409 that pass: the same request, sent before, is still at work."""

_SLOWED_DOWN = frozenset({408, 429})
_PASSING = (requests.ConnectionError, requests.Timeout, ChunkedEncodingError)
_OF_THE_NETWORK = (OSError, HTTPError, HTTPException)
_NOT_THE_HOOK: Document = {
    "title": "not an answer of the hook",
    "detail": "it is not a JSON object: the base URL has to be the hook's, like https://…/remit",
}


def may_pass(error: RemitApiError) -> bool:
    """Whether the same request may have another answer soon."""
    if error.status == 409:
        return error.kind in IN_PROGRESS
    return error.status in _SLOWED_DOWN or (error.status >= 500 and error.status != 501)


def place(url: str) -> str:
    """A link without its signature, for messages."""
    return url.partition("?")[0]


def reason_of(error: BaseException) -> str:
    """Why there is no answer: the innermost of the errors of the network, as one was raised by
    another. The outer ones show the whole URL."""
    inner = error
    while isinstance(cause := inner.__cause__ or inner.__context__, _OF_THE_NETWORK):
        inner = cause
    if isinstance(inner, requests.RequestException) or not str(inner):
        return f"no answer ({type(inner).__name__})"
    return f"no answer ({inner})"


def is_passing(error: requests.RequestException) -> bool:
    """Whether there may be an answer soon: not where a certificate is wrong, or the URL."""
    return isinstance(error, _PASSING) and not isinstance(error, SSLError)


def is_done(answer: requests.Response, method: str, *, failed: int, leads: bool) -> bool:
    """Whether an answer is what was asked for, after so many tries that failed. `leads`: what was
    asked for is elsewhere, and the answer says where."""
    if leads:
        return answer.is_redirect  # it has a place
    if method == "DELETE" and answer.status_code == 404:
        return failed > 0  # the try before has deleted it, and its answer was lost
    return answer.status_code < 300


def document_of(answer: requests.Response) -> Document:
    """What an answer holds; nothing for one without a body.

    Raises:
        RemitApiError: it is no answer of the hook.
    """
    document = _json(answer)
    if document is None and answer.content:
        raise RemitApiError(
            answer.status_code,
            document=_NOT_THE_HOOK,
            request_id=_request_id(answer),
        )
    return document or {}


def refusal_of(answer: requests.Response, wait: float | None) -> RemitApiError:
    """The error that an answer is, with its problem document; `wait` is what it asks for."""
    status = answer.status_code
    document = _json(answer) or {"title": answer.reason or ""}
    if status < 400:
        document = _NOT_THE_HOOK
    return kind_of(status)(
        status, document=document, request_id=_request_id(answer), retry_after=wait
    )


def _request_id(answer: requests.Response) -> str:
    return answer.headers.get("X-Request-ID", "")


def _json(answer: requests.Response) -> Document | None:
    try:
        document = json.loads(answer.content)
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, dict) else None
