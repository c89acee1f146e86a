"""Records of webhooks as they are read, whoever wrote them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remit.settings import Settings
from remit.webhooks.endpoint import Endpoint
from remit.webhooks.record import Lifespan, Unsendable, new_record, read_record
from tests.support.webhooks import foreign_webhook

LIFETIME = timedelta(hours=24)


def deadline_of(**changes: Any) -> datetime:
    record = foreign_webhook("wh-1", "https://receiver.example/", **changes)
    return read_record(record, LIFETIME).deliver_before


def test_the_deadline_of_the_platforms_own_record_is_its_expiry() -> None:
    assert deadline_of(expiresAt=1_800_000_000) == datetime.fromtimestamp(1_800_000_000, UTC)


@pytest.mark.parametrize("expires_at", [None, 0, -1, 1 << 36, 10**30, "soon", 1.5])
def test_without_one_that_is_a_time_it_is_a_lifetime_after_its_creation(expires_at: Any) -> None:
    assert deadline_of(expiresAt=expires_at, createdAt="2026-11-23T12:00:00Z") == datetime(
        2026, 11, 24, 12, tzinfo=UTC
    )


def test_the_deadline_of_remits_own_record_is_not_when_it_is_removed() -> None:
    assert deadline_of(deliverBefore=1_800_000_000, expiresAt=1_800_600_000) == (
        datetime.fromtimestamp(1_800_000_000, UTC)
    )


@pytest.mark.parametrize("deliver_before", [None, 0, -1, 1 << 36, "soon", 1.5])
def test_a_deadline_of_remits_own_that_is_no_time_makes_it_unsendable(deliver_before: Any) -> None:
    record = {**foreign_webhook("wh-1", "https://x.example/"), "deliverBefore": deliver_before}
    with pytest.raises(Unsendable, match="deliverBefore is not a time"):
        read_record(record, LIFETIME)


@given(
    begins=st.datetimes(datetime(2020, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC)),
    lifetime=st.timedeltas(timedelta(seconds=1), timedelta(days=30)),
    retention=st.timedeltas(timedelta(seconds=1), timedelta(days=400)),
)
def test_a_new_record_is_removed_a_retention_after_its_deadline(
    begins: datetime, lifetime: timedelta, retention: timedelta
) -> None:
    settings = Settings(webhook_lifetime=lifetime, webhook_retention=retention)
    endpoint = Endpoint("ep-1", "merchant-1", "https://receiver.example/", ())
    record = new_record("evt-1", "a.b", endpoint, Lifespan.of(begins, settings))
    read = read_record(record, lifetime)
    assert timedelta(0) <= begins + lifetime - read.deliver_before < timedelta(seconds=1)
    kept = timedelta(seconds=record["expiresAt"] - record["deliverBefore"])
    assert abs(kept - retention) < timedelta(seconds=1)


@given(
    moment=st.datetimes(datetime(1970, 1, 2), datetime(9999, 1, 1), timezones=st.just(UTC)),
    deadline=st.integers(1, (1 << 36) - 1),
)
def test_it_is_looked_at_again_by_its_deadline(moment: datetime, deadline: int) -> None:
    record = foreign_webhook("wh-1", "https://receiver.example/", deliverBefore=deadline)
    webhook = read_record(record, LIFETIME)
    again = webhook.by_deadline(moment)
    assert again <= webhook.deliver_before
    assert again in {moment, webhook.deliver_before}


@pytest.mark.parametrize(
    "created_at",
    [None, "yesterday", "9999-12-31T12:00:00Z", "9999-12-28T12:00:00Z", "5000-01-01T00:00:00Z"],
)
def test_a_creation_that_no_time_can_be_reckoned_from_makes_it_unsendable(created_at: Any) -> None:
    with pytest.raises(Unsendable, match="createdAt"):
        deadline_of(expiresAt=None, createdAt=created_at)


@pytest.mark.parametrize(
    ("name", "limit"), [("id", 2048), ("merchantID", 2048), ("endpointID", 1024), ("eventID", 2048)]
)
def test_what_is_too_long_for_a_key_makes_it_unsendable(name: str, limit: int) -> None:
    record = {
        "id": "wh-1",
        "merchantID": "merchant-1",
        "endpointID": "ep-1",
        "eventType": "payment.succeeded",
        "eventID": "evt-1",
        "status": "pending",
        "createdAt": "2026-11-23T12:00:00Z",
    }
    read_record({**record, name: "x" * limit}, timedelta(hours=24))
    with pytest.raises(Unsendable, match=f"{name} is longer than a key can be"):
        read_record({**record, name: "x" * (limit + 1)}, timedelta(hours=24))
