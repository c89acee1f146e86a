from __future__ import annotations

import gzip
import hashlib
import json
import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

from remit.errors import ExportFailed, Interrupted, LeaseLost
from remit.exports import reading
from remit.exports.keyranges import key_ranges, query_for
from remit.exports.pipeline import ExportPipeline
from remit.exports.progress import progress_of
from remit.exports.slices import RenderedSlice, Slice
from remit.services import Services
from remit.settings import Settings
from remit.stop import Stop
from tests.support.aws import REGION, content, objects, open_uploads, put_many
from tests.support.clock import ManualClock
from tests.support.exports import REPORTS, claimed, export_job, payment
from tests.support.results import (
    csv_rows,
    file_of,
    finished,
    manifest_of,
    parquet_rows,
    record,
    rejects_of,
)
from tests.support.standins import StandIns

SLICED = {"small_export_rows": 10, "slice_rows": 10, "max_slices": 4}
"""Settings for which anything but a few rows is large."""


@pytest.fixture
def services(standins: StandIns, clock: ManualClock) -> Services:
    return Services(Settings(region=REGION, webhook_networks="127.0.0.0/8"), standins.aws, clock)


def pipeline_with(services: Services, **changes: Any) -> ExportPipeline:
    settings = replace(services.settings, **{**SLICED, **changes})
    return ExportPipeline(Services(settings, services.aws, services.clock), Stop())


@pytest.fixture
def pipeline(services: Services) -> ExportPipeline:
    return pipeline_with(services)


def many(services: Services, count: int, size: int = 100, **changes: Any) -> list[str]:
    """Payments over all of January; returns their ids in the order of creation."""
    begin, step = datetime(2026, 1, 1, tzinfo=UTC), timedelta(days=31) / count
    records = [
        payment(
            n,
            createdAt=(begin + n * step).isoformat(),
            description=f"{n} " + "x" * size,
            currency=("USD", "JPY", "KWD")[n % 3],
            **changes,
        )
        for n in range(count)
    ]
    put_many(services, "Payments", records)
    return [one["id"] for one in records]


def run(pipeline: ExportPipeline, export_id: str = "export-1", **request: Any) -> int:
    """An export from the job to the result, its slices rendered last first; returns how many slices
    there were. What goes from task to task travels as JSON."""
    pipeline.store.create(export_job(export_id, **request))
    slices = [json.dumps(one.to_json()) for one in pipeline.prepare(claimed(pipeline, export_id))]
    rendered = [
        json.dumps(pipeline.render(Slice.from_json(json.loads(one))).to_json())
        for one in reversed(slices)
    ]
    if rendered:
        pipeline.publish([RenderedSlice.from_json(json.loads(one)) for one in rendered])
    return len(slices)


@pytest.mark.parametrize("format", ["csv", "json"])
@pytest.mark.parametrize("compression", ["none", "gzip", "zstd"])
def test_slices_laid_end_to_end_are_the_file_that_one_slice_is(
    services: Services, format: str, compression: str
) -> None:
    ids = many(services, 2000, size=4_000)
    wanted = {"format": format, "compression": compression}

    assert run(pipeline_with(services), "sliced", **wanted) == 4
    assert run(pipeline_with(services, small_export_rows=10_000), "whole", **wanted) == 0

    sliced, whole = finished(services, "sliced"), finished(services, "whole")
    file = file_of(services, sliced, compression)
    assert file == file_of(services, whole, compression)
    assert re.findall(rb"pay-\d{6}", file) == [one.encode() for one in ids]
    if compression == "gzip":
        assert gzip.decompress(content(services, sliced["resultKey"])) == file
    totals = manifest_of(services, sliced)["totals"]
    assert totals == manifest_of(services, whole)["totals"]
    assert totals == {
        "amount_major": {"JPY": "1333333.0000", "KWD": "1331.3340", "USD": "13333.3300"}
    }
    assert objects(services, "staging/") == []
    assert open_uploads(services) == []


