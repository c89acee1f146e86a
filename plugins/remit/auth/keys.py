"""Keys that tokens are signed with. Each has one algorithm, which is the key's, never the token's.

So the two ways to confuse a verifier lead nowhere: the text of a public key is no HMAC secret here,
since its key is for RS256 alone, and a token cannot choose `none`, which no key has.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

from remit.auth.compact import MAX_KID_CHARACTERS, is_kid
from remit.errors import ConfigurationError
from remit.mac import Mac

if TYPE_CHECKING:  # takes cryptography, which a deployment with secrets alone does without
    from jwt.algorithms import Algorithm as Signatures

MAX_BITS = 16384
"""Of an RSA key: the time to check one signature grows with the square of its key."""

NEW_KEY = "python -c 'import secrets; print(secrets.token_urlsafe(48))'"


@dataclass(frozen=True)
class Policy:
    """What a key has to be for an algorithm (RFC 7518, RFC 8037)."""

    kty: str
    crv: str | None
    least_bits: int


ALGORITHMS: Mapping[str, Policy] = MappingProxyType(
    {
        "HS256": Policy("oct", None, 256),
        "RS256": Policy("RSA", None, 2048),
        "ES256": Policy("EC", "P-256", 256),
        "EdDSA": Policy("OKP", "Ed25519", 256),
        "Ed25519": Policy("OKP", "Ed25519", 256),
    }
)
"""Every algorithm that a token may be signed with. HS256 keys are secrets of the settings; the
others come from a JWKS. `Ed25519` is the name that RFC 9864 gives to what most call `EdDSA`."""


@dataclass(frozen=True)
class Key:
    """A key that verifies. Nothing of a secret is in its representation."""

    kid: str | None
    algorithm: str
    is_signed: Callable[[bytes, bytes], bool] = field(repr=False, compare=False)
    """Whether a signature of some text is this key's."""


def secret_key(kid: str | None, secret: str) -> Key:
    """A key for HS256."""
    mac = Mac(secret.encode())

    def is_signed(text: bytes, signature: bytes) -> bool:
        return hmac.compare_digest(mac.digest(text), signature)

    return Key(kid, "HS256", is_signed)


def public_key(kid: str, algorithm: str, jwk: Mapping[str, Any]) -> Key:
    """A key of a JWKS, whose kind and size are checked.

    Raises:
        ValueError: it is not what its algorithm needs. The message completes "it …".
    """
    from cryptography.exceptions import UnsupportedAlgorithm
    from jwt import PyJWTError

    policy, signatures = ALGORITHMS[algorithm], _signatures(algorithm)
    if (jwk.get("kty"), jwk.get("crv")) != (policy.kty, policy.crv):
        curve = f" with crv {policy.crv}" if policy.crv else " without crv"
        raise ValueError(f"is not of kty {policy.kty}{curve}, which {algorithm} needs")
    try:
        key: Any = signatures.from_jwk(dict(jwk))
    except (PyJWTError, ValueError, TypeError, KeyError, AttributeError, UnsupportedAlgorithm):
        raise ValueError(f"has no {policy.kty} key in it that can be read") from None
    bits = getattr(key, "key_size", policy.least_bits)  # those of Ed25519 have one size
    if not policy.least_bits <= bits <= MAX_BITS:
        raise ValueError(f"has {bits} bits: {algorithm} takes {policy.least_bits} to {MAX_BITS}")

    def is_signed(text: bytes, signature: bytes) -> bool:
        return signatures.verify(text, key, signature)

    return Key(kid, algorithm, is_signed)


def named_secrets(entries: list[str], origin: str) -> dict[str, str]:
    """Secrets by `kid`, in their order, of texts `kid:secret`.

    Raises:
        ConfigurationError: one is no such text, or too short, or a `kid` is there twice. No message
            shows a secret.
    """
    secrets: dict[str, str] = {}
    for place, entry in enumerate(entries, 1):
        kid, colon, secret = entry.partition(":")
        if not colon or not is_kid(kid) or " " in kid:
            raise ConfigurationError(
                f"entry {place} of {origin} is not `kid:secret`, its kid 1 to "
                f"{MAX_KID_CHARACTERS} printable characters without spaces, commas and colons"
            )
        if kid in secrets:
            raise ConfigurationError(f"the kid {kid!r} is twice in {origin}: each key has its own")
        check_secret(secret, f"the key {kid!r} of {origin}")
        secrets[kid] = secret
    return secrets


def check_secret(secret: str, name: str) -> None:
    """Refuse a secret that is shorter than HS256's hash (RFC 7518, section 3.2).

    Raises:
        ConfigurationError: it is. The message does not show it.
    """
    size, least = len(secret.encode()), ALGORITHMS["HS256"].least_bits // 8
    if size < least:
        raise ConfigurationError(
            f"{name} has {size} bytes: HS256 needs at least {least} (256 bits); "
            f"make one with: {NEW_KEY}"
        )


def _signatures(algorithm: str) -> Signatures:
    from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1
    from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

    known: Mapping[str, Callable[[], Signatures]] = {
        "RS256": lambda: RSAAlgorithm(RSAAlgorithm.SHA256),
        "ES256": lambda: ECAlgorithm(ECAlgorithm.SHA256, SECP256R1),
        "EdDSA": OKPAlgorithm,
        "Ed25519": OKPAlgorithm,
    }
    return known[algorithm]()
