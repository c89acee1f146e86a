"""`python -m remit export`, on the real app."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from benchmarks.standins.http import Response
from benchmarks.standins.reading import Request
from remit.__main__ import main
from remit.client import RemitClient
from remit.commands.export import INTERRUPTED, NO_FILES, NOT_IN_TIME, TERMINATED
from remit.exports.pipeline import ExportPipeline
from remit.services import Services
from remit.stop import Stop
from tests.integration.client.conftest import ClientFor, Worker
from tests.support.api import NotedRuns, token
from tests.support.clock import ManualClock
from tests.support.exports import claimed, payment, store_payments
from tests.support.standins import StandIns

PLUGINS = Path(__file__).resolve().parents[3] / "plugins"
JANUARY = ["--start", "2026-01-01", "--end", "2026-01-31"]
SECONDS = 60


@pytest.fixture(autouse=True)
def of_the_hook(hook_url: str, clock: ManualClock, monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment of a merchant's shell."""
    monkeypatch.setenv("REMIT_URL", hook_url)
    monkeypatch.setenv("REMIT_TOKEN", token(clock))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")


@pytest.fixture
def busy(runs: NotedRuns, worker: Worker, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A worker that makes whatever is asked for, at once."""
    threads: list[threading.Thread] = []

    def start(dag_id: str, run_id: str, conf: Mapping[str, Any], note: str) -> None:
        threads.append(threading.Thread(target=worker.make, args=[conf["export_id"]]))
        threads[-1].start()

    monkeypatch.setattr(runs, "start", start)
    yield
    for thread in threads:
        thread.join()


def lines(text: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


@pytest.mark.usefixtures("busy")
def test_an_export_from_the_request_to_the_file(
    services: Services, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    store_payments(services, payment(1), payment(2))
    target = tmp_path / "payments.ndjson"
    fields = ["--format", "json", "--columns", "payment_id,currency", "--min-amount", "1"]
    assert main(["export", *JANUARY, *fields, "--out", str(target)]) == 0

    printed = capsys.readouterr()
    first, last = lines(printed.out)
    assert first["status"] == "pending"
    assert last == {
        "export_id": first["export_id"],
        "status": "completed",
        "rows": 2,
        "bytes": target.stat().st_size,
        "files": [str(target)],
    }
    assert lines(target.read_text(encoding="utf-8")) == [
        {"payment_id": f"pay-00000{n}", "currency": "USD"} for n in (1, 2)
    ]
    assert printed.err.splitlines()[-1].startswith(f"{first['export_id']}  100 %  downloaded")


@pytest.mark.usefixtures("busy")
def test_files_go_into_the_working_folder_under_their_own_names(
    services: Services,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    store_payments(services, payment(1))
    monkeypatch.chdir(tmp_path)
    assert main(["export", *JANUARY]) == 0
    name = "payments_2026-01-01_2026-01-31.csv"
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert lines(capsys.readouterr().out)[-1]["files"] == [name]


def test_an_export_is_taken_up_again(
    client_for: ClientFor,
    services: Services,
    worker: Worker,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    store_payments(services, payment(1))
    export = client_for().export("2026-01-01", "2026-01-31")
    worker.make(export.id)
    assert main(["export", "--id", export.id, "--out", f"{tmp_path}/new/"]) == 0
    assert [one["export_id"] for one in lines(capsys.readouterr().out)] == [export.id] * 2
    assert len(list((tmp_path / "new").iterdir())) == 1


def test_an_export_that_fails_has_a_status_of_its_own(
    client_for: ClientFor,
    services: Services,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    export = client_for().export("2026-01-01", "2026-01-31")
    pipeline = ExportPipeline(services, Stop())
    pipeline.store.fail(claimed(pipeline, export.id), "too_many_rows", "1,000,001 rows", [])
    with pytest.raises(SystemExit) as caught:
        main(["export", "--id", export.id, "--out", f"{tmp_path}/"])
    assert caught.value.code == NO_FILES
    told = capsys.readouterr().err.splitlines()[-1]
    assert told == f"remit export: {export.id} failed (too_many_rows): 1,000,001 rows"
    assert list(tmp_path.iterdir()) == []


def test_an_export_that_takes_too_long_has_a_status_of_its_own_and_goes_on(
    services: Services, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as caught:
        main(["export", *JANUARY, "--out", f"{tmp_path}/", "--timeout", "0"])
    assert caught.value.code == NOT_IN_TIME
    printed = capsys.readouterr()
    assert "is pending after 0 s, and goes on" in printed.err
    job = services.tables.export_jobs.get(lines(printed.out)[0]["export_id"])
    assert job is not None
    assert job["status"] == "pending"


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ([], ["--start: missing", "--end: missing"]),
        (["--start", "2026-01-01"], ["--end: missing"]),
        (["--id", "e", "--end", "2026-01-31"], ["--end: it is for a new export"]),
        (["--id", "e", "--min-amount", "1"], ["--min-amount: it is for a new export"]),
        ([*JANUARY, "--out", "nowhere/a.csv"], ["there is no folder 'nowhere'"]),
        ([*JANUARY, "--token-file", "nowhere"], ["--token-file cannot be read"]),
        ([*JANUARY, "--url", "nowhere"], ["the base URL is none"]),
        ([*JANUARY, "--format", "pdf"], ["format: "]),
        ([*JANUARY, "--report", "settlements"], ["needs the permission 'settlements'"]),
        (["--id", "export-1"], ["there is no export 'export-1'"]),
    ],
)
def test_what_is_wrong_is_told_and_nothing_is_asked_for(
    services: Services,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    told: list[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["export", *arguments]) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    assert len(printed.err.splitlines()) == len(told)
    for line, expected in zip(printed.err.splitlines(), told, strict=True):
        assert line.startswith("remit export: ")
        assert expected in line
    jobs = services.tables.export_jobs.scan("attribute_exists(#id)", {}, attributes=["id"])
    assert list(jobs) == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("variable", "told"), [("REMIT_URL", "--url, or REMIT_URL"), ("REMIT_TOKEN", "no token")]
)
def test_what_the_environment_lacks_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], variable: str, told: str
) -> None:
    monkeypatch.delenv(variable)
    assert main(["export", *JANUARY]) == 1
    assert told in capsys.readouterr().err


def test_http_to_another_host_has_to_be_allowed(capsys: pytest.CaptureFixture[str]) -> None:
    there = ["--url", "http://nowhere.invalid/remit", "--timeout", "1"]
    assert main(["export", *JANUARY, *there]) == 1
    assert "is http" in capsys.readouterr().err


def test_a_token_file_is_read_again_when_its_token_has_ended(
    clock: ManualClock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("REMIT_TOKEN")
    file, read, first = tmp_path / "token", Path.read_text, f"{token(clock)}\n"

    def renewing(path: Path, *arguments: Any, **named: Any) -> str:
        text = read(path, *arguments, **named)
        if path == file and text == first:  # whoever renews it does so just now
            clock.advance(2 * 3600)
            file.write_text(f"{token(clock)}\n", encoding="utf-8")
        return text

    file.write_text(first, encoding="utf-8")
    monkeypatch.setattr(Path, "read_text", renewing)
    with pytest.raises(SystemExit) as caught:
        main(["export", *JANUARY, "--token-file", str(file), "--timeout", "0"])
    assert caught.value.code == NOT_IN_TIME


def test_ctrl_c_before_there_is_an_id_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def interrupted(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(RemitClient, "export", interrupted)
    with pytest.raises(SystemExit) as caught:
        main(["export", *JANUARY, "--out", f"{tmp_path}/"])
    assert caught.value.code == INTERRUPTED
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "the export may have been asked for all the same" in printed.err


def heed_ctrl_c() -> None:
    """A shell makes what it starts in the background deaf to it, and so are these tests then, and
    all that they start."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


@contextmanager
def process(*arguments: str) -> Iterator[subprocess.Popen[str]]:
    """The command as a process."""
    started = subprocess.Popen(
        [sys.executable, "-m", "remit", "export", *arguments],
        env={**os.environ, "PYTHONPATH": str(PLUGINS)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=heed_ctrl_c,  # noqa: PLW1509 - it sets a signal, and takes no lock
    )
    try:
        yield started
    finally:
        started.kill()
        started.wait()
        for stream in (started.stdout, started.stderr):
            assert stream is not None
            stream.close()


def test_ctrl_c_while_it_waits_says_how_to_go_on(tmp_path: Path) -> None:
    with process(*JANUARY, "--out", f"{tmp_path}/") as command:
        assert command.stdout is not None
        export_id = json.loads(command.stdout.readline())["export_id"]
        command.send_signal(signal.SIGINT)
        _, errors = command.communicate(timeout=SECONDS)
    assert command.returncode == INTERRUPTED
    told = errors.splitlines()[-1]
    assert told.endswith(f"the export goes on: take it up again with --id {export_id}")
    assert "Traceback" not in errors
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, INTERRUPTED), (signal.SIGTERM, TERMINATED)]
)
def test_a_signal_in_the_middle_of_a_download_leaves_no_half_file(
    client_for: ClientFor,
    services: Services,
    standins: StandIns,
    worker: Worker,
    tmp_path: Path,
    number: int,
    status: int,
) -> None:
    store_payments(services, payment(1))
    export = client_for().export("2026-01-01", "2026-01-31")
    worker.make(export.id)
    asked, over = threading.Event(), threading.Event()

    def hang(request: Request) -> Response | None:
        if request.method == "GET":
            asked.set()
            over.wait(SECONDS)
        return None

    standins.objects.instead = hang
    target = tmp_path / "payments.csv"
    target.write_bytes(b"of yesterday")
    with process("--id", export.id, "--out", str(target)) as command:
        assert asked.wait(SECONDS)
        assert len(list(tmp_path.iterdir())) == 2
        command.send_signal(number)
        _, errors = command.communicate(timeout=SECONDS)
        over.set()
    assert command.returncode == status
    assert "Traceback" not in errors
    assert [path.name for path in tmp_path.iterdir()] == ["payments.csv"]
    assert target.read_bytes() == b"of yesterday"
