"""What a delivery is signed with, against HMAC and Ed25519 made here, and the official package."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable
from datetime import UTC, datetime

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from hypothesis import given
from hypothesis import strategies as st
from standardwebhooks import Webhook, WebhookVerificationError

from remit.errors import ConfigurationError, InvalidRequest, SecretUnreadable
from remit.webhooks.signing import (
    MAX_KEY_BYTES,
    MIN_KEY_BYTES,
    Signer,
    SigningKey,
    check_secret,
    new_secret,
    new_signing_key,
    public_key_of,
)
from tests.support.signatures import signed_headers

TIMESTAMP = 1_795_435_200
BODY = b'{"id":"evt-1","data":{"amount":1999}}'
SIGNING_KEY = new_signing_key(lambda size: b"k" * size)
OLD, NEW = (new_secret(lambda size, fill=fill: bytes([fill]) * size) for fill in (1, 2))

# RFC 8032, section 7.1, test 1
SEED = bytes.fromhex("9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60")
PUBLIC = bytes.fromhex("d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a")


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def now() -> int:
    """The official package has no other clock than the machine's."""
    return int(datetime.now(UTC).timestamp())


def the_platforms(secret: str) -> str:
    """`X-Webhook-Signature` by the words of its documentation."""
    made = hmac.new(secret.encode(), str(TIMESTAMP).encode() + b"." + BODY, hashlib.sha256)
    return "sha256=" + made.hexdigest()


def test_the_platforms_headers_are_hex_hmac_over_timestamp_and_body() -> None:
    made = signed_headers("wh-1", TIMESTAMP, BODY, "sécret")
    assert made["X-Webhook-Signature"] == the_platforms("sécret")
    assert made["X-Webhook-Timestamp"] == str(TIMESTAMP)
    assert made["X-Webhook-ID"] == "wh-1"


def test_the_platform_takes_an_encoded_secret_as_the_text_that_it_is() -> None:
    made = signed_headers("wh-1", TIMESTAMP, BODY, NEW)
    assert made["X-Webhook-Signature"] == the_platforms(NEW)


