"""Workers that are killed (SIGKILL) at work, and the successors that finish for them."""

from __future__ import annotations

import base64
import csv
import hashlib
import io
import itertools
import random
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from benchmarks.standins.faults import FaultPlan
from benchmarks.standins.http import Response
from benchmarks.standins.reading import Request
from remit.aws.target import crc64, encode_crc64
from remit.errors import LeaseLost
from remit.exports.keyranges import KeyRange
from remit.exports.slices import RenderedSlice, Slice
from remit.services import Services
from tests.support.aws import content, objects, open_uploads, put_many
from tests.support.exporter import export, pipeline_of, short_lease_services
from tests.support.exports import export_job, payment
from tests.support.process import wait_until_stopped, worker
from tests.support.results import finished, manifest_of, parquet_rows, record
from tests.support.standins import StandIns, stand_ins

ENOUGH = 10
"""Exporters, of small exports and of sliced ones each, that have to be killed at work: twenty
together."""

AT_MOST = 3 * ENOUGH
"""Kills to come to that: some come when all is done."""

SLICES = 2
PAYMENTS = 4_000
RANDOM_BYTES = 9_000
"""Of each payment. They are 48 MB of text, which no compression makes much smaller: even a slice is
an upload of two parts, and is copied in the end."""

FORMS: Mapping[str, Mapping[str, Any]] = {
    "csv": {},
    "parquet": {"format": "parquet"},
    "split": {"split_rows": 1000},
}

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def standins() -> Iterator[StandIns]:
    """Stand-ins with the payments and a merchant who is told of exports."""
    with stand_ins() as found:
        services = short_lease_services(*found.endpoints)
        put_many(services, "Payments", payments())
        services.tables.merchants.put(
            {"id": "merchant-1", "webhookURL": "http://127.0.0.1:9/", "webhookSecret": "s" * 32}
        )
        yield found


def payments() -> Iterator[dict[str, Any]]:
    """Payments over all of January."""
    chance = random.Random(1)
    begin, step = datetime(2026, 1, 1, tzinfo=UTC), timedelta(days=31) / PAYMENTS
    for n in range(PAYMENTS):
        text = "x" + base64.b64encode(chance.randbytes(RANDOM_BYTES)).decode()
        yield payment(n, createdAt=(begin + n * step).isoformat(), description=text)


@pytest.mark.parametrize("slices", [1, SLICES], ids=["small", "sliced"])
def test_an_export_whose_worker_is_killed_anywhere_is_completed_once(
    standins: StandIns, slices: int
) -> None:
    services = short_lease_services(*standins.endpoints, slices=slices)
    told = len(services.webhook_queue.due(1000))
    lengths = {form: lengths_of(standins, form, slices) for form in FORMS}
    rows = {form: checked(services, name_of(form, slices)) for form in FORMS}
    chance = random.Random(20261123 + slices)
    places = itertools.cycle([(form, after) for after in lengths["csv"] for form in FORMS])
    exports: list[str] = []
    at_work = orphans = 0
    with nothing_that_is_over_has_an_upload_while_pages_are_read(standins, services):
        for form, after in itertools.islice(places, AT_MOST):
            exports.append(name_of(form, slices, len(exports)))
            kill(standins, exports[-1], slices, after, chance.uniform(0, lengths[form][after]))
            at_work += record(services, exports[-1])["status"] == "processing"
            orphans += bool(uploads_of(services, exports[-1]))
            finish(services, exports[:-1])  # their leases are over by now
            if at_work == ENOUGH:
                break
        finish(services, exports)

    print(f"{at_work} of {len(exports)} kills met an exporter at work; {orphans} left uploads open")
    assert at_work == ENOUGH, "the kills come too late to show anything"
    assert orphans, "no kill has left an upload open"
    for one in exports:
        assert checked(services, one) == rows[form_of(one)], "not what one that lives exports"
    assert len(services.webhook_queue.due(1000)) - told == len(exports) + len(FORMS), "told twice"


@pytest.mark.parametrize("slices", [1, SLICES], ids=["small", "sliced"])
def test_a_successor_aborts_what_is_open_before_it_reads_a_page(
    standins: StandIns, slices: int
) -> None:
    services = short_lease_services(*standins.endpoints, slices=slices)
    export_id = name_of("csv", slices, "stopped")
    with exporter(standins, export_id, slices, "--stop-before", "second part") as process:
        wait_until_stopped(process)
    assert len(uploads_of(services, export_id)) == 1

    with nothing_that_is_over_has_an_upload_while_pages_are_read(standins, services):
        finish(services, [export_id])

    assert record(services, export_id)["generation"] == 2
    checked(services, export_id)


def name_of(form: str, slices: int, number: object = "whole") -> str:
    """An export's id."""
    return f"{form}-{slices}-{number}"


def form_of(export_id: str) -> str:
    return export_id.partition("-")[0]


def kill(standins: StandIns, export_id: str, slices: int, after: str, seconds: float) -> None:
    """Start an exporter and kill it so long after it has said where it is."""
    with slow(standins), exporter(standins, export_id, slices) as process:
        wait_for(process, after)
        with suppress(subprocess.TimeoutExpired):
            process.wait(seconds)


