"""Routes of schedules."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from remit.api.answers import NO_CONTENT, Answer
from remit.api.backend import Backend
from remit.api.call import Call, CurrentCall, Root
from remit.api.fields import Fields
from remit.api.filters import Cursor, Limit, only
from remit.api.idempotency import Idempotency, Operation
from remit.api.pages import limit_of, page, place_of
from remit.api.parameters import Body
from remit.api.permissions import needs
from remit.api.schedule_documents import (
    CHANGES,
    CREATED,
    NEW,
    SCHEDULE,
    SCHEDULES,
    schedule_document,
)
from remit.errors import FieldError, InvalidRequest
from remit.schedules.schedule import Schedule, schedule_id
from remit.schedules.schedule_request import Rules
from remit.schedules.store import ScheduleStore
from remit.webhooks.endpoint_request import shown

PERMISSION = "schedules"

_FIRST, _LAST = "schedule-", "schedule-~"
"""Before and after the id of every schedule."""


class ScheduleApi:
    """What the routes do, without HTTP."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    def create(
        self, call: Call, values: Mapping[str, Any], mounted_at: str, operation: Operation
    ) -> Answer:
        """Store a schedule. An operation that was broken off is taken up again: its id leads to
        the schedule's."""
        schedule = self._store.create(
            call.merchant_id,
            values,
            self._rules(call),
            actor=call.actor,
            id=schedule_id(operation.at, operation.bits),
            at=operation.at,
        )
        location = f"{mounted_at}/schedules/{schedule.id}"
        return Answer(201, self._document(schedule), {"Location": location})

    def list(self, call: Call, limit: str | None, cursor: str | None) -> Answer:
        """The caller's own schedules, the oldest first, of the reports that the token allows."""
        size, scope = limit_of(limit), {"list": "schedules", "merchant": call.merchant_id}
        start = place_of(cursor, scope, {"id": (_FIRST, _LAST)})
        after = _FIRST if start is None else start["id"]
        readable = self._backend.reports.readable(call.caller)
        # A merchant has so few that all are read.
        found = [
            schedule
            for schedule in self._store.list(call.merchant_id)
            if schedule.id > after and readable(schedule.report)
        ]
        data = found[:size]
        last = {"id": data[-1].id} if len(found) > size else None
        return Answer(200, page([self._document(schedule) for schedule in data], last, scope))

    def get(self, call: Call, schedule: str) -> Answer:
        """A schedule of the caller's own."""
        return Answer(200, self._document(self._own(call, schedule)))

    def change(self, call: Call, schedule: str, values: Mapping[str, Any]) -> Answer:
        """Change a schedule of the caller's own. `version` says from which version."""
        self._own(call, schedule)
        fields = {name: value for name, value in values.items() if name != "version"}
        changed = self._store.change(
            call.merchant_id,
            schedule,
            fields,
            self._rules(call),
            actor=call.actor,
            version=_version_of(values.get("version")),
        )
        return Answer(200, self._document(changed))

    def pause(self, call: Call, schedule: str, values: Mapping[str, Any]) -> Answer:
        """Pause a schedule of the caller's own."""
        Fields(values).check()
        self._own(call, schedule)
        paused = self._store.pause(call.merchant_id, schedule, actor=call.actor)
        return Answer(200, self._document(paused))

    def resume(self, call: Call, schedule: str, values: Mapping[str, Any]) -> Answer:
        """Resume a schedule of the caller's own."""
        Fields(values).check()
        self._own(call, schedule)
        resumed = self._store.resume(call.merchant_id, schedule, actor=call.actor)
        return Answer(200, self._document(resumed))

    def delete(self, call: Call, schedule: str) -> Answer:
        """Delete a schedule of the caller's own."""
        self._own(call, schedule)
        self._store.delete(call.merchant_id, schedule, actor=call.actor)
        return Answer(NO_CONTENT, {})

    def _own(self, call: Call, schedule: str) -> Schedule:
        found = self._store.get(call.merchant_id, schedule)
        self._backend.reports.check_permission(call.caller, found.report)
        return found

    def _document(self, schedule: Schedule) -> dict[str, Any]:
        return schedule_document(schedule, self._backend.services.clock())

    def _rules(self, call: Call) -> Rules:
        parse = partial(self._backend.reports.parse, call.caller)
        return Rules(parse, self._backend.services.settings.export_destinations)

    @property
    def _store(self) -> ScheduleStore:
        return ScheduleStore(self._backend.services)