def test_the_standard_signature_agrees_with_the_vector_of_the_specification() -> None:
    made = signed_headers(
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        1614265330,
        b'{"test": 2432232314}',
        "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw",
    )
    assert made["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="
    assert made["webhook-id"] == "msg_p5jXN8AQM9LWM0D4loKWxJek"
    assert made["webhook-timestamp"] == "1614265330"


@pytest.mark.parametrize("secret", ["plain", "whsec_not base64!", "whsec_abcde", "wHsec_YWJj"])
def test_a_secret_that_is_not_encoded_is_its_own_key(secret: str) -> None:
    content = f"wh-1.{TIMESTAMP}.".encode() + BODY
    independent = hmac.new(secret.encode(), content, hashlib.sha256).digest()
    made = signed_headers("wh-1", TIMESTAMP, BODY, secret)
    assert made["webhook-signature"] == f"v1,{b64(independent)}"


def test_while_secrets_overlap_the_platforms_header_is_made_with_the_oldest() -> None:
    made = signed_headers("wh-1", TIMESTAMP, BODY, OLD, NEW)
    assert made["X-Webhook-Signature"] == the_platforms(OLD)


def test_the_standard_header_has_a_signature_of_each_secret_the_newest_first() -> None:
    alone = [signed_headers("wh-1", TIMESTAMP, BODY, s)["webhook-signature"] for s in (NEW, OLD)]
    made = signed_headers("wh-1", TIMESTAMP, BODY, OLD, NEW)
    assert made["webhook-signature"] == " ".join(alone)


@pytest.mark.parametrize("secret", [OLD, NEW])
def test_the_official_package_accepts_either_secret_while_they_overlap(secret: str) -> None:
    made = signed_headers("wh-1", now(), BODY, OLD, NEW, signing_key=new_signing_key())
    assert Webhook(secret).verify(BODY, made) == json.loads(BODY)


def test_the_official_package_refuses_a_third_secret() -> None:
    with pytest.raises(WebhookVerificationError):
        Webhook(new_secret()).verify(BODY, signed_headers("wh-1", now(), BODY, OLD, NEW))


@given(
    st.text(st.characters(codec="utf-8"), min_size=1),
    st.text(),
    st.binary(min_size=MIN_KEY_BYTES, max_size=MAX_KEY_BYTES),
    st.booleans(),
)
def test_the_official_package_accepts_whatever_is_signed(
    webhook_id: str, body: str, key: bytes, padded: bool
) -> None:
    secret = "whsec_" + (b64(key) if padded else b64(key).rstrip("="))
    made = signed_headers(webhook_id, now(), body.encode(), secret)
    assert Webhook(secret).verify(body, made, json_parse=False) is None


def test_a_plain_secret_is_for_the_official_package_a_key_of_bytes() -> None:
    made = signed_headers("wh-1", now(), BODY, "a plain secret")
    assert Webhook(b"a plain secret").verify(BODY, made) == json.loads(BODY)


@given(
    st.binary(),
    st.text(st.characters(codec="utf-8"), min_size=1),
    st.binary(min_size=32, max_size=32),
)
def test_v1a_is_ed25519_over_id_timestamp_and_body(
    body: bytes, webhook_id: str, seed: bytes
) -> None:
    signing_key = new_signing_key(lambda _: seed)
    made = signed_headers(webhook_id, TIMESTAMP, body, NEW, signing_key=signing_key)
    hmacs, _, signature = made["webhook-signature"].partition(" v1a,")
    assert hmacs == signed_headers(webhook_id, TIMESTAMP, body, NEW)["webhook-signature"]
    public = base64.b64decode(public_key_of(signing_key).removeprefix("whpk_"))
    content = f"{webhook_id}.{TIMESTAMP}.".encode() + body
    verify = Ed25519PublicKey.from_public_bytes(public).verify
    verify(base64.b64decode(signature), content)
    with pytest.raises(InvalidSignature):
        verify(base64.b64decode(signature), content + b" ")


@pytest.mark.parametrize("key", [SEED, SEED + PUBLIC])
def test_a_signing_key_is_the_private_key_alone_or_followed_by_the_public_one(key: bytes) -> None:
    assert public_key_of("whsk_" + b64(key)) == "whpk_" + b64(PUBLIC)


def test_a_new_signing_key_has_both() -> None:
    assert new_signing_key(lambda _: SEED) == "whsk_" + b64(SEED + PUBLIC)


@pytest.mark.parametrize(
    "text",
    [
        b64(SEED),
        "whsec_" + b64(SEED),
        "whsk_",
        "whsk_!" + b64(SEED),
        "whsk_" + b64(SEED[:31]),
        "whsk_" + b64(SEED + SEED),
        "whsk_" + b64(SEED + PUBLIC + b"."),
    ],
)
@pytest.mark.parametrize("use", [Signer, public_key_of])
def test_what_is_no_signing_key_is_refused_and_not_shown(
    use: Callable[[str], object], text: str
) -> None:
    with pytest.raises(ConfigurationError, match="REMIT_WEBHOOK_SIGNING_KEY") as refused:
        use(text)
    assert b64(SEED)[:8] not in str(refused.value)


def test_no_representation_shows_a_key() -> None:
    shown = repr(SigningKey.of(NEW)) + repr(Signer("whsk_" + b64(SEED)))
    for secret in (NEW, NEW.removeprefix("whsec_"), repr(b"\2" * 8)[2:-1], b64(SEED)):
        assert secret not in shown


@pytest.mark.parametrize("secret", ["", "whsec_"])
def test_nothing_is_signed_with_an_empty_secret(secret: str) -> None:
    with pytest.raises(SecretUnreadable, match="empty"):
        SigningKey.of(secret)


def test_a_new_secret_is_one_that_a_merchant_could_bring() -> None:
    assert new_secret(lambda size: b"k" * size) == "whsec_" + b64(b"k" * 32)
    assert new_secret() != new_secret()
    check_secret(new_secret())


@pytest.mark.parametrize("size", [MIN_KEY_BYTES, MAX_KEY_BYTES])
def test_a_secret_of_the_least_and_of_the_most_bytes_is_taken(size: int) -> None:
    check_secret("whsec_" + b64(b"k" * size))
    check_secret("~" * size)


@pytest.mark.parametrize(
    ("secret", "fault"),
    [
        ("", "0 bytes"),
        ("whsec_", "0 bytes"),
        ("x" * 23, "23 bytes"),
        ("x" * 65, "65 bytes"),
        ("whsec_" + b64(b"k" * 23), "23 bytes"),
        ("whsec_" + b64(b"k" * 65), "65 bytes"),
        ("whsec_" + b64(b"k" * 25).rstrip("="), "not base64"),
        ("whsec_" + b64(b"k" * 25)[:-3] + "x==", "not base64"),
        ("whsec_" + b64(b"\xff" * 24).replace("/", "_"), "not base64"),
        ("whsec_" + "é" * 32, "not base64"),
        ("with a space in its middle", "printable"),
        ("with-a-newline-at-its-end\n", "printable"),
        ("with-a-null-in-its-middle\0", "printable"),
        ("not-of-ascii-but-printablé", "printable"),
        ("with-a-surrogate-at-its-end\udcff", "printable"),
        (SIGNING_KEY, "Ed25519"),
        (public_key_of(SIGNING_KEY), "Ed25519"),
    ],
)
def test_what_is_no_secret_is_refused_and_not_shown(secret: str, fault: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        check_secret(secret)
    (error,) = refused.value.errors
    assert error.field == "secret"
    assert fault in error.message
    assert "24 to 64" in error.allowed
    if secret.removeprefix("whsec_"):
        assert secret not in str(refused.value)
