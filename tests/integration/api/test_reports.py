from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from remit.api.catalog import ReportCatalog
from remit.auth import Caller
from remit.errors import NotPermitted
from remit.exports.pipeline import ExportPipeline
from remit.exports.request import COMPRESSIONS, FORMATS
from remit.services import Services
from remit.stop import Stop
from tests.support.api import bearer, forged, token
from tests.support.clock import ManualClock
from tests.support.exports import REPORTS, claimed, payment, request_values, store_payments

LARGEST = """\
-- title: Largest payment
-- description: The largest payment of each status.
-- permission: statistics
-- sources: payments
-- sliced: no
-- column: status text
-- column: largest_minor integer [minor units]
SELECT status, max(amount)::BIGINT AS largest_minor FROM payments GROUP BY status ORDER BY status
"""


def names(answer: Any) -> list[str]:
    return [report["name"] for report in answer.json()["reports"]]


def test_a_caller_sees_the_reports_that_its_permissions_allow(
    client: TestClient, clock: ManualClock
) -> None:
    def listed(*permissions: str) -> list[str]:
        header = bearer(forged(clock, permissions=list(permissions)))
        return names(client.get("/reports", headers=header))

    assert listed() == []
    assert listed("payments") == ["daily_summary", "payments"]
    assert listed("payments", "refunds", "settlements") == sorted(REPORTS)


def test_a_report_says_what_can_be_asked_for(client: TestClient, clock: ManualClock) -> None:
    answer = client.get("/reports/payments", headers=bearer(token(clock)))

    document = answer.json()
    assert answer.status_code == 200
    columns = document.pop("columns")
    assert document == {
        "name": "payments",
        "title": "Payments",
        "description": REPORTS["payments"].description,
        "permission": "payments",
        "sliced": True,
        "filters": ["status", "currency", "customer_id", "min_amount", "max_amount"],
        "statuses": ["pending", "processing", "succeeded", "failed", "canceled"],
        "formats": list(FORMATS),
        "compressions": list(COMPRESSIONS),
    }
    by_name = {column["name"]: column for column in columns}
    assert list(by_name) == [column.name for column in REPORTS["payments"].columns]
    assert by_name["amount_minor"] == {
        "name": "amount_minor",
        "type": "integer",
        "unit": "minor units of currency",
        "optional": False,
    }
    assert by_name["other_attributes"]["optional"] is True
    listed = client.get("/reports", headers=bearer(token(clock))).json()["reports"]
    assert {**document, "columns": columns} in listed


@pytest.mark.parametrize(("name", "status"), [("refunds", 403), ("gone", 404), ("..%2fx", 404)])
def test_a_report_that_is_not_there_or_not_allowed(
    client: TestClient, clock: ManualClock, name: str, status: int
) -> None:
    answer = client.get(f"/reports/{name}", headers=bearer(token(clock)))

    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"


def test_reports_are_for_callers_with_a_token(client: TestClient) -> None:
    assert client.get("/reports").status_code == 401
    assert client.get("/reports/payments").status_code == 401


def test_a_file_that_is_dropped_in_is_a_report_from_the_list_to_the_export(
    folder_client: TestClient, services_on_folder: Services, clock: ManualClock, folder: Path
) -> None:
    services, header = services_on_folder, bearer(token(clock, "merchant-1", "statistics"))
    assert names(folder_client.get("/reports", headers=header)) == []
    store_payments(
        services,
        payment(1, amount=500),
        payment(2, amount=700),
        payment(3, amount=900, status="failed"),
    )

    (folder / "largest.sql").write_text(LARGEST, encoding="utf-8")

    assert names(folder_client.get("/reports", headers=header)) == ["largest"]
    values = request_values(report="largest", columns=["largest_minor", "status"])
    created = folder_client.post("/payments/export", headers=header, json=values)
    assert created.status_code == 202, created.text
    export = created.json()["export_id"]
    pipeline = ExportPipeline(services, Stop())
    pipeline.prepare(claimed(pipeline, export))
    document = folder_client.get(f"/exports/{export}", headers=header).json()
    assert (document["status"], document["report"], document["rows"]) == ("completed", "largest", 2)
    key = services.tables.export_jobs.get(export)["resultKey"]  # type: ignore[index]
    body = services.s3.get_object(Bucket=services.settings.bucket, Key=key)["Body"].read()
    rows = list(csv.DictReader(io.StringIO(body.decode(), newline="")))
    assert rows == [
        {"largest_minor": "900", "status": "failed"},
        {"largest_minor": "700", "status": "succeeded"},
    ]