@pytest.mark.parametrize("format", ["csv", "json"])
def test_a_large_export_is_cut_rendered_in_slices_and_composed(
    services: Services, pipeline: ExportPipeline, clock: ManualClock, format: str
) -> None:
    ids = many(services, 400, size=30_000)
    pipeline.store.create(export_job(format=format))

    slices = pipeline.prepare(claimed(pipeline))
    assert [piece.number for piece in slices] == [0, 1, 2, 3]
    rendered = [pipeline.render(piece) for piece in slices]
    assert progress_of(record(services)).percent == 100
    clock.advance(3600)  # a long wait for a worker: nobody has claimed it meanwhile
    pipeline.publish(rendered)

    job = finished(services)
    file, manifest = file_of(services, job), manifest_of(services, job)
    rows = csv_rows(services, job) if format == "csv" else map(json.loads, file.splitlines())
    assert [row["payment_id"] for row in rows] == ids, "each once, in the order of the index"
    assert job["rows"] == manifest["rows"] == sum(one.rows for one in rendered) == 400
    assert job["slicesDone"] == frozenset(range(4))
    assert job["progress"].keys() == {"0", "1", "2", "3"}
    assert progress_of(job).rows == 400
    assert manifest["read_capacity_units"] < 1.1 * read_units(services), "nothing is read twice"
    segments = manifest["files"][0]["checksums"]["segments"]
    assert len(segments) == 4
    for segment in segments:
        part = file[segment["offset"] : segment["offset"] + segment["length"]]
        assert hashlib.sha256(part).hexdigest() == segment["sha256"]
    head = services.s3.head_object(Bucket=services.settings.bucket, Key=job["resultKey"])
    assert f'filename="{job["files"][0]["name"]}"' in head["ContentDisposition"]
    assert objects(services) == sorted([job["resultKey"], job["manifestKey"]])
    assert open_uploads(services) == []


def read_units(services: Services) -> float:
    """What it costs to read all of the merchant's payments once."""
    (keys,) = key_ranges(export_job().request.range)
    source = REPORTS["payments"].sources[0]
    query = reading.RawQuery(services.aws, services.tables.client.meta.endpoint_url, Stop())
    pages = query.pages(query_for(source, "Payments", "merchant-1", keys))
    return sum(page.capacity_units for page in pages)


def test_slices_of_a_format_that_cannot_be_joined_are_files_of_their_own(
    services: Services, pipeline: ExportPipeline
) -> None:
    ids = many(services, 400)

    assert run(pipeline, format="parquet") == 4

    job = finished(services)
    assert [file["name"] for file in job["files"]] == [
        f"payments_2026-01-01_2026-01-31_part-{n:04d}.parquet" for n in range(1, 5)
    ]
    found = [parquet_rows(services, file["key"]) for file in job["files"]]
    assert [row["payment_id"] for rows in found for row in rows] == ids
    assert [file["rows"] for file in job["files"]] == [len(rows) for rows in found]
    manifest = manifest_of(services, job)
    assert [file["name"] for file in manifest["files"]] == [one["name"] for one in job["files"]]
    assert (job["rows"], job["resultKey"]) == (400, job["files"][0]["key"])
    assert objects(services, "staging/") == []


@pytest.mark.parametrize("slices", [1, 4])
def test_no_file_has_more_rows_than_asked_for_and_each_has_a_head(
    services: Services, slices: int
) -> None:
    ids = many(services, 5_500)
    pipeline = pipeline_with(services, small_export_rows=10_000 if slices == 1 else 10)

    assert run(pipeline, split_rows=1000) == (slices if slices > 1 else 0)

    job = finished(services)
    texts = [content(services, file["key"]).decode().splitlines() for file in job["files"]]
    counts = [len(lines) - 1 for lines in texts]
    assert sum(counts) == job["rows"] == 5_500
    assert counts == [file["rows"] for file in job["files"]]
    assert max(counts) == 1000
    assert counts.count(1000) >= len(counts) - slices, "only the last file of a slice is shorter"
    assert len({lines[0] for lines in texts}) == 1
    assert [line[1:11] for lines in texts for line in lines[1:]] == ids
    assert objects(services, "staging/") == []


