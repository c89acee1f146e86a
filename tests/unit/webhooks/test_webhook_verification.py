"""What `verify` accepts, and all that it refuses."""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st
from multidict import CIMultiDict
from standardwebhooks import Webhook

from remit.errors import ConfigurationError
from remit.webhooks import SignatureInvalid, verify, verify_plain
from remit.webhooks.signing import new_secret, new_signing_key, public_key_of
from tests.support.signatures import signed_headers

NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
TIMESTAMP = int(NOW.timestamp())
BODY = b'{"id":"evt-1","data":{"amount":1999}}'
OLD, NEW, OTHER = (new_secret(lambda n, fill=fill: bytes([fill]) * n) for fill in (1, 2, 3))
SIGNING_KEY = new_signing_key(lambda n: b"\4" * n)
OTHER_KEY = new_signing_key(lambda n: b"\5" * n)
PUBLIC_KEY = public_key_of(SIGNING_KEY)

IDS = st.text(st.characters(codec="utf-8"), min_size=1)
SECRETS = st.one_of(
    st.binary(min_size=1, max_size=80).map(lambda key: "whsec_" + base64.b64encode(key).decode()),
    IDS,
)


def signed(secret: str = NEW, body: bytes = BODY, webhook_id: str = "wh-1") -> dict[str, str]:
    return signed_headers(webhook_id, TIMESTAMP, body, secret)


def of_set(beginning: str, headers: dict[str, str]) -> dict[str, str]:
    part = {name: value for name, value in headers.items() if name.startswith(beginning)}
    assert len(part) == 3
    return part


def with_signature(value: str) -> dict[str, str]:
    return {**of_set("webhook-", signed()), "webhook-signature": value}


