"""Routes of exports: ask for one, follow it, cancel it, have it made again."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from fastapi import APIRouter, Depends, Request
from fastapi.responses import Response

from remit.api.answers import Answer
from remit.api.backend import Backend
from remit.api.call import Call, CurrentCall, Root
from remit.api.catalog import ReportCatalog
from remit.api.description import export_fields
from remit.api.documents import export_document
from remit.api.export_schemas import ACCEPTED, EXPORT, EXPORT_AGAIN
from remit.api.export_starts import ExportStarts, Stored
from remit.api.filters import only
from remit.api.idempotency import Idempotency, Operation
from remit.api.parameters import Parameters
from remit.auth import Caller
from remit.aws.items import Item
from remit.clock import epoch_seconds
from remit.errors import (
    AlreadyExists,
    FieldError,
    InvalidRequest,
    NotFound,
    StoreUnavailable,
    TooManyExports,
)
from remit.exports.active import check_active_exports
from remit.exports.announce import announcement
from remit.exports.entries import CANCELED, RETRIED, changed, requested
from remit.exports.job import ExportJob, new_item, report_of
from remit.exports.request import check_length
from remit.exports.store import RETRIED as AGAIN
from remit.exports.store import ExportStore, is_key, owned
from remit.ids import export_id
from remit.services import Services

log = logging.getLogger(__name__)

HISTORY = "history"

_ACCEPTED = "Export job created. You will receive a notification when complete."


class ExportApi:
    """What the routes do, without HTTP. `root` is where the hook is mounted."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    def create(
        self,
        call: Call,
        values: Mapping[str, Any],
        operation: Operation,
        root: str,
        stored: Stored,
    ) -> Answer:
        """Store a job, whose run is to be started then.

        The ids of the job and of the run are made of the operation: done again, it is the same job
        and the same run.
        """
        request = self._reports.parse(call.caller, values)
        if not call.caller.may(HISTORY):
            check_length(request, self._services.settings.max_range_days)
        now = operation.at
        job = ExportJob(
            id=export_id(now, operation.bits),
            merchant_id=call.merchant_id,
            request=request,
            created_at=now,
            expires_at=epoch_seconds(now + self._services.settings.export_retention),
        )
        self._check_active(job)
        self._keep(job, requested(self._services, job, call.actor))
        log.info("export %s for %r, asked for by %r", job.id, call.merchant_id, call.actor.name)
        stored(new_item(job))
        created = {"export_id": job.id, "status": "pending", "message": _ACCEPTED}
        return Answer(202, {**created, "check_url": path_of(root, job.id)})

    async def status(self, call: Call, export: str, root: str) -> Answer:
        """An export of the caller's own. Asked for time and again: it holds no thread."""
        services, item = await self._backend.connected(), None
        if is_key(export):
            item = await self._backend.reader.get(services, services.tables.export_jobs, export)
        item = owned(item, export, call.merchant_id)
        report = report_of(item)
        if not self._reports.check_permission_lately(call.caller, report):
            await self._backend.run(self._reports.check_permission, call.caller, report)
        return Answer(200, self._document(item, root))

    def cancel(self, call: Call, export: str, root: str) -> Answer:
        """Cancel an export of the caller's own that is not finished; again is no error."""
        own_export(self._backend, call.caller, export)
        merchant, actor = call.merchant_id, call.actor
        news = announcement(self._services, merchant, export, "canceled", {})
        entry = changed(self._services, merchant, export, CANCELED, actor)
        item = self._store.cancel(export, merchant, actor.name, news, [entry])
        return Answer(200, self._document(item, root))

    def retry(
        self, call: Call, export: str, operation: Operation, root: str, stored: Stored
    ) -> Answer:
        """Have an export of the caller's own made again that has failed or was canceled."""
        found = own_export(self._backend, call.caller, export)
        if found.get("status") in AGAIN:
            check_active_exports(self._services, call.merchant_id)
        entry = changed(self._services, call.merchant_id, export, RETRIED, call.actor)
        item = self._store.retry(export, call.merchant_id, operation.id, [entry])
        if item.get("status") == "pending":
            stored(item)
        return Answer(202, self._document(item, root))

    def _document(self, item: Item, root: str) -> dict[str, Any]:
        return export_document(item, self._services.clock(), path_of(root, item["id"]))

    def _check_active(self, job: ExportJob) -> None:
        """Let a job pass that the merchant may have beside those that are under way, or that is one
        of them: the same operation was broken off when it was stored.

        Raises:
            TooManyExports: the merchant has so many that no more are taken.
        """
        try:
            check_active_exports(self._services, job.merchant_id)
        except TooManyExports:
            try:
                self._store.get(job.id)
            except NotFound:
                pass
            else:
                return
            raise

    def _keep(self, job: ExportJob, entry: Mapping[str, Any]) -> None:
        """Store a job. A write whose answer was lost may have taken place, and so may the same
        operation before: nobody else's has this id, so whoever finds it finds this job.

        Raises:
            StoreUnavailable: nothing is known to be stored.
        """
        try:
            self._store.create(job, [entry])
        except AlreadyExists:
            log.info("export %s is stored already", job.id)
        except StoreUnavailable as error:
            try:
                self._store.get(job.id)
            except (NotFound, StoreUnavailable):
                raise error from None
            log.info("export %s was stored, though: %s", job.id, error)

    @property
    def _services(self) -> Services:
        return self._backend.services

    @property
    def _store(self) -> ExportStore:
        return self._backend.exports

    @property
    def _reports(self) -> ReportCatalog:
        return self._backend.reports


