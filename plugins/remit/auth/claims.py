"""What a token has to say: its claims (RFC 7519, section 4.1), checked against the settings."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeGuard

from remit.auth.caller import Caller
from remit.auth.settings import TokenSettings
from remit.errors import NotAuthenticated
from remit.webhooks.event import is_merchant_id

REQUIRED = ("iss", "aud", "exp", "iat", "merchant_id")
OPTIONAL = ("nbf", "permissions", "email", "jti")
"""These have to be of their type if they are there. Claims of other names are not looked at."""

MAX_TEXT_CHARACTERS = 256
"""Of `email` and `jti`, which entries of the audit log have."""


class Rules:
    """What the settings demand of claims."""

    def __init__(self, settings: TokenSettings) -> None:
        self._issuer = settings.issuer
        self._audience = settings.audience
        self._lifetime = settings.max_lifetime.total_seconds()
        self._leeway = settings.leeway.total_seconds()

    def caller(self, claims: Mapping[str, Any], now: float) -> Caller:
        """Whom the claims speak for at an instant, in seconds since 1970.

        Raises:
            NotAuthenticated: a claim is missing, of another type, or says something else. No reason
                has a claim's value in it.
        """
        for name in REQUIRED:
            if name not in claims:
                raise NotAuthenticated(f"the token has no claim {name!r}")
        self._check_parties(claims["iss"], claims["aud"])
        self._check_times(claims, now)
        merchant_id = claims["merchant_id"]
        if not is_merchant_id(merchant_id):
            raise NotAuthenticated("the claim 'merchant_id' is not a merchant's id")
        return Caller(
            merchant_id=merchant_id,
            permissions=_permissions(claims.get("permissions", [])),
            email=_text(claims, "email"),
            token_id=_text(claims, "jti"),
        )

    def _check_parties(self, issuer: Any, audience: Any) -> None:
        if not isinstance(issuer, str):
            raise NotAuthenticated("the claim 'iss' is not text")
        if issuer != self._issuer:
            raise NotAuthenticated("the claim 'iss' is not the issuer of JWT_ISSUER")
        audiences = audience if isinstance(audience, list) else [audience]
        if not all(isinstance(one, str) for one in audiences):
            raise NotAuthenticated("the claim 'aud' is neither text nor a list of texts")
        if self._audience not in audiences:
            raise NotAuthenticated("the claim 'aud' does not have the audience of JWT_AUDIENCE")

    def _check_times(self, claims: Mapping[str, Any], now: float) -> None:
        issued, expires = _time(claims, "iat"), _time(claims, "exp")
        if expires <= now - self._leeway:
            raise NotAuthenticated("the token has expired")
        if issued > now + self._leeway:
            raise NotAuthenticated("the token was issued in the future")
        if "nbf" in claims and _time(claims, "nbf") > now + self._leeway:
            raise NotAuthenticated("the token is not valid yet")
        if not 0 < expires - issued <= self._lifetime:
            raise NotAuthenticated(
                f"the token does not live between 0 and {self._lifetime:g} seconds"
            )


def _time(claims: Mapping[str, Any], name: str) -> float:
    value = claims[name]
    # `bool` is an `int` to Python. What is larger is no time, and may be the infinity of 1e999.
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 2**53:
        raise NotAuthenticated(f"the claim {name!r} is not a time in seconds since 1970")
    return value


def _permissions(value: Any) -> frozenset[str]:
    if not isinstance(value, list) or not all(isinstance(entry, str) for entry in value):
        raise NotAuthenticated("the claim 'permissions' is not a list of names")
    return frozenset(value)


def _text(claims: Mapping[str, Any], name: str) -> str | None:
    value = claims.get(name, "")
    if not is_text(value):
        raise NotAuthenticated(
            f"the claim {name!r} is not text of at most {MAX_TEXT_CHARACTERS} printable characters"
        )
    return value or None


def is_text(value: Any) -> TypeGuard[str]:
    """Whether it can be an `email` or a `jti`; an empty one is none."""
    return isinstance(value, str) and len(value) <= MAX_TEXT_CHARACTERS and value.isprintable()
