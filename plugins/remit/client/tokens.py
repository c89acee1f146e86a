"""The token of a client, which is in the header of each request and nowhere else."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable

from requests import PreparedRequest
from requests.auth import AuthBase

from remit.errors import ConfigurationError

Token = str | Callable[[], str]
"""A token, or what gives one that is fresh."""

_HEADER = "Authorization"
_B64TOKEN = re.compile(r"[A-Za-z0-9._~+/-]+=*")  # RFC 6750, section 2.1


class TokenSource:
    """The current token, for all threads of a client. Its representation shows nothing of it."""

    def __init__(self, token: Token) -> None:
        self._fresh = token if callable(token) else None
        self._lock = threading.Lock()
        self._token = "" if callable(token) else _checked(token)

    def current(self) -> str:
        """The token to use.

        Raises:
            ConfigurationError: what should give one gives something else.
        """
        with self._lock:
            if not self._token and self._fresh is not None:
                self._token = _checked(self._fresh())
            return self._token

    def renewed(self, refused: str) -> bool:
        """Whether there is another token than the one that was refused. One is asked for, unless
        another thread has one already.

        Raises:
            ConfigurationError: what should give one gives something else.
        """
        with self._lock:
            if self._token == refused and self._fresh is not None:
                self._token = _checked(self._fresh())
            return self._token != refused


class Bearer(AuthBase):
    """Puts the token into a request. As requests' own notion of authentication, so that no
    `.netrc` takes its place."""

    def __init__(self, token: str) -> None:
        self._token = token

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        """Authenticate one request."""
        request.headers[_HEADER] = f"Bearer {self._token}"
        return request


class Anonymous(AuthBase):
    """For links, which are signed themselves: nobody but the hook is shown the token, and S3
    refuses what comes with two authorizations."""

    def __call__(self, request: PreparedRequest) -> PreparedRequest:
        """Take away what the session may have put there."""
        request.headers.pop(_HEADER, None)
        return request


def _checked(token: object) -> str:
    """Refuse what no header may hold; no message shows it.

    Raises:
        ConfigurationError: it is not a token.
    """
    if not isinstance(token, str):
        raise ConfigurationError(f"the token is of type {type(token).__name__}, not text")
    if _B64TOKEN.fullmatch(token) is None:
        raise ConfigurationError(
            "the token is none: it is empty, or has spaces, line ends or other characters that no "
            "JWT has; give it without 'Bearer' and as it was issued"
        )
    return token
