"""Exports that a DAG run itself asks for: the form of `export_payments`, and the job behind a run.

A run names a job that is stored already (`export_id`: the hook's and the poller's runs do), or it
says what to export, in the UI's form or in the `conf` of a REST call. Then the job is created here,
under an id made of the run, so that a task that is retried or cleared finds the same job.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from airflow.sdk import Param
from airflow.sdk.exceptions import AirflowFailException

from remit.aws.items import Item
from remit.clock import epoch_seconds
from remit.errors import AlreadyExists, ConfigurationError, FieldError, InvalidRequest
from remit.exports.job import DEFAULT_REPORT, ExportJob, new_item, options_of, summary_of
from remit.exports.request import ExportRequest, parse_request
from remit.settings import Settings

if TYPE_CHECKING:
    from remit.exports.pipeline import ExportPipeline

log = logging.getLogger(__name__)

_STORED, _WHAT, _FILTERS, _FILE = "An export that is stored", "A new export", "Filters", "File"

_FORM: Mapping[str, tuple[str, str, str]] = MappingProxyType(
    {
        "export_id": (
            _STORED,
            "Export",
            "The id of a job in the table ExportJobs, which has its options: give nothing else.",
        ),
        "merchant_id": (_WHAT, "Merchant", "Whose records to export. With it, both dates."),
        "report": (_WHAT, "Report", "A report of the folder REMIT_REPORTS, by its file's name."),
        "start_date": (
            _WHAT,
            "First day",
            "A day (2026-01-01), or an instant with its offset (2026-01-01T00:00:00Z).",
        ),
        "end_date": (
            _WHAT,
            "Last day",
            "A day (2026-01-31), exported whole, or an instant with its offset, exclusive.",
        ),
        "timezone": (_WHAT, "Time zone", "The IANA time zone of the days, such as Europe/Berlin."),
        "status": (_FILTERS, "Status", "Only records of this status, such as succeeded."),
        "currency": (_FILTERS, "Currency", "Only records in this currency: ISO 4217, such as USD."),
        "customer_id": (_FILTERS, "Customer", "Only records of this customer."),
        "min_amount": (_FILTERS, "Least amount", "In minor units (cents), inclusive."),
        "max_amount": (_FILTERS, "Greatest amount", "In minor units (cents), inclusive."),
        "format": (_FILE, "Format", "json is one object per line."),
        "columns": (
            _FILE,
            "Columns",
            "Names with commas between, in the order of the file; by default the report's own.",
        ),
        "compression": (_FILE, "Compression", "Of csv and json; the others compress inside."),
        "split_rows": (_FILE, "Rows of one file", "At most so many; by default one file has all."),
    }
)
"""Field to its section, title and description in the form."""

_OWN = frozenset({"openlineage", "airflow/task_span_detail_level"})
"""What Airflow itself puts into a run's conf."""


def form() -> dict[str, Param]:
    """The params of `export_payments`: the fields of `ExportRequest`, and whose export it is."""
    schema = ExportRequest.model_json_schema()["properties"]
    return {name: _param(name, schema.get(name, {"type": "string"})) for name in _FORM}


def _param(name: str, field: Mapping[str, Any]) -> Param:
    section, title, description = _FORM[name]
    (kind,) = (one for one in field.get("anyOf", [field]) if one["type"] != "null")
    rules = {key: kind[key] for key in ("enum", "maxLength") if key in kind}
    default, types = field.get("default"), [kind["type"]]
    if kind["type"] == "array":
        types = ["string", "array"]  # a text in the form, a list in a conf
    if kind["type"] == "string" and "enum" not in kind:
        rules["minLength"] = 1
    if default is None:
        types = ["null", *types]
    if name == "report":
        rules["examples"] = _report_names()
    return Param(
        default,
        type=types if len(types) > 1 else types[0],
        title=title,
        description=description,
        section=section,
        **rules,
    )


def _report_names() -> list[str]:
    """The form's proposals; other names are taken, too, and checked by the task."""
    try:
        folder = Settings.from_environment().reports
    except ConfigurationError:
        return [DEFAULT_REPORT]  # the task says what is wrong
    return sorted({path.stem for path in folder.glob("*.sql")} | {DEFAULT_REPORT})


