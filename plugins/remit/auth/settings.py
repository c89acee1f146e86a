"""Settings of tokens: the keys, and what a token must say about who made it and for whom."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from urllib.parse import urlsplit

from remit.auth.keys import check_secret, named_secrets
from remit.environment import read
from remit.environment import secret as _secret
from remit.environment import setting as _setting
from remit.errors import ConfigurationError

LOOPBACK = frozenset({"127.0.0.1", "::1", "localhost"})

AIRFLOWS_OWN = "AIRFLOW__API_AUTH__JWT_SECRET"
"""The variable of the secret that Airflow signs its own tokens with."""

_KEYS = ("JWT_SECRET", "JWT_KEYS", "JWT_KEYS_FILE", "JWT_JWKS")


@dataclass(frozen=True)
class TokenSettings:
    """One way to have keys, at the least, and what a token must say; no key has a default."""

    secret: str = _secret(
        "JWT_SECRET",
        "HS256 key of tokens without a `kid`; at least 32 bytes, and not Airflow's own secret",
    )
    keys: str = _secret(
        "JWT_KEYS", "more HS256 keys, `kid:secret`, by commas; the first one signs, all verify"
    )
    keys_file: str = _setting(
        "JWT_KEYS_FILE", "", "file of such keys, one a line; read again when it changes"
    )
    jwks: str = _setting(
        "JWT_JWKS",
        "",
        "file, or https URL, of a JWKS with RS256, ES256 and EdDSA keys; read again as it changes",
    )
    jwks_refresh: timedelta = _setting(
        "JWT_JWKS_REFRESH_SECONDS", timedelta(minutes=5), "how often the JWKS of a URL is fetched"
    )
    keys_max_age: timedelta = _setting(
        "JWT_KEYS_MAX_AGE_SECONDS",
        timedelta(hours=24),
        "how long the last keys of a file or URL count while it cannot be read",
    )
    issuer: str = _setting("JWT_ISSUER", "", "the `iss` that a token must have")
    audience: str = _setting("JWT_AUDIENCE", "", "the `aud` that a token must have")
    max_lifetime: timedelta = _setting(
        "JWT_MAX_LIFETIME_SECONDS", timedelta(hours=1), "the longest time from `iat` to `exp`"
    )
    leeway: timedelta = _setting(
        "JWT_LEEWAY_SECONDS",
        timedelta(seconds=30),
        "how far the clock of who makes tokens may be off (at most 300)",
    )
    revocation: bool = _setting(
        "JWT_REVOCATION",
        False,
        "each token must have a `jti`, and those that were revoked are refused",
    )

    def __post_init__(self) -> None:
        missing = [
            variable
            for variable, text in (
                (
                    f"{_KEYS[0]} (or {', '.join(_KEYS[1:])})",
                    self.secret or self.keys or self.keys_file or self.jwks,
                ),
                ("JWT_ISSUER", self.issuer),
                ("JWT_AUDIENCE", self.audience),
            )
            if not text
        ]
        if missing:
            raise ConfigurationError(
                f"{', '.join(missing)} must be set: the hook serves nobody without"
            )
        if self.secret:
            check_secret(self.secret, "JWT_SECRET")
        _ = self.named_secrets
        if self.jwks_url is not None:
            _check_url(self.jwks_url)
        if self.leeway > timedelta(minutes=5):
            raise ConfigurationError("JWT_LEEWAY_SECONDS must be at most 300 (5 minutes)")

    @cached_property
    def named_secrets(self) -> Mapping[str, str]:
        """The secrets of `JWT_KEYS` by `kid`, the one that signs first."""
        entries = [entry for part in self.keys.split(",") if (entry := part.strip())]
        return named_secrets(entries, "JWT_KEYS")

    @property
    def jwks_url(self) -> str | None:
        """The URL of the JWKS; None: it is a file, or there is none."""
        return self.jwks if self.jwks.lower().startswith(("http:", "https:")) else None

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] = os.environ) -> TokenSettings:
        """Read the settings.

        Raises:
            ConfigurationError: one is missing or wrong. The message shows no secret.
        """
        settings = read(cls, environment)
        airflows = environment.get(AIRFLOWS_OWN, "").strip()
        if airflows and airflows in {settings.secret, *settings.named_secrets.values()}:
            raise ConfigurationError(
                f"JWT_SECRET or JWT_KEYS has the secret of {AIRFLOWS_OWN}: whoever makes "
                "merchants' tokens could make an administrator's of Airflow; give the hook its own"
            )
        return settings


def _check_url(url: str) -> None:
    """Whoever can change the answer makes tokens, so it has to come by TLS."""
    try:
        parts = urlsplit(url)
        host, _ = parts.hostname, parts.port
    except ValueError:
        host, parts = None, urlsplit("")
    # No message shows the URL: it may hold a password.
    if parts.username is not None or parts.password is not None:
        raise ConfigurationError("JWT_JWKS holds a user or a password: a JWKS is public")
    if not host or not url.isprintable() or " " in url:
        raise ConfigurationError(
            "JWT_JWKS is not a URL such as https://login.example/.well-known/jwks.json"
        )
    if parts.scheme.lower() != "https" and host not in LOOPBACK:
        raise ConfigurationError(
            "JWT_JWKS is an http URL: it must be https, for whoever can change the answer on its "
            "way can make tokens; http is for this machine alone (127.0.0.1)"
        )
