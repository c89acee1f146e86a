"""Signatures, as the platform's own service writes them and as Standard Webhooks has them.

| header                | value                                                              |
|-----------------------|--------------------------------------------------------------------|
| `X-Webhook-ID`        | the webhook's id, the same in every attempt                        |
| `X-Webhook-Timestamp` | Unix seconds, fresh in every attempt                               |
| `X-Webhook-Signature` | `sha256=` + hex HMAC-SHA256(secret, `{timestamp}.{body}`)          |
| `webhook-id`          | the webhook's id                                                   |
| `webhook-timestamp`   | Unix seconds                                                       |
| `webhook-signature`   | `v1,` + base64 HMAC-SHA256(key, `{id}.{timestamp}.{body}`)         |

The second three are those of https://github.com/standard-webhooks/standard-webhooks (v1), so that
a receiver can verify with a library that it already has.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from remit.errors import RemitError

TOLERANCE = timedelta(minutes=5)
"""How far a signature's timestamp may be from the receiver's clock (Standard Webhooks)."""

_ENCODED_SECRET = "whsec_"  # noqa: S105 - the prefix that marks a base64 secret, not a secret
_UNIX_SECONDS = re.compile(r"[0-9]{1,12}")


class SignatureInvalid(RemitError):
    """A request that must not be trusted. `reason` says what was wrong and holds no secret."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


@dataclass(frozen=True)
class _Family:
    """One set of the three headers, and how its signature is made."""

    id: str
    timestamp: str
    signature: str
    sign: Callable[[str, str, bytes, str], str]

    @property
    def names(self) -> tuple[str, str, str]:
        return (self.id, self.timestamp, self.signature)


def headers(webhook_id: str, timestamp: int, body: bytes, secret: str) -> dict[str, str]:
    """The six headers of one attempt; `timestamp` is in Unix seconds."""
    signed: dict[str, str] = {}
    for family in _FAMILIES:
        values = (webhook_id, str(timestamp))
        signature = family.sign(*values, body, secret)
        signed |= dict(zip(family.names, (*values, signature), strict=True))
    return signed


def verify(
    headers: Mapping[str, str],
    body: bytes,
    secret: str,
    *,
    now: datetime,
    tolerance: timedelta = TOLERANCE,
) -> str:
    """Check a received webhook and return its id, by which a receiver knows it from a repetition.

    `body` is the request's body as received, before any parsing. Either set of headers is enough;
    every set of which a header is present must be whole and right. Names match in any case.

    Raises:
        SignatureInvalid: the request is not from the holder of `secret`, or too old or too new.
    """
    received = _lower(headers)
    present = [family for family in _FAMILIES if any(n.lower() in received for n in family.names)]
    if not present:
        raise SignatureInvalid("there is no signature header")
    signed = {_signed(family, received, body, secret) for family in present}
    if len(signed) > 1:
        raise SignatureInvalid("the two ids or the two timestamps differ")
    webhook_id, timestamp = signed.pop()
    if abs(now.timestamp() - timestamp) > tolerance.total_seconds():
        raise SignatureInvalid("the timestamp is outside the tolerance")
    return webhook_id


def _signed(
    family: _Family, received: Mapping[str, str], body: bytes, secret: str
) -> tuple[str, int]:
    """The id and the timestamp that the signature of this family vouches for."""
    for name in family.names:
        if not received.get(name.lower()):
            raise SignatureInvalid(f"the header {name} is missing")
    webhook_id, timestamp, signature = (received[name.lower()] for name in family.names)
    if _UNIX_SECONDS.fullmatch(timestamp) is None:
        raise SignatureInvalid(f"{family.timestamp} is not a number of seconds")
    expected = family.sign(webhook_id, timestamp, body, secret).encode()
    # A space separates the signatures of several live secrets. Every one is compared, in constant
    # time, whatever the outcome of the others.
    matches = [
        hmac.compare_digest(candidate.encode("utf-8", "surrogatepass"), expected)
        for candidate in signature.split(" ")
    ]
    if not any(matches):
        raise SignatureInvalid(f"{family.signature} does not match")
    return webhook_id, int(timestamp)


def _lower(headers: Mapping[str, str]) -> dict[str, str]:
    lowered: dict[str, str] = {}
    for name, value in headers.items():
        if name.lower() in lowered:
            raise SignatureInvalid(f"the header {name} is there twice")
        lowered[name.lower()] = value
    return lowered


def _sign_plain(_: str, timestamp: str, body: bytes, secret: str) -> str:
    digest = hmac.new(secret.encode(), f"{timestamp}.".encode() + body, hashlib.sha256)
    return f"sha256={digest.hexdigest()}"


def _sign_standard(webhook_id: str, timestamp: str, body: bytes, secret: str) -> str:
    signed = f"{webhook_id}.{timestamp}.".encode("utf-8", "surrogatepass") + body
    digest = hmac.new(_standard_key(secret), signed, hashlib.sha256)
    return f"v1,{base64.b64encode(digest.digest()).decode()}"


def _standard_key(secret: str) -> bytes:
    """The bytes behind `whsec_` + base64; any other secret is its own UTF-8 bytes."""
    if secret.startswith(_ENCODED_SECRET):
        try:
            key = base64.b64decode(secret.removeprefix(_ENCODED_SECRET), validate=True)
        except (binascii.Error, ValueError):
            return secret.encode()
        return key or secret.encode()
    return secret.encode()


_FAMILIES = (
    _Family("X-Webhook-ID", "X-Webhook-Timestamp", "X-Webhook-Signature", _sign_plain),
    _Family("webhook-id", "webhook-timestamp", "webhook-signature", _sign_standard),
)
