from __future__ import annotations

import io
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import pytest

from remit.client import (
    Conflict,
    ExportCanceled,
    ExportExpired,
    ExportFailed,
    ExportNotCompleted,
    Polling,
    WaitTimedOut,
)
from tests.unit.client.scripts import (
    HOOK,
    Reply,
    Script,
    Time,
    client_of,
    export_document,
    problem,
    reply,
)

ACCEPTED = reply({"export_id": "export-1", "status": "pending"}, 202)
PENDING = reply(export_document("pending"))
PROCESSING = reply(export_document("processing"))
COMPLETED = reply(export_document("completed", rows=10))


def test_the_request_has_what_was_given_and_no_more() -> None:
    script = Script(ACCEPTED)
    export = client_of(script).export(
        "2026-01-01", "2026-01-31", format="parquet", columns=["payment_id"], min_amount=1
    )
    assert export.id == "export-1"
    assert export.document["status"] == "pending"
    assert (script.asked[0].method, script.asked[0].url) == ("POST", f"{HOOK}/payments/export")
    assert script.header("Content-Type") == ["application/json"]
    assert script.bodies() == [
        {
            "start_date": "2026-01-01",
            "end_date": "2026-01-31",
            "format": "parquet",
            "report": "payments",
            "columns": ["payment_id"],
            "min_amount": 1,
        }
    ]


@pytest.mark.parametrize(
    ("given", "sent"),
    [
        (date(2026, 1, 1), "2026-01-01"),
        (datetime(2026, 1, 1, tzinfo=UTC), "2026-01-01T00:00:00+00:00"),
        (
            datetime(2026, 1, 1, 12, tzinfo=timezone(timedelta(hours=5, minutes=45))),
            "2026-01-01T12:00:00+05:45",
        ),
        ("2026-01-01T00:00:00Z", "2026-01-01T00:00:00Z"),
    ],
)
def test_days_and_instants_are_written_as_the_hook_reads_them(given: Any, sent: str) -> None:
    script = Script(ACCEPTED)
    client_of(script).export(given, "2026-01-31", timezone=None)
    assert script.bodies()[0]["start_date"] == sent
    assert "timezone" not in script.bodies()[0]


def test_an_instant_without_an_offset_is_not_sent() -> None:
    with pytest.raises(ValueError, match="start_date has no time zone"):
        client_of(Script()).export(datetime(2026, 1, 1), "2026-01-31")


def test_wait_looks_with_growing_pauses_until_the_files_are_there() -> None:
    script, time = Script(ACCEPTED, PENDING, PROCESSING, PROCESSING, COMPLETED), Time()
    polling = Polling(first=1, growth=2, longest=3)
    export = client_of(script, time, polling=polling).export("2026-01-01", "2026-01-31")
    assert export.wait() is export
    assert export.document["status"] == "completed"
    assert time.slept == [1, 2, 3]


def test_wait_pauses_as_long_as_the_hook_asks() -> None:
    script, time = Script(PENDING, COMPLETED), Time()
    script.steps[0] = reply(export_document("pending"), Retry_After="9")
    script.steps.appendleft(PENDING)
    client_of(script, time).get_export("export-1").wait()
    assert time.slept == [9]


def test_wait_tells_of_every_look() -> None:
    seen: list[str] = []
    script = Script(ACCEPTED, PENDING, PROCESSING, COMPLETED)
    export = client_of(script).export("2026-01-01", "2026-01-31")
    export.wait(lambda document: seen.append(document["status"]))
    assert seen == ["pending", "processing", "completed"]


def test_wait_ends_when_its_time_is_over() -> None:
    script, time = Script(*[PROCESSING] * 5), Time()
    polling = Polling(first=4, growth=1)
    export = client_of(script, time, polling=polling).get_export("export-1")
    with pytest.raises(WaitTimedOut, match="export-1 is processing after 10 s, and goes on"):
        export.wait(timeout=10)
    assert time.slept == [4, 4, 2]


def test_a_failed_export_says_why() -> None:
    failed = export_document("failed", error={"code": "too_many_rows", "message": "1,000,001"})
    with pytest.raises(ExportFailed) as caught:
        client_of(Script(reply(failed), reply(failed))).get_export("export-1").wait()
    assert (caught.value.code, caught.value.reason) == ("too_many_rows", "1,000,001")
    assert caught.value.export_id == "export-1"
    assert str(caught.value) == "export-1 failed (too_many_rows): 1,000,001"


@pytest.mark.parametrize(
    ("status", "kind"), [("canceled", ExportCanceled), ("expired", ExportExpired)]
)
def test_an_export_that_will_have_no_files_ends_the_wait(status: str, kind: type) -> None:
    answer = reply(export_document(status))
    with pytest.raises(kind, match=f"export-1 .*{status}"):
        client_of(Script(answer, answer)).get_export("export-1").wait()


