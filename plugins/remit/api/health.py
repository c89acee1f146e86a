"""Whether the hook is alive, and whether it could do what it is for.

Anybody may ask, as load balancers have no tokens. So the answers say which part fails and nothing
else, and however often they are asked for, the parts are looked at once in a few seconds.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Mapping
from functools import partial
from time import monotonic
from types import MappingProxyType
from typing import Any

from anyio import CapacityLimiter, Lock, to_thread
from fastapi import APIRouter, Request
from fastapi.responses import Response

from remit.api.answers import Answer
from remit.api.backend import Backend
from remit.api.problems import NOT_READY, document

log = logging.getLogger(__name__)

HEALTH, READY = "/health", "/health/ready"

DAGS = ("export_payments", "deliver_webhooks")
"""What the hook starts."""

KEPT_SECONDS = 5.0
"""How long an answer is good."""

CHECK_SECONDS = 4.0
"""A part that takes longer to answer is failing."""

OK, FAILING = "ok", "failing"

_EXAMPLE = {"status": "ready", "components": {"store": OK, **dict.fromkeys(DAGS, OK)}}


class Readiness:
    """What the parts said when they were asked last."""

    def __init__(
        self, checks: Mapping[str, Callable[[], object]], now: Callable[[], float] = monotonic
    ) -> None:
        self._checks = checks
        self._now = now
        self._asking = Lock()
        self._until = -1.0
        self._found: Mapping[str, str] = MappingProxyType({})
        # One look at a part at a time, on a thread of its own: one that hangs holds up nobody.
        self._threads = {part: CapacityLimiter(1) for part in checks}
        self._looks: dict[str, asyncio.Task[bool]] = {}

    async def look(self) -> Mapping[str, str]:
        """Part to `ok` or `failing`, a few seconds old at the most."""
        if self._now() < self._until:
            return self._found
        async with self._asking:  # one asks, all others wait for what it finds
            if self._now() >= self._until:
                self._found = await self._ask()
                self._until = self._now() + KEPT_SECONDS
        return self._found

    async def _ask(self) -> Mapping[str, str]:
        """Parts whose look goes on from before are failing: no other look joins them."""
        asked = {
            part: asyncio.create_task(self._passes(part))
            for part in self._checks
            if part not in self._looks or self._looks[part].done()
        }
        self._looks.update(asked)
        if asked:
            await asyncio.wait(asked.values(), timeout=CHECK_SECONDS)
        if late := [part for part, look in self._looks.items() if not look.done()]:
            log.warning("not ready: no answer within %g s: %s", CHECK_SECONDS, ", ".join(late))
        passed = {part for part, look in asked.items() if look.done() and look.result()}
        return {part: OK if part in passed else FAILING for part in self._checks}

    async def _passes(self, part: str) -> bool:
        try:
            # Cancelled only when the event loop ends, which waits for no check.
            await to_thread.run_sync(
                self._checks[part], limiter=self._threads[part], abandon_on_cancel=True
            )
        except Exception as error:  # noqa: BLE001 - whatever it is, the part is failing
            log.warning("not ready: %s: %s", part, error)
            return False
        return True


def router(backend: Backend) -> APIRouter:
    """The routes."""
    checks: dict[str, Callable[[], object]] = {
        "store": lambda: backend.services.tables.export_jobs.get("health", consistent=False),
        **{dag: partial(backend.trigger.check, dag) for dag in DAGS},
    }
    readiness = Readiness(checks)
    routes = APIRouter(tags=["Health"])

    @routes.head(HEALTH, include_in_schema=False)
    @routes.get(
        HEALTH,
        name="get_health",
        summary="Tell whether the hook is alive",
        responses={200: _answer("Alive", {"status": "alive"})},
    )
    async def health() -> dict[str, str]:
        """The process is there and answers. Needs no token."""
        return {"status": "alive"}

    @routes.head(READY, include_in_schema=False)
    @routes.get(
        READY,
        name="get_readiness",
        summary="Tell whether the hook is ready",
        responses={200: _answer("Ready", _EXAMPLE)},
    )
    async def ready(request: Request) -> Response:
        """The store answers and the DAGs can be started, as of a few seconds ago. Needs no token.
        An export that is asked for while the DAGs fail is kept, and made later."""
        found = {**await readiness.look()}
        if not request.app.state.configured:
            found["tokens"] = FAILING
        if FAILING in found.values():
            return document(NOT_READY, members={"components": found})
        return Answer(200, {"status": "ready", "components": found}).response()

    return routes


def _answer(title: str, example: Mapping[str, Any]) -> dict[str, Any]:
    schema = {
        "title": title,
        "type": "object",
        "required": list(example),
        "properties": {
            name: {"type": "string"}
            if isinstance(value, str)
            else {"type": "object", "additionalProperties": {"enum": [OK, FAILING]}}
            for name, value in example.items()
        },
    }
    content = {"application/json": {"schema": schema, "example": example}}
    return {"description": "Nothing fails", "content": content}
