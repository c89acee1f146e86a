"""Bearer tokens for Airflow: given, read from a file, or had for a user's password.

A token is never part of a message or a representation.
"""

from __future__ import annotations

import base64
import json
import logging
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from remit.errors import TriggerUnavailable
from remit.triggers.settings import AirflowSettings
from remit.triggers.transport import Transport

log = logging.getLogger(__name__)

RENEW_AT = 0.8
"""A token is renewed when so much of its life is over."""

UNKNOWN_LIFETIME = 600.0
"""Seconds that a token is used for which does not say how long it lives, or until it is refused."""

FRESH_SECONDS = 30.0
"""A token that was had for a password so short a time ago is not replaced when Airflow refuses it:
the user is what it refuses. Airflow's 403 may mean either."""


class Credentials(Protocol):
    """What proves to Airflow who is calling. For any number of threads."""

    @property
    def origin(self) -> str:
        """The setting that an operator has to look at when Airflow refuses the token."""

    def token(self) -> str:
        """The token to send now.

        Raises:
            TriggerUnavailable: there is none.
        """

    def another(self, refused: str) -> bool:
        """Whether `token` has another one than that, which Airflow has refused (401 or 403)."""


def credentials_of(settings: AirflowSettings, transport: Transport) -> Credentials:
    """The way that the settings name."""
    match settings.way:
        case "token":
            return GivenToken(settings.token)
        case "token file":
            return TokenFile(Path(settings.token_file))
        case "user":
            return PasswordToken(transport, settings.user, settings.password)


class GivenToken:
    """A token that was handed in."""

    origin = "REMIT_AIRFLOW_TOKEN"

    def __init__(self, token: str) -> None:
        self._token = token

    def token(self) -> str:
        """See `Credentials`."""
        return self._token

    def another(self, refused: str) -> bool:
        """See `Credentials`."""
        return self._token != refused


class TokenFile:
    """A token in a file, which somebody else renews. Read for every call: it is a small file."""

    origin = "REMIT_AIRFLOW_TOKEN_FILE"

    def __init__(self, path: Path) -> None:
        self._path = path

    def token(self) -> str:
        """See `Credentials`."""
        where = f"{self.origin} names {str(self._path)!r}"
        try:
            token = self._path.read_text(encoding="ascii").strip()
        except OSError as error:
            raise TriggerUnavailable(f"{where}, which cannot be read: {error.strerror}") from None
        except UnicodeError:
            token = ""
        if not token or not token.isprintable() or " " in token:
            raise TriggerUnavailable(f"{where}, which holds no token")
        return token

    def another(self, refused: str) -> bool:
        """See `Credentials`."""
        return self.token() != refused


class PasswordToken:
    """Tokens had for a password. One thread asks for a new one, the others wait for it."""

    origin = "REMIT_AIRFLOW_USER"

    def __init__(
        self,
        transport: Transport,
        user: str,
        password: str,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._transport = transport
        self._user = user
        self._password = password
        self._monotonic = monotonic
        self._lock = threading.Lock()
        self._token = ""
        self._had_at = self._renew_at = 0.0

    def token(self) -> str:
        """See `Credentials`."""
        with self._lock:
            if not self._token or self._monotonic() >= self._renew_at:
                self._token = self._exchange()
                self._had_at = self._monotonic()
                self._renew_at = self._had_at + lifetime(self._token) * RENEW_AT
            return self._token

    def another(self, refused: str) -> bool:
        """See `Credentials`. Unless another thread has a newer one already, it is asked for."""
        with self._lock:
            if self._token != refused:
                return True
            if self._monotonic() - self._had_at < FRESH_SECONDS:
                return False
            self._token = ""
            return True

    def _exchange(self) -> str:
        """A new token. Airflow's simple auth manager, FAB and others have this route."""
        body = {"username": self._user, "password": self._password}
        answer = self._transport.call("POST", "/auth/token", body)
        if not answer.ok:
            # Without what it says: that may repeat what it was told.
            raise self._transport.rest(
                f"Airflow gives no token to the user {self._user!r} ({answer.status} of POST "
                "/auth/token): see REMIT_AIRFLOW_USER and REMIT_AIRFLOW_PASSWORD"
            )
        token = answer.document().get("access_token")
        if not isinstance(token, str) or not token.isascii() or not token.isprintable():
            raise self._transport.rest("the answer to POST /auth/token has no access_token")
        log.info("a new token of Airflow for %r", self._user)
        return token


def lifetime(token: str) -> float:
    """How many seconds a JWT lives, as it says itself: only Airflow can tell whether it is true.

    From `iat` to `exp`, not from now to `exp`: nothing hangs on whether two clocks agree.
    """
    try:
        payload = token.split(".")[1]
        claims = json.loads(base64.urlsafe_b64decode(payload + "=" * (-len(payload) % 4)))
        seconds = float(claims["exp"]) - float(claims["iat"])
    except (IndexError, KeyError, TypeError, ValueError):
        return UNKNOWN_LIFETIME
    # The comparison is false for NaN, too.
    return seconds if 0 < seconds < 10**9 else UNKNOWN_LIFETIME