@pytest.mark.parametrize(
    "text",
    [LARGEST.replace("max(amount)", "max(amuont)"), LARGEST.replace("title", "titel"), "SELECT 1"],
)
def test_a_wrong_file_is_not_listed_and_takes_no_other_report_down(
    folder_client: TestClient,
    clock: ManualClock,
    folder: Path,
    caplog: pytest.LogCaptureFixture,
    text: str,
) -> None:
    (folder / "largest.sql").write_text(text, encoding="utf-8")
    header = bearer(token(clock, "merchant-1", "payments", "statistics"))

    answers = [
        folder_client.get("/reports/largest", headers=header),
        folder_client.post(
            "/payments/export", headers=header, json=request_values(report="largest")
        ),
    ]

    for answer in answers:
        assert answer.status_code == 503
        assert answer.json()["type"].endswith("not-configured")
        assert "sql" not in answer.text
    assert "largest.sql:" in caplog.text
    assert names(folder_client.get("/reports", headers=header)) == ["daily_summary", "payments"]
    mended = LARGEST + "-- mended\n"
    (folder / "largest.sql").write_text(mended, encoding="utf-8")
    assert "largest" in names(folder_client.get("/reports", headers=header))


def test_a_file_of_a_report_that_is_gone_is_guarded_by_the_reports_name(
    folder_client: TestClient, services_on_folder: Services, clock: ManualClock, folder: Path
) -> None:
    (folder / "largest.sql").write_text(LARGEST, encoding="utf-8")
    allowed = bearer(token(clock, "merchant-1", "statistics"))
    values = request_values(report="largest")
    created = folder_client.post("/payments/export", headers=allowed, json=values).json()
    (folder / "largest.sql").unlink()
    path = f"/exports/{created['export_id']}"

    assert folder_client.post(f"{path}/cancel", headers=allowed).status_code == 403
    named = bearer(token(clock, "merchant-1", "largest"))
    assert folder_client.post(f"{path}/cancel", headers=named).status_code == 200


def test_what_a_status_is_guarded_by_is_looked_at_once_a_second(folder: Path) -> None:
    now = [0.0]
    catalog = ReportCatalog(folder, lambda: now[0])
    (folder / "largest.sql").write_text(LARGEST, encoding="utf-8")
    caller = Caller("merchant-1", frozenset({"statistics"}))
    assert not catalog.check_permission_lately(caller, "largest")
    catalog.check_permission(caller, "largest")
    (folder / "largest.sql").unlink()
    now[0] = 0.9
    assert catalog.check_permission_lately(caller, "largest")
    with pytest.raises(NotPermitted):
        catalog.check_permission_lately(caller, "another")
    now[0] = 1.0
    assert not catalog.check_permission_lately(caller, "largest")
    with pytest.raises(NotPermitted):
        catalog.check_permission(caller, "largest")


def test_the_permission_is_asked_for_before_the_fields_of_a_report_are_told(
    client: TestClient, clock: ManualClock
) -> None:
    values = request_values(report="settlements", columns=["gone"])

    answer = client.post("/payments/export", headers=bearer(token(clock)), json=values)

    assert answer.status_code == 403
    assert "batch_id" not in answer.text
