"""Records of webhooks as they are read, whoever wrote them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from remit.webhooks.record import Unsendable, read_record
from tests.support.webhooks import foreign_webhook

LIFETIME = timedelta(hours=24)


def expiry_of(**changes: Any) -> datetime:
    record = foreign_webhook("wh-1", "https://receiver.example/", **changes)
    return read_record(record, LIFETIME).expires_at


def test_the_expiry_is_what_the_record_says() -> None:
    assert expiry_of(expiresAt=1_800_000_000) == datetime.fromtimestamp(1_800_000_000, UTC)


@pytest.mark.parametrize("expires_at", [None, 0, -1, 1 << 36, 10**30, "soon", 1.5])
def test_without_one_that_is_a_time_it_is_a_lifetime_after_its_creation(expires_at: Any) -> None:
    assert expiry_of(expiresAt=expires_at, createdAt="2026-11-23T12:00:00Z") == datetime(
        2026, 11, 24, 12, tzinfo=UTC
    )


@pytest.mark.parametrize(
    "created_at",
    [None, "yesterday", "9999-12-31T12:00:00Z", "9999-12-28T12:00:00Z", "5000-01-01T00:00:00Z"],
)
def test_a_creation_that_no_time_can_be_reckoned_from_makes_it_unsendable(created_at: Any) -> None:
    with pytest.raises(Unsendable, match="createdAt"):
        expiry_of(expiresAt=None, createdAt=created_at)


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
