"""Signatures, as the platform's own service writes them and as Standard Webhooks has them.

| header                | value                                                              |
|-----------------------|--------------------------------------------------------------------|
| `X-Webhook-ID`        | the webhook's id, the same in every attempt                        |
| `X-Webhook-Timestamp` | Unix seconds, fresh in every attempt                               |
| `X-Webhook-Signature` | `sha256=` + hex HMAC-SHA256(secret, `{timestamp}.{body}`)          |
| `webhook-id`          | the webhook's id                                                   |
| `webhook-timestamp`   | Unix seconds                                                       |
| `webhook-signature`   | `v1,` + base64 HMAC-SHA256(key, `{id}.{timestamp}.{body}`)         |

The second three are those of https://github.com/standard-webhooks/standard-webhooks, so that a
receiver can verify with a library that it already has. While an endpoint has several live secrets,
`webhook-signature` has a `v1,` for each, the newest first, with spaces between them; with a signing
key of the deployment there is a `v1a,` (Ed25519) as well. `X-Webhook-Signature` has room for one:
it is made with the oldest live secret, so that a receiver which knows no other still works until
that one ends.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import re
import secrets
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from remit.errors import ConfigurationError, FieldError, InvalidRequest, RemitError

TOLERANCE = timedelta(minutes=5)
"""How far a signature's timestamp may be from the receiver's clock (Standard Webhooks)."""

KEY_BYTES = (24, 64)
"""The least and the most bytes of a secret (Standard Webhooks)."""

_SECRET = "whsec_"  # noqa: S105 - these mark what kind of key follows, and are none
_SIGNING_KEY = "whsk_"
_PUBLIC_KEY = "whpk_"
_UNIX_SECONDS = re.compile(r"[0-9]{1,12}")
_PLAIN = ("X-Webhook-ID", "X-Webhook-Timestamp", "X-Webhook-Signature")
_STANDARD = ("webhook-id", "webhook-timestamp", "webhook-signature")


class SignatureInvalid(RemitError):
    """A request that must not be trusted. `reason` says what was wrong and holds no secret."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A secret, made ready to sign with: as the platform's own service takes it (the text itself),
    and as Standard Webhooks does (the bytes behind `whsec_`)."""

    plain: bytes = field(repr=False)
    standard: bytes = field(repr=False)

    @classmethod
    def of(cls, secret: str) -> SigningKey:
        """From the secret as the merchant has it."""
        return cls(secret.encode(), _standard_key(secret))


class Signer:
    """Signs deliveries. `signing_key` (`whsk_…`) adds `v1a` signatures.

    Raises:
        ConfigurationError: it is not an Ed25519 key.
    """

    def __init__(self, signing_key: str = "") -> None:
        self._private = _private_key(signing_key) if signing_key else None

    def headers(
        self, webhook_id: str, timestamp: int, body: bytes, keys: Sequence[SigningKey]
    ) -> dict[str, str]:
        """The six headers of one attempt; `timestamp` is in Unix seconds, `keys` has at least one,
        the oldest first."""
        seconds = str(timestamp)
        signed = f"{webhook_id}.{seconds}.".encode() + body
        signatures = [_v1(key, signed) for key in reversed(keys)]
        if self._private is not None:
            signatures.append(f"v1a,{base64.b64encode(self._private.sign(signed)).decode()}")
        return {
            "X-Webhook-ID": webhook_id,
            "X-Webhook-Timestamp": seconds,
            "X-Webhook-Signature": _sha256(keys[0], f"{seconds}.".encode() + body),
            "webhook-id": webhook_id,
            "webhook-timestamp": seconds,
            "webhook-signature": " ".join(signatures),
        }


def verify(
    headers: Mapping[str, str],
    body: bytes,
    secret: str | Sequence[str],
    *,
    now: datetime,
    tolerance: timedelta = TOLERANCE,
    public_key: str | None = None,
) -> str:
    """Check a received webhook and return its id, by which a receiver knows it from a repetition.

    `body` is the request's body as received, before any parsing; `secret` one secret, or several
    while one takes another's place. With `public_key` (`whpk_…`) a `v1a` signature counts too. The
    names match in any case. Either set of headers is enough. Where both are there, they must agree, and
    Standard Webhooks' decide, as they have a signature for every live secret.

    Raises:
        SignatureInvalid: the request is not from the holder of a secret, or too old or too new.
    """
    received = _lower(headers)
    present = [names for names in (_STANDARD, _PLAIN) if any(n.lower() in received for n in names)]
    if not present:
        raise SignatureInvalid("there is no signature header")
    values = [_values(names, received) for names in present]
    if len({(webhook_id, timestamp) for webhook_id, timestamp, _ in values}) > 1:
        raise SignatureInvalid("the two ids or the two timestamps differ")
    webhook_id, timestamp, signature = values[0]
    keys = [SigningKey.of(each) for each in ([secret] if isinstance(secret, str) else secret)]
    if present[0] is _STANDARD:
        signed = f"{webhook_id}.{timestamp}.".encode("utf-8", "surrogatepass") + body
        genuine = _any_equal(signature, [_v1(key, signed) for key in keys])
        if public_key is not None:
            genuine |= _any_signed(signature, signed, _public_key(public_key))
    else:
        signed = f"{timestamp}.".encode() + body
        genuine = _any_equal(signature, [_sha256(key, signed) for key in keys])
    if not genuine:
        raise SignatureInvalid(f"{present[0][2]} does not match")
    if abs(now.timestamp() - int(timestamp)) > tolerance.total_seconds():
        raise SignatureInvalid("the timestamp is outside the tolerance")
    return webhook_id


def new_secret(random_bytes: Callable[[int], bytes] = secrets.token_bytes) -> str:
    """A fresh secret of 32 random bytes, as Standard Webhooks writes it."""
    return _SECRET + base64.b64encode(random_bytes(32)).decode()


def check_secret(secret: str) -> None:
    """Refuse a secret that is too short to be one, or that no library takes.

    Raises:
        InvalidRequest: it is not `whsec_` and base64 of 24 to 64 bytes.
    """
    fault = None
    if not secret.startswith(_SECRET):
        fault = f"it does not begin with {_SECRET}"
    elif (key := _decoded(secret.removeprefix(_SECRET))) is None:
        fault = f"what follows {_SECRET} is not base64"
    elif not KEY_BYTES[0] <= len(key) <= KEY_BYTES[1]:
        fault = f"it has {len(key)} bytes"
    if fault is not None:
        allowed = f"{_SECRET} and the base64 of {KEY_BYTES[0]} to {KEY_BYTES[1]} random bytes"
        raise InvalidRequest(FieldError("secret", fault, allowed))


def new_signing_key(random_bytes: Callable[[int], bytes] = secrets.token_bytes) -> str:
    """A fresh key for `v1a` signatures."""
    return _SIGNING_KEY + base64.b64encode(random_bytes(32)).decode()


def public_key_of(signing_key: str) -> str:
    """The key that receivers verify `v1a` signatures with.

    Raises:
        ConfigurationError: it is not an Ed25519 key.
    """
    public = _private_key(signing_key).public_key().public_bytes_raw()
    return _PUBLIC_KEY + base64.b64encode(public).decode()


def _v1(key: SigningKey, signed: bytes) -> str:
    return "v1," + base64.b64encode(hmac.digest(key.standard, signed, "sha256")).decode()


def _sha256(key: SigningKey, signed: bytes) -> str:
    return "sha256=" + hmac.digest(key.plain, signed, "sha256").hex()


def _any_equal(signature: str, expected: Sequence[str]) -> bool:
    """Every signature is compared with every one that would be right, in constant time, whatever
    the outcome of the others."""
    candidates = [each.encode("utf-8", "surrogatepass") for each in signature.split(" ")]
    matches = [hmac.compare_digest(c, e.encode()) for c in candidates for e in expected]
    return any(matches)


def _any_signed(signature: str, signed: bytes, key: Ed25519PublicKey) -> bool:
    for each in signature.split(" "):
        version, _, text = each.partition(",")
        candidate = _decoded(text) if version == "v1a" else None
        if candidate is not None:
            try:
                key.verify(candidate, signed)
            except InvalidSignature:
                continue
            return True
    return False


def _values(names: tuple[str, str, str], received: Mapping[str, str]) -> tuple[str, str, str]:
    for name in names:
        if not received.get(name.lower()):
            raise SignatureInvalid(f"the header {name} is missing")
    webhook_id, timestamp, signature = (received[name.lower()] for name in names)
    if _UNIX_SECONDS.fullmatch(timestamp) is None:
        raise SignatureInvalid(f"{names[1]} is not a number of seconds")
    return webhook_id, timestamp, signature


def _lower(headers: Mapping[str, str]) -> dict[str, str]:
    lowered: dict[str, str] = {}
    for name, value in headers.items():
        if name.lower() in lowered:
            raise SignatureInvalid(f"the header {name} is there twice")
        lowered[name.lower()] = value
    return lowered


def _standard_key(secret: str) -> bytes:
    """The bytes behind `whsec_` + base64; any other secret is its own UTF-8 bytes."""
    if not secret.startswith(_SECRET):
        return secret.encode()
    return _decoded(secret.removeprefix(_SECRET)) or secret.encode()


def _private_key(text: str) -> Ed25519PrivateKey:
    key = _decoded(text.removeprefix(_SIGNING_KEY)) if text.startswith(_SIGNING_KEY) else None
    # The private key alone (32 bytes), or followed by the public one, as libsodium has it.
    if key is None or len(key) not in {32, 64}:
        raise ConfigurationError(
            f"REMIT_WEBHOOK_SIGNING_KEY must be {_SIGNING_KEY} and the base64 of an Ed25519 key"
        )
    return Ed25519PrivateKey.from_private_bytes(key[:32])


def _public_key(text: str) -> Ed25519PublicKey:
    key = _decoded(text.removeprefix(_PUBLIC_KEY))
    if not text.startswith(_PUBLIC_KEY) or key is None or len(key) != 32:
        raise ConfigurationError(
            f"a public key is {_PUBLIC_KEY} and the base64 of the 32 bytes of an Ed25519 key"
        )
    return Ed25519PublicKey.from_public_bytes(key)


def _decoded(text: str) -> bytes | None:
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
