"""The route that lists exports."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query
from fastapi.responses import Response
from pydantic import WithJsonSchema

from remit.api.answers import Answer
from remit.api.backend import Backend
from remit.api.call import Call, CurrentCall
from remit.api.documents import export_summary
from remit.api.export_schemas import EXPORTS
from remit.api.filters import After, Before, Cursor, Limit, instant_of, only
from remit.api.pages import ANY_TEXT, limit_of, page, place_of
from remit.clock import format_instant
from remit.errors import FieldError, InvalidRequest
from remit.exports.job import MOVES
from remit.exports.listing import ExportList, Wanted

Statuses = Annotated[
    list[str] | None,
    WithJsonSchema({"type": "array", "items": {"type": "string", "enum": list(MOVES)}}),
    Query(description="Only exports of this status, or of one of several"),
]


class ExportListApi:
    """What the route does, without HTTP."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    def page(self, call: Call, wanted: Wanted, limit: str | None, cursor: str | None) -> Answer:
        """A page of the caller's own exports of reports that the token permits.

        Raises:
            InvalidRequest: the limit is none, or the cursor.
        """
        scope = {
            "exports": call.merchant_id,
            "statuses": sorted(wanted.statuses),
            "after": wanted.after and format_instant(wanted.after),
            "before": wanted.before and format_instant(wanted.before),
        }
        bounds = {"id": ANY_TEXT, "createdAt": wanted.bounds()}
        after, size = place_of(cursor, scope, bounds), limit_of(limit)
        services = self._backend.services
        now = services.clock()
        readable = self._backend.reports.readable(call.caller)
        exports = ExportList(services.tables.export_jobs, call.merchant_id, readable)
        found, last = exports.page(wanted, limit=size, after=after, now=now)
        documents = [export_summary(item, now) for item in found]
        return Answer(200, page(documents, dict(last) if last else None, scope))


def wanted_of(statuses: list[str] | None, after: str | None, before: str | None) -> Wanted:
    """What is asked for.

    Raises:
        InvalidRequest: a status is none, or an instant.
    """
    unknown = [status for status in statuses or () if status not in MOVES]
    if unknown:
        message = f"there is no status {unknown[0][:40]!r}"
        raise InvalidRequest(FieldError("status", message, tuple(MOVES)))
    return Wanted(
        frozenset(statuses or ()),
        instant_of("created_after", after),
        instant_of("created_before", before),
    )


def router(backend: Backend) -> APIRouter:
    """The route."""
    api = ExportListApi(backend)
    routes = APIRouter(tags=["Exports"])

    @routes.get(
        "/exports",
        summary="List exports",
        responses=dict(EXPORTS),
        dependencies=[
            Depends(only("limit", "cursor", "created_after", "created_before", several=["status"]))
        ],
    )
    async def list_exports(
        call: CurrentCall,
        *,
        status: Statuses = None,
        created_after: After = None,
        created_before: Before = None,
        limit: Limit = None,
        cursor: Cursor = None,
    ) -> Response:
        """The merchant's exports of reports that the token permits, the newest first. A page may be
        shorter than `limit`, or empty, though there are more: there are as long as there is a
        `next_cursor`. One that is a moment old may be missing."""
        wanted = wanted_of(status, created_after, created_before)
        return (await backend.run(api.page, call, wanted, limit, cursor)).response()

    return routes
