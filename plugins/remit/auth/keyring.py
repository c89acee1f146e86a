"""All keys of a deployment, found by `kid`.

| where from                      | algorithms           | read                                   |
|---------------------------------|----------------------|----------------------------------------|
| `JWT_SECRET` (without `kid`)    | HS256                | at the start                           |
| `JWT_KEYS`                      | HS256                | at the start                           |
| `JWT_KEYS_FILE`                 | HS256                | at the start, and every few seconds    |
| `JWT_JWKS`, a file              | RS256, ES256, EdDSA  | at the start, and every few seconds    |
| `JWT_JWKS`, a URL               | RS256, ES256, EdDSA  | in the background, and for a new `kid` |

They are looked into in this order, so that no later one can take the place of an earlier.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from pathlib import Path
from urllib.parse import urlsplit

from remit.auth.fetch import fetch
from remit.auth.jwks import MAX_JWKS_BYTES, parse_jwks
from remit.auth.keys import Key, named_secrets, secret_key
from remit.auth.renewal import Outdated, Pace, Renewed
from remit.auth.settings import TokenSettings
from remit.errors import ConfigurationError, NotAuthenticated, Transient

log = logging.getLogger(__name__)

FILE_PERIOD_SECONDS = 5.0
"""How often a file is looked at."""

EARLY_SECONDS = 30.0
"""A URL is asked early for a `kid` that is not known, but not more often: anybody can send one."""

MAX_FILE_BYTES = MAX_JWKS_BYTES

Keys = Mapping[str, Key]
Fetch = Callable[[str], bytes]
"""The body behind a URL."""


class KeysUnavailable(Transient):
    """The key that a token names may be one that cannot be read now."""


class KeyRing:
    """The keys. Threads may share it."""

    def __init__(self, fixed: Iterable[Key], sources: Sequence[Renewed[Keys]] = ()) -> None:
        self._fixed = {key.kid: key for key in fixed}
        self.sources = sources

    @classmethod
    def of(
        cls,
        settings: TokenSettings,
        *,
        fetch: Fetch = fetch,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> KeyRing:
        """The keys that the settings name. Files are read here, a URL is not.

        Raises:
            ConfigurationError: a file cannot be read, or holds no key that can be used.
        """
        fixed = [secret_key(kid, secret) for kid, secret in settings.named_secrets.items()]
        if settings.secret:
            fixed.append(secret_key(None, settings.secret))
        pace = Pace(FILE_PERIOD_SECONDS, FILE_PERIOD_SECONDS, settings.keys_max_age.total_seconds())
        files: list[tuple[str, str, Callable[[bytes], Keys]]] = []
        if settings.keys_file:
            files.append(("JWT_KEYS_FILE", settings.keys_file, _secrets))
        parse = partial(parse_jwks, taken=settings.named_secrets)
        if settings.jwks and settings.jwks_url is None:
            files.append(("JWT_JWKS", settings.jwks, partial(parse, origin=settings.jwks)))
        sources = []
        for variable, path, parse_file in files:
            load = _Parsed(variable, partial(read_file, variable, path), parse_file)
            source: Renewed[Keys] = Renewed(f"{variable} {path}", load, pace, monotonic)
            source.load()
            if not source.get():
                raise ConfigurationError(f"{variable} {path} has no key that can be used")
            sources.append(source)
        if (url := settings.jwks_url) is not None:
            shown = _shown(url)
            load = _Parsed("JWT_JWKS", partial(fetch, url), partial(parse, origin=shown))
            period = settings.jwks_refresh.total_seconds()
            pace = Pace(period, min(EARLY_SECONDS, period), settings.keys_max_age.total_seconds())
            sources.append(Renewed(f"JWT_JWKS {shown}", load, pace, monotonic))
        return cls(fixed, sources)

    def find(self, kid: str | None) -> Key:
        """The key that a token names, or that of tokens that name none.

        Raises:
            NotAuthenticated: there is no such key.
            KeysUnavailable: it is among none that are known, and some cannot be read now.
        """
        key = self._fixed.get(kid)
        if key is None and kid is not None:
            key = self._in_sources(kid)
        if key is None:
            raise NotAuthenticated(
                "the token has no 'kid', and there is no JWT_SECRET"
                if kid is None
                else "the token's 'kid' is that of no key"
            )
        return key

    def _in_sources(self, kid: str) -> Key | None:
        unavailable: Outdated | None = None
        for source in self.sources:
            try:
                if (key := source.get().get(kid)) is not None:
                    return key
            except Outdated as error:
                unavailable = error
            source.hasten()
        if unavailable is not None:
            raise KeysUnavailable(str(unavailable))
        return None


class _Parsed:
    """Reads keys, and parses what it reads if it is not what it was before: so the log tells of
    each change once."""

    def __init__(
        self, name: str, read: Callable[[], bytes], parse: Callable[[bytes], Keys]
    ) -> None:
        self._name = name
        self._read = read
        self._parse = parse
        self._last: tuple[bytes, Keys] | None = None

    def __call__(self) -> Keys:
        text = self._read()
        if self._last is None or self._last[0] != text:
            keys = self._parse(text)
            log.info("%s: keys that verify: %s", self._name, ", ".join(map(repr, keys)) or "none")
            self._last = (text, keys)
        return self._last[1]


def read_file(variable: str, path: str) -> bytes:
    """The content of a file of keys.

    Raises:
        ConfigurationError: it cannot be read, or is too large.
    """
    try:
        with Path(path).open("rb") as file:
            text = file.read(MAX_FILE_BYTES + 1)
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"{variable} {path} cannot be read: {error}") from None
    if len(text) > MAX_FILE_BYTES:
        raise ConfigurationError(f"{variable} {path} has more than {MAX_FILE_BYTES} bytes")
    return text


def secrets_in(text: bytes) -> dict[str, str]:
    """The secrets of a `JWT_KEYS_FILE` by `kid`: one a line, empty lines and `# comments` aside.

    Raises:
        ConfigurationError: a line is wrong. The message does not show it.
    """
    try:
        lines = [line.strip() for line in text.decode().splitlines()]
    except UnicodeDecodeError:
        raise ConfigurationError("JWT_KEYS_FILE is not UTF-8") from None
    return named_secrets([line for line in lines if line and line[0] != "#"], "JWT_KEYS_FILE")


def _secrets(text: bytes) -> Keys:
    return {kid: secret_key(kid, secret) for kid, secret in secrets_in(text).items()}


def _shown(url: str) -> str:
    """A URL without its query, which may hold something secret."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}{parts.path}"
