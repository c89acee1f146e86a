from __future__ import annotations

from typing import Any

import pytest
from fastapi.testclient import TestClient

from remit.exports.job import read_job
from remit.exports.pipeline import ExportPipeline
from remit.exports.request import ExportRequest, as_values
from remit.services import Services
from remit.stop import Stop
from tests.support.api import bearer, forged, token
from tests.support.clock import ManualClock
from tests.support.exports import REPORTS, claimed, export_job, payment, store_payments
from tests.support.openapi import resolved

OPTIONS: dict[str, Any] = {
    "start_date": "2026-01-01",
    "end_date": "2026-01-31",
    "timezone": "Europe/Berlin",
    "format": "json",
    "columns": ["amount_minor", "payment_id"],
    "status": "succeeded",
    "currency": "EUR",
    "customer_id": "cus-1",
    "min_amount": 100,
    "max_amount": 2**53 + 1,
    "compression": "gzip",
    "split_rows": 50_000,
}


@pytest.mark.parametrize("how", ["params", "json"])
def test_every_option_is_taken_stored_and_told(
    client: TestClient, services: Services, clock: ManualClock, how: str
) -> None:
    sent = OPTIONS if how == "json" else {**OPTIONS, "columns": "amount_minor,payment_id"}

    created = client.post("/payments/export", headers=bearer(token(clock)), **{how: sent})

    assert created.status_code == 202, created.text
    export = created.json()["export_id"]
    item = services.tables.export_jobs.get(export)
    assert item is not None
    job = read_job(item, REPORTS, now=clock(), default_expiry=clock())
    assert as_values(job.request) == OPTIONS
    told = client.get(f"/exports/{export}", headers=bearer(token(clock))).json()
    assert told["options"] == OPTIONS
    assert (told["format"], told["report"]) == ("json", "payments")


@pytest.mark.parametrize(
    ("values", "field", "allowed"),
    [
        ({"report": "secrets"}, "report", sorted(REPORTS)),
        ({"columns": "payment_id,iban"}, "columns", ["payment_id", "other_attributes"]),
        ({"timezone": "Mars/Olympus"}, "timezone", "Europe/Berlin"),
        ({"compression": "brotli"}, "compression", ["none", "gzip", "zstd"]),
        ({"compression": "gzip", "format": "parquet"}, "compression", ["none"]),
        ({"split_rows": "10"}, "split_rows", "at least 1000"),
        ({"currency": "euro"}, "currency", "USD"),
        (
            {"report": "settlements", "customer_id": "cus-1"},
            "customer_id",
            ["status", "currency", "min_amount", "max_amount"],
        ),
    ],
)
def test_a_wrong_option_is_answered_with_what_there_is(
    client: TestClient, clock: ManualClock, values: dict[str, str], field: str, allowed: Any
) -> None:
    header = bearer(forged(clock, permissions=["payments", "settlements"]))
    query = {"start_date": "2026-01-01", "end_date": "2026-01-31", **values}

    answer = client.post("/payments/export", headers=header, params=query)

    assert answer.status_code == 422
    assert answer.headers["content-type"] == "application/problem+json"
    (error,) = answer.json()["errors"]
    assert error["field"] == field
    found = error["allowed"]
    assert allowed in found if isinstance(allowed, str) else set(allowed) <= set(found)


@pytest.mark.parametrize(
    "body",
    [
        {"columns": []},
        {"columns": [1]},
        {"columns": {"payment_id": 1}},
        {"columns": [["payment_id"]]},
        {"timezone": ["UTC"]},
        {"report": ["payments"]},
        {"report": None},
        {"compression": 1},
        {"split_rows": 1e6},
        {"currency": 978},
    ],
)
def test_an_option_of_another_type_is_refused(
    client: TestClient, clock: ManualClock, body: dict[str, Any]
) -> None:
    values = {"start_date": "2026-01-01", "end_date": "2026-01-31", **body}

    answer = client.post("/payments/export", headers=bearer(token(clock)), json=values)

    assert answer.status_code == 422
    assert {error["field"].partition(".")[0] for error in answer.json()["errors"]} == body.keys()