def export_of_run(params: Mapping[str, Any], dag_run: Any) -> str:
    """The id of the export that a run is for; creates the job if the run asks for a new one.

    Raises:
        AirflowFailException: the run's conf is wrong. The message says what is, and what is right.
    """
    from remit.airflow.exports import export_task  # imports AWS, which a DAG file must not

    given = _given(params)
    export_id = given.pop("export_id", None)
    if export_id is not None:
        _refuse_beside(export_id, given)
        return str(export_id)
    if not given:
        raise AirflowFailException(
            "the run does not say what to export: give export_id for an export that is stored, or "
            "merchant_id, start_date and end_date for a new one"
        )
    with export_task() as pipeline:
        return create_from_conf(pipeline, given, dag_run)


def create_from_conf(pipeline: ExportPipeline, values: Mapping[str, Any], dag_run: Any) -> str:
    """Store the job that a run asks for, once for all tries of its task, with its entry in the
    audit log; returns its id.

    Who may start runs is an operator: neither permissions nor the limit of the range hold here.

    Raises:
        AirflowFailException: a value is wrong, or the run's id has been used for another export.
        ReportError: the report's file is wrong.
        StoreUnavailable: try again.
    """
    # They import AWS, which a DAG file must not.
    from remit.airflow.actors import actor_of
    from remit.exports.entries import requested

    merchant, request = _validated(values, pipeline)
    now = pipeline.store.queue.now()
    job = ExportJob(
        id=export_id_for(dag_run),
        merchant_id=merchant,
        request=request,
        created_at=now,
        expires_at=epoch_seconds(now + pipeline.settings.export_retention),
    )
    try:
        pipeline.store.create(job, [requested(pipeline.services, job, actor_of(dag_run))])
        log.info("export %s is stored: %s", job.id, summary_of(new_item(job)))
    except AlreadyExists:
        _check_same(pipeline.store.get(job.id), new_item(job))
    return job.id


def export_id_for(dag_run: Any) -> str:
    """The id of the export that a run asks for: the same in every try and after every clear.

    `run_after` is in it since a run may be deleted, and another be started under its id.
    """
    name = f"{dag_run.dag_id}\n{dag_run.run_id}\n{dag_run.run_after.timestamp()}"
    return f"export-{hashlib.sha256(name.encode()).hexdigest()[:32]}"


def _given(params: Mapping[str, Any]) -> dict[str, Any]:
    """What was filled in: the form sends every field, and the poller's runs no more than one."""
    fields = ExportRequest.model_fields
    return {
        name: value
        for name, value in params.items()
        if name not in _OWN
        and value is not None
        and not (name in fields and value == fields[name].default)
    }


def _refuse_beside(export_id: Any, given: Mapping[str, Any]) -> None:
    if beside := sorted(given.keys() & _FORM.keys()):
        raise AirflowFailException(
            f"export_id names a stored export ({export_id!r}), which has its options: "
            f"{', '.join(beside)} cannot be given, too. For a new export, leave export_id out."
        )


def _validated(values: Mapping[str, Any], pipeline: ExportPipeline) -> tuple[str, ExportRequest]:
    fields = dict(values)
    merchant = fields.pop("merchant_id", None)
    errors: list[FieldError] = []
    if not isinstance(merchant, str) or not 0 < len(merchant) <= 256 or not merchant.isprintable():
        message = "missing" if merchant is None else f"{merchant!r} is not an id"
        errors.append(FieldError("merchant_id", message, "a merchant's id, 1 to 256 characters"))
    try:
        request = _parsed(fields, pipeline)
    except InvalidRequest as invalid:
        errors += invalid.errors
    if errors:
        raise AirflowFailException(_listed(errors))
    return str(merchant), request


def _parsed(fields: Mapping[str, Any], pipeline: ExportPipeline) -> ExportRequest:
    reports = pipeline.reports.current()
    if (refused := reports.refused.get(str(fields.get("report", DEFAULT_REPORT)))) is not None:
        raise refused.with_traceback(None)
    return parse_request(fields, reports.usable)


def _listed(errors: list[FieldError]) -> str:
    lines = ["what the run asks for is not possible:"]
    for error in errors:
        allowed = error.allowed if isinstance(error.allowed, str) else ", ".join(error.allowed)
        lines.append(f"  {error.field}: {error.message}; allowed: {allowed}")
    return "\n".join(lines)


def _check_same(stored: Item, wanted: Item) -> None:
    if stored.get("merchantID") != wanted["merchantID"] or options_of(stored) != options_of(wanted):
        raise AirflowFailException(
            f"{wanted['id']} is stored already, for another export ({summary_of(stored)}): start a "
            "new run for a new export"
        )
