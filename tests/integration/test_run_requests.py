"""Exports that a DAG run asks for itself, without the DAG: the form, and the job behind a run."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from remit.audit import Actor, Via
from remit.exports.job import options_of
from remit.exports.pipeline import ExportPipeline
from remit.exports.request import ExportRequest
from remit.services import Services
from remit.stop import Stop
from tests.support.airflow import AIRFLOW_WARNINGS
from tests.support.audit import entries_of
from tests.support.exports import REPORTS

pytestmark = AIRFLOW_WARNINGS

CONF: dict[str, Any] = {
    "merchant_id": "merchant-1",
    "start_date": "2026-01-01",
    "end_date": "2026-01-31",
}


@dataclass(frozen=True)
class Run:
    """As much of Airflow's `dag_run` as counts here."""

    run_id: str = "manual__1"
    dag_id: str = "export_payments"
    run_after: datetime = datetime(2026, 11, 23, 12, tzinfo=UTC)
    run_type: str = "manual"
    triggering_user_name: str | None = None


def filled_in(**conf: Any) -> dict[str, Any]:
    """What a task gets as `params`: the form's defaults, and what was filled in."""
    from remit.airflow.requests import form

    return {**{name: param.value for name, param in form().items()}, **conf}


def stored(services: Services) -> list[dict[str, Any]]:
    jobs = services.tables.export_jobs
    ids = [item["id"] for item in jobs.scan("attribute_exists(#id)", {}, attributes=["id"])]
    return [jobs.get(export_id) or {} for export_id in ids]


def test_the_form_has_every_option_and_whose_export_it_is(airflow: Path) -> None:
    from remit.airflow.requests import form

    fields = form()

    assert fields.keys() == {"export_id", "merchant_id", *ExportRequest.model_fields}
    for name, param in fields.items():
        assert param.resolve() == param.value, f"{name} has a default that it allows"
        assert param.schema["title"]
        assert param.schema["section"]
        assert param.description
    assert fields["format"].schema["enum"] == ["csv", "json", "parquet", "xlsx"]
    assert fields["report"].schema["examples"] == sorted(REPORTS)


