"""JSON Web Tokens (RFC 7519), HS256, for the trigger hook. Airflow's own secret is never used."""

from __future__ import annotations

import os
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import jwt

from remit.clock import Clock, epoch_seconds, system_clock
from remit.errors import ConfigurationError, NotAuthenticated

ALGORITHM = "HS256"
MIN_SECRET_BYTES = 32
"""HS256 wants a key at least as long as its hash (RFC 7518, section 3.2): 256 bits."""

MAX_LIFETIME = timedelta(hours=1)
LEEWAY = timedelta(seconds=30)
MAX_TOKEN_CHARACTERS = 8192

_REQUIRED = ("exp", "iat", "iss", "aud", "merchant_id")


@dataclass(frozen=True)
class TokenSettings:
    """The secret, and what a token must say about who made it and for whom."""

    secret: str = field(repr=False)
    issuer: str
    audience: str
    max_lifetime: timedelta = MAX_LIFETIME

    def __post_init__(self) -> None:
        size = len(self.secret.encode())
        if size < MIN_SECRET_BYTES:
            raise ConfigurationError(
                f"JWT_SECRET has {size} bytes: HS256 needs at least {MIN_SECRET_BYTES} (256 bits); "
                "make one with: python -c 'import secrets; print(secrets.token_urlsafe(48))'"
            )

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> TokenSettings:
        """Read `JWT_SECRET`, `JWT_ISSUER` and `JWT_AUDIENCE`. None of them has a default.

        Raises:
            ConfigurationError: one is missing, or the secret is too short.
        """
        names = ("JWT_SECRET", "JWT_ISSUER", "JWT_AUDIENCE")
        missing = [name for name in names if not environment.get(name)]
        if missing:
            raise ConfigurationError(
                f"{', '.join(missing)} must be set: the hook serves nobody without"
            )
        secret, issuer, audience = (environment[name] for name in names)
        return cls(secret, issuer, audience)


@dataclass(frozen=True)
class Caller:
    """Whom a token speaks for."""

    merchant_id: str
    permissions: frozenset[str]
    email: str | None = None
    token_id: str | None = None

    def may(self, permission: str) -> bool:
        """Whether the token grants a permission; there are no wildcards."""
        return permission in self.permissions


class Verifier:
    """Checks tokens against one set of settings."""

    def __init__(self, settings: TokenSettings, clock: Clock = system_clock) -> None:
        self._settings = settings
        self._clock = clock

    def verify(self, token: str) -> Caller:
        """The caller that a token proves.

        Raises:
            NotAuthenticated: the token is not valid. The reason never contains the token.
        """
        if len(token) > MAX_TOKEN_CHARACTERS:
            raise NotAuthenticated(f"the token is longer than {MAX_TOKEN_CHARACTERS} characters")
        try:
            # Times are checked below, against the injected clock.
            claims = jwt.decode(
                token,
                self._settings.secret,
                algorithms=[ALGORITHM],
                issuer=self._settings.issuer,
                audience=self._settings.audience,
                options={
                    "require": list(_REQUIRED),
                    "verify_exp": False,
                    "verify_iat": False,
                    "verify_nbf": False,
                },
            )
        except jwt.InvalidTokenError as error:
            raise NotAuthenticated(f"{type(error).__name__}: {error}") from None
        except (ValueError, TypeError, RecursionError) as error:
            raise NotAuthenticated(f"the token does not parse: {type(error).__name__}") from None
        self._check_times(claims)
        return Caller(
            merchant_id=_merchant(claims["merchant_id"]),
            permissions=_permissions(claims.get("permissions", [])),
            email=_optional_text(claims, "email"),
            token_id=_optional_text(claims, "jti"),
        )

    def _check_times(self, claims: Mapping[str, Any]) -> None:
        now, leeway = self._clock().timestamp(), LEEWAY.total_seconds()
        issued, expires = _number(claims, "iat"), _number(claims, "exp")
        if expires <= now - leeway:
            raise NotAuthenticated("the token has expired")
        if issued > now + leeway:
            raise NotAuthenticated("the token was issued in the future")
        if "nbf" in claims and _number(claims, "nbf") > now + leeway:
            raise NotAuthenticated("the token is not valid yet")
        if expires - issued > self._settings.max_lifetime.total_seconds():
            raise NotAuthenticated(f"the token lives longer than {self._settings.max_lifetime}")


def mint(
    settings: TokenSettings,
    merchant_id: str,
    *,
    permissions: Collection[str],
    now: datetime,
    lifetime: timedelta = MAX_LIFETIME,
    email: str | None = None,
) -> str:
    """A token for a merchant, as the payments platform's own service would issue it."""
    claims: dict[str, Any] = {
        "merchant_id": merchant_id,
        "permissions": sorted(permissions),
        "iss": settings.issuer,
        "aud": [settings.audience],
        "iat": epoch_seconds(now),
        "exp": epoch_seconds(now + lifetime),
    }
    if email:
        claims["email"] = email
    return jwt.encode(claims, settings.secret, algorithm=ALGORITHM)


def _number(claims: Mapping[str, Any], name: str) -> float:
    value = claims[name]
    # The comparison is false for NaN, too, which JSON parsers let through.
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 2**53:
        raise NotAuthenticated(f"the claim {name!r} is not a time")
    return value


def _merchant(value: Any) -> str:
    if not isinstance(value, str) or not 0 < len(value) <= 256 or not value.isprintable():
        raise NotAuthenticated("the claim 'merchant_id' is not an id")
    return value


def _permissions(value: Any) -> frozenset[str]:
    if not isinstance(value, list) or not all(isinstance(entry, str) for entry in value):
        raise NotAuthenticated("the claim 'permissions' is not a list of names")
    return frozenset(value)


def _optional_text(claims: Mapping[str, Any], name: str) -> str | None:
    value = claims.get(name)
    if value is not None and not isinstance(value, str):
        raise NotAuthenticated(f"the claim {name!r} is not text")
    return value
