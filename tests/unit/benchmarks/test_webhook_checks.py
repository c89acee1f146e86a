"""What makes a run of the webhook benchmark count, and what does not."""

from __future__ import annotations

import base64
import hashlib
import hmac
import time
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from benchmarks.figures import BenchmarkFailed
from benchmarks.webhooks.checks import (
    check_arrivals,
    check_attempts,
    check_delivered,
    check_requests,
    check_signatures,
)
from benchmarks.webhooks.dataset import Due
from benchmarks.webhooks.inbox import Arrival, Sample
from benchmarks.webhooks.store import Store

NOW = datetime(2026, 11, 25, tzinfo=UTC)
DUE = [Due(number, number, NOW, 500) for number in range(3)]
ARRIVALS = [Arrival(one.id, one.path, 1.0, 500) for one in DUE]
DELIVERED = [{"id": one.id, "status": "delivered", "attempts": 1} for one in DUE]
ATTEMPTS = [{"webhookID": one.id, "at": "x"} for one in DUE]
SECRET = "a-secret-of-the-benchmark"


class Kept(Store):
    """A store that holds the same items in every table."""

    def __init__(self, items: list[dict[str, Any]]) -> None:
        self._items = items

    def items(self, table: str) -> Iterator[dict[str, Any]]:
        yield from self._items


def test_webhooks_that_arrived_once_each_are_right() -> None:
    check_arrivals("ours", ARRIVALS[::-1], DUE)


@pytest.mark.parametrize(
    ("arrivals", "reason"),
    [
        (ARRIVALS[:2], "1 of 3 webhooks did not arrive"),
        ([*ARRIVALS, ARRIVALS[0]], "1 webhooks arrived more than once"),
        ([*ARRIVALS, replace(ARRIVALS[0], id="other")], "1 requests arrived that nobody"),
        ([*ARRIVALS[1:], replace(ARRIVALS[0], bytes=499)], "1 of 3 webhooks did not arrive"),
        ([*ARRIVALS[1:], replace(ARRIVALS[0], path="/other")], "1 of 3 webhooks did not arrive"),
    ],
)
def test_other_arrivals_make_a_run_void(arrivals: list[Arrival], reason: str) -> None:
    with pytest.raises(BenchmarkFailed, match=f"ours: {reason}"):
        check_arrivals("ours", arrivals, DUE)


def test_requests_of_others_are_held_to_the_same() -> None:
    expected = {("peer-1", "/mapped", 1024), ("peer-2", "/mapped", 1024)}
    arrivals = [Arrival(key, path, 1.0, size) for key, path, size in expected]
    check_requests("peer", arrivals, expected)
    with pytest.raises(BenchmarkFailed, match="peer: 1 webhooks arrived more than once"):
        check_requests("peer", [*arrivals, arrivals[0]], expected)
    with pytest.raises(BenchmarkFailed, match="peer: 1 of 2 webhooks did not arrive"):
        check_requests("peer", [arrivals[0], replace(arrivals[1], bytes=9)], expected)


def test_records_that_say_delivered_are_right() -> None:
    check_delivered("ours", Kept(DELIVERED), DUE)


@pytest.mark.parametrize(
    "change",
    [{"status": "pending"}, {"attempts": 2}, {"claim": "t"}, {"dueAt": "x"}, {"dueShard": 3}],
)
def test_a_record_that_says_something_else_makes_a_run_void(change: dict[str, Any]) -> None:
    items = [DELIVERED[0] | change, *DELIVERED[1:]]
    with pytest.raises(BenchmarkFailed, match="ours: 1 of 3 records do not say delivered"):
        check_delivered("ours", Kept(items), DUE)


def test_one_attempt_per_webhook_is_right() -> None:
    check_attempts("ours", Kept(ATTEMPTS), DUE)


@pytest.mark.parametrize("attempts", [ATTEMPTS[:2], [*ATTEMPTS, ATTEMPTS[0]], []])
def test_more_or_fewer_attempts_make_a_run_void(attempts: list[dict[str, Any]]) -> None:
    with pytest.raises(BenchmarkFailed, match=f"ours: {len(attempts)} attempts of 3"):
        check_attempts("ours", Kept(attempts), DUE)


def signed(secret: str = SECRET) -> Sample:
    now, body = str(int(time.time())), b'{"a":1}'
    plain = hmac.new(secret.encode(), now.encode() + b"." + body, hashlib.sha256).hexdigest()
    content = b"wh-1." + now.encode() + b"." + body
    standard = base64.b64encode(hmac.new(secret.encode(), content, hashlib.sha256).digest())
    headers = {
        "X-Webhook-ID": "wh-1",
        "X-Webhook-Timestamp": now,
        "X-Webhook-Signature": f"sha256={plain}",
        "webhook-id": "wh-1",
        "webhook-timestamp": now,
        "webhook-signature": f"v1,{standard.decode()}",
    }
    return Sample("/m", headers, body)


def test_requests_that_are_signed_are_right() -> None:
    check_signatures("ours", [signed()], {"/m": SECRET})


def test_a_request_that_is_signed_otherwise_makes_a_run_void() -> None:
    with pytest.raises(BenchmarkFailed, match="ours: /m got a wrong signature"):
        check_signatures("ours", [signed("another")], {"/m": SECRET})
    unsigned = replace(signed(), headers={"webhook-id": "wh-1"})
    with pytest.raises(BenchmarkFailed, match="X-Webhook-Timestamp is missing"):
        check_signatures("ours", [unsigned], {"/m": SECRET})


def test_an_endpoint_that_got_nothing_makes_a_run_void() -> None:
    with pytest.raises(BenchmarkFailed, match="1 of 2 endpoints got something"):
        check_signatures("ours", [signed()], {"/m": SECRET, "/n": SECRET})
