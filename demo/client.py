"""A merchant's side of the trigger hook: ask for an export, follow it, download it."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date
from typing import Any

import requests

from demo.errors import CheckFailed
from demo.info import StackInfo
from demo.loopback import loopback

_TIMEOUT_SECONDS = 30
_POLL_SECONDS = 0.1

ENDED = frozenset({"completed", "failed", "canceled", "expired"})
"""Statuses that stay."""

Document = dict[str, Any]


@dataclass(frozen=True)
class Accepted:
    """The hook's answer to a request, and when the request was sent (monotonic seconds)."""

    sent_at: float
    export_id: str
    check_url: str


class HookClient:
    """Talks to the hook of a stack in the name of one merchant."""

    def __init__(self, info: StackInfo, merchant_id: str) -> None:
        self._origin = info.airflow_url
        self._hook = info.hook_url
        self._client = loopback()
        self._authorization = {"Authorization": f"Bearer {info.token(merchant_id)}"}

    def request_export(self, first: date, last: date, form: str) -> Accepted:
        """POST /payments/export for a range of whole days.

        Raises:
            CheckFailed: the answer is not a 202 with an id and a place to look.
        """
        query = {"start_date": first.isoformat(), "end_date": last.isoformat(), "format": form}
        sent_at = time.monotonic()
        answer = self._send("POST", f"{self._hook}/payments/export", params=query)
        expect_status(answer, 202)
        document = answer.json()
        for name in ("export_id", "status", "message", "check_url"):
            if not document.get(name):
                raise CheckFailed(f"the answer to the request has no {name}: {document}")
        return Accepted(sent_at, document["export_id"], document["check_url"])

    def status(self, check_url: str) -> Document:
        """GET the status document; `check_url` is a path from the server's origin."""
        answer = self._send("GET", f"{self._origin}{check_url}")
        expect_status(answer, 200)
        return dict(answer.json())

    def follow(self, check_url: str, timeout: float) -> Iterator[Document]:
        """The status document again and again, until the export has ended.

        Raises:
            CheckFailed: it has not ended after so many seconds.
        """
        deadline = time.monotonic() + timeout
        while True:
            document = self.status(check_url)
            yield document
            if document["status"] in ENDED:
                return
            if time.monotonic() >= deadline:
                raise CheckFailed(f"still {document['status']} after {timeout:.0f} s: {document}")
            time.sleep(_POLL_SECONDS)

    def download(self, url: str) -> bytes:
        """GET a presigned URL, which needs no token."""
        answer = send(self._client, "GET", url)
        expect_status(answer, 200)
        return answer.content

    def _send(self, method: str, url: str, **options: Any) -> requests.Response:
        return send(self._client, method, url, headers=self._authorization, **options)


def send(client: requests.Session, method: str, url: str, **options: Any) -> requests.Response:
    """One request, with a bounded wait.

    Raises:
        CheckFailed: there was no answer.
    """
    try:
        return client.request(method, url, timeout=_TIMEOUT_SECONDS, **options)
    except requests.RequestException as error:
        place = url.partition("?")[0]  # what follows may be a signature
        raise CheckFailed(f"{method} {place}: no answer ({type(error).__name__})") from error


def expect_status(answer: requests.Response, status: int) -> None:
    """Raise `CheckFailed` if the answer has another status; quotes the answer."""
    if answer.status_code != status:
        raise CheckFailed(
            f"{answer.request.method} {answer.url.partition('?')[0]} answered "
            f"{answer.status_code}, not {status}: {answer.text[:500]}"
        )


def eventually(
    look: Callable[[], Any], what: str, timeout: float, *, pause: float = _POLL_SECONDS
) -> Any:
    """What `look` returns once that is something.

    Raises:
        CheckFailed: it is still nothing after so many seconds.
    """
    deadline = time.monotonic() + timeout
    while not (found := look()):
        if time.monotonic() >= deadline:
            raise CheckFailed(f"{what}: not after {timeout:.0f} s")
        time.sleep(pause)
    return found
