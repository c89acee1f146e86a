"""How `python -m remit serve` speaks HTTP: as uvicorn does, but it waits for no request for good.

uvicorn closes a connection that is idle after a request, and one whose client goes away. One on
which no whole request comes it would keep for good, and so would whoever opens as many of them as
there may be. Beyond those it answers with plain text; here it is a problem document, as all else.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import h11
from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from remit.api.conduct import Conduct
from remit.api.problems import problem
from remit.api.refusals import Overloaded

log = logging.getLogger(__name__)

HEAD_SECONDS = 10.0
"""For the line and the headers of a request to come: from the connection's begin, or from the first
byte after the request before. A body has `remit.api.intake.BODY_SECONDS`."""


class HookProtocol(H11Protocol):
    """One connection. `head_seconds` is of the class, for uvicorn makes the connections."""

    head_seconds = HEAD_SECONDS

    def __init__(self, *arguments: Any, **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._waiting: asyncio.TimerHandle | None = None
        most, self.limit_concurrency = self.limit_concurrency, None
        if most is not None:
            self.app = self._bounded(self.app, most)

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Begin to wait for a request."""
        super().connection_made(transport)
        self._wait()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no longer."""
        self._wait_no_longer()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Part of a request has come, or all of it, or the begin of the next one."""
        super().data_received(data)
        if self.conn.their_state is h11.IDLE:
            self._wait()
        else:
            self._wait_no_longer()

    def _wait(self) -> None:
        if self._waiting is None:
            self._waiting = self.loop.call_later(self.head_seconds, self._close)

    def _wait_no_longer(self) -> None:
        if self._waiting is not None:
            self._waiting.cancel()
            self._waiting = None

    def _close(self) -> None:
        self._waiting = None
        log.debug("no request came within %s s", self.head_seconds)
        self.transport.close()

    def _bounded(self, app: Any, most: int) -> ASGIApp:
        """The app, as long as no more than so many connections are there."""

        async def bounded(scope: Scope, receive: Receive, send: Send) -> None:
            is_full = len(self.connections) > most or len(self.tasks) > most
            await (_OVERLOADED if is_full else app)(scope, receive, send)

        return bounded


async def _refuse(scope: Scope, receive: Receive, send: Send) -> None:
    answer = problem(Overloaded("as many connections are open as may be"))
    answer.headers["connection"] = "close"  # so that somebody else finds room
    await answer(scope, receive, send)


_OVERLOADED = Conduct(_refuse)
