from __future__ import annotations

import json
from dataclasses import replace
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remit.errors import InvalidRequest
from remit.webhooks.chunk import Chunk, DeliveryPending, Held
from remit.webhooks.event import PAYLOAD_LIMIT, Event, canonical_json
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


@pytest.mark.parametrize("seconds", [0, 300])
def test_an_event_does_not_differ_from_itself_as_stored_at_whatever_time(seconds: int) -> None:
    tricky = replace(event(note='"data":{"timestamp":"x"}'), id='evt"data":{')
    stored = replace(tricky, created_at=NOW - timedelta(seconds=seconds)).attributes()
    assert tricky.differs_from(stored) == ()


@pytest.mark.parametrize(
    ("stored", "other"),
    [
        ({"payload": "{}"}, ("data",)),
        ({"payload": None}, ("data",)),
        ({"createdAt": None}, ("data",)),
        ({"merchantID": "merchant-2"}, ("merchant",)),
        ({"type": "payment.failed"}, ("type", "data")),
    ],
    ids=str,
)
def test_an_event_says_in_what_it_differs(stored: dict[str, Any], other: tuple[str, ...]) -> None:
    assert event().differs_from({**event().attributes(), **stored}) == other


def test_money_is_never_a_float() -> None:
    assert canonical_json(Decimal("10.50")) == "10.50"
    with pytest.raises(TypeError, match="minor units"):
        canonical_json(19.99)


CYCLE: dict[str, Any] = {}
CYCLE["again"] = CYCLE


@pytest.mark.parametrize(
    ("value", "path", "problem"),
    [
        (19.99, "data.value", "minor units"),
        (float("nan"), "data.value", "float"),
        (Decimal("NaN"), "data.value", "not a number"),
        (Decimal("Infinity"), "data.value", "not a number"),
        (Decimal("1E+999999999"), "data.value", "400 digits"),
        (Decimal("1E-999999999"), "data.value", "400 digits"),
        (-(10**400), "data.value", "400 digits"),
        (b"bytes", "data.value", "bytes"),
        ({"items": [{}, {"price": 0.5}]}, "data.value.items[1].price", "0.5"),
        ([[1, {2}]], "data.value[0][1]", "set"),
        ({"a": {5: "x"}}, "data.value.a", "not text but 5"),
        ({"a": "\ud800"}, "data.value.a", "surrogate"),
        ({"\udfff": 1}, "data.value", "surrogate"),
        (NOW, "data.value", "datetime"),
        (CYCLE, "data.value.again.again.again.again.again.again", "64 objects and lists"),
    ],
    ids=lambda value: ascii(value)[:40],
)
def test_what_is_not_json_is_refused_by_its_path(value: Any, path: str, problem: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        event(value=value)
    (fault,) = refused.value.errors
    assert fault.field == path
    assert problem in fault.message


@pytest.mark.parametrize("value", [10**399, Decimal("1E+400"), -(10**399), Decimal("1E-400")])
def test_a_long_number_is_written_as_it_is(value: int | Decimal) -> None:
    assert json.loads(event(value=value).payload(), parse_int=Decimal, parse_float=Decimal)["data"][
        "value"
    ] == Decimal(value)


@pytest.mark.parametrize("data", [None, [], "text", b"{}", 5])
def test_data_is_a_json_object(data: Any) -> None:
    with pytest.raises(InvalidRequest, match=r"^data: it is of type"):
        replace(event(), data=data)


@given(st.characters(codec="utf-8"))
def test_the_limit_counts_the_bytes_of_the_text_that_is_sent(character: str) -> None:
    room = PAYLOAD_LIMIT - len(event(note="").payload().encode())
    width = len(json.dumps(character, ensure_ascii=False).encode()) - 2
    largest = character * (room // width) + "x" * (room % width)
    assert len(event(note=largest).payload().encode()) == PAYLOAD_LIMIT
    with pytest.raises(InvalidRequest) as refused:
        event(note=largest + "x")
    (fault,) = refused.value.errors
    assert fault.field == "data"
    assert f"{PAYLOAD_LIMIT + 1} bytes" in fault.message
    assert str(PAYLOAD_LIMIT) in str(fault.allowed)


def test_the_payload_is_made_once() -> None:
    data = {"amount": 1999}
    made = replace(event(), data=data)
    before = made.payload()
    data["amount"] = 1
    assert made.payload() is before
    assert '"amount":1999' in before


def test_what_an_event_says_of_itself_holds_no_data() -> None:
    assert "1999" not in repr(event())


@pytest.mark.parametrize(
    "type_", ["", "payment", "Payment.Succeeded", "a..b", "a.b\n", "a." + "b" * 127, None]
)
def test_an_event_type_is_dotted_lower_case(type_: Any) -> None:
    with pytest.raises(InvalidRequest, match=r"^type: "):
        replace(event(), type=type_)


@pytest.mark.parametrize("type_", ["payment.succeeded", "a.b.c_d.1", "a." + "b" * 126])
def test_any_dotted_type_will_do(type_: str) -> None:
    assert f'"type":"{type_}"' in replace(event(), type=type_).payload()


@given(st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=128))
def test_an_id_is_printable_ascii_without_spaces(id_: str) -> None:
    assert json.loads(replace(event(), id=id_).payload())["id"] == id_


@given(
    st.text(max_size=200).filter(
        lambda text: not (0 < len(text) <= 128 and all("!" <= c <= "~" for c in text))
    )
    | st.just("x" * 129)
)
def test_any_other_id_is_refused(id_: str) -> None:
    with pytest.raises(InvalidRequest, match=r"^id: ") as refused:
        replace(event(), id=id_)
    assert len(str(refused.value)) < 200


@pytest.mark.parametrize("merchant", ["", "a\nb", "\ud800", "m" * 2049, "\u00e9" * 1025, None, 7])
def test_a_merchants_id_can_be_a_key(merchant: Any) -> None:
    with pytest.raises(InvalidRequest, match=r"^merchant_id: "):
        replace(event(), merchant_id=merchant)
    assert replace(event(), merchant_id="\u00e9" * 1024)


def test_the_instant_has_a_time_zone() -> None:
    with pytest.raises(InvalidRequest, match=r"^created_at: "):
        replace(event(), created_at=NOW.replace(tzinfo=None))


def test_all_that_is_wrong_is_said_at_once() -> None:
    with pytest.raises(InvalidRequest) as refused:
        Event("", "payment", "", NOW, [])  # type: ignore[arg-type]
    assert [e.field for e in refused.value.errors] == ["id", "type", "merchant_id", "data"]


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
        {"payload": {"signature": b"bytes"}},
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
    assert webhook.deliver_before.isoformat() == "2026-11-23T12:30:00.123456+00:00"
    assert webhook.payload == '{"amount":5}'


def test_a_chunk_survives_json_and_waits_for_its_earliest() -> None:
    later, sooner = NOW + timedelta(seconds=9), NOW + timedelta(seconds=2, microseconds=5)
    chunk = Chunk((Held("a", "t1", later), Held("b", "t2", sooner), Held("c", "t3", NOW)))
    assert Chunk.from_json(json.loads(json.dumps(chunk.to_json()))) == chunk
    assert DeliveryPending(chunk).next_attempt == NOW
