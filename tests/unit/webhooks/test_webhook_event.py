from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remit.errors import InvalidRequest
from remit.webhooks.chunk import Chunk, DeliveryPending, Held
from remit.webhooks.event import canonical_json
from remit.webhooks.record import Unsendable, read_record, webhook_id
from tests.support.webhooks import NOW, event, foreign_webhook

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(st.characters(codec="utf-8")),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(st.characters(codec="utf-8")), inner),
)


@given(JSON)
def test_canonical_json_reads_back_as_the_same_value(value) -> None:
    assert json.loads(canonical_json(value)) == value


def test_the_payload_has_a_fixed_shape() -> None:
    assert event(description='Café "ü"').payload() == (
        '{"id":"evt-1","type":"payment.succeeded","timestamp":"2026-11-23T12:00:00.000000Z",'
        '"data":{"amount":1999,"currency":"EUR","description":"Café \\"ü\\"","payment_id":"pay-1"}}'
    )


def test_money_is_never_a_float() -> None:
    with pytest.raises(TypeError, match="minor units"):
        event(amount=19.99).payload()
    assert canonical_json(Decimal("10.50")) == "10.50"
    with pytest.raises(TypeError):
        canonical_json(Decimal("NaN"))


@pytest.mark.parametrize("type_", ["", "payment", "Payment.Succeeded", "a..b", "a.b\n"])
def test_an_event_type_is_dotted_lower_case(type_: str) -> None:
    with pytest.raises(InvalidRequest):
        replace(event(), type=type_)


def test_the_webhook_id_depends_on_event_and_endpoint_only() -> None:
    assert webhook_id("evt-1", "default") == webhook_id("evt-1", "default")
    assert len({webhook_id(e, p) for e in "ab" for p in "cd"}) == 4


@pytest.mark.parametrize(
    "changes",
    [
        {"url": None},
        {"url": 5},
        {"url": ""},
        {"payload": None},
        {"payload": b"bytes"},
        {"merchantID": None},
        {"eventType": "a\nwebhook=forged"},
        {"id": "wh-\u00e9"},
        {"id": "a\r\nX-Forged: 1"},
        {"status": "odd"},
        {"status": ["list"]},
        {"attempts": "five"},
        {"attempts": -1},
        {"expiresAt": None, "createdAt": None},
        {"expiresAt": "tomorrow", "createdAt": "yesterday"},
        {"eventID": ""},
    ],
)
def test_a_record_that_cannot_be_sent_says_why(changes) -> None:
    with pytest.raises(Unsendable) as refused:
        read_record(foreign_webhook("wh-1", "https://x", **changes), timedelta(hours=24))
    assert refused.value.reason


def test_a_foreign_record_is_read() -> None:
    record = foreign_webhook("wh-1", "https://x", expiresAt=None, payload={"amount": 5})
    webhook = read_record(record, timedelta(hours=1))
    assert webhook.expires_at.isoformat() == "2026-11-23T12:30:00.123456+00:00"
    assert webhook.payload == '{"amount":5}'


def test_a_chunk_survives_json_and_waits_for_its_earliest() -> None:
    later, sooner = NOW + timedelta(seconds=9), NOW + timedelta(seconds=2, microseconds=5)
    chunk = Chunk((Held("a", "t1", later), Held("b", "t2", sooner), Held("c", "t3", NOW)))
    assert Chunk.from_json(json.loads(json.dumps(chunk.to_json()))) == chunk
    assert DeliveryPending(chunk).next_attempt == NOW
    waves = [(at, [held.id for held in wave]) for at, wave in chunk.waves(NOW)]
    assert waves == [
        (NOW, ["c"]),
        (NOW + timedelta(seconds=3), ["b"]),
        (NOW + timedelta(seconds=9), ["a"]),
    ]
