from __future__ import annotations

from fastapi.testclient import TestClient

from remit.api.app import create_app
from remit.auth import Verifier
from remit.errors import ConfigurationError
from remit.services import Services
from tests.support.api import TOKENS, NotedRuns
from tests.support.aws import aws_at
from tests.support.clock import ManualClock
from tests.support.standins import StandIns


def test_the_process_is_alive(client: TestClient) -> None:
    answer = client.get("/health")
    assert (answer.status_code, answer.json()) == (200, {"status": "alive"})
    assert client.head("/health").status_code == 200
    assert client.head("/health").content == b""


def test_it_is_ready_while_store_and_dags_are(client: TestClient, standins: StandIns) -> None:
    answer = client.get("/health/ready")
    assert answer.status_code == 200
    assert answer.json() == {
        "status": "ready",
        "components": {"store": "ok", "export_payments": "ok", "deliver_webhooks": "ok"},
    }
    assert client.head("/health/ready").status_code == 200


def test_however_often_it_is_asked_the_store_is_read_once(
    client: TestClient, standins: StandIns
) -> None:
    for _ in range(50):
        assert client.get("/health/ready").status_code == 200
    assert len(standins.queries.seen) == 1


def test_a_dag_that_cannot_be_started_is_named_and_nothing_else_is(
    client: TestClient, runs: NotedRuns
) -> None:
    runs.down = True

    answer = client.get("/health/ready")

    assert answer.status_code == 503
    assert answer.headers["content-type"] == "application/problem+json"
    body = answer.json()
    assert body["type"] == "/remit/problems/not-ready"
    assert body["components"] == {
        "store": "ok",
        "export_payments": "failing",
        "deliver_webhooks": "failing",
    }
    assert "paused" not in answer.text
    assert client.get("/health").status_code == 200


def test_a_store_out_of_reach_is_named_without_where_it_is(
    services: Services, runs: NotedRuns, clock: ManualClock
) -> None:
    nowhere = Services(services.settings, aws_at("http://127.0.0.1:9"), clock)
    with TestClient(create_app(lambda: nowhere, runs, Verifier(TOKENS, clock))) as client:
        answer = client.get("/health/ready")
    assert answer.status_code == 503
    assert answer.json()["components"]["store"] == "failing"
    assert "127.0.0.1" not in answer.text


def test_without_keys_for_tokens_it_is_alive_and_not_ready(
    services: Services, runs: NotedRuns
) -> None:
    reason = ConfigurationError("JWT_SECRET must be set")
    with TestClient(create_app(lambda: services, runs, reason)) as client:
        alive, ready = client.get("/health"), client.get("/health/ready")
    assert (alive.status_code, ready.status_code) == (200, 503)
    assert ready.json()["components"]["tokens"] == "failing"
    assert "JWT_SECRET" not in ready.text
