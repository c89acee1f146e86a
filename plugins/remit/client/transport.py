"""Requests to the hook: the token, timeouts, tries and idempotency keys."""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any
from urllib.parse import quote

import requests
from requests.adapters import HTTPAdapter

from remit import __version__
from remit.client import base_url as base_urls
from remit.client.answers import (
    Document,
    document_of,
    is_done,
    is_passing,
    may_pass,
    place,
    reason_of,
    refusal_of,
)
from remit.client.errors import ClientError, NotReached
from remit.client.retrying import RetryPolicy, Timing, Tries
from remit.client.tokens import Anonymous, Bearer, Token, TokenSource
from remit.webhooks.backoff import parse_retry_after
from remit.webhooks.event import canonical_json

PAGE = 100
"""Things that are asked for at a time: the most that a page may have."""

_HOSTS, _CONNECTIONS = 4, 16
_NOTHING: Mapping[str, Any] = MappingProxyType({})


@dataclass(frozen=True)
class Timeouts:
    """How long a server may be silent, in seconds."""

    connect: float = 10.0
    read: float = 60.0
    """Between two pieces of an answer, not for all of it."""

    @property
    def pair(self) -> tuple[float, float]:
        """As requests wants them."""
        return self.connect, self.read


@dataclass(frozen=True)
class Answer:
    """What the hook has answered, and how long it asks to wait before the next look (seconds)."""

    status: int
    document: Document = field(repr=False)
    """It may hold links, and a secret that is shown once."""
    retry_after: float | None = None


def new_key() -> str:
    """A fresh idempotency key."""
    return secrets.token_hex(16)


def new_session() -> requests.Session:
    """Connections that are kept, for several threads."""
    session = requests.Session()
    for scheme in ("http://", "https://"):
        session.mount(scheme, HTTPAdapter(_HOSTS, _CONNECTIONS))
    return session


