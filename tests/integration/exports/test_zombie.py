"""Workers that are stopped past their lease, and go on when a successor has finished."""

from __future__ import annotations

import json
import signal
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import IO, Any

import pytest

from benchmarks.standins.faults import FaultPlan
from remit.services import Services
from tests.support.aws import content, objects, open_uploads, put_many
from tests.support.exporter import export, pipeline_of, short_lease_services
from tests.support.exports import export_job, payment
from tests.support.process import wait_until_stopped, worker
from tests.support.results import finished, manifest_of
from tests.support.standins import StandIns, stand_ins

PAYMENTS = 5_000  # 40 MB: three parts, and fifty frames
SLICES = 2


@pytest.fixture(scope="module")
def standins() -> Iterator[StandIns]:
    """Stand-ins with the payments and a merchant who is told of exports."""
    with stand_ins() as found:
        services = short_lease_services(*found.endpoints)
        begin = datetime(2026, 1, 1, tzinfo=UTC)
        times = ((begin + n * timedelta(minutes=8)).isoformat() for n in range(PAYMENTS))
        records = (payment(n, createdAt=at, description="x" * 8_000) for n, at in enumerate(times))
        put_many(services, "Payments", records)
        services.tables.merchants.put(
            {"id": "merchant-1", "webhookURL": "http://127.0.0.1:9/", "webhookSecret": "s" * 32}
        )
        yield found


class Zombie:
    """An exporter that has stopped itself with the only export that is due."""

    def __init__(self, process: subprocess.Popen[bytes], log: IO[bytes]) -> None:
        self._process = process
        self._log = log
        wait_until_stopped(process)

    def goes_on(self) -> str:
        """Let it run to its end; returns its log."""
        self._process.send_signal(signal.SIGCONT)
        self._process.wait(30)
        self._log.seek(0)
        return self._log.read().decode()

    @property
    def exit_code(self) -> int | None:
        return self._process.returncode


@pytest.mark.slow
@pytest.mark.parametrize(
    ("stage", "slices", "request_"),
    [
        ("second part", 1, {}),
        ("manifest", 1, {}),
        ("last move", 1, {}),
        ("second file", 1, {"split_rows": 1000}),
        ("last move", 1, {"split_rows": 1000}),
        ("second part", SLICES, {}),
        ("second file", SLICES, {}),
        ("manifest", SLICES, {}),
        ("last move", SLICES, {"format": "parquet"}),
    ],
    ids=[
        "a-part", "its-manifest", "its-last-move", "one-of-its-files", "its-last-move-of-files",
        "a-part-of-a-slice", "a-slice", "a-composed-file", "its-last-move-of-slices",
    ],
)  # fmt: skip
def test_a_worker_that_was_stopped_past_its_lease_changes_and_leaves_nothing(
    standins: StandIns, stage: str, slices: int, request_: dict[str, Any]
) -> None:
    services = short_lease_services(*standins.endpoints, slices=slices)
    export_id = "-".join(("export", *stage.split(), str(slices), *map(str, request_.values())))
    create(services, export_id, request_)
    arguments = (*standins.endpoints, "--slices", str(slices), "--stop-before", stage)
    with (
        tempfile.TemporaryFile() as log,
        worker("tests.support.exporter", *arguments, stderr=log) as process,
    ):
        zombie = Zombie(process, log)
        successor = pipeline_of(services)
        deadline = time.monotonic() + 20
        while not export(successor, "successor"):
            assert time.monotonic() < deadline
            threading.Event().wait(0.1)
        assert open_uploads(services) == [], "the successor has left what the other had open"
        before = everything(services, export_id)

        said = zombie.goes_on()

        assert everything(services, export_id) == before
        assert zombie.exit_code == 1
        assert "\nremit.errors.LeaseLost: " in said
    job = finished(services, export_id)
    assert (job["status"], job["generation"], job["rows"]) == ("completed", 2, PAYMENTS)
    for file in job["files"]:
        assert len(content(services, file["key"])) == file["bytes"]
    assert manifest_of(services, job)["generation"] == 2
    assert open_uploads(services) == []
    named = [*(file["key"] for file in job["files"]), job["manifestKey"]]
    assert objects(services, f"exports/merchant-1/{export_id}/") == sorted(named)
    assert objects(services, "staging/") == []
    event = services.tables.events.get(f"evt-{export_id}-completed") or {}
    assert json.loads(event["payload"])["data"]["rows"] == PAYMENTS


def create(services: Services, export_id: str, request: dict[str, Any]) -> None:
    """The only job that is due."""
    pipeline_of(services).store.create(export_job(export_id, **request))
    services.tables.export_jobs.update(
        export_id,
        set={"expiresAt": int(time.time()) + 86_400},  # its expiry is real time here
        condition="attribute_exists(#id)",
    )


def everything(services: Services, export_id: str) -> tuple[Any, ...]:
    """All that a successor's result consists of."""
    listing = services.s3.list_objects_v2(Bucket=services.settings.bucket)["Contents"]
    stored = {entry["Key"]: (entry["ETag"], entry["LastModified"]) for entry in listing}
    mine = {key: value for key, value in stored.items() if f"/{export_id}/2/" in key}
    assert mine
    record = services.tables.export_jobs.get(export_id)
    event = services.tables.events.get(f"evt-{export_id}-completed")
    return mine, record, event, sorted(services.webhook_queue.due(1000))


def test_a_worker_that_is_asked_to_stop_gives_the_export_back_at_once(
    standins: StandIns, monkeypatch: pytest.MonkeyPatch
) -> None:
    services = short_lease_services(*standins.endpoints)
    create(services, "export-sigterm", {})
    arguments = (*standins.endpoints, "--stop-before", "second part")
    with (
        monkeypatch.context() as slow,
        tempfile.TemporaryFile() as log,
        worker("tests.support.exporter", *arguments, stderr=log) as process,
    ):
        # The last third of the pages takes longer than the time that is left after a SIGTERM.
        slow.setattr(standins.dynamodb.faults, "plan", FaultPlan(latency_seconds=0.4))
        zombie = Zombie(process, log)
        process.send_signal(signal.SIGTERM)
        said = zombie.goes_on()
        assert "\nremit.errors.Interrupted: " in said
    item = services.tables.export_jobs.get("export-sigterm") or {}
    assert (item["status"], item["attempts"], "claim" in item) == ("pending", 0, False)
    assert services.export_queue.due(10) == ["export-sigterm"]
    assert open_uploads(services) == []
    assert objects(services, "exports/merchant-1/export-sigterm/") == []
    assert export(pipeline_of(services), "successor")
    assert finished(services, "export-sigterm")["rows"] == PAYMENTS
