"""A server that answers what a test has put down, one by one, and notes what it was asked."""

from __future__ import annotations

import json
import zlib
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from benchmarks.standins.http import Reset, Response, Server
from benchmarks.standins.reading import Request

RESET = Reset()
"""In place of an answer: the connection is reset."""


@dataclass(frozen=True)
class Asked:
    """One request."""

    target: str
    """The path; a whole URL if the server is asked as a proxy."""
    headers: Mapping[str, str]
    body: dict[str, Any]


@dataclass
class Script:
    """The answers to come, and what was asked so far. After the last answer: `{}`."""

    answers: deque[Response | Reset] = field(default_factory=deque)
    asked: list[Asked] = field(default_factory=list)
    url: str = ""

    def __call__(self, request: Request) -> Response:
        """Answer the next request."""
        body = json.loads(bytes(request.body) or b"{}")
        self.asked.append(Asked(request.target, dict(request.headers), body))
        answer = self.answers.popleft() if self.answers else answer_of({})
        if isinstance(answer, Reset):
            raise answer
        return answer


def answer_of(content: Any, status: int = 200, crc32: int | None = None) -> Response:
    """An answer of DynamoDB; `crc32` in place of the right one. Bytes are sent as they are."""
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    return Response(
        status,
        {
            "Content-Type": "application/x-amz-json-1.0",
            "x-amz-crc32": str(zlib.crc32(body) if crc32 is None else crc32),
        },
        [body],
    )


def error(code: str, status: int = 400, **more: Any) -> Response:
    """A refusal as DynamoDB words it."""
    kind = f"com.amazonaws.dynamodb.v20120810#{code}"
    return answer_of({"__type": kind, "message": f"{code} it is", **more}, status)


def canceled(*codes: str | None) -> Response:
    """A transaction that was canceled, with one reason per action; None: not because of it."""
    reasons = [{"Code": code or "None"} for code in codes]
    return error("TransactionCanceledException", CancellationReasons=reasons)


@contextmanager
def scripted(*answers: Response | Reset) -> Iterator[Script]:
    """A server with these answers, for the length of the block."""
    script = Script(deque(answers))
    with Server(script) as server:
        script.url = server.url
        yield script
