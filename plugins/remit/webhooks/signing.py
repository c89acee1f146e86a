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
receiver can verify with a library that it already has. The key is the bytes behind `whsec_` +
base64; a secret of another form is its own UTF-8 bytes.

`webhook-signature` has one `v1,` for each live secret, the newest first, and with a signing key of
the deployment a `v1a,` + base64 Ed25519 of the same bytes; spaces stand between them.

`X-Webhook-Signature` has room for one signature: it is made with the **oldest** live secret. A
receiver that knows nothing of a rotation keeps working until the overlap ends; one that has the new
secret already reads `webhook-signature`, which has both.
"""

from __future__ import annotations

import binascii
import re
import secrets
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from remit.errors import ConfigurationError, FieldError, InvalidRequest, SecretUnreadable
from remit.mac import Mac

if TYPE_CHECKING:  # not every deployment has a signing key
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

RandomBytes = Callable[[int], bytes]
"""Returns so many random bytes."""

MIN_KEY_BYTES = 24
MAX_KEY_BYTES = 64
"""Bounds of a secret's key (Standard Webhooks: 192 to 512 bits)."""

PUBLIC_KEY = "whpk_"
_SECRET = "whsec_"  # noqa: S105 - these mark what kind of key follows, and are none
_SIGNING_KEY = "whsk_"

_NEW_KEY_BYTES = 32  # as long as the hash: more adds no strength
_SEED_BYTES = 32
_PLAIN_SECRET = re.compile(r"[!-~]*")


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A secret, made ready to sign with: as the platform's own service takes it (the text itself),
    and as Standard Webhooks does (the bytes behind `whsec_`)."""

    plain: Mac = field(repr=False)
    standard: Mac = field(repr=False)

    @classmethod
    def of(cls, secret: str) -> SigningKey:
        """From the secret as the merchant has it.

        Raises:
            SecretUnreadable: it is empty, so that anybody could sign with it.
        """
        if secret in {"", _SECRET}:
            raise SecretUnreadable("a secret is empty: anybody could sign with it")
        plain = secret.encode("utf-8", "surrogatepass")
        key = from_base64(secret.removeprefix(_SECRET)) if secret.startswith(_SECRET) else None
        return cls(Mac(plain), Mac(key or plain))

    def plain_signature(self, dated: bytes) -> str:
        """The value of `X-Webhook-Signature` for `{timestamp}.{body}`."""
        return "sha256=" + self.plain.digest(dated).hex()

    def standard_signature(self, content: bytes) -> str:
        """A signature in `webhook-signature` for `{id}.{timestamp}.{body}`."""
        return "v1," + to_base64(self.standard.digest(content))


class Signer:
    """Signs deliveries. `signing_key` (`whsk_…`) adds a `v1a` signature.

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
        dated = dated_content(seconds, body)
        content = named_content(webhook_id, dated)
        signatures = [key.standard_signature(content) for key in reversed(keys)]
        if self._private is not None:
            signatures.append("v1a," + to_base64(self._private.sign(content)))
        return {
            "X-Webhook-ID": webhook_id,
            "X-Webhook-Timestamp": seconds,
            "X-Webhook-Signature": keys[0].plain_signature(dated),
            "webhook-id": webhook_id,
            "webhook-timestamp": seconds,
            "webhook-signature": " ".join(signatures),
        }


def dated_content(timestamp: str, body: bytes) -> bytes:
    """What the platform's own service signs."""
    return timestamp.encode() + b"." + body


def named_content(webhook_id: str, dated: bytes) -> bytes:
    """What Standard Webhooks signs."""
    return webhook_id.encode("utf-8", "surrogatepass") + b"." + dated


def new_secret(random_bytes: RandomBytes = secrets.token_bytes) -> str:
    """A fresh secret of 32 random bytes, as Standard Webhooks writes it."""
    return _SECRET + to_base64(random_bytes(_NEW_KEY_BYTES))


def check_secret(secret: str) -> None:
    """Refuse a secret that a merchant brings and that is none. No message shows it.

    Raises:
        InvalidRequest: it is neither `whsec_` and base64 of 24 to 64 bytes, nor text of so many
            printable ASCII characters.
    """
    if (fault := _fault(secret)) is not None:
        sizes = f"{MIN_KEY_BYTES} to {MAX_KEY_BYTES}"
        allowed = (
            f"{_SECRET} and the base64 of {sizes} random bytes, "
            f"or {sizes} printable ASCII characters without spaces"
        )
        raise InvalidRequest(FieldError("secret", fault, allowed))


def _fault(secret: str) -> str | None:
    if secret.startswith((_SIGNING_KEY, PUBLIC_KEY)):
        return "it is an Ed25519 key and not a secret that both sides share"
    size = len(secret)
    if secret.startswith(_SECRET):
        text = secret.removeprefix(_SECRET)
        key = from_base64(text)
        # Libraries differ in what else they let through, and in what they make of it.
        if key is None or to_base64(key) != text:
            return f"what follows {_SECRET} is not base64 (with its padding)"
        size = len(key)
    elif _PLAIN_SECRET.fullmatch(secret) is None:
        return "it has spaces, or characters that are not printable ASCII"
    if not MIN_KEY_BYTES <= size <= MAX_KEY_BYTES:
        return f"its key has {size} bytes"
    return None


def new_signing_key(random_bytes: RandomBytes = secrets.token_bytes) -> str:
    """A fresh Ed25519 key for `v1a` signatures: the private key, then the public one, as libsodium
    and Go write it."""
    private = _private(random_bytes(_SEED_BYTES))
    pair = private.private_bytes_raw() + private.public_key().public_bytes_raw()
    return _SIGNING_KEY + to_base64(pair)


def public_key_of(signing_key: str) -> str:
    """The key (`whpk_…`) that receivers verify `v1a` signatures with.

    Raises:
        ConfigurationError: it is not an Ed25519 key.
    """
    return PUBLIC_KEY + to_base64(_private_key(signing_key).public_key().public_bytes_raw())


def _private_key(text: str) -> Ed25519PrivateKey:
    key = from_base64(text.removeprefix(_SIGNING_KEY)) if text.startswith(_SIGNING_KEY) else None
    if key is not None and len(key) in {_SEED_BYTES, 2 * _SEED_BYTES}:
        private = _private(key[:_SEED_BYTES])
        # Private key alone, or followed by the public one, which then has to be its own.
        if private.public_key().public_bytes_raw().startswith(key[_SEED_BYTES:]):
            return private
    raise ConfigurationError(
        f"REMIT_WEBHOOK_SIGNING_KEY must be {_SIGNING_KEY} and the base64 of an Ed25519 key; make "
        "one with: python -c "
        "'from remit.webhooks.signing import new_signing_key as new; print(new())'"
    )


def _private(seed: bytes) -> Ed25519PrivateKey:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

    return Ed25519PrivateKey.from_private_bytes(seed)


def to_base64(data: bytes) -> str:
    """Base64 with its padding (RFC 4648, section 4)."""
    return binascii.b2a_base64(data, newline=False).decode()


def from_base64(text: str) -> bytes | None:
    """The bytes behind base64, with or without its padding; None: it is not base64."""
    try:
        return binascii.a2b_base64(text + "=" * (-len(text) % 4), strict_mode=True)
    except ValueError:  # binascii.Error is one, and so is text that is not ASCII
        return None
