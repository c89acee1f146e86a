"""A client whose server is a script, and whose time is the test's."""

from __future__ import annotations

import io
import json
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import requests
from requests.adapters import BaseAdapter, HTTPAdapter
from urllib3 import HTTPResponse

from remit.client import Polling, RemitClient, RetryPolicy, Timing
from tests.support.clock import ManualClock

HOOK = "https://hook.test/remit"
S3 = "https://s3.test/bucket/key?X-Amz-Signature=secret-signature"
TOKEN = "head.body.signature"


@dataclass(frozen=True)
class Reply:
    """One answer. `length` is what `Content-Length` says, if it is not the body's."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)
    length: int | None = None


def reply(document: Any, status: int = 200, **headers: str) -> Reply:
    """An answer of the hook; `Retry_After="1"` is a header."""
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(status, json.dumps(document).encode(), named)


def problem(status: int, kind: str = "kind", **members: Any) -> Reply:
    """A problem document."""
    document = {"type": f"/remit/problems/{kind}", "title": "A title", "status": status, **members}
    return reply(document, status, X_Request_ID="request-1")


def broken() -> requests.ConnectionError:
    """A connection that failed."""
    error = requests.ConnectionError("HTTPSConnectionPool: url: /remit?X-Amz-Signature=secret")
    error.__cause__ = ConnectionResetError("reset by peer")
    return error


Step = Reply | Exception | Callable[[requests.PreparedRequest], Reply]


class Script(BaseAdapter):
    """What comes of each request, one after the other; and what was asked."""

    def __init__(self, *steps: Step) -> None:
        super().__init__()
        self.steps: deque[Step] = deque(steps)
        self.asked: list[requests.PreparedRequest] = []
        self._builder = HTTPAdapter()
        self.closed = False

    def send(self, request: requests.PreparedRequest, **_: Any) -> requests.Response:
        """Answer the next request."""
        self.asked.append(request)
        assert self.steps, f"nobody expected {request.method} {request.url}"
        step = self.steps.popleft()
        if isinstance(step, Exception):
            raise step
        answer = step if isinstance(step, Reply) else step(request)
        length = len(answer.body) if answer.length is None else answer.length
        raw = HTTPResponse(
            body=io.BytesIO(answer.body),
            status=answer.status,
            headers={"Content-Length": str(length), **answer.headers},
            preload_content=False,
            request_method=request.method,
            enforce_content_length=True,
        )
        return self._builder.build_response(request, raw)

    def close(self) -> None:
        """Note it."""
        self.closed = True

    def bodies(self) -> list[Any]:
        """The JSON of the requests; None where there was no body."""
        return [None if one.body is None else json.loads(one.body) for one in self.asked]

    def header(self, name: str) -> list[str | None]:
        """A header of each request."""
        return [one.headers.get(name) for one in self.asked]


class Time:
    """Moves when somebody sleeps."""

    def __init__(self) -> None:
        self.clock = ManualClock()
        self.slept: list[float] = []
        self.random = 0.5
        self._started = self.clock.now

    @property
    def timing(self) -> Timing:
        """As a client wants it."""
        return Timing(self.sleep, self.monotonic, self.clock, lambda: self.random)

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.clock.advance(seconds)

    def monotonic(self) -> float:
        return (self.clock.now - self._started).total_seconds()


def client_of(
    script: Script,
    time: Time | None = None,
    token: Any = TOKEN,
    *,
    retries: RetryPolicy | None = None,
    polling: Polling | None = None,
    **more: Any,
) -> RemitClient:
    """A client of the script."""
    session = requests.Session()
    session.mount("https://", script)
    return RemitClient(
        HOOK,
        token,
        session=session,
        timing=(time or Time()).timing,
        retries=retries,
        polling=polling,
        **more,
    )


def export_document(status: str = "completed", **members: Any) -> dict[str, Any]:
    """The document of an export, as the hook answers it."""
    return {
        "export_id": "export-1",
        "status": status,
        "format": "csv",
        "progress": {"rows": 10, "bytes": 100, "slices": 1, "slices_done": 0, "percent": 40},
        "rows": None,
        "bytes": None,
        "error": None,
        "files": [],
        "manifest_url": None,
        **members,
    }