def test_the_openapi_document_has_the_fields_of_the_model(
    client: TestClient, clock: ManualClock
) -> None:
    answer = client.get("/openapi.json", headers=bearer(token(clock)))

    document = resolved(answer.json())
    assert document["servers"] == [{"url": "/remit"}]
    assert document["paths"].keys() >= {
        "/payments/export",
        "/exports",
        "/exports/{export}",
        "/exports/{export}/cancel",
        "/exports/{export}/download",
        "/exports/{export}/retry",
        "/reports",
        "/reports/{name}",
        "/audit",
    }
    operation = document["paths"]["/payments/export"]["post"]
    assert {"202", "401", "403", "422", "503"} <= operation["responses"].keys()
    parameters = {one["name"]: one for one in operation["parameters"]}
    body = operation["requestBody"]["content"]["application/json"]["schema"]
    query = {name for name, one in parameters.items() if one["in"] == "query"}
    assert query == body["properties"].keys() == ExportRequest.model_fields.keys()
    assert parameters["format"]["schema"]["enum"] == ["csv", "json", "parquet", "xlsx"]
    assert parameters["columns"]["explode"] is False
    assert all(one["description"] != name for name, one in parameters.items())
    assert parameters.keys() - query == {"Idempotency-Key", "X-Request-ID"}


def test_the_openapi_document_has_the_fields_of_an_export(
    client: TestClient, services: Services, clock: ManualClock
) -> None:
    header = bearer(token(clock))
    store_payments(services, payment(1))
    pipeline = ExportPipeline(services, Stop())
    pipeline.store.create(export_job())
    pipeline.prepare(claimed(pipeline))

    told = client.get("/exports/export-1", headers=header).json()
    (listed,) = client.get("/exports", headers=header).json()["data"]
    paths = resolved(client.get("/openapi.json").json())["paths"]

    for operation, status in (
        (paths["/exports/{export}"]["get"], "200"),
        (paths["/exports/{export}/cancel"]["post"], "200"),
        (paths["/exports/{export}/retry"]["post"], "202"),
    ):
        content = operation["responses"][status]["content"]["application/json"]
        answer = content["schema"]
        assert content["example"].keys() == told.keys()
        fields = answer["properties"]
        assert fields.keys() == told.keys()
        assert fields["progress"]["properties"].keys() == told["progress"].keys()
        assert fields["files"]["items"]["properties"].keys() == told["files"][0].keys()
        assert fields["error"]["properties"].keys() == {"code", "message"}
        assert fields["manifest"]["properties"].keys() == told["manifest"].keys()
    page = paths["/exports"]["get"]["responses"]["200"]["content"]["application/json"]
    assert page["schema"]["properties"]["data"]["items"]["properties"].keys() == listed.keys()
    assert page["example"]["data"][0].keys() <= listed.keys()


def test_the_openapi_document_has_the_parameters_of_lists(
    client: TestClient, clock: ManualClock
) -> None:
    paths = resolved(client.get("/openapi.json").json())["paths"]

    def parameters(path: str) -> dict[str, Any]:
        found = paths[path]["get"]["parameters"]
        return {one["name"]: one["schema"] for one in found if one["in"] != "header"}

    exports = parameters("/exports")
    assert exports.keys() == {"status", "created_after", "created_before", "limit", "cursor"}
    assert exports["status"]["items"]["enum"][0] == "pending"
    assert exports["created_after"]["format"] == "date-time"
    assert (exports["limit"]["minimum"], exports["limit"]["maximum"]) == (1, 100)
    assert parameters("/audit").keys() == {"action", "after", "before", "limit", "cursor"}
    file = parameters("/exports/{export}/download")["file"]
    assert {"type": "string", "enum": ["manifest", "rejects"]} in file["anyOf"]
