"""How fast a cancel takes effect, in real time, and that it leaves nothing."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from benchmarks.standins.http import Response
from benchmarks.standins.reading import Request
from remit.errors import LeaseLost
from remit.exports.pipeline import ExportPipeline
from remit.exports.progress import progress_of
from remit.exports.slices import RenderedSlice
from remit.exports.store import ExportStore
from remit.services import Services
from remit.settings import REPORTS_DIRECTORY, Settings
from remit.stop import Stop
from tests.support.aws import REGION, objects, open_uploads, put_many
from tests.support.exports import claimed, export_job, payment
from tests.support.standins import StandIns

pytestmark = pytest.mark.alone


def cancel(store: ExportStore) -> None:
    store.cancel("export-1", "merchant-1", "ann@books.example")


class Worked:
    """A worker in a thread of its own, in real time, and what came of it."""

    def __init__(self, work: Callable[[], object]) -> None:
        self.error: BaseException | None = None
        self._work = work
        self._thread = threading.Thread(target=self._run)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._work()
        except BaseException as error:  # noqa: BLE001 - the test looks at it
            self.error = error

    def join(self, seconds: float) -> bool:
        """Whether it has ended by then."""
        self._thread.join(seconds)
        return not self._thread.is_alive()


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 20
    while not condition():
        assert time.monotonic() < deadline
        threading.Event().wait(0.02)


def slow(standins: StandIns, seconds: float) -> None:
    """From now on a page takes so long."""
    faults = standins.dynamodb.faults
    faults.plan = replace(faults.plan, latency_seconds=seconds)


@pytest.fixture
def services(standins: StandIns) -> Services:
    """Services whose clock goes on by itself, and a few payments."""
    found = Services(Settings(region=REGION, webhook_networks="127.0.0.0/8"), standins.aws)
    put_many(found, "Payments", map(payment, range(25)))
    return found


@pytest.fixture
def real_time(services: Services, monkeypatch: pytest.MonkeyPatch) -> Services:
    """The same, with 30 MB of payments."""
    monkeypatch.setattr("remit.exports.engine.BATCH_ROWS", 100)
    begin = datetime(2026, 1, 1, tzinfo=UTC)
    times = ((begin + n * timedelta(minutes=14)).isoformat() for n in range(3_000))
    records = (payment(n, createdAt=at, description="x" * 9_900) for n, at in enumerate(times))
    put_many(services, "Payments", records)
    return services


def cut_finely(services: Services) -> ExportPipeline:
    """Its exports are large, and have three slices."""
    settings = replace(services.settings, small_export_rows=10, slice_rows=10, max_slices=3)
    return ExportPipeline(replace(services, settings=settings), Stop())


def ends_within_five_seconds_of_a_cancel(worker: Worked, pipeline: ExportPipeline) -> None:
    began = time.monotonic()
    cancel(pipeline.store)
    assert worker.join(5), "it is still at work"
    print(f"the worker ended {time.monotonic() - began:.1f} s after the cancel")
    assert isinstance(worker.error, LeaseLost), worker.error


def test_a_cancel_ends_a_worker_within_five_seconds_and_leaves_nothing(
    standins: StandIns, real_time: Services
) -> None:
    pipeline = ExportPipeline(real_time, Stop())
    pipeline.store.create(export_job())
    held = claimed(pipeline)
    slow(standins, 0.25)  # seven seconds of pages
    worker = Worked(lambda: pipeline.prepare(held))
    wait_for(lambda: open_uploads(real_time))

    ends_within_five_seconds_of_a_cancel(worker, pipeline)
    assert open_uploads(real_time) == []
    assert objects(real_time) == []


def test_a_cancel_ends_a_report_that_adds_up_while_it_reads(
    standins: StandIns, real_time: Services
) -> None:
    pipeline = ExportPipeline(real_time, Stop())
    pipeline.store.create(export_job(report="daily_summary"))
    held = claimed(pipeline)
    slow(standins, 0.25)
    worker = Worked(lambda: pipeline.prepare(held))
    wait_for(lambda: progress_of(pipeline.store.get("export-1")).percent)

    ends_within_five_seconds_of_a_cancel(worker, pipeline)
    assert objects(real_time) == []


def test_staged_slices_of_a_canceled_export_are_gone_after_the_sweep(
    standins: StandIns, real_time: Services
) -> None:
    pipeline = cut_finely(real_time)
    pipeline.store.create(export_job())
    first, second, third = pipeline.prepare(claimed(pipeline))
    pipeline.render(first)
    slow(standins, 0.4)
    worker = Worked(lambda: pipeline.render(second))
    wait_for(lambda: "1" in pipeline.store.get("export-1")["progress"])
    assert objects(real_time) == ["staging/export-1/1/0000-0000"]

    ends_within_five_seconds_of_a_cancel(worker, pipeline)
    with pytest.raises(LeaseLost):
        pipeline.render(third)
    assert objects(real_time) == []
    assert open_uploads(real_time) == []


class Gate:
    """Requests of a kind wait before it."""

    def __init__(self, kind: Callable[[Request], bool]) -> None:
        self._kind = kind
        self._open = threading.Event()
        self.reached = 0

    def __call__(self, request: Request) -> Response | None:
        if self._kind(request):
            self.reached += 1
            self._open.wait(30)
        return None

    def open(self) -> None:
        self._open.set()


@pytest.fixture
def gates() -> Iterator[Callable[[Callable[[Request], bool]], Gate]]:
    """Makes gates, which open in the end."""
    made: list[Gate] = []

    def make(kind: Callable[[Request], bool]) -> Gate:
        made.append(Gate(kind))
        return made[-1]

    yield make
    for gate in made:
        gate.open()


Gates = Callable[[Callable[[Request], bool]], Gate]


def is_probe(request: Request) -> bool:
    return b'"Limit"' in bytes(request.body)


def is_part(request: Request) -> bool:
    return "partNumber=" in request.target and "x-amz-copy-source" not in request.headers


def is_copy(request: Request) -> bool:
    return "x-amz-copy-source" in request.headers


def throttled(_: Request) -> Response:
    code = b"com.amazonaws.dynamodb.v20120810#ProvisionedThroughputExceededException"
    return Response(400, {}, [b'{"__type": "' + code + b'", "message": "slower"}'])


def test_probes_that_hang_keep_no_canceled_export(
    standins: StandIns, services: Services, gates: Gates
) -> None:
    pipeline = cut_finely(services)
    pipeline.store.create(export_job())
    held = claimed(pipeline)
    gate = standins.queries.instead = gates(is_probe)
    worker = Worked(lambda: pipeline.prepare(held))
    wait_for(lambda: gate.reached >= 8)

    ends_within_five_seconds_of_a_cancel(worker, pipeline)


def test_probes_that_are_throttled_again_and_again_keep_no_canceled_export(
    standins: StandIns, services: Services
) -> None:
    pipeline = cut_finely(services)
    pipeline.store.create(export_job())
    held = claimed(pipeline)
    standins.queries.instead = lambda one: throttled(one) if is_probe(one) else None
    worker = Worked(lambda: pipeline.prepare(held))
    wait_for(lambda: standins.queries.times("Query") > 50)

    ends_within_five_seconds_of_a_cancel(worker, pipeline)
    asked = standins.queries.times("Query")
    threading.Event().wait(1)
    assert standins.queries.times("Query") == asked, "a thread still asks"


def test_a_page_that_is_throttled_again_and_again_keeps_no_canceled_export(
    standins: StandIns, services: Services
) -> None:
    pipeline = ExportPipeline(services, Stop())
    pipeline.store.create(export_job())
    held = claimed(pipeline)
    standins.queries.instead = lambda one: (
        throttled(one) if one.headers["x-amz-target"].endswith("Query") else None
    )
    worker = Worked(lambda: pipeline.prepare(held))
    wait_for(lambda: standins.queries.times("Query") > 5)

    ends_within_five_seconds_of_a_cancel(worker, pipeline)


def test_a_part_that_hangs_keeps_no_canceled_export_and_is_not_left(
    standins: StandIns, real_time: Services, gates: Gates
) -> None:
    pipeline = ExportPipeline(real_time, Stop())
    pipeline.store.create(export_job())
    held = claimed(pipeline)
    gate = standins.objects.instead = gates(is_part)
    worker = Worked(lambda: pipeline.prepare(held))
    wait_for(lambda: gate.reached)

    ends_within_five_seconds_of_a_cancel(worker, pipeline)
    gate.open()
    assert open_uploads(real_time) == []
    assert objects(real_time) == []


def test_copies_that_hang_keep_no_canceled_export_and_are_not_left(
    standins: StandIns, real_time: Services, gates: Gates
) -> None:
    pipeline = cut_finely(real_time)
    pipeline.store.create(export_job())
    slices = pipeline.prepare(claimed(pipeline))
    rendered: list[RenderedSlice] = [pipeline.render(piece) for piece in slices]
    gate = standins.objects.instead = gates(is_copy)
    worker = Worked(lambda: pipeline.publish(rendered))
    wait_for(lambda: gate.reached >= 2)

    ends_within_five_seconds_of_a_cancel(worker, pipeline)
    gate.open()
    assert open_uploads(real_time) == []
    assert objects(real_time) == []


ENDLESS = """\
-- title: Endless
-- description: It has all pages soon, and then computes for as long as it may.
-- permission: payments
-- sources: payments
-- sliced: no
-- column: total text
SELECT sum(hash(numbers.range))::VARCHAR AS total
FROM range(1_000_000_000_000) numbers, (SELECT count(*) AS records FROM payments) counted
WHERE numbers.range > records
"""


def test_a_computation_after_the_last_page_keeps_no_canceled_export(
    services: Services, tmp_path: Path
) -> None:
    reports = Path(shutil.copytree(REPORTS_DIRECTORY, tmp_path / "sql"))
    (reports / "payments.sql").write_text(ENDLESS, encoding="utf-8")
    settings = replace(services.settings, reports=reports)
    pipeline = ExportPipeline(replace(services, settings=settings), Stop())
    pipeline.store.create(export_job())
    held = claimed(pipeline)
    worker = Worked(lambda: pipeline.prepare(held))
    wait_for(lambda: progress_of(pipeline.store.get("export-1")).percent == 100)

    ends_within_five_seconds_of_a_cancel(worker, pipeline)
    assert objects(services) == []


def test_progress_is_told_every_two_seconds_and_grows_to_no_more_than_100_percent(
    standins: StandIns, real_time: Services
) -> None:
    pipeline = ExportPipeline(real_time, Stop())
    pipeline.store.create(export_job())
    held = claimed(pipeline)
    slow(standins, 0.2)  # six seconds of pages
    worker = Worked(lambda: pipeline.prepare(held))

    beats, percents, last = [time.monotonic()], [], held.item["updatedAt"]
    while not worker.join(0.05):
        item = pipeline.store.get("export-1")
        if item["updatedAt"] != last:
            last = item["updatedAt"]
            beats.append(time.monotonic())
            percents.append(progress_of(item).percent)

    assert worker.error is None
    gaps = [after - before for before, after in pairwise(beats)]
    print(f"beats {max(gaps):.2f} s apart at most, percents {percents}")
    assert max(gaps) <= 2
    assert percents == sorted(percents)
    assert percents[-1] <= 100
    assert len(set(percents)) >= 3, "it is seen to grow"
    final = progress_of(pipeline.store.get("export-1"))
    assert (final.rows, final.percent) == (3_000, 100)
