from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from remit.__main__ import main
from remit.commands import serve
from remit.errors import ConfigurationError

ROOT = Path(__file__).resolve().parents[2]

SETTINGS = {
    "JWT_SECRET": "s" * 48,
    "JWT_ISSUER": "tests",
    "JWT_AUDIENCE": "payment-api",
    "REMIT_AIRFLOW_URL": "http://127.0.0.1:8080",
    "REMIT_AIRFLOW_TOKEN": "a-secret-token",
}


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    """Complete settings, and nothing else of Remit's."""
    for name in list(os.environ):
        if name.startswith(("REMIT_", "JWT_")):
            monkeypatch.delenv(name)
    for name, value in SETTINGS.items():
        monkeypatch.setenv(name, value)
    return monkeypatch


@pytest.fixture
def served(environment: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What uvicorn was asked to run; it is not run."""
    asked: list[dict[str, Any]] = []
    environment.setattr("uvicorn.run", lambda app, **options: asked.append(options))
    return asked


def test_by_default_it_listens_on_loopback_and_believes_no_proxy(
    served: list[dict[str, Any]],
) -> None:
    assert main(["serve"]) == 0
    (options,) = served
    assert (options["host"], options["port"], options["workers"]) == ("127.0.0.1", 8081, 1)
    assert options["proxy_headers"] is False
    assert options["forwarded_allow_ips"] == []
    assert options["access_log"] is False
    assert options["limit_concurrency"] == 512
    assert options["timeout_graceful_shutdown"] == 10


def test_arguments_reach_the_server(served: list[dict[str, Any]]) -> None:
    arguments = ["--host", "10.0.0.5", "--port", "9000", "--workers", "3", "--grace", "20"]
    arguments += ["--connections", "64", "--keep-alive", "75"]
    assert main(["serve", *arguments, "--forwarded-allow-ips", "10.0.3.7, 10.1.0.0/16"]) == 0
    (options,) = served
    assert (options["host"], options["port"], options["workers"]) == ("10.0.0.5", 9000, 3)
    assert options["proxy_headers"] is True
    assert options["forwarded_allow_ips"] == ["10.0.3.7", "10.1.0.0/16"]
    assert options["limit_concurrency"] == 64
    assert options["timeout_keep_alive"] == 75
    assert options["timeout_graceful_shutdown"] == 20


@pytest.mark.parametrize("text", ["*", "0.0.0.0/0", "::/0", "proxy.internal", "10.0.0.1/16", "10"])
def test_proxies_are_named_by_address(text: str) -> None:
    with pytest.raises(ConfigurationError) as refused:
        serve.trusted(f"10.0.3.7,{text}")
    assert repr(text) in str(refused.value)
    assert "10.1.0.0/16" in str(refused.value)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--port", "65536"], "--port is 65536: it must be between 0 and 65535"),
        (["--workers", "0"], "--workers is 0: it must be between 1 and 64"),
        (["--connections", "0"], "--connections is 0"),
        (["--keep-alive", "-1"], "--keep-alive is -1"),
        (["--grace", "601"], "--grace is 601"),
        (["--forwarded-allow-ips", "*"], "--forwarded-allow-ips has '*'"),
    ],
)
def test_a_wrong_argument_is_one_line(
    served: list[dict[str, Any]],
    arguments: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["serve", *arguments]) == 1
    error = capsys.readouterr().err
    assert error.startswith("remit serve: ")
    assert message in error
    assert error.count("\n") == 1
    assert served == []


@pytest.mark.parametrize(
    ("variable", "value", "message"),
    [
        ("JWT_SECRET", "short", "JWT_SECRET"),
        ("REMIT_AIRFLOW_URL", "", "REMIT_AIRFLOW_URL must be set"),
        ("REMIT_AIRFLOW_TOKEN", "", "none of REMIT_AIRFLOW_TOKEN_FILE"),
        ("REMIT_LINK_SECONDS", "abc", "REMIT_LINK_SECONDS is 'abc'"),
    ],
)
def test_a_wrong_setting_is_one_line_and_nothing_is_served(
    served: list[dict[str, Any]],
    environment: pytest.MonkeyPatch,
    variable: str,
    value: str,
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    environment.setenv(variable, value)
    assert main(["serve"]) == 1
    error = capsys.readouterr().err
    assert error.startswith("remit serve: ")
    assert message in error
    assert error.count("\n") == 1
    assert "a-secret-token" not in error
    assert served == []


def test_the_hook_is_where_airflow_has_it_and_everything_else_is_a_problem_document(
    environment: pytest.MonkeyPatch,
) -> None:
    from remit.service import service

    with TestClient(service(), raise_server_exceptions=False) as client:
        assert client.get("/remit/exports/x").status_code == 401
        for path in ("/", "/exports/x", "/remit2/exports", "/docs", "/openapi.json"):
            answer = client.get(path)
            assert answer.status_code == 404, path
            assert answer.headers["content-type"] == "application/problem+json", path
            assert answer.headers["x-request-id"] == answer.json()["request_id"]
            assert answer.headers["x-content-type-options"] == "nosniff"


def test_the_service_has_no_airflow_in_its_process(environment: pytest.MonkeyPatch) -> None:
    program = (
        "import sys; from remit.service import service; service();"
        "print(sorted(name for name in sys.modules if name.partition('.')[0] == 'airflow'))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": str(ROOT / "plugins")},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert (done.returncode, done.stdout) == (0, "[]\n"), done.stderr
