"""Routes of exports."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from functools import cached_property
from typing import Annotated, Any, Protocol

from anyio import CapacityLimiter, to_thread
from fastapi import APIRouter, Depends, Request, Response

from remit.api.guard import caller_of
from remit.auth import Caller
from remit.aws.items import Item
from remit.clock import epoch_seconds, format_instant
from remit.errors import (
    AlreadyExists,
    FieldError,
    InvalidRequest,
    NotFound,
    NotPermitted,
    StoreUnavailable,
    TriggerUnavailable,
)
from remit.exports.announce import announcement
from remit.exports.job import ExportJob, expiry_of, status_of
from remit.exports.links import Link, mint
from remit.exports.progress import progress_of
from remit.exports.reports import Report, load_reports
from remit.exports.request import ExportRequest, check_length, parse_request
from remit.exports.store import ExportStore
from remit.ids import export_id, export_run_id
from remit.services import Services

log = logging.getLogger(__name__)

EXPORT_DAG = "export_payments"
MAX_BODY_BYTES = 64 * 1024
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
        request = parse_request(values, self._reports)
        self._check_permission(caller, request.report)
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
        self._start(job, request)
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
        self._check_permission(caller, _report_of(item))
        return item

    def _document(self, item: Item) -> dict[str, Any]:
        return {**_status(item, self._services.clock()), **self._links(item)}

    def _check_permission(self, caller: Caller, report: str) -> None:
        # A report that is gone still guards the files that it made, under its own name.
        permission = self._reports[report].permission if report in self._reports else report
        if not caller.may(permission):
            raise NotPermitted(f"the report {report!r} needs the permission {permission!r}")

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

    def _start(self, job: ExportJob, request: ExportRequest) -> None:
        note = f"{job.merchant_id}: {request.report}, {request.start_date} to {request.end_date}"
        try:
            self._runs.start(EXPORT_DAG, export_run_id(job.id, 1), {"export_id": job.id}, note)
        except TriggerUnavailable as error:
            log.error("export %s waits for the poller: %s", job.id, error)  # noqa: TRY400
        except Exception:
            # Whatever it is, the job is stored, and the poller picks it up: the answer is 202.
            log.exception("export %s waits for the poller", job.id)

    def _links(self, item: Item) -> dict[str, Any]:
        status = status_of(item, self._services.clock())
        if status != "completed" or "resultKey" not in item:
            return {"download_url": None, "download_expires_at": None, "manifest_url": None}
        file, manifest = self._mint(item, "resultKey"), self._mint(item, "manifestKey")
        return {
            "download_url": file.url,
            "download_expires_at": format_instant(file.expires_at),
            "manifest_url": manifest.url,
        }

    def _mint(self, item: Item, attribute: str) -> Link:
        settings, now = self._services.settings, self._services.clock()
        until = now + settings.link_lifetime
        if (expires_at := expiry_of(item)) is not None:
            until = min(until, datetime.fromtimestamp(expires_at, UTC))
        return mint(
            self._services.s3,
            self._services.aws,
            bucket=settings.bucket,
            key=item[attribute],
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
    def _reports(self) -> dict[str, Report]:
        return load_reports(self._services.settings.reports)


def _report_of(item: Item) -> str:
    query = item.get("query")
    return str(query.get("Report", "payments")) if isinstance(query, dict) else "payments"


def _status(item: Item, now: datetime) -> dict[str, Any]:
    query = item["query"] if isinstance(item.get("query"), dict) else {}
    error = None
    if item.get("status") == "failed":
        error = {"code": item.get("errorCode", "failed"), "message": item.get("error", "")}
    return {
        "export_id": item["id"],
        "status": status_of(item, now),
        "report": _report_of(item),
        "format": item.get("format", "csv"),
        "start_date": query.get("StartDate"),
        "end_date": query.get("EndDate"),
        "created_at": item.get("createdAt"),
        "updated_at": item.get("updatedAt"),
        "expires_at": _epoch_text(expiry_of(item)),
        "progress": asdict(progress_of(item)),
        "rows": item.get("rows"),
        "bytes": item.get("bytes"),
        "checksum": item.get("checksum"),
        "error": error,
    }


def _epoch_text(seconds: int | None) -> str | None:
    return format_instant(datetime.fromtimestamp(seconds, UTC)) if seconds else None


async def _no_store(response: Response) -> None:
    """Answers hold links that open a merchant's files: no cache may keep them."""
    response.headers["Cache-Control"] = "no-store"


async def _parameters(request: Request) -> dict[str, Any]:
    """The request's fields, from the query string or from a JSON body; each once."""
    values: dict[str, Any] = {}
    for name, value in request.query_params.multi_items():
        _take(values, name, value)
    for name, value in (await _json_body(request)).items():
        _take(values, name, value)
    return values


def _take(values: dict[str, Any], name: str, value: Any) -> None:
    if name in values:
        raise InvalidRequest(FieldError(name, "given more than once", "one value"))
    values[name] = value


def _each_once(members: list[tuple[str, Any]]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for name, value in members:
        _take(values, name, value)
    return values


async def _json_body(request: Request) -> dict[str, Any]:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MAX_BODY_BYTES:
            raise InvalidRequest(FieldError("body", "too large", f"at most {MAX_BODY_BYTES} bytes"))
    if not body:
        return {}
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type != "application/json":
        message = f"the content type is {media_type!r}"
        raise InvalidRequest(FieldError("body", message, "application/json, or no body"))
    try:
        values = json.loads(bytes(body), object_pairs_hook=_each_once)
    except (ValueError, RecursionError):
        raise InvalidRequest(FieldError("body", "not JSON", "a JSON object")) from None
    if not isinstance(values, dict):
        raise InvalidRequest(FieldError("body", "not a JSON object", "a JSON object"))
    return values


CurrentCaller = Annotated[Caller, Depends(caller_of)]
Parameters = Annotated[dict[str, Any], Depends(_parameters)]


def router(api: ExportApi) -> APIRouter:
    """The routes on one `ExportApi`.

    What waits for AWS does so on threads of the hook's own: neither the API server's event loop nor
    the threads of Airflow's own routes are held up when DynamoDB is slow.
    """
    routes = APIRouter(dependencies=[Depends(_no_store)])
    threads = CapacityLimiter(THREADS)

    @routes.post("/payments/export", status_code=202)
    async def create_export(
        request: Request, caller: CurrentCaller, values: Parameters
    ) -> dict[str, Any]:
        created = await to_thread.run_sync(api.create, caller, values, limiter=threads)
        mounted_at = request.scope.get("root_path", "")
        return {**created, "check_url": f"{mounted_at}/exports/{created['export_id']}"}

    @routes.get("/exports/{export}")
    async def get_export(caller: CurrentCaller, export: str) -> dict[str, Any]:
        return await to_thread.run_sync(api.status, caller, export, limiter=threads)

    @routes.post("/exports/{export}/cancel")
    async def cancel_export(caller: CurrentCaller, export: str) -> dict[str, Any]:
        return await to_thread.run_sync(api.cancel, caller, export, limiter=threads)

    return routes
