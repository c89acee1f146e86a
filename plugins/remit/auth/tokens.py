"""Checks and makes JSON Web Tokens (RFC 7519). Airflow's own secret is never used.

A token goes through the stages in this order, and the first that it fails refuses it:

`compact` (its text and header) → `keyring` (the key that it names) → algorithm and signature, both
the key's → `claims` → revocation. Nothing that it claims is read before its signature is checked.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection, Iterable
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from remit.auth import compact
from remit.auth.caller import Caller
from remit.auth.claims import Rules
from remit.auth.keyring import KeyRing, read_file, secrets_in
from remit.auth.keys import Key
from remit.auth.renewal import Renewed
from remit.auth.settings import TokenSettings
from remit.auth.strict_json import NotAnObject, parse_object
from remit.clock import Clock, epoch_seconds, system_clock
from remit.errors import ConfigurationError, NotAuthenticated

if TYPE_CHECKING:
    from remit.services import Services


class Verifier:
    """Checks tokens against one set of settings. Threads may share it."""

    def __init__(
        self,
        settings: TokenSettings,
        clock: Clock = system_clock,
        *,
        ring: KeyRing | None = None,
        is_revoked: Callable[[str], bool] | None = None,
        renewed: Iterable[Renewed[Any]] = (),
    ) -> None:
        """`is_revoked` tells of a `jti`, at once; `renewed` is what it reads in the background.

        Raises:
            ConfigurationError: a file of keys is wrong, or nobody tells what was revoked though the
                settings want to know.
        """
        if settings.revocation and is_revoked is None:
            raise ConfigurationError("JWT_REVOCATION is set: use Verifier.of, which has the list")
        self._ring = ring or KeyRing.of(settings)
        self._rules = Rules(settings)
        self._clock = clock
        self._is_revoked = is_revoked
        self._renewed = (*self._ring.sources, *renewed)

    @classmethod
    def of(
        cls,
        settings: TokenSettings,
        connect: Callable[[], Services],
        clock: Clock = system_clock,
    ) -> Verifier:
        """For a deployment: with its list of revoked tokens, if the settings want one. `connect` is
        called for that alone, in the background.

        Raises:
            ConfigurationError: a file of keys is wrong.
        """
        if not settings.revocation:
            return cls(settings, clock)
        from remit.auth.revocation import RevokedTokens

        revoked = RevokedTokens(connect)
        return cls(settings, clock, is_revoked=revoked.has, renewed=[revoked.renewed])

    def start(self) -> None:
        """Begin to read in the background what is read there. The first token does so, too, but is
        refused with a 503 if it needs what has not come yet."""
        for one in self._renewed:
            one.start()

    def renew(self) -> None:
        """Read now what is read in the background, and wait for it. For commands."""
        for one in self._renewed:
            one.renew()

    def stop(self) -> None:
        """End what `start` began."""
        for one in self._renewed:
            one.stop()

    def verify(self, token: str) -> Caller:
        """The caller that a token proves. Waits for nothing.

        Raises:
            NotAuthenticated: the token is not valid. The reason has nothing of the token in it.
            Transient: that cannot be told now, for keys or the list of revoked tokens are not read.
        """
        self.start()
        signed = compact.parse(token)
        key = self._ring.find(signed.kid)
        if signed.algorithm != key.algorithm:
            raise NotAuthenticated(_other_algorithm(signed.algorithm, key))
        if not key.is_signed(signed.text, signed.signature):
            raise NotAuthenticated(f"the signature is not that of the {key.algorithm} key")
        try:
            claims = parse_object(signed.payload)
        except NotAnObject as error:
            raise NotAuthenticated(f"the token's payload {error}") from None
        caller = self._rules.caller(claims, self._clock().timestamp())
        if self._is_revoked is not None:
            _check_revoked(caller, self._is_revoked)
        return caller


def mint(
    settings: TokenSettings,
    merchant_id: str,
    *,
    permissions: Collection[str],
    now: datetime,
    lifetime: timedelta | None = None,
    email: str | None = None,
    kid: str | None = None,
    token_id: str | None = None,
) -> str:
    """A token for a merchant, as the payments platform's own service would issue it.

    It lives as long as the settings allow unless told otherwise, is signed with the first key
    unless `kid` names one, and has a random `jti` unless `token_id` is one.

    Raises:
        ConfigurationError: there is no such key, or none at all that signs.
    """
    import jwt

    named, secret = signing_key(settings, kid)
    claims: dict[str, Any] = {
        "merchant_id": merchant_id,
        "permissions": sorted(permissions),
        "iss": settings.issuer,
        "aud": [settings.audience],
        "iat": epoch_seconds(now),
        "exp": epoch_seconds(now + (settings.max_lifetime if lifetime is None else lifetime)),
        "jti": token_id or secrets.token_hex(16),
    }
    if email:
        claims["email"] = email
    headers = None if named is None else {"kid": named}
    return jwt.encode(claims, secret, algorithm="HS256", headers=headers)


def signing_key(settings: TokenSettings, kid: str | None = None) -> tuple[str | None, str]:
    """The `kid`, which `JWT_SECRET` has not, and the secret that new tokens are signed with.

    Raises:
        ConfigurationError: there is no such key, or none at all that signs.
    """
    named = dict(settings.named_secrets)
    if settings.keys_file:
        in_file = secrets_in(read_file("JWT_KEYS_FILE", settings.keys_file))
        named = {**named, **in_file, **named}  # in the order, and with the precedence, of the ring
    if kid is not None:
        if kid not in named:
            known = ", ".join(map(repr, named)) or "none"
            raise ConfigurationError(f"no key that signs has the kid {kid!r}; there are: {known}")
        return kid, named[kid]
    if named:
        return next(iter(named.items()))
    if settings.secret:
        return None, settings.secret
    raise ConfigurationError(
        "there is no key to sign with: set JWT_SECRET, JWT_KEYS or JWT_KEYS_FILE (the keys of a "
        "JWKS only verify)"
    )


def _other_algorithm(algorithm: str, key: Key) -> str:
    if algorithm.lower() == "none":
        return "the token is not signed: its algorithm is none"
    return f"the token's algorithm is not {key.algorithm}, which is that of its key"


def _check_revoked(caller: Caller, is_revoked: Callable[[str], bool]) -> None:
    if caller.token_id is None:
        raise NotAuthenticated("the token has no 'jti', without which it could not be revoked")
    if is_revoked(caller.token_id):
        raise NotAuthenticated("the token was revoked")