def test_an_export_without_files_yet_is_not_downloaded() -> None:
    export = client_of(Script(PENDING, PENDING)).get_export("export-1")
    with pytest.raises(ExportNotCompleted, match=r"is pending: .* wait\(\)"):
        export.download("payments.csv")


@pytest.mark.parametrize(("action", "status"), [("cancel", "canceled"), ("retry", "pending")])
def test_an_action_answers_with_the_document(action: str, status: str) -> None:
    script = Script(PROCESSING, reply(export_document(status)))
    export = client_of(script).get_export("export-1")
    call: Callable[[], Any] = getattr(export, action)
    assert call()["status"] == status
    assert export.document["status"] == status
    assert (script.asked[1].method, script.asked[1].url) == (
        "POST",
        f"{HOOK}/exports/export-1/{action}",
    )
    assert script.asked[1].body is None


def test_what_cannot_be_canceled_is_a_conflict() -> None:
    export = client_of(Script(COMPLETED, problem(409, "conflict"))).get_export("export-1")
    with pytest.raises(Conflict):
        export.cancel()


def test_exports_are_taken_page_by_page() -> None:
    pages = [
        reply({"data": [export_document(export_id="a"), export_document(export_id="b")],
               "next_cursor": "c=1&x"}),
        reply({"data": [], "next_cursor": "c2"}),
        reply({"data": [export_document(export_id="c")], "next_cursor": None}),
    ]  # fmt: skip
    script = Script(*pages)
    found = client_of(script).exports(
        status=["failed", "expired"], created_after=datetime(2026, 1, 1, tzinfo=UTC)
    )
    assert next(found).id == "a"
    assert len(script.asked) == 1
    assert [export.id for export in found] == ["b", "c"]
    filters = "status=failed&status=expired&created_after=2026-01-01T00%3A00%3A00%2B00%3A00"
    assert [one.url for one in script.asked] == [
        f"{HOOK}/exports?limit=100&{filters}",
        f"{HOOK}/exports?limit=100&{filters}&cursor=c%3D1%26x",
        f"{HOOK}/exports?limit=100&{filters}&cursor=c2",
    ]


def test_a_link_is_asked_for_and_not_followed() -> None:
    script = Script(COMPLETED, Reply(307, b"", {"Location": "https://s3.test/x?signature"}))
    assert client_of(script).get_export("export-1").link("manifest") == (
        "https://s3.test/x?signature"
    )
    assert script.asked[1].url == f"{HOOK}/exports/export-1/download?file=manifest"
    assert len(script.asked) == 2


def test_progress_on_a_terminal_is_one_line_that_is_rewritten(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setenv("COLUMNS", "100")
    script, time = Script(PENDING, PENDING, PROCESSING, COMPLETED), Time()
    client_of(script, time, polling=Polling(1, 1, 1)).get_export("export-1").wait(progress=True)
    shown = terminal.getvalue()
    assert shown.count("\n") == 1
    assert shown.endswith("\n")
    last = shown.strip().rpartition("\r\x1b[K")[2]
    assert last == "export-1  [########################] 100 %  completed 10 rows  2 s"
    assert "[#########...............]  40 %  processing 10 rows" in shown


@pytest.mark.parametrize("columns", range(1, 100, 3))
def test_progress_on_a_narrow_terminal_is_still_one_line(
    monkeypatch: pytest.MonkeyPatch, columns: int
) -> None:
    terminal = Terminal()
    monkeypatch.setattr("sys.stderr", terminal)
    monkeypatch.setenv("COLUMNS", str(columns))
    client_of(Script(PROCESSING, PROCESSING, COMPLETED)).get_export("export-1").wait(progress=True)
    shown = terminal.getvalue().removesuffix("\n").split("\r\x1b[K")[1:]
    assert len(shown) == 2
    assert all(len(line) < columns for line in shown)
    assert {"[" in line for line in shown} <= {columns >= 46, columns >= 50}


def test_progress_elsewhere_is_a_line_per_change(
    capsys: pytest.CaptureFixture[str],
) -> None:
    script = Script(PENDING, PENDING, PENDING, PROCESSING, PROCESSING, COMPLETED)
    client_of(script).get_export("export-1").wait(progress=True)
    printed = capsys.readouterr()
    assert printed.out == ""
    assert printed.err.splitlines() == [
        "export-1  40 %  pending 10 rows",
        "export-1  40 %  processing 10 rows",
        "export-1  100 %  completed 10 rows",
    ]


def test_progress_tells_what_the_last_try_met(capsys: pytest.CaptureFixture[str]) -> None:
    waiting = export_document("pending", error={"code": "unavailable", "message": "…"})
    script = Script(reply(waiting), reply(waiting), COMPLETED)
    client_of(script).get_export("export-1").wait(progress=True)
    assert "(last try: unavailable)" in capsys.readouterr().err


class Terminal(io.StringIO):
    """Looks like one."""

    def isatty(self) -> bool:
        return True
