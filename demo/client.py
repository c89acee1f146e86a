"""A merchant's side of a stack: the client, on the loopback address; beside it, bare requests."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

import requests

from demo.errors import CheckFailed
from demo.info import StackInfo
from demo.loopback import loopback
from remit.client import Polling, RemitClient

_TIMEOUT_SECONDS = 30
_POLL_SECONDS = 0.1


def merchant_client(info: StackInfo, merchant_id: str) -> RemitClient:
    """The hook's client in the name of one merchant. It looks at an export ten times a second, so
    that what the walk and the benchmarks say of a link is when it was there."""
    return RemitClient(
        info.hook_url,
        lambda: info.token(merchant_id),
        session=loopback(),
        polling=Polling(first=_POLL_SECONDS, growth=1, longest=_POLL_SECONDS),
    )


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