def own_export(backend: Backend, caller: Caller, export: str) -> Item:
    """The record of an export that the caller may read.

    Raises:
        NotFound: the merchant has none of that id.
        NotPermitted: the token lacks the permission of its report.
    """
    item = backend.exports.get_own(export, caller.merchant_id)
    backend.reports.check_permission(caller, report_of(item))
    return item


def path_of(root: str, export: str) -> str:
    """Where an export is, on the server's origin."""
    return f"{root}/exports/{quote(export, safe='')}"


async def nothing(values: Parameters) -> None:
    """For routes that take no fields.

    Raises:
        InvalidRequest: there are some.
    """
    if values:
        raise InvalidRequest(
            *(FieldError(name, "unknown parameter", "no fields") for name in values)
        )


def router(backend: Backend) -> APIRouter:
    """The routes."""
    api = ExportApi(backend)
    idempotency, starts = Idempotency(backend), ExportStarts(backend)
    routes = APIRouter(tags=["Exports"])

    @routes.post(
        "/payments/export",
        status_code=202,
        summary="Ask for an export",
        responses=dict(ACCEPTED),
        openapi_extra=export_fields(),
    )
    async def create_export(
        request: Request, call: CurrentCall, values: Parameters, root: Root
    ) -> Response:
        """The fields are query parameters, members of a JSON object, or both; each is given once,
        `start_date` and `end_date` always. `GET /reports` has the reports, their columns and their
        filters."""

        def do(operation: Operation, stored: Stored) -> Answer:
            return api.create(call, values, operation, root, stored)

        return await starts.once(request, call, values, do)

    @routes.get(
        "/exports/{export}",
        summary="Follow an export",
        responses=dict(EXPORT),
        dependencies=[Depends(only())],
    )
    async def get_export(call: CurrentCall, export: str, root: Root) -> Response:
        """How far an export is, and where its files are once it is completed: paths that lead to
        links, which end soon, at each request to a new one."""
        return (await api.status(call, export, root)).response()

    @routes.post(
        "/exports/{export}/cancel",
        summary="Cancel an export",
        responses=dict(EXPORT),
        dependencies=[Depends(nothing)],
    )
    async def cancel_export(
        request: Request, call: CurrentCall, export: str, root: Root
    ) -> Response:
        """Only one that is `pending` or `processing`; to cancel it again is no error."""

        def do(_: Operation) -> Answer:
            return api.cancel(call, export, root)

        answer = await idempotency.once(request, call, {}, do)
        backend.deliveries.wake()  # the announcement
        return answer

    @routes.post(
        "/exports/{export}/retry",
        status_code=202,
        summary="Have an export made again",
        responses=dict(EXPORT_AGAIN),
        dependencies=[Depends(nothing)],
    )
    async def retry_export(
        request: Request, call: CurrentCall, export: str, root: Root
    ) -> Response:
        """Only one that is `failed` or `canceled`. It keeps its id, its fields and the instant up
        to which records count, and expires when it would have. If its end was announced by a
        webhook before, the same end is not announced again."""

        def do(operation: Operation, stored: Stored) -> Answer:
            return api.retry(call, export, operation, root, stored)

        return await starts.once(request, call, {}, do)

    return routes
