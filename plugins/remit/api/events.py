"""Routes that publish events, for the services that make them happen."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping
from typing import Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from remit.api.answers import Answer
from remit.api.backend import Backend
from remit.api.call import Call, CurrentCall
from remit.api.event_bodies import parse_exactly, read_event, read_events
from remit.api.event_schemas import BATCH, BATCH_BODY, EVENT_BODY, PUBLISHED
from remit.api.filters import only
from remit.api.idempotency import HEADER, NOTHING_DONE, Idempotency, Operation
from remit.api.permissions import needs
from remit.audit import AuditLog
from remit.errors import Conflict
from remit.webhooks.event import Event
from remit.webhooks.outbox import Published

PERMISSION = "events"

PUBLISHED_ONE = "events.event.published"
PUBLISHED_MANY = "events.batch.published"
"""Actions in the audit log."""

_TOLD_IDS = 10  # of a batch, in the audit log


class EventApi:
    """What the routes do, without HTTP. Events are of the caller's own merchant."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    def publish(self, call: Call, body: bytes, operation: Operation) -> Answer:
        """Publish one event."""
        event = read_event(
            parse_exactly(body), call.merchant_id, default_id=_id_of(operation), now=operation.at
        )
        entry = AuditLog(self._backend.services).entry(
            call.merchant_id,
            PUBLISHED_ONE,
            actor=call.actor,
            target=event.id,
            details={"type": event.type},
        )
        published = self._backend.outbox.publish(event, [entry])
        return Answer(
            202,
            {
                "event_id": event.id,
                "webhook_ids": list(published.webhook_ids),
                "duplicate": published.duplicate,
            },
        )

    def publish_batch(self, call: Call, body: bytes, operation: Operation) -> Answer:
        """Publish many events. One that is in conflict with what was published before keeps none of
        the others from being published."""
        events = read_events(
            parse_exactly(body), call.merchant_id, default_id=_id_of(operation), now=operation.at
        )

        def note() -> None:
            AuditLog(self._backend.services).write(
                call.merchant_id,
                PUBLISHED_MANY,
                actor=call.actor,
                target=f"batch-{operation.id}",
                details={"count": len(events), "first": [one.id for one in events[:_TOLD_IDS]]},
            )

        results = self._backend.outbox.publish_each(events, first=note)
        told = [_told(event, result) for event, result in zip(events, results, strict=True)]
        return Answer(202, {"events": told})


def _id_of(operation: Operation) -> str:
    return f"evt-{operation.id}"


def _told(event: Event, result: Published | Conflict) -> dict[str, Any]:
    """What became of one event of a batch."""
    if isinstance(result, Conflict):
        return {
            "event_id": event.id,
            "status": "conflict",
            "webhook_ids": [],
            "detail": str(result),
        }
    status = "duplicate" if result.duplicate else "accepted"
    ids = list(result.webhook_ids)
    return {"event_id": event.id, "status": status, "webhook_ids": ids, "detail": None}


def router(backend: Backend) -> APIRouter:
    """The routes."""
    api, idempotency = EventApi(backend), Idempotency(backend)

    routes = APIRouter(
        tags=["Events"],
        dependencies=[Depends(needs(PERMISSION)), Depends(only())],
    )

    async def published(
        request: Request, call: Call, values: Mapping[str, Any], do: Callable[[Operation], Answer]
    ) -> Response:
        try:
            answer = await idempotency.once(request, call, values, do)
        except NOTHING_DONE:
            raise
        except BaseException:
            backend.deliveries.wake()  # what failed may be stored, in part or whole
            raise
        backend.deliveries.wake()
        return answer

    @routes.post(
        "/events",
        summary="Publish an event",
        status_code=202,
        responses=PUBLISHED,
        openapi_extra=EVENT_BODY,
    )
    async def publish_event(request: Request, call: CurrentCall) -> Response:
        """Publish an event to the merchant's endpoints that want its type. Its `id` makes it one:
        published again, it is a duplicate and adds nothing, so a request whose answer was lost is
        simply sent again. Without an `id` of its own, that takes an `Idempotency-Key`."""
        body = await request.body()

        def do(operation: Operation) -> Answer:
            return api.publish(call, body, operation)

        return await published(request, call, _fingerprint(request, body), do)

    @routes.post(
        "/events/batch",
        summary="Publish many events",
        status_code=202,
        responses=BATCH,
        openapi_extra=BATCH_BODY,
    )
    async def publish_events(request: Request, call: CurrentCall) -> Response:
        """Publish up to 500 events, of 4 MB together. All are checked before anything is written.
        The answer has what became of each, in their order: `accepted`, `duplicate`, or `conflict`
        for one whose id was published before with another type or data; the others are published
        all the same. After a 503 some may be published: send the same batch again."""
        body = await request.body()

        def do(operation: Operation) -> Answer:
            return api.publish_batch(call, body, operation)

        values = await backend.run(_fingerprint, request, body)  # to hash 4 MB takes milliseconds
        return await published(request, call, values, do)

    return routes


def _fingerprint(request: Request, body: bytes) -> dict[str, str]:
    """What tells requests with one key apart."""
    return {"body": hashlib.sha256(body).hexdigest()} if HEADER in request.headers else {}
