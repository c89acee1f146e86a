from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from remit.aws.session import Aws
from remit.errors import InvalidRequest
from remit.services import Services
from remit.settings import Settings
from remit.stop import Stop
from remit.webhooks.policy import Reason, Status
from remit.webhooks.record import Lifespan, Webhook
from remit.webhooks.replay import Candidate, Refused, Skip, extension, requeue
from remit.webhooks.replay_filter import MAX_RATE, REASON_CODES, ReplayFilter, check_filter
from remit.webhooks.replay_job import Job, Progress, Unreadable, job_in
from remit.webhooks.replay_pages import Already, Found
from remit.webhooks.replay_writes import PageWriter
from tests.support.aws import aws_at
from tests.support.clock import ManualClock
from tests.support.webhooks import NOW

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
SETTINGS = Settings()
RIGHT = ReplayFilter(NOW - HOUR)


@pytest.fixture
def services(clock: ManualClock) -> Services:
    """Nothing is asked of them."""
    aws: Aws = aws_at("http://127.0.0.1:9")
    return Services(SETTINGS, aws, clock)


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as pool:
        yield pool


def webhook(**changes: Any) -> Webhook:
    fields: dict[str, Any] = {
        "id": "wh-1",
        "merchant_id": "merchant-1",
        "endpoint_id": "default",
        "event_type": "payment.succeeded",
        "url": "https://example.com",
        "status": Status.FAILED,
        "attempts": 7,
        "deliver_before": NOW,
        "event_id": "evt-1",
        "payload": None,
    }
    return Webhook(**{**fields, **changes})


def candidate(payload_until: int | None = None, **record: Any) -> Candidate:
    return Candidate({"id": "wh-1", "updatedAt": "then", **record}, webhook(), payload_until)


def found(verdict: Any) -> Found:
    return Found({"id": "wh-1"}, verdict)


def fields_of(wanted: ReplayFilter, rate: Any = 50) -> list[str]:
    with pytest.raises(InvalidRequest) as refused:
        check_filter(wanted, rate, NOW, SETTINGS)
    for error in refused.value.errors:
        assert error.message
        assert error.allowed
    return [error.field for error in refused.value.errors]


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"since": NOW}, "since"),
        ({"since": NOW + HOUR}, "since"),
        ({"since": NOW - 8 * DAY - HOUR}, "since"),
        ({"since": datetime(2026, 11, 23)}, "since"),
        ({"until": datetime(2026, 11, 23)}, "until"),
        ({"until": NOW - HOUR}, "until"),
        ({"until": NOW - 2 * HOUR}, "until"),
        ({"endpoint_id": ""}, "endpoint"),
        ({"endpoint_id": "a b"}, "endpoint"),
        ({"endpoint_id": "x" * 129}, "endpoint"),
        ({"event_types": ("payment",)}, "type"),
        ({"event_types": ("payment.*",) * 101}, "type"),
        ({"event_types": (5,)}, "type"),
        ({"statuses": ()}, "status"),
        ({"statuses": ("pending",)}, "status"),
        ({"statuses": ("failed", "lost")}, "status"),
        ({"reason_codes": ("unlucky",)}, "reason"),
    ],
    ids=str,
)
def test_a_filter_that_nobody_may_ask_for_names_the_field(
    changes: dict[str, Any], field: str
) -> None:
    fields: dict[str, Any] = {"since": NOW - HOUR, **changes}
    assert fields_of(ReplayFilter(**fields)) == [field]


@pytest.mark.parametrize("rate", [0, -1, MAX_RATE + 1, 1.5, "5", True, None])
def test_a_rate_is_a_whole_number_within_bounds(rate: Any) -> None:
    assert fields_of(RIGHT, rate) == ["rate"]


def test_every_wrong_field_is_named_at_once() -> None:
    wrong = ReplayFilter(
        NOW, endpoint_id="", event_types=("x", "y"), statuses=("x",), reason_codes=("x",)
    )
    assert fields_of(wrong, 0) == ["since", "type", "type", "status", "reason", "endpoint", "rate"]


def test_the_longest_window_is_as_long_as_webhooks_are_kept() -> None:
    longest = ReplayFilter(NOW - 8 * DAY)
    assert check_filter(longest, 1, NOW, SETTINGS).since == longest.since
    shorter = Settings(webhook_lifetime=HOUR, webhook_retention=HOUR)
    with pytest.raises(InvalidRequest, match="the window is 3:00:00 long"):
        check_filter(ReplayFilter(NOW - 3 * HOUR), 1, NOW, shorter)


def test_the_end_of_a_window_is_now_at_the_latest() -> None:
    for until in (None, NOW, NOW + 30 * DAY):
        assert check_filter(ReplayFilter(NOW - HOUR, until), 1, NOW, SETTINGS).until == NOW
    earlier = NOW - HOUR / 2
    assert check_filter(ReplayFilter(NOW - HOUR, earlier), 1, NOW, SETTINGS).until == earlier


def test_every_reason_code_can_be_asked_for() -> None:
    assert set(REASON_CODES) == {reason.value for reason in Reason}
    wanted = ReplayFilter(NOW - HOUR, reason_codes=REASON_CODES)
    assert check_filter(wanted, 1, NOW, SETTINGS).reason_codes == REASON_CODES


def test_a_filter_is_stored_and_read_back() -> None:
    east = timezone(timedelta(hours=5))
    whole = ReplayFilter(
        (NOW - HOUR).astimezone(east), NOW, "ep-1", ("payment.*",), ("delivered",), ("gone",)
    )
    assert ReplayFilter.from_document(whole.document()) == whole
    bare = ReplayFilter(NOW - HOUR, NOW)
    assert ReplayFilter.from_document(bare.document()) == bare
    assert bare.document().keys() == {"since", "until", "statuses"}


