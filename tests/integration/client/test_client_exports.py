from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from benchmarks.standins.http import Response
from benchmarks.standins.reading import Request
from remit.client import (
    Conflict,
    ExportCanceled,
    ExportExpired,
    ExportFailed,
    ExportHandle,
    FileDamaged,
    InvalidRequest,
    NotAuthenticated,
    NotFound,
    NotPermitted,
    RemitClient,
    transport,
)
from remit.exports.pipeline import ExportPipeline
from remit.services import Services
from remit.stop import Stop
from tests.integration.client.conftest import ClientFor, Worker
from tests.support.api import NotedRuns
from tests.support.aws import put_many
from tests.support.clock import ManualClock
from tests.support.exports import claimed, payment, store_payments
from tests.support.standins import StandIns

JANUARY = (date(2026, 1, 1), date(2026, 1, 31))


def many(services: Services, count: int, size: int = 100) -> None:
    """Payments over all of January."""
    begin, step = datetime(2026, 1, 1, tzinfo=UTC), timedelta(days=31) / count
    put_many(
        services,
        "Payments",
        (
            payment(n, createdAt=(begin + n * step).isoformat(), description=f"{n} " + "x" * size)
            for n in range(count)
        ),
    )


def finished(client: RemitClient, worker: Worker, **options: Any) -> ExportHandle:
    """An export of January that is completed."""
    export = client.export(*JANUARY, **options)
    worker.make(export.id)
    return export.wait(timeout=10)


def test_from_the_request_to_the_checked_file(
    client_for: ClientFor,
    services: Services,
    worker: Worker,
    runs: NotedRuns,
    tmp_path: Path,
) -> None:
    store_payments(services, *[payment(n) for n in range(1, 4)])
    export = client_for().export(*JANUARY, format="json", columns=["payment_id", "amount_minor"])
    thread = threading.Thread(target=worker.make, args=[export.id])
    seen: list[str] = []

    def look(document: dict[str, Any]) -> None:
        seen.append(document["status"])
        if len(seen) == 1:
            thread.start()

    (path,) = export.wait(look, timeout=30).download(tmp_path / "payments.ndjson")
    thread.join()

    assert path.read_text(encoding="utf-8").splitlines() == [
        f'{{"payment_id":"pay-00000{n}","amount_minor":1999}}' for n in (1, 2, 3)
    ]
    assert (seen[0], seen[-1]) == ("pending", "completed")
    assert [run[2] for run in runs.started] == [{"export_id": export.id}]
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert export.manifest()["files"][0]["checksums"]["sha256"] == digest


