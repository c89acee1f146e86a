from __future__ import annotations

import csv
import hashlib
import io
import json
import random
import subprocess
import threading
import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, suppress
from typing import Any

import pytest

from remit.aws.objects import MIN_PART
from remit.aws.target import crc64, encode_crc64
from remit.services import Services
from tests.support.aws import content, objects, open_uploads, put_many
from tests.support.exporter import export, pipeline_of, short_lease_services
from tests.support.exports import export_job, payment
from tests.support.process import worker
from tests.support.standins import StandIns, stand_ins

SMALL_KILLS = 14
SLICED_KILLS = 12
SLICES = 4
# 32 MB: a small export sends four parts and has thirty frames, and its slices are copied.
PAYMENTS = 4_000
DESCRIPTION = "x" * 8_000

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def standins() -> Iterator[StandIns]:
    """Stand-ins with the payments and a merchant who is told of exports."""
    with stand_ins() as found:
        services = short_lease_services(*found.endpoints)
        days = (
            f"2026-01-{1 + n * 31 // PAYMENTS:02d}T{n % 24:02d}:00:00Z" for n in range(PAYMENTS)
        )
        put_many(
            services,
            "Payments",
            (payment(n, createdAt=day, description=DESCRIPTION) for n, day in enumerate(days)),
        )
        services.tables.merchants.put(
            {"id": "merchant-1", "webhookURL": "http://127.0.0.1:9/", "webhookSecret": "s" * 32}
        )
        yield found


def test_a_small_export_whose_renderer_is_killed_anywhere_is_completed_once(
    standins: StandIns,
) -> None:
    services = short_lease_services(*standins.endpoints)
    length = length_of(standins, "small-whole", after="exporting")
    chance = random.Random(20261123)
    kills = [("exporting", chance.uniform(0, length)) for _ in range(SMALL_KILLS)]

    files = completed_once(standins, services, "small", kills)

    assert {
        len(json.loads(content(services, one["manifestKey"]))["files"][0]["checksums"]["segments"])
        for one in files
    } == {1}


def test_a_sliced_export_whose_worker_is_killed_anywhere_is_completed_once(
    standins: StandIns,
) -> None:
    services = short_lease_services(*standins.endpoints, slices=SLICES)
    length = length_of(standins, "sliced-whole", after="exporting", slices=SLICES)
    publishing = length_of(standins, "sliced-whole-2", after="publishing", slices=SLICES)
    chance = random.Random(20261124)
    kills = [
        ("exporting", chance.uniform(0, length - publishing)) for _ in range(SLICED_KILLS // 2)
    ]
    kills += [("publishing", chance.uniform(0, publishing)) for _ in range(SLICED_KILLS // 2)]

    files = completed_once(standins, services, "sliced", kills, SLICES)

    for one in files:
        segments = json.loads(content(services, one["manifestKey"]))["files"][0]["checksums"][
            "segments"
        ]
        assert len(segments) == SLICES
        assert all(segment["length"] > MIN_PART for segment in segments)


def completed_once(
    standins: StandIns,
    services: Services,
    name: str,
    kills: list[tuple[str, float]],
    slices: int = 1,
) -> list[dict[str, Any]]:
    """Kill exporters, let successors finish, and look at all that is left; returns the records."""
    met_alive = 0
    for number, (after, seconds) in enumerate(kills):
        kill(standins, f"{name}-{number}", after=after, seconds=seconds, slices=slices)
        met_alive += record(services, f"{name}-{number}")["status"] == "processing"
    print(f"{met_alive} of {len(kills)} kills met the {name} exporter at work")
    assert met_alive >= len(kills) // 2, "the kills come too late to show anything"
    pipeline, deadline = pipeline_of(services), time.monotonic() + 60
    ids = [f"{name}-{number}" for number in range(len(kills))]
    while any(record(services, one)["status"] != "completed" for one in ids):
        assert time.monotonic() < deadline
        export(pipeline, "successor") or threading.Event().wait(0.1)

    for one in ids:
        pipeline.sweep(one)  # as a task that was killed after its last move does when it is retried

    items = [record(services, one) for one in ids]
    assert len({checked(services, item) for item in items}) == 1, "the same rows, the same file"
    assert open_uploads(services) == []
    assert objects(services, "staging/") == []
    told = [services.tables.events.get(f"evt-{one}-completed") for one in ids]
    assert all(told)
    webhooks = services.webhook_queue.due(1000)
    assert len(webhooks) == len(set(webhooks))
    assert len(objects(services)) == 2 * len(webhooks), "each export: one file, one manifest, told"
    return items


def kill(
    standins: StandIns, export_id: str, *, after: str, seconds: float, slices: int = 1
) -> None:
    """Start an exporter and kill it so long after it has said where it is."""
    with exporter(standins, export_id, slices) as process:
        wait_for(process, after)
        with suppress(subprocess.TimeoutExpired):
            process.wait(seconds)


def length_of(standins: StandIns, export_id: str, *, after: str, slices: int = 1) -> float:
    """How long an exporter works from there to the end, if nobody kills it."""
    with exporter(standins, export_id, slices) as process:
        wait_for(process, after)
        began = time.monotonic()
        wait_for(process, "exported")
        return time.monotonic() - began


def exporter(
    standins: StandIns, export_id: str, slices: int
) -> AbstractContextManager[subprocess.Popen[bytes]]:
    """An exporter, and the only export that is due."""
    services = short_lease_services(*standins.endpoints)
    pipeline_of(services).store.create(export_job(export_id))
    services.tables.export_jobs.update(
        export_id,
        set={"expiresAt": int(time.time()) + 86_400},  # its expiry is real time here
        condition="attribute_exists(#id)",
    )
    arguments = (*standins.endpoints, "--slices", str(slices))
    return worker("tests.support.exporter", *arguments, stderr=subprocess.DEVNULL)


def wait_for(process: subprocess.Popen[bytes], line: str) -> None:
    assert process.stdout is not None
    while (found := process.stdout.readline()) != f"{line}\n".encode():
        assert found, "it has ended"


def record(services: Services, export_id: str) -> dict[str, Any]:
    item = services.tables.export_jobs.get(export_id)
    assert item is not None
    return item


def checked(services: Services, item: dict[str, Any]) -> str:
    """The checksum of a result of which file, manifest and record agree."""
    assert not item.keys() & {"claim", "dueShard", "dueAt"}
    file = content(services, item["resultKey"])
    assert len(list(csv.reader(io.StringIO(file.decode(), newline="")))) == PAYMENTS + 1
    (entry,) = json.loads(content(services, item["manifestKey"]))["files"]
    assert (entry["bytes"], entry["rows"]) == (len(file), PAYMENTS)
    assert entry["checksums"]["crc64nvme"] == encode_crc64(crc64(file))
    assert entry["checksums"]["crc64nvme"] == item["checksum"]["crc64nvme"]
    for segment in entry["checksums"]["segments"]:
        part = file[segment["offset"] : segment["offset"] + segment["length"]]
        assert hashlib.sha256(part).hexdigest() == segment["sha256"]
    return hashlib.sha256(file).hexdigest()