def test_the_form_proposes_a_report_that_was_dropped_in(
    airflow: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from remit.airflow.requests import form

    (tmp_path / "chargebacks.sql").touch()
    monkeypatch.setenv("REMIT_REPORTS", str(tmp_path))

    assert form()["report"].schema["examples"] == ["chargebacks", "payments"]


def test_a_wrong_setting_does_not_take_the_dag_down(
    airflow: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from remit.airflow.requests import form

    monkeypatch.setenv("REMIT_MAX_SLICES", "many")

    assert form()["report"].schema["examples"] == ["payments"]


def test_a_run_that_names_a_stored_export_is_for_that(airflow: Path) -> None:
    from remit.airflow.requests import export_of_run

    assert export_of_run(filled_in(export_id="export-1"), Run()) == "export-1"
    lineage = {"openlineage": {"parentRunId": "x"}}
    assert export_of_run(filled_in(export_id="export-1", **lineage), Run()) == "export-1"


def test_every_option_reaches_the_job(airflow_services: Services) -> None:
    from remit.airflow.requests import export_of_run

    options = {
        "timezone": "Asia/Kathmandu",
        "format": "json",
        "columns": ["amount_minor", "payment_id"],
        "status": "succeeded",
        "currency": "NPR",
        "customer_id": "cus-1",
        "min_amount": 1,
        "max_amount": 2,
        "compression": "zstd",
        "split_rows": 5_000,
    }

    export_id = export_of_run(filled_in(**CONF, **options), Run())

    (item,) = stored(airflow_services)
    assert (item["id"], item["merchantID"], item["status"]) == (export_id, "merchant-1", "pending")
    asked = {name: value for name, value in {**CONF, **options}.items() if name != "merchant_id"}
    assert options_of(item) == asked
    assert item["expiresAt"] > datetime.now(UTC).timestamp() + 6 * 86_400


def test_columns_of_the_form_are_a_text_with_commas(airflow_services: Services) -> None:
    from remit.airflow.requests import export_of_run

    export_of_run(filled_in(**CONF, columns="amount_minor, payment_id"), Run())

    (item,) = stored(airflow_services)
    assert item["query"]["Columns"] == ["amount_minor", "payment_id"]


def test_a_task_that_is_retried_or_cleared_finds_the_same_job(airflow_services: Services) -> None:
    from remit.airflow.requests import export_of_run

    first, again = (export_of_run(filled_in(**CONF), Run()) for _ in range(2))
    others = {
        export_of_run(filled_in(**CONF), Run("manual__2")),
        export_of_run(filled_in(**CONF), replace(Run(), run_after=Run().run_after + timedelta(1))),
    }

    assert first == again
    assert len(others - {first}) == 2
    assert len(stored(airflow_services)) == 3


def test_an_operators_range_has_no_limit(airflow_services: Services) -> None:
    from remit.airflow.requests import export_of_run

    assert export_of_run(filled_in(**{**CONF, "start_date": "1999-01-01"}), Run())


def refusal(**conf: Any) -> str:
    from airflow.sdk.exceptions import AirflowFailException

    from remit.airflow.requests import export_of_run

    with pytest.raises(AirflowFailException) as failed:
        export_of_run(filled_in(**conf), Run())
    return str(failed.value)


def test_a_run_says_one_thing_or_the_other(airflow: Path) -> None:
    both = refusal(export_id="export-1", merchant_id="merchant-1", format="json")
    assert "format, merchant_id cannot be given, too" in both
    assert "merchant_id, start_date and end_date" in refusal()


@pytest.mark.parametrize(
    ("conf", "lines"),
    [
        ({"format": "json"}, ["merchant_id: missing", "start_date: missing", "end_date: missing"]),
        ({**CONF, "merchant_id": ""}, ["merchant_id: '' is not an id"]),
        ({**CONF, "merchant_id": "a\nb"}, ["is not an id"]),
        ({**CONF, "report": "gone"}, ["no report 'gone'; allowed: daily_summary, payments"]),
        ({**CONF, "columns": "gone"}, ["no column 'gone'; allowed: payment_id, created_at_utc"]),
        ({**CONF, "min_amout": 5}, ["min_amout: unknown parameter; allowed: timezone"]),
        ({**CONF, "report": "settlements", "customer_id": "c"}, ["no filter 'customer_id'"]),
        (
            {**CONF, "merchant_id": 5, "start_date": "monday", "timezone": "Mars"},
            ["merchant_id: 5 is not", "start_date: ", "timezone: there is no time zone 'Mars'"],
        ),
    ],
)
def test_a_wrong_conf_fails_with_field_message_and_what_is_allowed(
    airflow_services: Services, conf: dict[str, Any], lines: list[str]
) -> None:
    message = refusal(**conf)

    for line in lines:
        assert line in message
    assert message.count("allowed: ") >= len(lines)
    assert stored(airflow_services) == []


def test_a_runs_id_is_for_one_export(airflow_services: Services) -> None:
    from remit.airflow.requests import export_of_run

    export_of_run(filled_in(**CONF), Run())

    assert "for another export (merchant-1: payments, 2026-01-01" in refusal(
        **{**CONF, "end_date": "2026-02-28"}
    )
    assert "start a new run" in refusal(**{**CONF, "merchant_id": "merchant-2"})


def test_a_report_whose_file_is_wrong_says_where(
    airflow_services: Services, tmp_path: Path
) -> None:
    from remit.airflow.requests import create_from_conf
    from remit.errors import ConfigurationError

    (tmp_path / "payments.sql").write_text("SELECT 1", encoding="utf-8")
    settings = replace(airflow_services.settings, reports=tmp_path)
    pipeline = ExportPipeline(replace(airflow_services, settings=settings), Stop())

    with pytest.raises(ConfigurationError, match=r"payments\.sql:1: "):
        create_from_conf(pipeline, CONF, Run())


@pytest.mark.parametrize(
    ("run_type", "user", "via", "name"),
    [
        ("manual", "ada", Via.RUN, "ada"),
        ("manual", None, Via.RUN, "airflow"),
        ("operator_triggered", None, Via.RUN, "airflow"),
        ("asset_triggered", None, Via.RUN, "airflow"),
        ("scheduled", None, Via.SCHEDULE, "airflow"),
        ("backfill", "ada", Via.BACKFILL, "ada"),
    ],
)
def test_the_audit_log_says_who_asked_by_which_way(
    airflow_services: Services, run_type: str, user: str | None, via: Via, name: str
) -> None:
    from airflow.sdk.api.datamodels._generated import DagRunType

    from remit.airflow.requests import export_of_run

    run = replace(Run(), run_type=DagRunType(run_type), triggering_user_name=user)
    for _ in range(2):  # the task is tried again
        export_id = export_of_run(filled_in(**CONF, format="json"), run)

    (entry,) = entries_of(airflow_services, "merchant-1")
    assert (entry.action, entry.target) == ("exports.export.requested", export_id)
    assert entry.actor == Actor(name, via, request_id="manual__1")
    asked = {name: value for name, value in CONF.items() if name != "merchant_id"}
    assert entry.details == {"report": "payments", "format": "json", **asked}


def test_what_is_refused_is_not_in_the_audit_log(airflow_services: Services) -> None:
    refusal(**{**CONF, "format": "xml"})
    assert entries_of(airflow_services, "merchant-1") == []


def test_every_type_of_run_is_known(airflow: Path) -> None:
    from airflow.sdk.api.datamodels._generated import DagRun, DagRunType

    from remit.airflow.actors import _VIA

    assert _VIA.keys() <= {kind.value for kind in DagRunType}
    assert {"run_type", "triggering_user_name", "run_id"} <= DagRun.model_fields.keys()