@pytest.mark.parametrize("has_awscrt", [True, False])
def test_a_file_of_several_slices_is_checked_too(
    client_for: ClientFor,
    services: Services,
    worker: Worker,
    tmp_path: Path,
    has_awscrt: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if not has_awscrt:
        monkeypatch.setattr("remit.client.checksums.find_spec", lambda _: None)
    many(services, 2000, size=4_000)
    worker.small = 500
    export = finished(client_for(), worker)
    assert export.document["checksum"]["sha256"] is None
    assert len(export.manifest()["files"][0]["checksums"]["segments"]) > 1
    (path,) = export.download(f"{tmp_path}/")
    assert path.name == "payments_2026-01-01_2026-01-31.csv"
    assert path.stat().st_size == export.document["bytes"]
    assert path.read_bytes().count(b'"pay-') == 2000


@pytest.mark.parametrize("has_awscrt", [True, False])
def test_a_file_that_is_not_what_was_stored_is_refused(
    client_for: ClientFor,
    services: Services,
    standins: StandIns,
    worker: Worker,
    tmp_path: Path,
    has_awscrt: bool,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if not has_awscrt:
        monkeypatch.setattr("remit.client.checksums.find_spec", lambda _: None)
    many(services, 2000, size=4_000)
    worker.small = 500
    export = finished(client_for(), worker)
    (file,) = services.tables.export_jobs.get(export.id)["files"]  # type: ignore[index]
    bucket = services.settings.bucket
    stored = services.s3.get_object(Bucket=bucket, Key=file["key"])["Body"].read()
    services.s3.put_object(Bucket=bucket, Key=file["key"], Body=stored[:-3] + b"\0\r\n")
    with pytest.raises(FileDamaged):
        export.download(tmp_path / "out.csv")
    assert list(tmp_path.iterdir()) == []


def test_several_files_are_numbered_or_have_their_own_names(
    client_for: ClientFor, services: Services, worker: Worker, tmp_path: Path
) -> None:
    many(services, 2500)
    export = finished(client_for(), worker, split_rows=1000)
    numbered = export.download(tmp_path / "p.csv")
    own = export.download(f"{tmp_path}/own/")
    assert [path.name for path in numbered] == ["p-0001.csv", "p-0002.csv", "p-0003.csv"]
    assert [path.name for path in own] == [file.name for file in export.files()]
    assert [path.read_bytes() for path in own] == [path.read_bytes() for path in numbered]
    assert sum(path.read_bytes().count(b'"pay-') for path in own) == 2500


def test_a_download_that_breaks_goes_on_by_a_range_of_s3(
    client_for: ClientFor,
    services: Services,
    standins: StandIns,
    worker: Worker,
    tmp_path: Path,
) -> None:
    many(services, 1000)
    export = finished(client_for(), worker)
    whole = (tmp_path / "whole.csv", tmp_path / "broken.csv")
    export.download(whole[0])
    standins.objects.seen.clear()
    standins.objects.instead = half_then(standins)
    export.download(whole[1])
    assert whole[0].read_bytes() == whole[1].read_bytes()
    gets = [target for target, _ in standins.objects.seen if target.startswith("GET")]
    assert len(gets) == 2


def half_then(standins: StandIns) -> Callable[[Request], Response | None]:
    """An S3 that answers the first GET with half of the object, and the next with what is asked."""
    asked: list[Request] = []

    def answer(request: Request) -> Response | None:
        if request.method != "GET" or asked:
            assert not asked or request.headers["range"].startswith("bytes=")
            return None
        asked.append(request)
        found = standins.s3.handle(request)
        content = b"".join(bytes(part) for part in found.parts)
        return Response(200, {"ETag": found.headers["ETag"]}, [content[: len(content) // 2]])

    return answer


def test_links_that_have_ended_are_asked_for_again(
    client_for: ClientFor,
    services: Services,
    standins: StandIns,
    worker: Worker,
    tmp_path: Path,
) -> None:
    store_payments(services, payment(1))
    client = client_for()
    export = finished(client, worker)
    refused: list[str] = []

    def answer(request: Request) -> Response | None:
        if request.method == "GET" and not refused:
            refused.append(request.target)
            return Response(403, {}, [b"<Error><Code>AccessDenied</Code></Error>"])
        assert "authorization" not in request.headers or request.method != "GET"
        return None

    standins.objects.instead = answer
    export.download(tmp_path / "out.csv")
    assert (tmp_path / "out.csv").read_bytes().count(b'"pay-') == 1
    minted = list(client.audit(action="exports.link.minted"))
    assert len(minted) == 2


def test_the_rules_of_the_hook_are_errors_of_their_types(
    client_for: ClientFor, hook_url: str
) -> None:
    client = client_for()
    with pytest.raises(InvalidRequest) as wrong:
        client.export("2026-01-31", "2026-01-01", format="pdf", color="red")
    assert {error.field for error in wrong.value.errors} >= {"format", "color"}
    assert wrong.value.request_id
    with pytest.raises(NotPermitted, match="settlements"):
        client.export(*JANUARY, report="settlements")
    with pytest.raises(NotFound, match="export-1"):
        client.get_export("export-1")
    with pytest.raises(NotAuthenticated):
        RemitClient(hook_url, "a.b.c").reports()


def test_another_merchant_s_export_is_not_there(client_for: ClientFor) -> None:
    export = client_for().export(*JANUARY)
    with pytest.raises(NotFound):
        client_for("merchant-2").get_export(export.id)


def test_a_key_of_one_s_own_is_one_export(client_for: ClientFor) -> None:
    client = client_for()
    exports = [client.export(*JANUARY, idempotency_key="nightly") for _ in range(2)]
    assert exports[0].id == exports[1].id
    assert client.export(*JANUARY).id != exports[0].id
    with pytest.raises(InvalidRequest, match="key"):
        client.export("2026-02-01", "2026-02-28", idempotency_key="nightly")


def test_an_export_is_canceled_and_made_again(
    client_for: ClientFor, services: Services, worker: Worker, tmp_path: Path
) -> None:
    store_payments(services, payment(1))
    export = client_for().export(*JANUARY)
    assert export.cancel()["status"] == "canceled"
    with pytest.raises(ExportCanceled):
        export.wait()
    assert export.retry()["status"] == "pending"
    worker.make(export.id)
    assert export.wait().download(tmp_path / "a.csv") == [tmp_path / "a.csv"]
    with pytest.raises(Conflict):
        export.cancel()


def test_a_failed_export_says_why(client_for: ClientFor, services: Services) -> None:
    export = client_for().export(*JANUARY)
    pipeline = ExportPipeline(services, Stop())
    pipeline.store.fail(claimed(pipeline, export.id), "too_many_rejects", "payment pay-1", [])
    with pytest.raises(ExportFailed) as caught:
        export.wait()
    assert (caught.value.code, caught.value.reason) == ("too_many_rejects", "payment pay-1")


def test_an_export_whose_time_is_up_has_expired(client_for: ClientFor, clock: ManualClock) -> None:
    client = client_for()
    export = client.export(*JANUARY)
    clock.advance(8 * 24 * 3600)
    with pytest.raises(ExportExpired):
        export.wait()


def test_a_token_that_ends_meanwhile_is_renewed(client_for: ClientFor, clock: ManualClock) -> None:
    client = client_for()
    export = client.export(*JANUARY)
    clock.advance(2 * 3600)
    assert export.status()["status"] == "pending"


def test_exports_are_listed_over_pages(
    client_for: ClientFor, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(transport, "PAGE", 5)
    client, asked = client_for(), []
    for _ in range(13):
        clock.advance(1)
        asked.append(client.export(*JANUARY))
        if len(asked) % 3 == 0:
            asked[-1].cancel()
    assert [one.id for one in client.exports()] == [one.id for one in reversed(asked)]
    assert len(list(client.exports(status="canceled"))) == 4
    early = asked[0].status()["created_at"]
    assert list(client.exports(created_before=early)) == []
    assert len(list(client.exports(created_after=early, status=["pending"]))) == 9


def test_reports_are_those_that_the_token_permits(client_for: ClientFor) -> None:
    assert {one["name"] for one in client_for("merchant-1", "payments").reports()} == {
        "payments",
        "daily_summary",
    }


def test_one_client_is_for_many_threads(client_for: ClientFor) -> None:
    client = client_for()
    with ThreadPoolExecutor(8) as pool:
        ids = list(pool.map(lambda _: client.export(*JANUARY).id, range(24)))
    assert len({*ids}) == 24
