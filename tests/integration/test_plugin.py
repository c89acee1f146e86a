"""The hook as Airflow mounts it: the real `create_app` of the API server, the real plugin."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from remit.auth import TokenSettings, mint
from remit.clock import system_clock
from remit.services import Services
from tests.support.airflow import AIRFLOW_WARNINGS, ROOT
from tests.support.api import bearer

pytestmark = [
    *AIRFLOW_WARNINGS,
    # Airflow 3.3's own routes, as they are when its app is built.
    pytest.mark.filterwarnings("ignore::DeprecationWarning:airflow"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:cadwyn"),
]

TOKENS = TokenSettings(secret="p" * 48, issuer="plugin-tests", audience="payment-api")
QUERY = {"start_date": "2026-01-01", "end_date": "2026-01-31"}


@pytest.fixture
def server(airflow_services: Services, monkeypatch: pytest.MonkeyPatch) -> Iterator[TestClient]:
    from airflow.api_fastapi.app import create_app, purge_cached_app

    from remit.airflow.hook import hook

    monkeypatch.setenv("JWT_SECRET", TOKENS.secret)
    monkeypatch.setenv("JWT_ISSUER", TOKENS.issuer)
    monkeypatch.setenv("JWT_AUDIENCE", TOKENS.audience)
    hook.cache_clear()
    with TestClient(create_app()) as client:
        yield client
    hook.cache_clear()
    purge_cached_app()


def token() -> str:
    return mint(TOKENS, "merchant-1", permissions=["payments"], now=system_clock())


def test_the_routes_are_mounted_and_guarded(server: TestClient) -> None:
    assert server.get("/api/v2/version").status_code == 200
    for method, path in [
        ("POST", "/remit/payments/export"),
        ("GET", "/remit/exports/export-1"),
        ("GET", "/remit/reports"),
        ("GET", "/remit/anything"),
    ]:
        answer = server.request(method, path)
        assert answer.status_code == 401, path
        assert answer.headers["content-type"] == "application/problem+json", path
    for path in ("/remit/health", "/remit/openapi.json"):
        assert server.get(path).status_code == 200, path


def test_the_plugin_loader_leaves_the_package_alone(server: TestClient) -> None:
    # It runs every module that .airflowignore does not name, under its bare name: `queue` for one.
    assert not Path(sys.modules["queue"].__file__ or "").is_relative_to(ROOT / "plugins")
    from airflow import plugins_manager

    _, import_errors = plugins_manager._get_plugins()
    assert import_errors == {}


def test_a_request_starts_a_real_run(
    server: TestClient, parsed_dags: None, airflow_services: Services
) -> None:
    from airflow.models.dagrun import DagRun

    answer = server.post("/remit/payments/export", params=QUERY, headers=bearer(token()))

    assert answer.status_code == 202
    body = answer.json()
    status = server.get(body["check_url"], headers=bearer(token()))
    assert status.json()["status"] == "pending"
    (run,) = DagRun.find(dag_id="export_payments", run_id=f"export__{body['export_id']}__1")
    assert run.conf == {"export_id": body["export_id"]}
    assert str(run.state) == "queued"


def test_without_a_secret_the_hook_serves_nobody_and_says_why_in_the_log(
    airflow: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from remit.airflow.hook import hook

    monkeypatch.setenv("JWT_SECRET", "short")
    monkeypatch.setenv("JWT_ISSUER", "i")
    monkeypatch.setenv("JWT_AUDIENCE", "a")
    hook.cache_clear()
    try:
        answer = TestClient(hook()).post("/payments/export", headers=bearer(token()))
    finally:
        hook.cache_clear()

    assert answer.status_code == 503
    assert "JWT_SECRET has 5 bytes" in caplog.text
    assert "256 bits" in caplog.text