_NO_QUERY = (Depends(only()),)


def router(backend: Backend) -> APIRouter:
    """The routes."""
    api, idempotency = ScheduleApi(backend), Idempotency(backend)
    routes = APIRouter(
        prefix="/schedules",
        tags=["Schedules"],
        dependencies=[Depends(needs(PERMISSION))],
    )

    @routes.post(
        "",
        summary="Create a schedule",
        status_code=201,
        responses=CREATED,
        openapi_extra=NEW,
        dependencies=_NO_QUERY,
    )
    async def create_schedule(
        request: Request, call: CurrentCall, values: Body, root: Root
    ) -> Response:
        """Ask for an export of every hour, day, week or month from now on. The fields are those of
        `POST /payments/export` without the dates, and those of a schedule. A merchant has 100
        schedules at the most."""
        create = partial(api.create, call, values, root)
        return await idempotency.once(request, call, values, create)

    @routes.get(
        "",
        summary="List schedules",
        responses=SCHEDULES,
        dependencies=[Depends(only("limit", "cursor"))],
    )
    async def list_schedules(
        call: CurrentCall, limit: Limit = None, cursor: Cursor = None
    ) -> Response:
        """The schedules, the oldest first, of the reports that the token allows."""
        return (await backend.run(api.list, call, limit, cursor)).response()

    @routes.get("/{schedule}", summary="Get a schedule", responses=SCHEDULE, dependencies=_NO_QUERY)
    async def get_schedule(call: CurrentCall, schedule: str) -> Response:
        """One schedule, with the period that it exports next."""
        return (await backend.run(api.get, call, schedule)).response()

    @routes.patch(
        "/{schedule}",
        summary="Change a schedule",
        responses=SCHEDULE,
        openapi_extra=CHANGES,
        dependencies=_NO_QUERY,
    )
    async def change_schedule(
        request: Request, call: CurrentCall, schedule: str, values: Body
    ) -> Response:
        """Set the given fields; null takes one back to what it is by default. With the `version`
        that was read, nobody else's change is lost: if there was one since, the answer is 409."""
        return await idempotency.once(
            request, call, values, lambda _: api.change(call, schedule, values)
        )

    @routes.post(
        "/{schedule}/pause",
        summary="Pause a schedule",
        responses=SCHEDULE,
        dependencies=_NO_QUERY,
    )
    async def pause_schedule(
        request: Request, call: CurrentCall, schedule: str, values: Body
    ) -> Response:
        """Make no exports until it is resumed; to pause it again is no error."""
        return await idempotency.once(
            request, call, values, lambda _: api.pause(call, schedule, values)
        )

    @routes.post(
        "/{schedule}/resume",
        summary="Resume a schedule",
        responses=SCHEDULE,
        dependencies=_NO_QUERY,
    )
    async def resume_schedule(
        request: Request, call: CurrentCall, schedule: str, values: Body
    ) -> Response:
        """Make exports again, beginning with the period that ends next; what ended meanwhile is
        not made up for. To resume it again is no error."""
        return await idempotency.once(
            request, call, values, lambda _: api.resume(call, schedule, values)
        )

    @routes.delete(
        "/{schedule}",
        summary="Delete a schedule",
        status_code=204,
        dependencies=_NO_QUERY,
    )
    async def delete_schedule(request: Request, call: CurrentCall, schedule: str) -> Response:
        """Delete a schedule. The exports that it made stay."""
        return await idempotency.once(request, call, {}, lambda _: api.delete(call, schedule))

    return routes


def _version_of(value: Any) -> int | None:
    if value is None or type(value) is int:
        return value
    allowed = "the version that was read, a whole number"
    raise InvalidRequest(FieldError("version", f"{shown(value)} is not a version", allowed))
