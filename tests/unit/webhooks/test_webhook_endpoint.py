from __future__ import annotations

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from remit.webhooks.endpoint import EVENT_PATTERN, Endpoint, Secret, endpoints_in
from tests.support.webhooks import NOW

MERCHANT = {"id": "m", "webhookURL": "https://x", "webhookSecret": "s3cret"}


def record(**changes: Any) -> dict[str, Any]:
    """A record of `WebhookEndpoints`."""
    return {"merchantID": "m", "id": "ep-1", "url": "https://y", "secrets": [], **changes}


def test_a_merchants_own_url_and_secret_are_the_default_endpoint_and_the_secret_is_not_shown() -> (
    None
):
    (endpoint,) = endpoints_in(MERCHANT, [])
    assert endpoint == Endpoint("default", "m", "https://x", (Secret("merchant", "s3cret"),))
    assert "s3cret" not in repr(endpoint)


def test_a_record_called_default_adds_settings_to_it() -> None:
    settings = {"merchantID": "m", "id": "default", "disabledReason": "gone", "concurrency": 2}
    (endpoint,) = endpoints_in(MERCHANT, [settings])
    assert (endpoint.url, endpoint.enabled, endpoint.concurrency) == ("https://x", False, 2)
    assert endpoints_in({"id": "m"}, [settings]) == []


def test_endpoints_of_their_own_follow_the_default() -> None:
    of_its_own = record(
        events=["refund.*"],
        schedule=[5, 60],
        rate=10,
        secrets=[
            {"id": "1", "sealed": "a", "expiresAt": "2026-11-23T12:00:00.000000Z"},
            {"id": "2", "sealed": "b"},
        ],
    )
    default, endpoint = endpoints_in(MERCHANT, [of_its_own])
    assert default.id == "default"
    assert (endpoint.rate, endpoint.schedule) == (10, (timedelta(seconds=5), timedelta(minutes=1)))
    assert [secret.id for secret in endpoint.live_secrets(NOW)] == ["2"]
    assert [s.id for s in endpoint.live_secrets(NOW - timedelta(seconds=1))] == ["1", "2"]
    assert endpoints_in(None, [of_its_own]) == [endpoint]


@pytest.mark.parametrize(
    ("pattern", "type_", "wanted"),
    [
        ("*", "payment.succeeded", True),
        ("payment.*", "payment.succeeded", True),
        ("payment.*", "payment.method.added", True),
        ("payment.*", "payments.succeeded", False),
        ("payment.*", "payment", False),
        ("payment.succeeded", "payment.succeeded", True),
        ("payment.succeeded", "payment.succeeded.twice", False),
    ],
)
def test_filters(pattern: str, type_: str, wanted: bool) -> None:
    assert EVENT_PATTERN.fullmatch(pattern)
    (endpoint,) = endpoints_in(None, [record(events=[pattern])])
    assert endpoint.wants(type_) is wanted


@pytest.mark.parametrize(
    "text", ["", "payment", "payment*", "*.succeeded", "a.*.b", "A.b", "a.b\n"]
)
def test_what_is_no_pattern(text: str) -> None:
    assert EVENT_PATTERN.fullmatch(text) is None


@pytest.mark.parametrize("value", [0, -1, "5", Decimal("1.5"), True, None, [5]], ids=repr)
def test_a_rate_and_a_concurrency_that_are_no_counts_count_as_not_set(value: Any) -> None:
    (endpoint,) = endpoints_in(None, [record(rate=value, concurrency=value)])
    assert (endpoint.rate, endpoint.concurrency, endpoint.fault) == (None, None, None)


MALFORMED: list[dict[str, Any]] = [
    {"secrets": [{"id": "s-1"}]},
    {"secrets": [{"sealed": "s3cret"}]},
    {"secrets": [{"id": "s-1", "sealed": b"s3cret"}]},
    {"secrets": [{"id": "s-1", "sealed": "s3cret", "expiresAt": "soon"}]},
    {"secrets": ["s3cret"]},
    {"secrets": "s3cret"},
    {"schedule": [None]},
    {"schedule": [5, "60"]},
    {"schedule": [0]},
    {"schedule": [10**12]},
    {"schedule": 5},
    {"events": 5},
    {"events": [5]},
    {"events": "payment.*"},
]


@pytest.mark.parametrize("changes", MALFORMED, ids=repr)
def test_an_endpoint_whose_record_is_malformed_gets_every_event_and_says_what_is_wrong(
    changes: dict[str, Any],
) -> None:
    ((name, _),) = changes.items()
    odd, fine = endpoints_in(None, [record(**changes), record(id="ep-2")])
    assert odd.wants("payment.succeeded")
    assert odd.fault is not None
    assert odd.fault.startswith(f"{name} is not a list of ")
    assert "s3cret" not in odd.fault
    assert fine.fault is None


def test_a_malformed_default_record_leaves_the_default_endpoint_there() -> None:
    settings = {"merchantID": "m", "id": "default", "schedule": [None], "disabledReason": 5}
    (endpoint,) = endpoints_in(MERCHANT, [settings])
    assert (endpoint.url, endpoint.disabled_reason) == ("https://x", "5")
    assert endpoint.fault


@pytest.mark.parametrize(
    ("events", "read"),
    [(None, ("*",)), ([], ("*",)), (frozenset({"b.*", "a.*"}), ("a.*", "b.*"))],
    ids=["none", "no list", "a set"],
)
def test_filters_as_they_may_be_stored(events: Any, read: tuple[str, ...]) -> None:
    (endpoint,) = endpoints_in(None, [record(events=events)])
    assert (endpoint.events, endpoint.fault) == (read, None)
