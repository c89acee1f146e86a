"""Public keys as a JWK Set has them (RFC 7517, section 5)."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Collection, Mapping
from typing import Any

from remit.auth.compact import MAX_KID_CHARACTERS, is_kid
from remit.auth.keys import ALGORITHMS, Key, public_key
from remit.auth.strict_json import NotAnObject, parse_object
from remit.errors import ConfigurationError

log = logging.getLogger(__name__)

MAX_JWKS_BYTES = 256 * 1024
MAX_KEYS = 100

Jwk = Mapping[str, Any]

_PUBLIC = tuple(name for name, policy in ALGORITHMS.items() if policy.kty != "oct")
_PRIVATE = frozenset({"d", "p", "q", "dp", "dq", "qi", "oth", "k"})

FAULTS: tuple[tuple[Callable[[Jwk], bool], str], ...] = (
    (
        lambda jwk: not is_kid(jwk.get("kid")),
        f"has no kid of 1 to {MAX_KID_CHARACTERS} printable characters, which tokens name it by",
    ),
    (lambda jwk: jwk.get("kty") == "oct", "is a secret: those belong into JWT_KEYS"),
    (lambda jwk: not _PRIVATE.isdisjoint(jwk), "has private parts: a JWKS is for public keys"),
    (lambda jwk: jwk.get("use", "sig") != "sig", "is not for signatures (use)"),
    (lambda jwk: "verify" not in _list(jwk, "key_ops", ["verify"]), "is not to verify (key_ops)"),
    (lambda jwk: "alg" not in jwk, f"has no alg, which has to be one of {', '.join(_PUBLIC)}"),
    (lambda jwk: jwk["alg"] not in _PUBLIC, f"has an alg that is none of {', '.join(_PUBLIC)}"),
)
"""Why a key of a JWKS is not used: the first that holds. Then come its kind and size."""


def parse_jwks(text: bytes, origin: str, taken: Collection[str] = ()) -> dict[str, Key]:
    """The keys of a JWK Set that can be used, by `kid`. Of each other one the log says why not.

    Two with one `kid` are both left out, as nothing says which is meant, and so is one with a `kid`
    that is `taken`.

    Raises:
        ConfigurationError: it is no JWK Set. `origin` says which, in that and in the log.
    """
    listed = _listed(text, origin)
    times = Counter(jwk["kid"] for jwk in listed if is_kid(jwk.get("kid")))
    again = {
        kid: "has a kid that another one has, too" for kid, count in times.items() if count > 1
    }
    others = again | dict.fromkeys(taken, "has a kid that a secret of the settings has")
    keys: dict[str, Key] = {}
    for place, jwk in enumerate(listed, 1):
        try:
            key = _key(jwk, others)
        except ValueError as error:
            name = f"{jwk['kid']!r}" if is_kid(jwk.get("kid")) else "without a kid"
            log.warning("key %d (%s) of the JWKS %s is not used: it %s", place, name, origin, error)
        else:
            keys[jwk["kid"]] = key
    return keys


def _listed(text: bytes, origin: str) -> list[Jwk]:
    try:
        listed = parse_object(text).get("keys")
    except NotAnObject as error:
        raise ConfigurationError(f"the JWKS {origin} {error}") from None
    if not isinstance(listed, list) or not all(isinstance(jwk, dict) for jwk in listed):
        raise ConfigurationError(f"the JWKS {origin} has no list 'keys' of objects (RFC 7517)")
    if len(listed) > MAX_KEYS:
        raise ConfigurationError(f"the JWKS {origin} has {len(listed)} keys: {MAX_KEYS} at most")
    return listed


def _key(jwk: Jwk, others: Mapping[str, str]) -> Key:
    """A key that can be used. `others` has why none with a certain kid can.

    Raises:
        ValueError: it cannot be used. The message completes "it …".
    """
    for holds, why in FAULTS:
        if holds(jwk):
            raise ValueError(why)
    if (kid := jwk["kid"]) in others:
        raise ValueError(others[kid])
    return public_key(kid, jwk["alg"], jwk)


def _list(jwk: Jwk, name: str, default: list[str]) -> list[Any]:
    value = jwk.get(name, default)
    return value if isinstance(value, list) else []