class Transport:
    """Sends requests to one hook in the name of one merchant. For several threads."""

    def __init__(
        self,
        base_url: str,
        token: Token,
        *,
        session: requests.Session | None = None,
        timeouts: Timeouts | None = None,
        retries: RetryPolicy | None = None,
        timing: Timing | None = None,
        keys: Callable[[], str] = new_key,
        allow_http: bool = False,
    ) -> None:
        self.base_url = base_urls.checked(base_url, allow_http=allow_http)
        self.retries = retries or RetryPolicy()
        self.timing = timing or Timing()
        self._token = TokenSource(token)
        self._session = session or new_session()
        self._timeouts = timeouts or Timeouts()
        self._keys = keys

    def get(self, *path: str, query: Mapping[str, Any] = _NOTHING) -> Answer:
        """GET a thing. `path` is its parts, unquoted.

        Raises:
            NotReached: there is no answer.
            RemitApiError: the hook refuses.
        """
        return self._answer(self._call("GET", path, params=dict(query)))

    def link(self, *path: str, query: Mapping[str, Any] = _NOTHING) -> str:
        """GET a thing that is elsewhere: where the hook leads to. Nobody is taken there, as the
        token is for the hook alone.

        Raises:
            NotReached, RemitApiError: as of `get`.
        """
        answer = self._call("GET", path, leads=True, params=dict(query))
        return answer.headers["Location"]

    def pages(self, *path: str, query: Mapping[str, Any] = _NOTHING) -> Iterator[Document]:
        """The things of a list, page by page as they are taken.

        Raises:
            NotReached, RemitApiError: as of `get`, by each page.
        """
        asked: dict[str, Any] = {"limit": PAGE, **query}
        while True:
            page = self.get(*path, query=asked).document
            yield from page["data"]
            if page.get("next_cursor") is None:
                return
            asked["cursor"] = page["next_cursor"]

    def post(
        self, *path: str, body: Mapping[str, Any] | bytes = b"", key: str | None = None
    ) -> Answer:
        """POST something. It is done once, however often it is sent: `key` is its idempotency key,
        a fresh one if there is none.

        Raises:
            TypeError: the body has something that JSON cannot carry exactly.
            NotReached, RemitApiError: as of `get`.
        """
        return self._once("POST", path, body, key)

    def patch(self, *path: str, body: Mapping[str, Any]) -> Answer:
        """PATCH a thing. It is done once, as a POST is.

        Raises:
            TypeError: the body has something that JSON cannot carry exactly.
            NotReached, RemitApiError: as of `get`.
        """
        return self._once("PATCH", path, body)

    def delete(self, *path: str) -> Answer:
        """DELETE a thing, once, as a POST is. What a try without an answer has deleted is deleted.

        Raises:
            NotReached, RemitApiError: as of `get`.
        """
        return self._once("DELETE", path)

    def fetch(self, url: str, headers: Mapping[str, str] = _NOTHING) -> requests.Response:
        """GET a link once. It is signed, and its server is not shown the token. The answer, of any
        status, is a stream: close it.

        Raises:
            NotReached: there is no answer.
        """
        try:
            return self._session.get(
                url,
                # What is compressed on S3 is downloaded as it is: its checksums are of that.
                headers={**_OURS, "Accept-Encoding": "identity", **headers},
                auth=Anonymous(),
                timeout=self._timeouts.pair,
                stream=True,
            )
        except requests.RequestException as error:
            # Not chained: its text has the link, and whoever has that has the file.
            raise NotReached(f"GET {place(url)}: {reason_of(error)}") from None

    def close(self) -> None:
        """Close the connections that are kept."""
        self._session.close()

    def retry_after_of(self, answer: requests.Response) -> float | None:
        """Seconds that an answer asks to wait."""
        wait = parse_retry_after(answer.headers.get("Retry-After"), self.timing.clock())
        return None if wait is None else wait.total_seconds()

    def _once(
        self,
        method: str,
        path: tuple[str, ...],
        body: Mapping[str, Any] | bytes = b"",
        key: str | None = None,
    ) -> Answer:
        headers = {"Idempotency-Key": self._keys() if key is None else key}
        return self._answer(self._call(method, path, body=_encoded(body), headers=headers))

    def _answer(self, answer: requests.Response) -> Answer:
        return Answer(answer.status_code, document_of(answer), self.retry_after_of(answer))

    def _call(
        self,
        method: str,
        path: tuple[str, ...],
        *,
        leads: bool = False,
        body: bytes = b"",
        headers: Mapping[str, str] = _NOTHING,
        params: Mapping[str, Any] = _NOTHING,
    ) -> requests.Response:
        url = "/".join((self.base_url, *map(_quoted, path)))
        headers = {**_OURS, "Accept": "application/json", **headers}
        if body:
            headers["Content-Type"] = "application/json"
        parts = {"data": body or None, "headers": headers, "params": dict(params)}
        tries, renewed = Tries(self.retries, self.timing), False
        while True:
            token = self._token.current()
            failure: ClientError
            try:
                answer = self._send(method, url, token, **parts)
            except requests.RequestException as error:
                failure = NotReached(f"{method} {url}: {reason_of(error)}")
                passes, wait = is_passing(error), None
            else:
                wait = self.retry_after_of(answer)
                if is_done(answer, method, failed=tries.failed, leads=leads):
                    return answer
                failure = refusal_of(answer, wait)
                passes = may_pass(failure)
                if failure.status == 401 and not renewed:
                    renewed = True
                    if self._token.renewed(token):
                        continue
            if not (passes and tries.again(wait)):
                raise failure

    def _send(self, method: str, url: str, token: str, **parts: Any) -> requests.Response:
        return self._session.request(
            method,
            url,
            auth=Bearer(token),
            timeout=self._timeouts.pair,
            allow_redirects=False,  # wherever it leads, the token is not for there
            **parts,
        )


_OURS: Mapping[str, str] = MappingProxyType({"User-Agent": f"remit-client/{__version__}"})


def _encoded(body: Mapping[str, Any] | bytes) -> bytes:
    if isinstance(body, bytes):
        return body
    return canonical_json(body).encode() if body else b""


def _quoted(part: str) -> str:
    """A part of a path, which leads nowhere else.

    Raises:
        ValueError: it is no id: empty, or nothing but dots.
    """
    if not isinstance(part, str) or not part.strip("."):
        raise ValueError(f"{part!r} is no id")
    return quote(part, safe="")
