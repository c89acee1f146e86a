"""Routes of exports."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import partial
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Request

from remit.api.backend import Backend
from remit.api.call import CurrentCall
from remit.api.catalog import ReportCatalog
from remit.api.description import EXPORT, PROBLEMS, export_fields
from remit.api.documents import export_document
from remit.api.parameters import parameters
from remit.auth import Caller
from remit.aws.items import Item
from remit.clock import epoch_seconds
from remit.errors import AlreadyExists, NotFound, StoreUnavailable, TriggerUnavailable
from remit.exports.announce import announcement
from remit.exports.job import ExportJob, expiry_of, new_item, report_of, summary_of
from remit.exports.links import Link, mint
from remit.exports.request import check_length
from remit.exports.store import ExportStore
from remit.ids import export_id, export_run_id
from remit.services import Services

log = logging.getLogger(__name__)

EXPORT_DAG = "export_payments"
HISTORY = "history"

_ACCEPTED = "Export job created. You will receive a notification when complete."


class ExportApi:
    """What the routes do, without HTTP."""

    def __init__(self, backend: Backend) -> None:
        self._backend = backend

    def create(self, caller: Caller, values: Mapping[str, Any]) -> dict[str, Any]:
        """Store a job, start its run, and answer as soon as the job is stored."""
        request = self._reports.parse(caller, values)
        if not caller.may(HISTORY):
            check_length(request, self._services.settings.max_range_days)
        now = self._services.clock()
        job = ExportJob(
            id=export_id(now),
            merchant_id=caller.merchant_id,
            request=request,
            created_at=now,
            expires_at=epoch_seconds(now + self._services.settings.export_retention),
        )
        self._keep(job)
        log.info("export %s for %r, asked for by %r", job.id, caller.merchant_id, caller.email)
        self._start(job)
        return {"export_id": job.id, "status": "pending", "message": _ACCEPTED}

    def status(self, caller: Caller, export: str) -> dict[str, Any]:
        """An export of the caller's own, with fresh links while it is completed."""
        return self._document(self._own(caller, export))

    def cancel(self, caller: Caller, export: str) -> dict[str, Any]:
        """Cancel an export of the caller's own that is not finished; again is no error."""
        self._own(caller, export)
        merchant = caller.merchant_id
        news = announcement(self._services, merchant, export, "canceled", {})
        by = caller.email or merchant
        return self._document(self._store.cancel(export, merchant, by, news))

    def _own(self, caller: Caller, export: str) -> Item:
        item = self._store.get(export)
        if item.get("merchantID") != caller.merchant_id:
            raise NotFound(f"there is no export {export!r}")
        self._reports.check_permission(caller, report_of(item))
        return item

    def _document(self, item: Item) -> dict[str, Any]:
        return export_document(item, self._services.clock(), partial(self._link, item))

    def _keep(self, job: ExportJob) -> None:
        """Store a job. A write whose answer was lost may have taken place: its id is fresh, so
        whoever finds it finds this job, and the merchant need not ask again.

        Raises:
            StoreUnavailable: nothing is known to be stored.
        """
        try:
            self._store.create(job)
        except AlreadyExists:
            log.info("export %s was stored by a write whose answer was lost", job.id)
        except StoreUnavailable as error:
            try:
                self._store.get(job.id)
            except (NotFound, StoreUnavailable):
                raise error from None
            log.info("export %s was stored, though: %s", job.id, error)

    def _start(self, job: ExportJob) -> None:
        run_id, note = export_run_id(job.id, 1), summary_of(new_item(job))
        try:
            self._backend.trigger.start(EXPORT_DAG, run_id, {"export_id": job.id}, note)
        except TriggerUnavailable as error:
            log.error("export %s waits for the poller: %s", job.id, error)  # noqa: TRY400
        except Exception:
            # Whatever it is, the job is stored, and the poller picks it up: the answer is 202.
            log.exception("export %s waits for the poller", job.id)

    def _link(self, item: Item, key: str) -> Link:
        settings, now = self._services.settings, self._services.clock()
        until = now + settings.link_lifetime
        if (expires_at := expiry_of(item)) is not None:
            until = min(until, datetime.fromtimestamp(expires_at, UTC))
        return mint(
            self._services.s3,
            self._services.aws,
            bucket=settings.bucket,
            key=key,
            now=now,
            until=until,
        )

    @property
    def _services(self) -> Services:
        return self._backend.services

    @property
    def _store(self) -> ExportStore:
        return self._backend.exports

    @property
    def _reports(self) -> ReportCatalog:
        return self._backend.reports


Parameters = Annotated[dict[str, Any], Depends(parameters)]


def router(backend: Backend) -> APIRouter:
    """The routes."""
    api = ExportApi(backend)
    routes = APIRouter(tags=["Exports"], responses=PROBLEMS)

    @routes.post("/payments/export", status_code=202, openapi_extra=export_fields())
    async def create_export(
        request: Request, call: CurrentCall, values: Parameters
    ) -> dict[str, Any]:
        """Ask for an export. The fields are query parameters, members of a JSON object, or both;
        each is given once, `start_date` and `end_date` always. `GET /reports` has the reports,
        their columns and their filters."""
        created = await backend.run(api.create, call.caller, values)
        mounted_at = request.scope.get("root_path", "")
        return {**created, "check_url": f"{mounted_at}/exports/{created['export_id']}"}

    @routes.get("/exports/{export}", responses=dict(EXPORT))
    async def get_export(call: CurrentCall, export: str) -> dict[str, Any]:
        """How far an export is, and links to its files once it is completed."""
        return await backend.run(api.status, call.caller, export)

    @routes.post("/exports/{export}/cancel", responses=dict(EXPORT))
    async def cancel_export(call: CurrentCall, export: str) -> dict[str, Any]:
        """Cancel an export that is not finished; to cancel it again is no error."""
        return await backend.run(api.cancel, call.caller, export)

    return routes
