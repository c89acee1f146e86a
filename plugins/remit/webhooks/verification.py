"""The receiver's side of `signing`: whether a request that came in is genuine.

Where the headers of Standard Webhooks are there, they decide: they vouch for the id too, and have a
signature for each live secret. `X-Webhook-Signature` alone vouches for timestamp and body only, so
a receiver that reads nothing else has to recognize repetitions by what is in the body.
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

_Names = tuple[str, str, str]
_PLAIN: _Names = ("X-Webhook-ID", "X-Webhook-Timestamp", "X-Webhook-Signature")
_STANDARD: _Names = ("webhook-id", "webhook-timestamp", "webhook-signature")
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
    Names match in any case. Either set of headers is enough; where both are there, their ids and
    their timestamps must be the same, and those of Standard Webhooks decide.

    Raises:
        SignatureInvalid: the request is not from a holder of the key, or too old or too new.
        ConfigurationError: the receiver has no key, or one that is none.
    """
    keys, verifier = _signing_keys(secret), _public_key(public_key)
    if not keys and verifier is None:
        raise ConfigurationError("there is nothing to verify with: give a secret or a public key")
    received = _received(headers)
    if any(name in received for name in _STANDARD):
        webhook_id, timestamp, signature = _values(_STANDARD, received)
        _check_agreement(received, webhook_id, timestamp)
        content = named_content(webhook_id, dated_content(timestamp, body))
        genuine = _any_equal(signature, [key.standard_signature(content) for key in keys])
        genuine |= verifier is not None and _any_signed(signature, content, verifier)
    else:
        webhook_id, timestamp, signature = _values(_PLAIN, received)
        dated = dated_content(timestamp, body)
        genuine = _any_equal(signature, [key.plain_signature(dated) for key in keys])
    if not genuine:
        raise SignatureInvalid("the signature does not match")
    if abs(now.timestamp() - int(timestamp)) > tolerance.total_seconds():
        raise SignatureInvalid("the timestamp is outside the tolerance")
    return webhook_id


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


def _values(names: _Names, received: Mapping[str, str]) -> tuple[str, str, str]:
    """Id, timestamp and signature."""
    for name in names:
        if not received.get(name.lower()):
            raise SignatureInvalid(f"the header {name} is missing")
    webhook_id, timestamp, signature = (received[name.lower()] for name in names)
    if _UNIX_SECONDS.fullmatch(timestamp) is None:
        raise SignatureInvalid(f"{names[1]} is not a number of seconds")
    return webhook_id, timestamp, signature


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