def test_a_split_export_of_one_file_is_called_as_one(
    services: Services, pipeline: ExportPipeline
) -> None:
    many(services, 5)
    run(pipeline, split_rows=1000)
    (file,) = finished(services)["files"]
    assert file["name"] == "payments_2026-01-01_2026-01-31.csv"


@pytest.mark.parametrize(
    ("slices", "count"), [(1, "more than 5"), (2, "6|7")], ids=["rendered", "published"]
)
def test_too_many_files_fail_the_export(
    services: Services, monkeypatch: pytest.MonkeyPatch, slices: int, count: str
) -> None:
    many(services, 6_000)
    for module in ("pipeline", "publishing", "rendering"):
        monkeypatch.setattr(f"remit.exports.{module}.MOST_FILES", 5)
    rows = 100_000 if slices == 1 else 10
    pipeline = pipeline_with(services, small_export_rows=rows, max_slices=2)

    with pytest.raises(ExportFailed, match=f"would be ({count}) files, and at most 5"):
        run(pipeline, split_rows=1000)

    assert finished(services)["errorCode"] == "too_many_files"
    assert objects(services) == []
    assert open_uploads(services) == []


def test_an_export_of_a_format_that_cannot_be_joined_has_no_more_slices_than_files(
    services: Services, pipeline: ExportPipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    many(services, 400)
    monkeypatch.setattr("remit.exports.pipeline.MOST_FILES", 2)
    assert run(pipeline, format="parquet") == 2
    assert len(finished(services)["files"]) == 2


def test_rejects_of_all_slices_are_one_file_and_counted(
    services: Services, pipeline: ExportPipeline
) -> None:
    many(services, 400)
    bad = [payment(900 + day, createdAt=f"2026-01-{day:02d} soon") for day in (2, 12, 22, 30)]
    put_many(services, "Payments", bad)

    assert run(pipeline) == 4

    job = finished(services)
    assert (job["rows"], job["rejects"]) == (400, 4)
    assert [one["id"] for one in rejects_of(services, job)] == [one["id"] for one in bad]
    assert manifest_of(services, job)["rejects"]["rows"] == 4
    assert objects(services, "staging/") == []


def test_too_many_rejects_over_all_slices_fail_the_export_and_leave_nothing(
    services: Services,
) -> None:
    many(services, 400)
    bad = [payment(900 + day, createdAt=f"2026-01-{day:02d} soon") for day in (2, 12, 22, 30)]
    put_many(services, "Payments", bad)

    with pytest.raises(ExportFailed, match="4 records cannot be read, and at most 3"):
        run(pipeline_with(services, max_rejects=3))

    job = finished(services)
    assert (job["status"], job["errorCode"]) == ("failed", "too_many_rejects")
    assert objects(services) == []


@pytest.mark.parametrize("format", ["csv", "json", "parquet"])
def test_a_large_export_without_rows_is_an_empty_file(
    services: Services, pipeline: ExportPipeline, format: str
) -> None:
    many(services, 400)

    assert run(pipeline, format=format, status="canceled") == 4

    job = finished(services)
    (file,) = job["files"]
    assert (job["rows"], job["bytes"]) == (0, len(content(services, file["key"])))
    if format != "parquet":
        assert len(content(services, file["key"]).splitlines()) == (format == "csv")
    assert "part" not in file["name"]


def test_a_slice_that_is_rendered_twice_counts_once(
    services: Services, pipeline: ExportPipeline
) -> None:
    many(services, 400)
    pipeline.store.create(export_job())
    (first, *_) = pipeline.prepare(claimed(pipeline))

    once = pipeline.render(first)
    again = pipeline.render(first)

    assert once == again
    assert record(services)["slicesDone"] == frozenset({0})
    assert progress_of(record(services)).rows == once.rows


def test_a_slice_of_a_lost_export_is_not_rendered(
    services: Services, pipeline: ExportPipeline, clock: ManualClock
) -> None:
    many(services, 400)
    pipeline.store.create(export_job())
    (piece, *_) = pipeline.prepare(claimed(pipeline))
    clock.advance(services.settings.export_queue_lease.total_seconds() + 1)
    assert pipeline.store.claim("export-1", "run-2") is not None

    with pytest.raises(LeaseLost):
        pipeline.render(piece)

    assert objects(services) == []


def test_a_stop_while_a_slice_is_rendered_keeps_the_claim_for_the_retry(
    services: Services, pipeline: ExportPipeline
) -> None:
    many(services, 400)
    pipeline.store.create(export_job())
    slices = pipeline.prepare(claimed(pipeline))
    stopped = Stop()
    stopped.request()

    with pytest.raises(Interrupted):
        ExportPipeline(pipeline.services, stopped).render(slices[0])

    assert objects(services) == []
    pipeline.publish([pipeline.render(piece) for piece in slices])
    assert finished(services)["rows"] == 400


def test_a_slice_that_cannot_be_deleted_does_not_undo_the_export(
    services: Services, pipeline: ExportPipeline
) -> None:
    many(services, 400)

    def out_of_reach(**_: Any) -> None:
        raise EndpointConnectionError(endpoint_url="http://s3")

    pipeline.services.s3.meta.events.register("before-call.s3.DeleteObjects", out_of_reach)
    run(pipeline)
    assert finished(services)["rows"] == 400
    assert objects(services, "staging/") != []


def test_a_publisher_that_is_retried_after_its_last_move_removes_what_was_staged(
    services: Services, pipeline: ExportPipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    many(services, 400)
    pipeline.store.create(export_job())
    rendered = [pipeline.render(piece) for piece in pipeline.prepare(claimed(pipeline))]
    with monkeypatch.context() as killed:
        killed.setattr(pipeline._publisher, "tidy", lambda _: None)
        pipeline.publish(rendered)
    job = finished(services)
    assert objects(services, "staging/") != []

    with pytest.raises(LeaseLost):
        pipeline.publish(rendered)

    assert objects(services) == sorted([job["resultKey"], job["manifestKey"]])
    assert finished(services) == job


def test_all_slices_share_the_budget(
    services: Services, pipeline: ExportPipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    many(services, 400)
    budgets: list[float | None] = []

    class Noted(reading.Pace):
        def __init__(self, budget: float | None = None) -> None:
            budgets.append(budget)
            super().__init__()

    monkeypatch.setattr(reading, "Pace", Noted)
    monkeypatch.setattr(reading, "_ProbePace", Noted)
    pipeline = pipeline_with(services, read_budget=800)
    pipeline.store.create(export_job())

    slices = pipeline.prepare(claimed(pipeline))
    assert budgets == [800, *[100] * 8], "the pages, and eight that probe at once"
    budgets.clear()
    for piece in slices:
        pipeline.render(piece)
    assert budgets == [200] * 4


@pytest.mark.parametrize(
    "asked",
    [
        {"start_date": "2026-01-01", "end_date": "2026-01-31"},
        {"start_date": "2025-02-01", "end_date": "2026-01-31"},
    ],
    ids=["month", "year"],
)
def test_a_day_with_most_of_the_payments_does_not_leave_most_of_the_work_to_one_slice(
    services: Services, asked: dict[str, str]
) -> None:
    quiet = many(services, 1_000)
    begin, step = datetime(2026, 1, 17, tzinfo=UTC), timedelta(hours=24) / 9_000
    days = ((begin + n * step).isoformat() for n in range(9_000))
    put_many(
        services,
        "Payments",
        (payment(10_000 + n, createdAt=day, description="y" * 600) for n, day in enumerate(days)),
    )
    pipeline = pipeline_with(services, slice_rows=1250, max_slices=8)
    pipeline.store.create(export_job(**asked))

    rendered = [pipeline.render(piece) for piece in pipeline.prepare(claimed(pipeline))]

    rows = [one.rows for one in rendered]
    assert len(rows) == 8
    assert sum(rows) == len(quiet) + 9_000
    assert max(rows) < 1.5 * 1250, rows
    pipeline.publish(rendered)
    assert finished(services)["rows"] == 10_000
