"""Routes of replays: many webhooks are delivered once more."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from remit.api.answers import Answer
from remit.api.backend import Backend
from remit.api.call import Call, CurrentCall
from remit.api.fields import INSTANT, Fields
from remit.api.filters import only
from remit.api.idempotency import Idempotency, Operation
from remit.api.parameters import Body
from remit.api.permissions import needs
from remit.api.webhook_documents import count_document, replay_document
from remit.api.webhook_schemas import REPLAY, REPLAY_BODY, REPLAY_REQUESTED
from remit.errors import FieldError, InvalidRequest
from remit.webhooks.replay_filter import DEAD, DEFAULT_RATE, ReplayFilter
from remit.webhooks.replay_job import count_replay, find_replay, request_replay

PERMISSION = "webhooks"

_COUNTED_PAGES = 20
"""Of a thousand webhooks, that a dry run looks at: somebody waits for its answer."""


class ReplayApi:
    """What the routes do, without HTTP."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    def request(self, call: Call, values: Mapping[str, Any], operation: Operation) -> Answer:
        """Ask for a replay, or count what it would do."""
        wanted, rate, is_dry = wanted_of(values)
        services, merchant = self._backend.services, call.merchant_id
        if is_dry:
            count = count_replay(services, merchant, wanted, rate=rate, pages=_COUNTED_PAGES)
            return Answer(200, count_document(count))
        record = request_replay(
            services,
            merchant,
            wanted,
            actor=call.actor,
            rate=rate,
            new_id=lambda _: operation.id,
        )
        return Answer(202, replay_document(record))

    def get(self, call: Call, replay: str) -> Answer:
        """A replay of the caller's own webhooks."""
        record = find_replay(self._backend.services, call.merchant_id, replay)
        return Answer(200, replay_document(record))


def wanted_of(values: Mapping[str, Any]) -> tuple[ReplayFilter, Any, bool]:
    """The filter, the rate, which is unchecked, and whether it is a dry run.

    Raises:
        InvalidRequest: a field is of the wrong type, or missing.
    """
    fields = Fields(
        values, "since", "until", "endpoint", "type", "status", "reason", "rate", "dry_run"
    )
    since, until = fields.instant("since"), fields.instant("until")
    endpoint, types = fields.text("endpoint"), fields.texts("type")
    statuses, reasons = fields.texts("status"), fields.texts("reason")
    is_dry = fields.flag("dry_run")
    if values.get("since") is None:
        fields.errors.append(FieldError("since", "missing", INSTANT))
    if since is None or fields.errors:
        raise InvalidRequest(*fields.errors)
    rate = values.get("rate")
    wanted = ReplayFilter(
        since=since,
        until=until,
        endpoint_id=endpoint,
        event_types=types or (),
        statuses=DEAD if statuses is None else statuses,
        reason_codes=reasons or (),
    )
    return wanted, DEFAULT_RATE if rate is None else rate, is_dry


def router(backend: Backend) -> APIRouter:
    """The routes."""
    api, idempotency = ReplayApi(backend), Idempotency(backend)
    routes = APIRouter(
        prefix="/webhooks",
        tags=["Webhooks"],
        dependencies=[Depends(needs(PERMISSION)), Depends(only())],
    )

    @routes.post(
        "/replay",
        summary="Replay many webhooks",
        status_code=202,
        responses=REPLAY_REQUESTED,
        openapi_extra=REPLAY_BODY,
    )
    async def replay_webhooks(request: Request, call: CurrentCall, values: Body) -> Response:
        """Deliver once more what has ended, by a filter, so many per second. It begins within a
        minute; the answer has its id. With `dry_run` it is counted, and nothing is changed."""

        def do(operation: Operation) -> Answer:
            return api.request(call, values, operation)

        return await idempotency.once(request, call, values, do)

    @routes.get("/replays/{replay}", summary="Get a replay", responses=REPLAY)
    async def get_replay(call: CurrentCall, replay: str) -> Response:
        """How far a replay of many is, or what became of it."""
        return (await backend.run(api.get, call, replay)).response()

    return routes
