"""What `make demo`, `make up` and `make down` run, on a real Airflow: about two minutes."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import pytest

from demo import REPOSITORY, seed
from demo.ports import HOST, is_busy

pytestmark = pytest.mark.alone

DEMO = [sys.executable, "-m", "demo"]
DEADLINE_SECONDS = 300


@dataclass
class Setup:
    """Free ports and a directory of its own for one stack."""

    directory: Path
    ports: dict[str, int]
    environment: dict[str, str] = field(repr=False)

    def run(self, *verb: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*DEMO, *verb],
            cwd=REPOSITORY,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=DEADLINE_SECONDS,
            check=False,
        )

    def start(self, verb: str) -> Running:
        output = self.directory / "output"
        with output.open("wb") as file:
            process = psutil.Popen(
                [*DEMO, verb],
                cwd=REPOSITORY,
                env=self.environment,
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        return Running(process, output)

    def busy(self) -> list[int]:
        return [port for port in self.ports.values() if is_busy(port)]

    def leftovers(self) -> list[Path]:
        return list(self.directory.glob("remit-demo-*"))


@dataclass
class Running:
    """A running demo, and every process that was ever seen below it."""

    process: psutil.Popen
    output: Path
    seen: set[psutil.Process] = field(default_factory=set)

    def until(self, condition: Callable[[], object]) -> None:
        """Watch the processes until the condition holds or the demo has ended."""
        deadline = time.monotonic() + DEADLINE_SECONDS
        while not condition() and self.process.poll() is None:
            assert time.monotonic() < deadline, self.text()
            self.seen.update(self.process.children(recursive=True))
            with suppress(psutil.TimeoutExpired):
                self.process.wait(0.1)

    def end(self) -> int:
        self.until(lambda: False)
        return int(self.process.wait())

    def text(self) -> str:
        return self.output.read_text(encoding="utf-8")

    def alive(self) -> list[psutil.Process]:
        return [p for p in self.seen if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]

    def child(self, text: str) -> psutil.Process:
        """The process whose command line contains the text."""
        return next(p for p in self.process.children() if text in " ".join(p.cmdline()))


@pytest.fixture
def setup(tmp_path: Path) -> Iterator[Setup]:
    names = ("REMIT_PORT", "REMIT_AWS_PORT", "REMIT_RECEIVER_PORT")
    sockets = [socket.create_server((HOST, 0)) for _ in names]
    ports = {n: s.getsockname()[1] for n, s in zip(names, sockets, strict=True)}
    for reserved in sockets:
        reserved.close()
    environment = {
        **os.environ,
        **{name: str(port) for name, port in ports.items()},
        "REMIT_RUN_DIR": str(tmp_path / "up"),
        "TMPDIR": str(tmp_path),
    }
    made = Setup(tmp_path, ports, environment)
    yield made
    assert made.busy() == []


def test_the_demo_does_the_whole_job_and_leaves_nothing_behind(setup: Setup) -> None:
    demo = setup.start("run")
    assert demo.end() == 0, demo.text()
    result = json.loads(demo.text().splitlines()[-1])
    assert result["status"] == "ok"
    assert result["webhooks_verified"] == 3
    assert [(e["format"], e["rows"]) for e in result["exports"]] == list(
        zip(("csv", "json", "parquet"), seed.PAYMENTS_IN_MONTH.values(), strict=True)
    )
    for export in result["exports"]:
        assert set(export) == {
            *("export_id", "format", "rows", "bytes", "sha256", "seconds_to_link")
        }
        assert re.fullmatch("[0-9a-f]{64}", export["sha256"])
    assert len(demo.seen) > 6
    assert demo.alive() == []
    assert setup.leftovers() == []


def test_ctrl_c_stops_everything(setup: Setup) -> None:
    demo = setup.start("run")
    demo.until(lambda: is_busy(setup.ports["REMIT_PORT"]))  # Airflow is on its way
    demo.process.send_signal(signal.SIGINT)
    assert demo.end() == 130, demo.text()
    assert json.loads(demo.text().splitlines()[-1])["status"] == "failed"
    assert demo.alive() == []
    assert setup.leftovers() == []


def test_a_process_that_dies_ends_the_demo_with_its_name_and_its_log(setup: Setup) -> None:
    demo = setup.start("run")
    demo.until(lambda: "starting Airflow" in demo.text())
    demo.child("demo.aws").kill()
    assert demo.end() == 1
    assert "aws ended with exit code -9" in demo.text()
    assert "The end of " in demo.text()
    assert "POST / HTTP/1.1" in demo.text()  # that log's own words
    assert json.loads(demo.text().splitlines()[-1])["status"] == "failed"
    assert demo.alive() == []
    assert [path.name for path in setup.leftovers()[0].iterdir() if path.name == "logs"]


def test_a_busy_port_is_named_before_anything_starts(setup: Setup) -> None:
    with socket.create_server((HOST, setup.ports["REMIT_RECEIVER_PORT"])):
        done = setup.run("run")
    assert done.returncode == 1
    assert f"port {setup.ports['REMIT_RECEIVER_PORT']} (the webhook receiver)" in done.stderr
    assert "REMIT_RECEIVER_PORT" in done.stderr
    assert [json.loads(line)["status"] for line in done.stdout.splitlines()] == ["failed"]
    assert setup.leftovers() == []


def test_up_stays_up_is_ready_to_use_and_down_stops_it(setup: Setup) -> None:
    try:
        up = setup.run("up")
        assert up.returncode == 0, up.stderr
        (curl,) = re.findall(r"^curl .*\n.*$", up.stdout, re.MULTILINE)
        answer = subprocess.run(
            [*shlex.split(curl.replace("\\\n", " ")), "--silent", "--noproxy", "*"],
            capture_output=True,
            text=True,
            check=True,
        )
        assert json.loads(answer.stdout)["check_url"].startswith("/remit/exports/")
        again = setup.run("up")
        assert again.returncode == 0
        assert "already up" in again.stdout
        assert setup.run("token").stdout.count(".") == 2
    finally:
        down = setup.run("down")
    assert down.returncode == 0
    assert "Stopped" in down.stdout
    assert "Nothing to stop" in setup.run("down").stdout
    assert setup.run("token").returncode == 1
