"""The receiver's side of `signing`: whether a request that came in is genuine.

`verify` demands the headers of Standard Webhooks, which every request of Remit has: they vouch for
the id too, and have a signature for each live secret. `X-Webhook-Signature` vouches for timestamp
and body only. If it were enough, whoever holds one request could take the other headers away, write
another `X-Webhook-ID`, and be taken for a webhook that was never there before. So `verify_plain`,
for what has nothing else, says nothing of an id.
"""

from __future__ import annotations

import hmac
import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from remit.errors import ConfigurationError, RemitError, SecretUnreadable
from remit.webhooks.signing import (
    PUBLIC_KEY,
    SigningKey,
    dated_content,
    from_base64,
    named_content,
    to_base64,
)

if TYPE_CHECKING:  # most receivers verify with a secret
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

TOLERANCE = timedelta(minutes=5)
"""How far a signature's timestamp may be from the receiver's clock (Standard Webhooks)."""

_PLAIN = ("X-Webhook-ID", "X-Webhook-Timestamp", "X-Webhook-Signature")
_STANDARD = ("webhook-id", "webhook-timestamp", "webhook-signature")
_KNOWN = frozenset(name.lower() for name in (*_PLAIN, *_STANDARD))

_UNIX_SECONDS = re.compile(r"[0-9]{1,12}")


class SignatureInvalid(RemitError):
    """A request that must not be trusted. `reason` says what was wrong and holds no secret."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def verify(
    headers: Mapping[str, str],
    body: bytes,
    secret: str | Sequence[str] = (),
    *,
    now: datetime,
    tolerance: timedelta = TOLERANCE,
    public_key: str = "",
) -> str:
    """Check a received webhook and return its id, by which a receiver knows it from a repetition.

    `body` is the request's body as received, before any parsing. `secret` is one secret, or several
    while one takes another's place; with `public_key` (`whpk_…`) a `v1a` signature is enough.
    Names match in any case. The headers of Standard Webhooks must be there, and decide; the ids and
    timestamps of the others, as far as they are there, must be the same.

    Raises:
        SignatureInvalid: the request is not from a holder of the key, or too old or too new, or has
            no headers of Standard Webhooks.
        ConfigurationError: the receiver has no key, or one that is none.
    """
    keys, verifier = _signing_keys(secret), _public_key(public_key)
    if not keys and verifier is None:
        raise ConfigurationError("there is nothing to verify with: give a secret or a public key")
    received = _received(headers)
    webhook_id, timestamp, signature = _values(_STANDARD, received)
    sent_at = _seconds(_STANDARD[1], timestamp)
    _check_agreement(received, webhook_id, timestamp)
    content = named_content(webhook_id, dated_content(timestamp, body))
    genuine = _any_equal(signature, [key.standard_signature(content) for key in keys])
    genuine |= verifier is not None and _any_signed(signature, content, verifier)
    _check(sent_at, now, tolerance, genuine=genuine)
    return webhook_id


def verify_plain(
    headers: Mapping[str, str],
    body: bytes,
    secret: str | Sequence[str],
    *,
    now: datetime,
    tolerance: timedelta = TOLERANCE,
) -> None:
    """Check a webhook by `X-Webhook-Signature` alone, for what comes from a sender that has no
    other, as the payments platform's own service. Arguments are as those of `verify`.

    It vouches for the body and the time and for nothing else. `X-Webhook-ID` may be anything, so a
    receiver knows a repetition by what is in the body.

    Raises:
        SignatureInvalid: the request is not from a holder of the secret, or too old or too new.
        ConfigurationError: the receiver has no secret, or one that is none.
    """
    keys = _signing_keys(secret)
    if not keys:
        raise ConfigurationError("there is nothing to verify with: give a secret")
    timestamp, signature = _values(_PLAIN[1:], _received(headers))
    sent_at, dated = _seconds(_PLAIN[1], timestamp), dated_content(timestamp, body)
    genuine = _any_equal(signature, [key.plain_signature(dated) for key in keys])
    _check(sent_at, now, tolerance, genuine=genuine)


def _check(sent_at: int, now: datetime, tolerance: timedelta, *, genuine: bool) -> None:
    if not genuine:
        raise SignatureInvalid("the signature does not match")
    if abs(now.timestamp() - sent_at) > tolerance.total_seconds():
        raise SignatureInvalid("the timestamp is outside the tolerance")


def _signing_keys(secret: str | Sequence[str]) -> list[SigningKey]:
    try:
        return [SigningKey.of(each) for each in ([secret] if isinstance(secret, str) else secret)]
    except SecretUnreadable as error:
        raise ConfigurationError(str(error)) from None


def _public_key(text: str) -> Ed25519PublicKey | None:
    if not text:
        return None
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    key = from_base64(text.removeprefix(PUBLIC_KEY)) if text.startswith(PUBLIC_KEY) else None
    if key is None or len(key) != 32:
        raise ConfigurationError(
            f"a public key is {PUBLIC_KEY} and the base64 of the 32 bytes of an Ed25519 key"
        )
    return Ed25519PublicKey.from_public_bytes(key)


def _received(headers: Mapping[str, str]) -> dict[str, str]:
    """The headers that count, by their names in lower case.

    One that is there twice is refused: another reader may have seen the other.
    """
    received: dict[str, str] = {}
    for name, value in headers.items():
        if (lower := name.lower()) in _KNOWN:
            if lower in received:
                raise SignatureInvalid(f"the header {lower} is there twice")
            received[lower] = value
    if not received:
        raise SignatureInvalid("there is no signature header")
    return received


def _values(names: Sequence[str], received: Mapping[str, str]) -> list[str]:
    """The headers of these names, all of which must be there."""
    for name in names:
        if not received.get(name.lower()):
            raise SignatureInvalid(f"the header {name} is missing")
    return [received[name.lower()] for name in names]


def _seconds(name: str, timestamp: str) -> int:
    if _UNIX_SECONDS.fullmatch(timestamp) is None:
        raise SignatureInvalid(f"{name} is not a number of seconds")
    return int(timestamp)


def _check_agreement(received: Mapping[str, str], webhook_id: str, timestamp: str) -> None:
    """The other set, as far as it is there, names the same webhook. Its signature may be of another
    live secret than the receiver's."""
    for name, value in zip(_PLAIN, (webhook_id, timestamp), strict=False):
        if received.get(name.lower(), value) != value:
            raise SignatureInvalid(f"{name} differs from the header of Standard Webhooks")


def _any_equal(signature: str, expected: Sequence[str]) -> bool:
    """Every signature is compared with every one that would be right, in constant time, whatever
    the outcome of the others."""
    candidates = [each.encode("utf-8", "surrogatepass") for each in signature.split(" ")]
    matches = [hmac.compare_digest(c, e.encode()) for c in candidates for e in expected]
    return any(matches)


def _any_signed(signature: str, content: bytes, key: Ed25519PublicKey) -> bool:
    from cryptography.exceptions import InvalidSignature

    for each in signature.split(" "):
        version, _, text = each.partition(",")
        candidate = from_base64(text) if version == "v1a" else None
        # Written in the one right way, or a changed header could still be genuine.
        if candidate is None or to_base64(candidate) != text:
            continue
        try:
            key.verify(candidate, content)
        except InvalidSignature:
            continue
        return True
    return False
