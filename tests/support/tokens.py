"""Tokens made by hand: text, header, payload and signature are whatever a test says."""

from __future__ import annotations

import base64
import hmac
import json
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

ISSUER = "tests"
AUDIENCE = "payment-api"
SECRET = "s" * 48
"""JWT_SECRET."""
NAMED = {"new": "n" * 40, "old": "o" * 40}
"""JWT_KEYS, the one that signs first."""

Sign = Callable[[bytes], bytes]
"""Signs the text of header and payload."""


def b64(content: bytes) -> str:
    """Base64url without padding."""
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def as_json(content: Any) -> bytes:
    """What a test gives: bytes as they are, everything else as JSON."""
    return content if isinstance(content, bytes) else json.dumps(content).encode()


def compact(header: Any, payload: Any, sign: Sign) -> str:
    """A token in compact form."""
    text = f"{b64(as_json(header))}.{b64(as_json(payload))}"
    return f"{text}.{b64(sign(text.encode()))}"


def claims(now: datetime, without: str = "", **changed: Any) -> dict[str, Any]:
    """Good claims, but for what is changed or left out."""
    found: dict[str, Any] = {
        "merchant_id": "merchant-1",
        "permissions": ["payments"],
        "iss": ISSUER,
        "aud": [AUDIENCE],
        "iat": int(now.timestamp()),
        "exp": int((now + timedelta(minutes=30)).timestamp()),
        **changed,
    }
    found.pop(without, None)
    return found


def hs(secret: str | bytes = SECRET, name: str = "sha256") -> Sign:
    """HMAC."""
    key = secret.encode() if isinstance(secret, str) else secret
    return lambda text: hmac.digest(key, text, name)


def nothing(text: bytes) -> bytes:
    """No signature."""
    return b""


@cache
def rsa_key(name: str = "rsa", bits: int = 2048) -> rsa.RSAPrivateKey:
    """An RSA key by name."""
    return rsa.generate_private_key(public_exponent=65537, key_size=bits)


@cache
def ec_key(
    name: str = "ec", curve: type[ec.EllipticCurve] = ec.SECP256R1
) -> ec.EllipticCurvePrivateKey:
    """A key of an elliptic curve by name."""
    return ec.generate_private_key(curve())


@cache
def ed_key(name: str = "ed") -> ed25519.Ed25519PrivateKey:
    """An Ed25519 key by name."""
    return ed25519.Ed25519PrivateKey.generate()


def rs(
    key: rsa.RSAPrivateKey | None = None,
    algorithm: hashes.HashAlgorithm | None = None,
    *,
    pss: bool = False,
) -> Sign:
    """RSASSA, of PKCS #1 1.5 unless told otherwise."""
    digest = algorithm or hashes.SHA256()
    pad = padding.PSS(padding.MGF1(digest), digest.digest_size) if pss else padding.PKCS1v15()
    return lambda text: (key or rsa_key()).sign(text, pad, digest)


def es_der(
    key: ec.EllipticCurvePrivateKey | None = None, algorithm: hashes.HashAlgorithm | None = None
) -> Sign:
    """ECDSA, as X.509 has it."""
    return lambda text: (key or ec_key()).sign(text, ec.ECDSA(algorithm or hashes.SHA256()))


def es(
    key: ec.EllipticCurvePrivateKey | None = None,
    algorithm: hashes.HashAlgorithm | None = None,
    *,
    swapped: bool = False,
) -> Sign:
    """ECDSA, as JWS has it: r and s, one after the other."""
    used = key or ec_key()
    size = (used.curve.key_size + 7) // 8

    def sign(text: bytes) -> bytes:
        r, s = decode_dss_signature(es_der(used, algorithm)(text))
        first, second = (s, r) if swapped else (r, s)
        return first.to_bytes(size, "big") + second.to_bytes(size, "big")

    return sign


def eddsa(key: ed25519.Ed25519PrivateKey | None = None) -> Sign:
    """EdDSA."""
    return (key or ed_key()).sign


def public_pem() -> bytes:
    """The public RSA key as a PEM file has it."""
    return rsa_key().public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def public_der() -> bytes:
    """The same, as bytes."""
    return rsa_key().public_key().public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)


def raw_ed() -> bytes:
    """The 32 bytes of the public Ed25519 key."""
    return ed_key().public_key().public_bytes(Encoding.Raw, PublicFormat.Raw)


def rsa_jwk(
    kid: str = "rsa", key: rsa.RSAPrivateKey | None = None, **members: Any
) -> dict[str, Any]:
    """A public RSA key as a JWK."""
    numbers = (key or rsa_key()).public_key().public_numbers()
    n = numbers.n.to_bytes((numbers.n.bit_length() + 7) // 8, "big")
    return {"kty": "RSA", "kid": kid, "alg": "RS256", "n": b64(n), "e": "AQAB", **members}


def ec_jwk(
    kid: str = "ec", key: ec.EllipticCurvePrivateKey | None = None, **members: Any
) -> dict[str, Any]:
    """A public key of an elliptic curve as a JWK."""
    used = (key or ec_key()).public_key()
    numbers, size = used.public_numbers(), (used.curve.key_size + 7) // 8
    crv = {"secp256r1": "P-256", "secp384r1": "P-384"}[used.curve.name]
    x, y = (b64(one.to_bytes(size, "big")) for one in (numbers.x, numbers.y))
    return {"kty": "EC", "kid": kid, "alg": "ES256", "crv": crv, "x": x, "y": y, **members}


def ed_jwk(kid: str = "ed", **members: Any) -> dict[str, Any]:
    """The public Ed25519 key as a JWK."""
    return {
        "kty": "OKP",
        "kid": kid,
        "alg": "EdDSA",
        "crv": "Ed25519",
        "x": b64(raw_ed()),
        **members,
    }


def jwks(*keys: Mapping[str, Any]) -> bytes:
    """A JWK Set: of one key for each algorithm unless told otherwise."""
    return json.dumps({"keys": list(keys) or [rsa_jwk(), ec_jwk(), ed_jwk()]}).encode()