def flipped(data: bytes, bit: int) -> bytes:
    changed = bytearray(data)
    changed[bit // 8] ^= 1 << bit % 8
    return bytes(changed)


Check = Callable[..., str | None]

BY_SET: dict[str, Check] = {"webhook-": verify, "X-": verify_plain}
"""What checks a request that has this set of headers alone."""


def refused(
    headers: dict[str, str],
    body: bytes = BODY,
    secret: str | Sequence[str] = NEW,
    check: Check = verify,
) -> str:
    with pytest.raises(SignatureInvalid) as refusal:
        check(headers, body, secret, now=NOW)
    return refusal.value.reason


@given(st.binary(), IDS, SECRETS)
def test_what_was_signed_verifies(body: bytes, webhook_id: str, secret: str) -> None:
    headers = signed(secret, body, webhook_id)
    for received in (headers, of_set("webhook-", headers)):
        assert verify(received, body, secret, now=NOW) == webhook_id
    for received in (headers, of_set("X-", headers)):
        verify_plain(received, body, secret, now=NOW)


def test_without_the_headers_that_vouch_for_the_id_a_captured_request_is_refused() -> None:
    stripped = {**of_set("X-", signed()), "X-Webhook-ID": "wh-never-seen"}
    assert refused(stripped) == "the header webhook-id is missing"
    assert refused({**stripped, "webhook-id": "wh-never-seen"}).startswith("the header webhook-")


def test_what_the_plain_signature_vouches_for_says_nothing_of_an_id() -> None:
    received = of_set("X-", signed())
    for changed in ({}, {"X-Webhook-ID": "wh-never-seen"}, {"X-Webhook-ID": ""}):
        assert verify_plain({**received, **changed}, BODY, NEW, now=NOW) is None
    del received["X-Webhook-ID"]
    verify_plain(received, BODY, NEW, now=NOW)


def test_the_standard_signature_is_none_of_the_plain_form() -> None:
    headers = signed()
    assert "X-Webhook-" in refused(of_set("webhook-", headers), check=verify_plain)
    mixed = {**headers, "X-Webhook-Signature": headers["webhook-signature"]}
    assert refused(mixed, check=verify_plain) == "the signature does not match"


@pytest.mark.parametrize("beginning", ["webhook-", "X-"])
@given(body=st.binary(min_size=1), data=st.data())
def test_one_changed_bit_of_the_body_is_refused(
    beginning: str, body: bytes, data: st.DataObject
) -> None:
    bit = data.draw(st.integers(0, len(body) * 8 - 1))
    received = of_set(beginning, signed(body=body))
    refused(received, flipped(body, bit), check=BY_SET[beginning])


@pytest.mark.parametrize("beginning", ["webhook-", "X-"])
@given(bit=st.integers(0, len(str(TIMESTAMP)) * 8 - 1))
def test_one_changed_bit_of_the_timestamp_is_refused(beginning: str, bit: int) -> None:
    received = of_set(beginning, signed())
    (name,) = (name for name in received if name.lower().endswith("-timestamp"))
    received[name] = flipped(received[name].encode(), bit).decode("latin-1")
    refused(received, check=BY_SET[beginning])


@given(webhook_id=IDS, data=st.data())
def test_one_changed_bit_of_the_id_is_refused(webhook_id: str, data: st.DataObject) -> None:
    bit = data.draw(st.integers(0, len(webhook_id.encode()) * 8 - 1))
    changed = flipped(webhook_id.encode(), bit).decode("utf-8", "surrogateescape")
    refused({**signed(webhook_id=webhook_id), "webhook-id": changed, "X-Webhook-ID": changed})


@pytest.mark.parametrize("beginning", ["webhook-", "X-"])
@given(key=st.binary(min_size=1, max_size=64), data=st.data())
def test_one_changed_bit_of_the_secret_is_refused(
    beginning: str, key: bytes, data: st.DataObject
) -> None:
    bit = data.draw(st.integers(0, len(key) * 8 - 1))
    made, other = ("whsec_" + base64.b64encode(k).decode() for k in (key, flipped(key, bit)))
    refused(of_set(beginning, signed(made)), secret=other, check=BY_SET[beginning])


@pytest.mark.parametrize("beginning", ["webhook-", "X-"])
@given(data=st.data())
def test_one_changed_bit_of_the_signature_is_refused(beginning: str, data: st.DataObject) -> None:
    received = of_set(beginning, signed())
    (name,) = (name for name in received if name.lower().endswith("-signature"))
    value = received[name].encode()
    bit = data.draw(st.integers(0, len(value) * 8 - 1))
    received[name] = flipped(value, bit).decode("latin-1")
    refused(received, check=BY_SET[beginning])


@given(st.data())
def test_one_changed_bit_of_a_v1a_signature_is_refused(data: st.DataObject) -> None:
    headers = signed_headers("wh-1", TIMESTAMP, BODY, NEW, signing_key=SIGNING_KEY)
    value = headers["webhook-signature"].split(" ")[1].encode()
    bit = data.draw(st.integers(0, len(value) * 8 - 1))
    received = with_signature(flipped(value, bit).decode("latin-1"))
    with pytest.raises(SignatureInvalid):
        verify(received, BODY, now=NOW, public_key=PUBLIC_KEY)


@given(st.text(st.characters(codec="utf-8")), IDS, st.binary(min_size=24, max_size=64))
def test_what_the_official_package_signs_verifies(body: str, webhook_id: str, key: bytes) -> None:
    secret = "whsec_" + base64.b64encode(key).decode()
    received = {
        "webhook-id": webhook_id,
        "webhook-timestamp": str(TIMESTAMP),
        "webhook-signature": Webhook(secret).sign(webhook_id, NOW, body),
    }
    assert verify(received, body.encode(), secret, now=NOW) == webhook_id


def test_what_the_platforms_own_service_signs_verifies() -> None:
    made = hmac.new(NEW.encode(), str(TIMESTAMP).encode() + b"." + BODY, hashlib.sha256)
    received = {
        "X-Webhook-ID": "wh-1",
        "X-Webhook-Timestamp": str(TIMESTAMP),
        "X-Webhook-Signature": f"sha256={made.hexdigest()}",
    }
    verify_plain(received, BODY, NEW, now=NOW)


def test_a_v1a_signature_made_with_ed25519_alone_verifies() -> None:
    content = f"wh-1.{TIMESTAMP}.".encode() + BODY
    made = Ed25519PrivateKey.from_private_bytes(b"\4" * 32).sign(content)
    received = with_signature("v1a," + base64.b64encode(made).decode())
    assert verify(received, BODY, now=NOW, public_key=PUBLIC_KEY) == "wh-1"


@pytest.mark.parametrize("secret", [OLD, NEW, [OLD], [NEW], [OTHER, NEW], (OLD, NEW)])
def test_while_secrets_overlap_a_receiver_may_have_either_or_both(
    secret: str | Sequence[str],
) -> None:
    received = signed_headers("wh-1", TIMESTAMP, BODY, OLD, NEW)
    assert verify(received, BODY, secret, now=NOW) == "wh-1"


def test_without_the_standard_headers_an_overlap_needs_the_old_secret() -> None:
    received = of_set("X-", signed_headers("wh-1", TIMESTAMP, BODY, OLD, NEW))
    verify_plain(received, BODY, [NEW, OLD], now=NOW)
    refused(received, secret=NEW, check=verify_plain)


def test_no_secret_of_a_receiver_that_was_not_signed_with_is_enough() -> None:
    received = signed_headers("wh-1", TIMESTAMP, BODY, OLD, NEW)
    assert refused(received, secret=[OTHER, "another"]) == "the signature does not match"


@pytest.mark.parametrize("secret", [(), OTHER, NEW])
def test_a_public_key_is_enough_whatever_the_secret_is(secret: str | Sequence[str]) -> None:
    received = signed_headers("wh-1", TIMESTAMP, BODY, NEW, signing_key=SIGNING_KEY)
    assert verify(received, BODY, secret, now=NOW, public_key=PUBLIC_KEY) == "wh-1"


def test_beside_a_public_key_the_secret_is_still_enough() -> None:
    assert verify(signed(), BODY, NEW, now=NOW, public_key=PUBLIC_KEY) == "wh-1"


def test_a_v1a_signature_is_nothing_without_its_public_key() -> None:
    received = signed_headers("wh-1", TIMESTAMP, BODY, NEW, signing_key=SIGNING_KEY)
    refused(received, secret=OTHER)
    for body, public_key in [(BODY, public_key_of(OTHER_KEY)), (BODY + b" ", PUBLIC_KEY)]:
        with pytest.raises(SignatureInvalid):
            verify(received, body, now=NOW, public_key=public_key)


def test_a_public_key_does_not_help_the_platforms_header() -> None:
    with pytest.raises(SignatureInvalid):
        verify(of_set("X-", signed()), BODY, now=NOW, public_key=PUBLIC_KEY)


def test_one_of_several_signatures_is_enough() -> None:
    made = signed()["webhook-signature"]
    for value in (f"v1,bm8= v1a,bm8= {made}", f"{made} v2,bm8= x", f" {made}  "):
        assert verify(with_signature(value), BODY, NEW, now=NOW) == "wh-1"


def test_one_of_several_v1a_signatures_is_enough() -> None:
    made = [
        signed_headers("wh-1", TIMESTAMP, BODY, NEW, signing_key=key)["webhook-signature"]
        for key in (OTHER_KEY, SIGNING_KEY, OTHER_KEY)
    ]
    received = with_signature(" ".join(made))
    assert verify(received, BODY, now=NOW, public_key=PUBLIC_KEY) == "wh-1"


@pytest.mark.parametrize("change", [str.upper, str.title, str.lower])
@pytest.mark.parametrize("beginning", ["webhook-", "X-"])
def test_names_of_headers_match_in_any_case(beginning: str, change: Callable[[str], str]) -> None:
    received = {change(name): value for name, value in of_set(beginning, signed()).items()}
    BY_SET[beginning](received, BODY, NEW, now=NOW)


@pytest.mark.parametrize("beginning", ["webhook-", "X-"])
@pytest.mark.parametrize("value", [None, "", "\udcff", "x", "0"])
@pytest.mark.parametrize("part", ["id", "timestamp", "signature"])
def test_each_header_of_the_set_that_decides_must_be_right(
    beginning: str, value: str | None, part: str
) -> None:
    received = of_set(beginning, signed())
    (name,) = (name for name in received if name.lower().endswith(part))
    del received[name]
    if value is not None:
        received[name] = value
    if (beginning, part) == ("X-", "id"):
        verify_plain(received, BODY, NEW, now=NOW)  # its signature does not cover it
    else:
        refused(received, check=BY_SET[beginning])


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("X-Webhook-ID", "wh-2"),
        ("X-Webhook-ID", ""),
        ("X-Webhook-ID", "WH-1"),
        ("X-Webhook-Timestamp", str(TIMESTAMP + 1)),
        ("X-Webhook-Timestamp", f"0{TIMESTAMP}"),
        ("X-Webhook-Timestamp", ""),
    ],
)
def test_the_platforms_header_must_not_say_otherwise(name: str, value: str) -> None:
    assert name in refused({**signed(), name: value})


