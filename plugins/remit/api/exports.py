"""Routes of exports."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from functools import cached_property, partial
from typing import Annotated, Any, Protocol

from anyio import CapacityLimiter, to_thread
from fastapi import APIRouter, Depends, Request, Response

from remit.api.description import EXPORT, PROBLEMS, export_fields
from remit.api.documents import export_document
from remit.api.guard import caller_of
from remit.api.parameters import parameters
from remit.api.reports import ReportCatalog
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
THREADS = 16
HISTORY = "history"

_ACCEPTED = "Export job created. You will receive a notification when complete."


class RunStarter(Protocol):
    """Starts DAG runs; the same run id twice is one run."""

    def start(self, dag_id: str, run_id: str, conf: Mapping[str, Any], note: str) -> None:
        """Start a run.

        Raises:
            TriggerUnavailable: Airflow did not take it.
        """


class ExportApi:
    """What the routes do, without HTTP."""

    def __init__(self, connect: Callable[[], Services], runs: RunStarter) -> None:
        self._connect = connect
        self._runs = runs

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

    def list_reports(self, caller: Caller) -> dict[str, Any]:
        """The reports that the caller may ask for."""
        return self._reports.list(caller)

    def report(self, caller: Caller, name: str) -> dict[str, Any]:
        """One report that the caller may ask for."""
        return self._reports.one(caller, name)

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
            self._runs.start(EXPORT_DAG, run_id, {"export_id": job.id}, note)
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

    @cached_property
    def _services(self) -> Services:
        return self._connect()

    @cached_property
    def _store(self) -> ExportStore:
        services = self._services
        return ExportStore(services.export_queue, services.settings, services.clock)

    @cached_property
    def _reports(self) -> ReportCatalog:
        return ReportCatalog(self._services.settings.reports)


async def _no_store(response: Response) -> None:
    """Answers hold links that open a merchant's files: no cache may keep them."""
    response.headers["Cache-Control"] = "no-store"


CurrentCaller = Annotated[Caller, Depends(caller_of)]
Parameters = Annotated[dict[str, Any], Depends(parameters)]


def router(api: ExportApi) -> APIRouter:
    """The routes on one `ExportApi`.

    What waits for AWS does so on threads of the hook's own: neither the API server's event loop nor
    the threads of Airflow's own routes are held up when DynamoDB is slow.
    """
    routes = APIRouter(dependencies=[Depends(_no_store)], responses=PROBLEMS)
    threads = CapacityLimiter(THREADS)

    @routes.post("/payments/export", status_code=202, openapi_extra=export_fields())
    async def create_export(
        request: Request, caller: CurrentCaller, values: Parameters
    ) -> dict[str, Any]:
        """Ask for an export. The fields are query parameters, members of a JSON object, or both;
        each is given once, `start_date` and `end_date` always. `GET /reports` has the reports,
        their columns and their filters."""
        created = await to_thread.run_sync(api.create, caller, values, limiter=threads)
        mounted_at = request.scope.get("root_path", "")
        return {**created, "check_url": f"{mounted_at}/exports/{created['export_id']}"}

    @routes.get("/exports/{export}", responses=dict(EXPORT))
    async def get_export(caller: CurrentCaller, export: str) -> dict[str, Any]:
        """How far an export is, and links to its files once it is completed."""
        return await to_thread.run_sync(api.status, caller, export, limiter=threads)

    @routes.post("/exports/{export}/cancel", responses=dict(EXPORT))
    async def cancel_export(caller: CurrentCaller, export: str) -> dict[str, Any]:
        """Cancel an export that is not finished; to cancel it again is no error."""
        return await to_thread.run_sync(api.cancel, caller, export, limiter=threads)

    @routes.get("/reports")
    async def list_reports(caller: CurrentCaller) -> dict[str, Any]:
        """The reports that the token's permissions allow."""
        return await to_thread.run_sync(api.list_reports, caller, limiter=threads)

    @routes.get("/reports/{name}")
    async def get_report(caller: CurrentCaller, name: str) -> dict[str, Any]:
        """One report: its columns with their types and units, its filters, the formats."""
        return await to_thread.run_sync(api.report, caller, name, limiter=threads)

    @routes.get("/openapi.json", include_in_schema=False)
    async def describe(request: Request) -> dict[str, Any]:
        mounted_at = request.scope.get("root_path", "")
        return {**request.app.openapi(), "servers": [{"url": mounted_at or "/"}]}

    return routes
