"""Airflow's API server as a process of its own, on the metadata database of the tests."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests

from demo.loopback import loopback
from tests.support.airflow import ROOT
from tests.support.ports import free_port

READY_SECONDS = 120
_GRACE_SECONDS = 15

PASSWORDS = {"remit-hook": "correct horse", "viewer": "battery staple"}
"""User to password: one may do what the trigger needs, the other may look."""


@dataclass(frozen=True)
class AirflowServer:
    """Where it is."""

    url: str

    def token(self, user: str = "remit-hook") -> str:
        """A token, as a user gets it."""
        body = {"username": user, "password": PASSWORDS[user]}
        answer = loopback().post(f"{self.url}/auth/token", json=body, timeout=10)
        answer.raise_for_status()
        token: str = answer.json()["access_token"]
        return token


@pytest.fixture(scope="session")
def parsed_dags(airflow: Path) -> None:
    """The DAGs as the dag processor writes them into the database; about ten seconds."""
    command = [sys.executable, "-m", "airflow", "dags", "reserialize"]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=120, check=False, cwd=ROOT
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="session")
def airflow_server(
    airflow: Path, parsed_dags: None, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[AirflowServer]:
    """One per session; about ten seconds to start. The hook in it serves nobody."""
    directory = tmp_path_factory.mktemp("airflow-server")
    passwords = directory / "passwords.json"
    passwords.write_text(json.dumps(PASSWORDS))
    port = free_port()
    environment = {
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": "remit-hook:op,viewer:viewer",
        "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(passwords),
        "PYTHONPATH": str(ROOT / "plugins"),
    }
    arguments = ["api-server", "--apps", "core", "--workers", "1", "--host", "127.0.0.1"]
    command = [sys.executable, "-m", "airflow", *arguments, "--port", str(port)]
    url = f"http://127.0.0.1:{port}"
    with running(command, environment, directory / "log", f"{url}/api/v2/version"):
        yield AirflowServer(url)


@contextmanager
def running(
    command: list[str], environment: Mapping[str, str], log: Path, ready: str
) -> Iterator[subprocess.Popen[bytes]]:
    """A process for the length of the block, from when `ready` has an answer."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            command,
            env={**os.environ, **environment},
            cwd=ROOT,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        try:
            _wait_until_ready(process, ready, log)
            yield process
        finally:
            process.terminate()
            try:
                process.wait(_GRACE_SECONDS)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def _wait_until_ready(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    client, pause = loopback(), threading.Event()
    for _ in range(READY_SECONDS * 5):
        assert process.poll() is None, f"it has ended: {log.read_text()}"
        try:
            if client.get(url, timeout=5).status_code < 500:
                return
        except requests.RequestException:
            pass
        pause.wait(0.2)
    raise AssertionError(f"not ready after {READY_SECONDS} s: {log.read_text()}")
