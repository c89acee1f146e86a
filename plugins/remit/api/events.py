"""Routes that publish events, for the services that make them happen."""

from __future__ import annotations

import hashlib
from typing import Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from remit.api.answers import Answer
from remit.api.backend import Backend
from remit.api.call import Call, CurrentCall
from remit.api.event_bodies import parse_exactly, read_event, read_events
from remit.api.event_schemas import BATCH, BATCH_BODY, EVENT_BODY, PUBLISHED
from remit.api.filters import only
from remit.api.idempotency import HEADER, Idempotency, Operation
from remit.api.permissions import needs
from remit.errors import Conflict
from remit.webhooks.event import Event
from remit.webhooks.outbox import Published

PERMISSION = "events"


class EventApi:
    """What the routes do, without HTTP. Events are of the caller's own merchant."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    def publish(self, call: Call, body: bytes, operation: Operation) -> Answer:
        """Publish one event."""
        event = read_event(
            parse_exactly(body), call.merchant_id, default_id=_id_of(operation), now=operation.at
        )
        published = self._backend.outbox.publish(event)
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
        results = self._backend.outbox.publish_each(events)
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

        answer = await idempotency.once(request, call, _fingerprint(request, body), do)
        backend.deliveries.wake()
        return answer

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
        try:
            return await idempotency.once(request, call, values, do)
        finally:
            backend.deliveries.wake()  # a batch that failed may be stored in part

    return routes


def _fingerprint(request: Request, body: bytes) -> dict[str, str]:
    """What tells requests with one key apart."""
    return {"body": hashlib.sha256(body).hexdigest()} if HEADER in request.headers else {}