def lengths_of(standins: StandIns, form: str, slices: int) -> dict[str, float]:
    """How long an exporter works from what it says on, to the end, if nobody kills it."""
    began = {}
    with slow(standins), exporter(standins, name_of(form, slices), slices) as process:
        for line in ("exporting", "publishing")[: 1 if slices == 1 else 2]:
            wait_for(process, line)
            began[line] = time.monotonic()
        wait_for(process, "exported")
    return {line: time.monotonic() - at for line, at in began.items()}


@contextmanager
def slow(standins: StandIns) -> Iterator[None]:
    """A page takes 20 ms and a part 100 ms: an exporter that is killed is likely to have something
    on its way."""

    def write_slowly(request: Request) -> None:
        if request.method == "PUT":
            threading.Event().wait(0.1)

    standins.dynamodb.faults.plan = FaultPlan(latency_seconds=0.02)
    standins.objects.instead = write_slowly
    try:
        yield
    finally:
        standins.dynamodb.faults.plan = FaultPlan()
        standins.objects.instead = lambda _: None


def exporter(
    standins: StandIns, export_id: str, slices: int, *arguments: str
) -> AbstractContextManager[subprocess.Popen[bytes]]:
    """An exporter of a new export, killed at the end of the block."""
    services = short_lease_services(*standins.endpoints)
    pipeline_of(services).store.create(export_job(export_id, **FORMS[form_of(export_id)]))
    services.tables.export_jobs.update(
        export_id,
        set={"expiresAt": int(time.time()) + 86_400},  # its expiry is real time here
        condition="attribute_exists(#id)",
    )
    given = ("--slices", str(slices), "--export", export_id, *arguments)
    return worker("tests.support.exporter", *standins.endpoints, *given, stderr=subprocess.DEVNULL)


def wait_for(process: subprocess.Popen[bytes], line: str) -> None:
    assert process.stdout is not None
    while (found := process.stdout.readline()) != f"{line}\n".encode():
        assert found, "it has ended"


def finish(services: Services, exports: list[str]) -> None:
    """Let a successor finish them, as Airflow's tasks and the poller do."""
    pipeline, deadline = pipeline_of(services), time.monotonic() + 60
    for one in exports:
        while record(services, one)["status"] != "completed":
            assert time.monotonic() < deadline
            export(pipeline, "successor") or threading.Event().wait(0.1)
        assert uploads_of(services, one) == []
        if staged(services, one):
            assert record(services, one)["generation"] == 1, "a successor leaves nothing"
            publish_again(services, one)
        assert staged(services, one) == []


def publish_again(services: Services, export_id: str) -> None:
    """As the task of a large export does in vain whose worker was killed after its last move. (What
    a small one has staged by then is left to the bucket's rules, and removed here all the same.)"""
    piece = Slice(export_id, "the token of before", 0, KeyRange("", ""), 1, "")
    with pytest.raises(LeaseLost):
        pipeline_of(services).publish([RenderedSlice(piece, (), None, {}, 0)])


@contextmanager
def nothing_that_is_over_has_an_upload_while_pages_are_read(
    standins: StandIns, services: Services
) -> Iterator[None]:
    """Look at every page that is asked for, whoever asks, whether an upload is open that belongs to
    a generation before that of its export."""
    found: list[str] = []

    def look(request: Request) -> Response | None:
        if b'"gsi-merchant-created"' in bytes(request.body):
            for key in open_uploads(services):
                *_, export_id, generation, _ = key.split("/")
                if record(services, export_id)["generation"] > int(generation):
                    found.append(key)
        return None

    standins.queries.instead = look
    try:
        yield
    finally:
        standins.queries.instead = lambda _: None
    assert found == []


def uploads_of(services: Services, export_id: str) -> list[str]:
    return [key for key in open_uploads(services) if f"/{export_id}/" in key]


def staged(services: Services, export_id: str) -> list[str]:
    return objects(services, f"staging/{export_id}/")


def checked(services: Services, export_id: str) -> str:
    """The checksum of all that an export's files say, of which files, manifest and record agree;
    there is nothing else."""
    job = finished(services, export_id)
    manifest = manifest_of(services, job)
    assert len(job["files"]) == len(manifest["files"])
    lines: list[str] = []
    for file, entry in zip(job["files"], manifest["files"], strict=True):
        stored = content(services, file["key"])
        check_bytes(stored, entry)
        assert encode_crc64(crc64(stored)) == entry["checksums"]["crc64nvme"]
        found = rows_of(services, file["key"], stored)
        assert len(found) == entry["rows"]
        lines += found
    assert len(lines) == manifest["rows"] == PAYMENTS
    folder = f"exports/merchant-1/{export_id}/"
    named = [*(file["key"] for file in job["files"]), job["manifestKey"]]
    assert objects(services, folder) == sorted(named)
    assert services.tables.events.get(f"evt-{export_id}-completed")
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()


def check_bytes(stored: bytes, entry: Mapping[str, Any]) -> None:
    """A file is its segments end to end."""
    segments = entry["checksums"]["segments"]
    assert sum(one["length"] for one in segments) == len(stored) == entry["bytes"]
    for segment in segments:
        part = stored[segment["offset"] : segment["offset"] + segment["length"]]
        assert hashlib.sha256(part).hexdigest() == segment["sha256"]


def rows_of(services: Services, key: str, stored: bytes) -> list[str]:
    """The rows of a file, as text, without the head."""
    if key.endswith(".parquet"):
        return [repr(row) for row in parquet_rows(services, key)]
    head, *rows = csv.reader(io.StringIO(stored.decode(), newline=""))
    assert head[0] == "payment_id"
    return list(map(repr, rows))