@pytest.mark.parametrize("name", ["X-Webhook-ID", "X-Webhook-Timestamp", "X-Webhook-Signature"])
def test_beside_the_standard_headers_the_platforms_need_not_be_there(name: str) -> None:
    received = signed()
    del received[name]
    assert verify(received, BODY, NEW, now=NOW) == "wh-1"


def test_the_standard_signature_decides_where_both_are_there() -> None:
    received = {**signed(OTHER), "X-Webhook-Signature": signed()["X-Webhook-Signature"]}
    refused(received)
    received = {**signed(), "X-Webhook-Signature": "sha256=of another live secret"}
    assert verify(received, BODY, NEW, now=NOW) == "wh-1"


@pytest.mark.parametrize("public_key", ["", PUBLIC_KEY])
@given(text=st.text())
def test_a_signature_of_any_text_is_refused_and_nothing_else_happens(
    public_key: str, text: str
) -> None:
    for beginning in ("", "v1,", "v1a,", "v1 ", "sha256="):
        with pytest.raises(SignatureInvalid):
            verify(with_signature(beginning + text), BODY, NEW, now=NOW, public_key=public_key)


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.rstrip("="),
        lambda text: text + "=",
        lambda text: text.replace("=", "==="),
        lambda text: text[:20] + "\n" + text[20:],
        lambda text: text.replace("=", "\udcff"),
        lambda text: text.replace("=", "é"),
        lambda text: text + ",v1",
        lambda text: text.swapcase(),
        lambda text: base64.b64encode(base64.b64decode(text)[:-1]).decode(),
        lambda text: base64.b64encode(base64.b64decode(text) + b"\0").decode(),
    ],
)
@pytest.mark.parametrize("version", ["v1", "v1a"])
def test_a_signature_that_is_written_otherwise_is_refused(
    version: str, change: Callable[[str], str]
) -> None:
    made = signed_headers("wh-1", TIMESTAMP, BODY, NEW, signing_key=SIGNING_KEY)
    right = dict(each.split(",") for each in made["webhook-signature"].split(" "))[version]
    received = with_signature(f"{version},{change(right)}")
    secret, public_key = (NEW, "") if version == "v1" else ((), PUBLIC_KEY)
    with pytest.raises(SignatureInvalid):
        verify(received, BODY, secret, now=NOW, public_key=public_key)


