from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from remit.__main__ import main
from remit.clock import format_instant
from remit.services import Services
from remit.webhooks import replay_pages
from tests.support.audit import entries_of
from tests.support.clock import ManualClock
from tests.support.replays import MERCHANT, change, dead_letters, job, record, run
from tests.support.webhooks import (
    NOW,
    add_endpoint,
    add_merchant,
    foreign_webhook,
    publish,
)

SINCE = "2026-11-23T11:00:00Z"

Print = Callable[..., list[dict[str, Any]]]


@pytest.fixture(autouse=True)
def merchant(services: Services) -> None:
    add_merchant(services, "https://example.com/hook")


@pytest.fixture
def printed(capsys: pytest.CaptureFixture[str]) -> Print:
    """Runs a command of `remit webhooks`; returns the objects that it prints."""

    def printed(name: str, *arguments: str) -> list[dict[str, Any]]:
        assert main(["webhooks", name, "--merchant", MERCHANT, *arguments]) == 0
        return [json.loads(line) for line in capsys.readouterr().out.splitlines()]

    return printed


def refused(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[str]:
    """The lines on standard error of a replay that is refused, which prints nothing else."""
    assert main(["webhooks", "replay", "--merchant", MERCHANT, *arguments]) == 1
    printed = capsys.readouterr()
    assert printed.out == ""
    return printed.err.splitlines()


def test_one_webhook_is_replayed_and_before_that_asked_about(
    services: Services, printed: Print
) -> None:
    (key,) = dead_letters(services, [1])
    assert printed("replay", "--webhook", key, "--dry-run") == [
        {"webhook": key, "was": "failed", "replayable": 1}
    ]
    assert record(services, key)["status"] == "failed"
    assert printed("replay", "--webhook", key, "--actor", "ops") == [
        {"webhook": key, "was": "failed", "replayed": 1}
    ]
    assert record(services, key)["status"] == "pending"
    assert [entry.actor.name for entry in entries_of(services, MERCHANT)] == ["ops"]


def test_many_are_counted_asked_for_and_followed(
    services: Services, printed: Print, clock: ManualClock
) -> None:
    dead_letters(services, range(3))
    dead_letters(services, [9], endpointID="gone")
    clock.advance(60)
    assert printed("replay", "--since", SINCE, "--dry-run") == [
        {"matched": 4, "replayable": 3, "skipped": {"endpoint_deleted": 1}}
    ]
    assert services.tables.client.scan(TableName="WebhookReplays")["Items"] == []
    (asked,) = printed("replay", "--since", SINCE, "--rate", "7")
    assert (asked["status"], asked["rate"]) == ("queued", 7)
    run(services)
    (done,) = printed("replay", "--replay", asked["id"])
    assert (done["status"], done["matched"], done["replayed"]) == ("completed", 4, 3)
    assert done["skipped"] == {"endpoint_deleted": 1}


def test_every_option_narrows_the_filter(services: Services, printed: Print) -> None:
    add_endpoint(services, "ep-2")
    until = "2026-11-23T12:30:00+01:00"
    options = ["--until", until, "--endpoint", "ep-2", "--type", "payment.*", "--type", "a.b"]
    options += ["--status", "delivered", "--status", "expired", "--reason", "gone"]
    (asked,) = printed("replay", "--since", SINCE, *options)
    assert job(services, asked["id"])["filter"] == {
        "since": "2026-11-23T11:00:00.000000Z",
        "until": "2026-11-23T11:30:00.000000Z",
        "endpoint": "ep-2",
        "eventTypes": ["payment.*", "a.b"],
        "statuses": ["delivered", "expired"],
        "reasonCodes": ["gone"],
    }


def test_a_count_that_is_not_whole_says_so(
    services: Services, printed: Print, clock: ManualClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    dead_letters(services, range(3))
    clock.advance(60)
    monkeypatch.setattr(replay_pages, "COUNTED", 2)
    (counted,) = printed("replay", "--since", SINCE, "--dry-run")
    assert counted["matched"] == "at least 2"


def test_every_wrong_option_is_a_line_with_what_would_be_right(
    capsys: pytest.CaptureFixture[str],
) -> None:
    wrong = ["--type", "x", "--status", "lost", "--reason", "luck", "--endpoint", "a b"]
    lines = refused(capsys, "--since", "2026-11-24T00:00:00Z", "--rate", "0", *wrong)
    fields = [line.removeprefix("remit webhooks: ").partition(":")[0] for line in lines]
    assert fields == ["since", "type", "status", "reason", "endpoint", "rate"]
    assert all("; allowed: " in line for line in lines)
    lines = refused(capsys, "--since", "yesterday", "--until", "tomorrow")
    assert [line.split(": ")[1] for line in lines] == ["since", "until"]


def test_what_narrows_a_filter_is_refused_with_one_webhook(
    services: Services, capsys: pytest.CaptureFixture[str]
) -> None:
    (key,) = dead_letters(services, [1])
    for which in (["--webhook", key], ["--replay", "replay-1"]):
        lines = refused(capsys, *which, "--endpoint", "default", "--rate", "5")
        assert [line.split(": ")[1] for line in lines] == ["endpoint", "rate"]
    assert record(services, key)["status"] == "failed"


def test_what_cannot_be_replayed_is_one_line(
    services: Services, capsys: pytest.CaptureFixture[str]
) -> None:
    key = publish(services)
    (line,) = refused(capsys, "--webhook", key)
    assert "still in the queue" in line
    (line,) = refused(capsys, "--webhook", "wh-absent", "--dry-run")
    assert line == "remit webhooks: there is no webhook 'wh-absent'"
    (line,) = refused(capsys, "--replay", "replay-1")
    assert line == "remit webhooks: there is no replay 'replay-1'"


def test_one_of_webhook_since_and_replay_is_needed(capsys: pytest.CaptureFixture[str]) -> None:
    for arguments in ([], ["--webhook", "a", "--since", SINCE]):
        with pytest.raises(SystemExit):
            main(["webhooks", "replay", "--merchant", MERCHANT, *arguments])
    assert "--since" in capsys.readouterr().err


def test_dead_letters_are_listed_with_why(
    services: Services, printed: Print, clock: ManualClock
) -> None:
    (key,) = dead_letters(services, [1], updatedAt=format_instant(NOW + timedelta(hours=2)))
    publish(services, 2)
    dead_letters(services, [3], status="delivered")
    assert printed("dead") == [
        {
            "id": key,
            "event": "evt-1",
            "type": "payment.succeeded",
            "endpoint": "default",
            "status": "failed",
            "reasonCode": "gone",
            "reason": "the endpoint answered 410",
            "attempts": 7,
            "createdAt": "2026-11-23T12:00:00.000000Z",
            "endedAt": "2026-11-23T14:00:00.000000Z",
        }
    ]


def test_dead_letters_of_one_endpoint(services: Services, printed: Print) -> None:
    add_endpoint(services, "ep-2")
    dead_letters(services, [1])
    services.tables.webhooks.put(foreign_webhook("wh-foreign", "https://x.example", reason="x"))
    assert {one["endpoint"] for one in printed("dead")} == {"default", "ep-2"}
    assert [one["event"] for one in printed("dead", "--endpoint", "ep-2")] == ["evt-1"]
    own = printed("dead", "--endpoint", "default")
    assert sorted(one["id"] == "wh-foreign" for one in own) == [False, True]
    assert printed("dead", "--endpoint", "ep-9") == []


def test_a_dead_letter_of_any_shape_is_listed(services: Services, printed: Print) -> None:
    (key,) = dead_letters(services, [1])
    change(services, key, attempts={"a": 1}, reason=frozenset({"x"}), endpointID=5)
    (letter,) = printed("dead")
    assert (letter["attempts"], letter["reason"]) == ("{'a': 1}", "frozenset({'x'})")
    assert letter["endpoint"] == 5