def test_a_window_covers_its_begin_and_not_its_end() -> None:
    wanted = ReplayFilter(NOW - HOUR, NOW)
    assert wanted.covers(NOW - HOUR)
    assert not wanted.covers(NOW - HOUR - timedelta(microseconds=1))
    assert not wanted.covers(NOW)


def test_types_are_patterns_and_none_is_any() -> None:
    assert RIGHT.wants("anything.at_all")
    some = ReplayFilter(NOW - HOUR, event_types=("payment.*", "refund.created"))
    assert [some.wants(one) for one in ("payment.failed", "refund.created", "refund.failed")] == [
        True,
        True,
        False,
    ]


@pytest.mark.parametrize(
    ("patterns", "prefix"),
    [
        ((), ""),
        (("*",), ""),
        (("payment.*",), "payment."),
        (("payment.failed",), "payment.failed"),
        (("payment.failed", "payment.*"), "payment."),
        (("payment.*", "payments.imported"), "payment"),
        (("payment.*", "refund.*"), ""),
    ],
)
def test_types_have_a_common_beginning(patterns: tuple[str, ...], prefix: str) -> None:
    assert ReplayFilter(NOW, event_types=patterns).type_prefix == prefix


def test_every_name_of_an_expression_has_a_value() -> None:
    wanted = ReplayFilter(NOW, None, "default", (), ("failed", "expired"), ("gone", "expired"))
    expression, values = wanted.expression("replay-1")
    assert all(f":{name}" in expression for name in values)
    assert values["replay"] == "replay-1"
    assert sorted(values.values()) == sorted(
        ["failed", "expired", "gone", "expired", "default", "replay-1"]
    )


def test_a_replay_demands_the_record_as_it_was_seen(services: Services) -> None:
    changes = requeue(candidate(), NOW, Lifespan.of(NOW, services.settings))
    assert changes["values"] == {"seen": "failed", "owner": "merchant-1", "updated": "then"}
    for part in ("attribute_not_exists(#dueShard)", "#status = :seen", "#updatedAt = :updated"):
        assert part in changes["condition"]
    foreign = Candidate({"id": "wh-1"}, webhook(), None)
    condition = requeue(foreign, NOW, Lifespan.of(NOW, services.settings))["condition"]
    assert condition.endswith("attribute_not_exists(#updatedAt)")


@pytest.mark.parametrize(("before", "after"), [(None, 1), (1, 2), (41, 42), ("many", 1)])
def test_replays_are_counted(services: Services, before: Any, after: int) -> None:
    seen = candidate() if before is None else candidate(replays=before)
    assert requeue(seen, NOW, Lifespan.of(NOW, services.settings))["set"]["replays"] == after


@pytest.mark.parametrize(
    ("payload_until", "extended"),
    [(None, False), (NOW + DAY, False), (NOW + DAY - timedelta(seconds=1), True), (NOW, True)],
)
def test_an_event_is_written_again_only_if_it_would_go_first(
    services: Services, payload_until: datetime | None, extended: bool
) -> None:
    seen = candidate(None if payload_until is None else int(payload_until.timestamp()))
    changes = extension(seen, Lifespan.of(NOW, services.settings))
    assert (changes is not None) is extended
    if changes is not None:
        assert changes["set"] == {"expiresAt": int((NOW + 8 * DAY).timestamp())}


def slots(
    services: Services, pool: ThreadPoolExecutor, verdicts: list[Any], last: float | None = None
) -> list[float]:
    """When each is due, in seconds from now, at a rate of 2."""
    job = Job("replay-1", "merchant-1", RIGHT, 2, Progress())
    writer = PageWriter(services, Stop(), job, pool)
    before = None if last is None else NOW + timedelta(seconds=last)
    return [
        (slot.lifespan.begins - NOW).total_seconds()
        for slot in writer.slots([found(verdict) for verdict in verdicts], before)
    ]


def test_each_is_due_a_step_after_the_one_before(
    services: Services, pool: ThreadPoolExecutor
) -> None:
    assert slots(services, pool, [candidate()] * 3) == [0, 0.5, 1]
    assert slots(services, pool, [candidate()] * 2, last=10) == [10.5, 11]


def test_nothing_is_due_in_the_past(services: Services, pool: ThreadPoolExecutor) -> None:
    assert slots(services, pool, [candidate()] * 2, last=-60) == [0, 0.5]


def test_what_is_skipped_takes_no_time_and_what_was_put_before_its_own(
    services: Services, pool: ThreadPoolExecutor
) -> None:
    skipped = Refused(Skip.CHANGED, "")
    assert slots(services, pool, [skipped, candidate(), Already(), candidate()]) == [0, 0, 0.5, 1]


def test_a_job_is_read_as_it_was_stored() -> None:
    record = {
        "id": "replay-1",
        "merchantID": "merchant-1",
        "filter": ReplayFilter(NOW - HOUR, NOW).document(),
        "rate": 5,
        "cursor": {"id": "wh-1"},
        **Progress(matched=3, replayed=2, last_due_at=NOW).attributes(),
        "skipped": {"changed": 1},
    }
    job = job_in(record)
    assert (job.rate, job.progress.cursor, job.progress.matched) == (5, {"id": "wh-1"}, 3)
    assert job.progress.last_due_at == NOW.astimezone(UTC)
    assert job.progress.attributes().items() <= record.items()
    for name in ("id", "merchantID", "filter", "rate", "matched", "replayed", "skipped"):
        with pytest.raises(Unreadable, match="the replay cannot be read"):
            job_in({k: v for k, v in record.items() if k != name})