@pytest.mark.parametrize("beginning", ["webhook-", "X-"])
@pytest.mark.parametrize(
    "timestamp",
    [
        "soon",
        "-5",
        "1e9",
        "\uff11\uff12",
        "9" * 13,
        "1.5",
        f" {TIMESTAMP}",
        f"{TIMESTAMP}\n",
        "1_0",
    ],
)
def test_a_timestamp_that_is_not_seconds_is_refused(beginning: str, timestamp: str) -> None:
    received = of_set(beginning, signed())
    (name,) = (name for name in received if name.lower().endswith("-timestamp"))
    assert "seconds" in refused({**received, name: timestamp}, check=BY_SET[beginning])


@pytest.mark.parametrize("beginning", ["webhook-", "X-"])
@pytest.mark.parametrize(
    ("age", "accepted"), [(300, True), (301, False), (-300, True), (-301, False)]
)
def test_the_tolerance_holds_in_both_directions(beginning: str, age: int, accepted: bool) -> None:
    received, now = of_set(beginning, signed()), NOW + timedelta(seconds=age)
    if accepted:
        BY_SET[beginning](received, BODY, NEW, now=now)
    else:
        with pytest.raises(SignatureInvalid, match="tolerance"):
            BY_SET[beginning](received, BODY, NEW, now=now)


def test_the_tolerance_is_the_receivers_choice() -> None:
    now, tolerance = NOW + timedelta(seconds=11), timedelta(seconds=10)
    with pytest.raises(SignatureInvalid, match="tolerance"):
        verify(signed(), BODY, NEW, now=now, tolerance=tolerance)
    now, tolerance = NOW + timedelta(hours=2), timedelta(hours=2)
    assert verify(signed(), BODY, NEW, now=now, tolerance=tolerance) == "wh-1"


def test_without_a_header_that_counts_nothing_is_genuine() -> None:
    for check in BY_SET.values():
        for headers in ({}, {"Content-Type": "application/json"}):
            assert refused(headers, check=check) == "there is no signature header"


@pytest.mark.parametrize("name", sorted(signed()))
def test_a_header_that_counts_and_is_there_twice_is_refused(name: str) -> None:
    twice = CIMultiDict([*signed().items(), (name.swapcase(), signed()[name])])
    for check in BY_SET.values():
        with pytest.raises(SignatureInvalid, match="twice"):
            check(twice, BODY, NEW, now=NOW)


def test_other_headers_may_be_there_twice() -> None:
    received = CIMultiDict([*signed().items(), ("X-Forwarded-For", "a"), ("X-Forwarded-For", "b")])
    assert verify(received, BODY, NEW, now=NOW) == "wh-1"


@pytest.mark.parametrize("secret", ["", "whsec_", [], (), [NEW, ""]])
def test_a_receiver_without_a_secret_is_set_up_wrongly(secret: str | Sequence[str]) -> None:
    for check in BY_SET.values():
        with pytest.raises(ConfigurationError):
            check(signed(), BODY, secret, now=NOW)


@pytest.mark.parametrize(
    "public_key",
    [PUBLIC_KEY.removeprefix("whpk_"), "whpk_", "whpk_é", PUBLIC_KEY + "AAAA", SIGNING_KEY],
)
def test_a_public_key_that_is_none_is_set_up_wrongly(public_key: str) -> None:
    with pytest.raises(ConfigurationError, match="whpk_") as refusal:
        verify(signed(), BODY, NEW, now=NOW, public_key=public_key)
    assert SIGNING_KEY[5:13] not in str(refusal.value)


@given(st.text(min_size=1))
def test_no_reason_names_the_secret(secret: str) -> None:
    secret = f"<{secret}>"
    for headers in ({}, signed(), with_signature("v1"), of_set("X-", signed())):
        for check in BY_SET.values():
            assert secret not in refused(headers, secret=secret, check=check)
