from __future__ import annotations

import base64
import hashlib
import hmac
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from remit.webhooks import SignatureInvalid, verify
from remit.webhooks.signing import headers

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
TIMESTAMP = int(NOW.timestamp())
SECRET = "secret"
BODY = b'{"id":"evt-1","data":{"amount":1999}}'


def signed(secret: str = SECRET, body: bytes = BODY) -> dict[str, str]:
    return headers("wh-1", TIMESTAMP, body, secret)


def test_seed_signature_is_hex_hmac_over_timestamp_and_body() -> None:
    independent = hmac.new("sécret".encode(), str(TIMESTAMP).encode() + b"." + BODY, hashlib.sha256)
    assert signed("sécret")["X-Webhook-Signature"] == "sha256=" + independent.hexdigest()
    assert signed("sécret")["X-Webhook-Timestamp"] == str(TIMESTAMP)
    assert signed("sécret")["X-Webhook-ID"] == "wh-1"


def test_standard_signature_agrees_with_the_vector_of_the_specification() -> None:
    made = headers(
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        1614265330,
        b'{"test": 2432232314}',
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    )
    assert made["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    assert made["webhook-id"] == "msg_p5jXN8AQM9LWM0D4loKWxJek"
    assert made["webhook-timestamp"] == "1614265330"


@pytest.mark.parametrize("secret", ["plain", "whsec_not base64!", "whsec_", "whsec_abc"])
def test_a_secret_that_is_not_encoded_is_its_own_key(secret: str) -> None:
    independent = hmac.new(
        secret.encode(), f"wh-1.{TIMESTAMP}.".encode() + BODY, hashlib.sha256
    ).digest()
    expected = f"v1,{base64.b64encode(independent).decode()}"
    assert signed(secret)["webhook-signature"] == expected


@given(st.binary(), st.text(st.characters(codec="utf-8"), min_size=1))
def test_what_was_signed_verifies(body: bytes, secret: str) -> None:
    assert verify(signed(secret, body), body, secret, now=NOW) == "wh-1"


@given(st.binary(min_size=1), st.data())
def test_one_changed_bit_of_the_body_is_refused(body: bytes, data: st.DataObject) -> None:
    bit = data.draw(st.integers(0, len(body) * 8 - 1))
    changed = bytearray(body)
    changed[bit // 8] ^= 1 << bit % 8
    with pytest.raises(SignatureInvalid):
        verify(signed(body=body), bytes(changed), "secret", now=NOW)


@pytest.mark.parametrize("family", ["X-Webhook", "webhook-"])
def test_either_family_is_enough_in_any_case(family: str) -> None:
    part = {k.upper(): v for k, v in signed().items() if k.startswith(family)}
    assert len(part) == 3
    assert verify(part, BODY, "secret", now=NOW) == "wh-1"


@pytest.mark.parametrize("name", sorted(signed()))
@pytest.mark.parametrize("change", ["drop", "empty", "alter", "unprintable"])
def test_every_header_that_is_there_must_be_right(name: str, change: str) -> None:
    received = signed()
    match change:
        case "drop":
            del received[name]
        case "empty":
            received[name] = ""
        case "alter":
            received[name] = received[name][:-1] + ("0" if received[name][-1] != "0" else "1")
        case "unprintable":
            received[name] = "\udcff"
    with pytest.raises(SignatureInvalid) as refused:
        verify(received, BODY, "secret", now=NOW)
    assert "secret" not in refused.value.reason


@pytest.mark.parametrize("timestamp", ["soon", "-5", "1e9", "\uff11\uff12", "9" * 13, "1.5"])
def test_a_timestamp_that_is_not_seconds_is_refused(timestamp: str) -> None:
    received = {**signed(), "webhook-timestamp": timestamp, "X-Webhook-Timestamp": timestamp}
    with pytest.raises(SignatureInvalid, match="seconds"):
        verify(received, BODY, "secret", now=NOW)


@pytest.mark.parametrize(
    ("age", "accepted"), [(300, True), (301, False), (-300, True), (-301, False)]
)
def test_the_tolerance_holds_in_both_directions(age: int, accepted: bool) -> None:
    now = NOW + timedelta(seconds=age)
    if accepted:
        assert verify(signed(), BODY, "secret", now=now) == "wh-1"
    else:
        with pytest.raises(SignatureInvalid, match="tolerance"):
            verify(signed(), BODY, "secret", now=now)


def test_one_of_several_signatures_is_enough() -> None:
    received = {k: v for k, v in signed().items() if k.startswith("webhook-")}
    received["webhook-signature"] = "v1,bm8= v1a,bm8= " + received["webhook-signature"]
    assert verify(received, BODY, "secret", now=NOW) == "wh-1"


def test_no_header_another_secret_and_a_repeated_header_are_refused() -> None:
    for received, secret in [
        ({}, "secret"),
        (signed("other"), "secret"),
        ({**signed(), "WEBHOOK-ID": "wh-1"}, "secret"),
        ({**signed(), "webhook-id": "wh-2"}, "secret"),
    ]:
        with pytest.raises(SignatureInvalid):
            verify(received, BODY, secret, now=NOW)
