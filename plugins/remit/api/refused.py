"""Refused changes in the audit log: who tries what they may not do, or what is not there.

An entry is written when the answer is out, so that it delays nobody, and what goes wrong with it is
only logged. The number of entries is bounded, for each costs a write and is kept: beyond so many of
a merchant's in a minute, and where too many wait to be written, refusals are in the log alone.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass

from anyio import CapacityLimiter, to_thread
from starlette.types import ASGIApp, Receive, Scope, Send

from remit.api.backend import Backend
from remit.api.call import CALLER, Call, call_in, route_path, shown_path
from remit.api.guard import READING
from remit.api.problems import PREFIX, PROBLEM, Kind
from remit.audit import REFUSED, AuditLog

log = logging.getLogger(__name__)

ACTION = "requests.refused"

STATUSES = frozenset({403, 404, 409, 410, 422})
"""Refusals that say something of the caller, and not of the moment or of how it was sent."""

THREADS = 2
"""Entries that are written at a time."""

MOST_WAITING = 32
"""Entries that are written or wait for it, of all merchants."""

MOST_PER_MINUTE = 60
"""Of each merchant, in each process."""

MOST_KNOWN = 10_000
"""Merchants that are remembered."""

_MINUTE = 60.0


@dataclass
class _Minute:
    """How many entries a merchant has had since it began."""

    began: float
    entries: int = 0


class Refused:
    """ASGI middleware, around all others: the access log has its line before an entry is written.
    `monotonic` is in seconds."""

    def __init__(
        self, app: ASGIApp, backend: Backend, monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        self._app = app
        self._backend = backend
        self._monotonic = monotonic
        self._threads = CapacityLimiter(THREADS)
        self._waiting = 0
        self._minutes: dict[str, _Minute] = {}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        await self._app(scope, receive, send)
        kind: Kind | None = scope.get(PROBLEM)
        if kind is None or CALLER not in scope or kind.status not in STATUSES:
            return
        if scope["method"] not in READING:
            await self._note(call_in(scope), scope, kind)

    async def _note(self, call: Call, scope: Scope, kind: Kind) -> None:
        if self._waiting >= MOST_WAITING or not self._has_room(call.merchant_id):
            return
        self._waiting += 1
        try:
            await to_thread.run_sync(self._write, call, scope, kind, limiter=self._threads)
        except Exception as error:  # noqa: BLE001 - the answer is out, and the access log has it
            log.warning("no entry of the refused request %s: %s", call.request_id, error)
        finally:
            self._waiting -= 1

    def _has_room(self, merchant_id: str) -> bool:
        now = self._monotonic()
        minute = self._minutes.get(merchant_id)
        if minute is None or now - minute.began >= _MINUTE:
            if len(self._minutes) >= MOST_KNOWN:
                self._minutes.clear()
            minute = self._minutes[merchant_id] = _Minute(now)
        minute.entries += 1
        if minute.entries == MOST_PER_MINUTE + 1:
            log.warning("more refusals of %r than have entries: see the access log", merchant_id)
        return minute.entries <= MOST_PER_MINUTE

    def _write(self, call: Call, scope: Scope, kind: Kind) -> None:
        template = getattr(scope.get("route"), "path", None)
        AuditLog(self._backend.services).write(
            call.merchant_id,
            ACTION,
            actor=call.actor,
            target=shown_path(route_path(scope)),
            result=REFUSED,
            details={
                "method": scope["method"],
                **({} if template is None else {"path": template}),
                "type": f"{PREFIX}{kind.type}",
            },
        )
