"""`python -m remit serve` as a process, on stand-ins of DynamoDB and S3, before a real Airflow."""

from __future__ import annotations

import re
import signal
import socket
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from subprocess import Popen
from urllib.parse import urlsplit

import pytest
import requests

from demo.loopback import loopback
from remit.auth import TokenSettings, mint
from remit.clock import system_clock
from remit.commands.serve import MOST_HEADER_BYTES
from tests.support.airflow import AIRFLOW_WARNINGS, ROOT
from tests.support.airflow_server import PASSWORDS, AirflowServer, running
from tests.support.api import bearer
from tests.support.aws import REGION
from tests.support.ports import free_port
from tests.support.standins import stand_ins

# The service gives Airflow 5 s to answer: nothing else should keep the machine busy.
pytestmark = [*AIRFLOW_WARNINGS, pytest.mark.slow]

TOKENS = TokenSettings(secret="e" * 48, issuer="service-tests", audience="payment-api")
QUERY = {"start_date": "2026-01-01", "end_date": "2026-01-31"}
LINE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z [A-Z]+ [\w.]+ .+")


def token() -> str:
    return mint(TOKENS, "merchant-1", permissions=["payments", "audit"], now=system_clock())


@dataclass
class Hook:
    """A hook that runs."""

    url: str
    log: Path
    process: Popen[bytes]

    def ask(self, method: str, path: str, **options: object) -> requests.Response:
        """One request with a token."""
        client = loopback()
        return client.request(
            method,
            f"{self.url}{path}",
            headers={
                **bearer(token()),
                "X-Request-ID": "the-request-1",
                "X-Forwarded-For": "198.51.100.4, 203.0.113.9",
            },
            timeout=30,
            **options,  # type: ignore[arg-type]
        )


@contextmanager
def hook_before(airflow: str, directory: Path, *arguments: str) -> Iterator[Hook]:
    """A hook whose Airflow is there."""
    port = free_port()
    url, log = f"http://127.0.0.1:{port}", directory / "hook.log"
    command = [sys.executable, "-m", "remit", "serve", "--port", str(port), *arguments]
    with (
        stand_ins() as aws,
        running(command, environment(airflow, aws.endpoints), log, f"{url}/") as process,
    ):
        yield Hook(url, log, process)


def environment(airflow: str, endpoints: tuple[str, str]) -> Mapping[str, str]:
    dynamodb, s3 = endpoints
    return {
        "PYTHONPATH": str(ROOT / "plugins"),
        "JWT_SECRET": "e" * 48,
        "JWT_ISSUER": TOKENS.issuer,
        "JWT_AUDIENCE": TOKENS.audience,
        "AWS_REGION": REGION,
        "AWS_ACCESS_KEY_ID": "testing",
        "AWS_SECRET_ACCESS_KEY": "testing",
        "AWS_ENDPOINT_URL_DYNAMODB": dynamodb,
        "AWS_ENDPOINT_URL_S3": s3,
        "REMIT_AIRFLOW_URL": airflow,
        "REMIT_AIRFLOW_USER": "remit-hook",
        "REMIT_AIRFLOW_PASSWORD": PASSWORDS["remit-hook"],
    }


def addresses(hook: Hook) -> set[str]:
    """Where requests came from, as the audit log has it."""
    answer = hook.ask("GET", "/remit/audit")
    assert answer.status_code == 200, answer.text
    return {entry["address"] for entry in answer.json()["data"]}


@pytest.fixture(scope="module")
def hook(airflow_server: AirflowServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Hook]:
    """One before the real Airflow."""
    proxies = ["--forwarded-allow-ips", "127.0.0.1"]
    with hook_before(airflow_server.url, tmp_path_factory.mktemp("hook"), *proxies) as hook:
        yield hook


def test_a_request_starts_a_run_in_airflow(hook: Hook) -> None:
    from airflow.models.dagrun import DagRun

    answer = hook.ask("POST", "/remit/payments/export", params=QUERY)

    assert answer.status_code == 202, answer.text
    export = answer.json()["export_id"]
    status = hook.ask("GET", answer.json()["check_url"])
    assert status.json()["status"] == "pending"
    (run,) = DagRun.find(dag_id="export_payments", run_id=f"export__{export}__1")
    assert run.conf == {"export_id": export}
    assert str(run.state) == "queued"


def test_it_tells_anybody_that_it_is_alive_and_ready(hook: Hook) -> None:
    assert loopback().get(f"{hook.url}/remit/health", timeout=30).status_code == 200
    ready = loopback().get(f"{hook.url}/remit/health/ready", timeout=30)
    assert ready.status_code == 200, ready.text
    assert set(ready.json()["components"]) == {"store", "export_payments", "deliver_webhooks"}


def test_the_log_has_a_line_per_record_with_the_requests_id_and_no_secret(hook: Hook) -> None:
    hook.ask("POST", "/remit/payments/export", params=QUERY)
    text = hook.log.read_text()
    lines = text.splitlines()
    assert all(LINE.fullmatch(line) for line in lines), text
    assert any("[the-request-1]" in line and "export export-" in line for line in lines), text
    for secret in (PASSWORDS["remit-hook"], "e" * 48, "eyJ"):
        assert secret not in text


def test_a_proxy_that_is_named_says_where_a_request_comes_from(hook: Hook) -> None:
    hook.ask("POST", "/remit/payments/export", params=QUERY)
    assert addresses(hook) == {"203.0.113.9"}


def test_without_a_token_nobody_is_served(hook: Hook) -> None:
    answer = loopback().post(f"{hook.url}/remit/payments/export", params=QUERY, timeout=30)
    assert answer.status_code == 401
    assert answer.headers["content-type"] == "application/problem+json"


def test_headers_are_bounded(hook: Hook) -> None:
    address = urlsplit(hook.url)
    with socket.create_connection((address.hostname, address.port), timeout=30) as client:
        client.sendall(b"GET /remit/reports HTTP/1.1\r\nX-Long: " + b"x" * MOST_HEADER_BYTES)
        assert client.recv(1000).startswith(b"HTTP/1.1 400 ")


def test_without_airflow_the_job_is_stored_and_the_poller_left_to_find_it(
    tmp_path: Path,
) -> None:
    away = f"http://127.0.0.1:{free_port()}"
    with hook_before(away, tmp_path, "--workers", "2", "--grace", "5") as hook:
        answer = hook.ask("POST", "/remit/payments/export", params=QUERY)
        assert answer.status_code == 202
        status = hook.ask("GET", answer.json()["check_url"])
        assert status.json()["status"] == "pending"
        assert addresses(hook) == {"127.0.0.1"}, "no proxy is named, and none believed"
        assert loopback().get(f"{hook.url}/remit/health", timeout=30).status_code == 200
        ready = loopback().get(f"{hook.url}/remit/health/ready", timeout=30)
        assert ready.status_code == 503
        assert ready.json()["components"]["export_payments"] == "failing"

        hook.process.send_signal(signal.SIGTERM)
        hook.process.wait(20)
    text = hook.log.read_text()
    assert "waits for the poller: Airflow is out of reach" in text
    assert "metric remit.hook.trigger_failed dag=export_payments" in text
    assert "Traceback" not in text
