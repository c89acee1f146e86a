"""HTTP to Airflow's API server, in bounded time.

Every call that Remit makes may be made twice: a run has its id, asset events coalesce, and a token
more does no harm. So what broke off, and what met a passing error, is tried once more.
"""

from __future__ import annotations

import json
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import requests

from remit.errors import TriggerUnavailable

CONNECT_SECONDS = 2.0
READ_SECONDS = 5.0

CALL_SECONDS = 8.0
"""For one call with its second try, and however slowly an answer drips."""

AT_ONCE = 4
"""Calls of this process at a time; the others wait for their turn. The API server serves them on
one core: more are no faster, and 20 starts at once were seen to wait there for one another, for
connections to its database, until they were given up."""

TRIES = 2
PAUSE_SECONDS = 0.2
"""Before the second one."""

REST_SECONDS = 5.0
"""So long Airflow is not asked again once it was out of reach or refused the caller: whoever asks
holds a thread meanwhile, and what it asks for is stored and found by the poller."""

PASSING = frozenset({429, 500, 502, 503, 504})
"""Statuses that are worth a second try. A database that is locked for a moment is a 500."""

MOST_BYTES = 1 << 20
"""Of an answer."""

_pause = threading.Event().wait  # of an event that never comes

_MOST_SHOWN = 300
"""Characters of what Airflow says, in the log."""


@dataclass(frozen=True)
class Answer:
    """What Airflow said."""

    status: int
    body: bytes = field(repr=False)  # may hold a token

    @property
    def ok(self) -> bool:
        """Whether it did what it was asked for."""
        return 200 <= self.status < 300

    def document(self) -> dict[str, Any]:
        """The JSON object.

        Raises:
            TriggerUnavailable: there is none.
        """
        try:
            found = json.loads(self.body)
        except ValueError:
            found = None
        if not isinstance(found, dict):
            raise TriggerUnavailable(
                f"what answers {self.status} at REMIT_AIRFLOW_URL is not Airflow: no JSON object"
            )
        return found

    def detail(self) -> str:
        """The status and why, in one line for the log."""
        try:
            found = json.loads(self.body)["detail"]
        except (ValueError, KeyError, TypeError):
            found = ""
        return f"{self.status} {_one_line(str(found))}".strip()


class Transport:
    """Calls to one server. For any number of threads: each has a session while it calls, and with
    it a connection, which the next one takes over."""

    def __init__(
        self,
        url: str,
        *,
        ca_file: str = "",
        monotonic: Callable[[], float] = time.monotonic,
        pause: Callable[[float], object] = _pause,
    ) -> None:
        self._base = url.rstrip("/")
        self._verify: str | bool = ca_file or True
        self._monotonic = monotonic
        self._pause = pause
        self._turns = threading.Semaphore(AT_ONCE)
        self._sessions: deque[requests.Session] = deque()
        self._rest: tuple[float, str] = (0.0, "")

    def call(
        self, method: str, path: str, body: Mapping[str, Any] | None = None, *, token: str = ""
    ) -> Answer:
        """The answer, of any status but those that pass.

        Raises:
            TriggerUnavailable: Airflow is out of reach or fails, or was a moment ago.
        """
        self._refuse_at_rest()
        if not self._turns.acquire(timeout=CALL_SECONDS):
            raise TriggerUnavailable(f"Airflow is busy at {self._base}: too many calls at once")
        try:
            self._refuse_at_rest()  # as of now: whoever was before it may have found out
            until = self._monotonic() + CALL_SECONDS
            answer = self._tried(until, method, path, body, token)
        finally:
            self._turns.release()
        if answer.status in PASSING:
            raise TriggerUnavailable(f"Airflow fails ({method} {path}: {answer.detail()})")
        if 300 <= answer.status < 400:
            raise self.rest(
                f"Airflow is not at {self._base}: the answer to {method} {path} is a redirect "
                f"({answer.status}); REMIT_AIRFLOW_URL has to name the address itself"
            )
        return answer

    def _refuse_at_rest(self) -> None:
        until, why = self._rest
        if self._monotonic() < until:
            raise TriggerUnavailable(why)

    def rest(self, why: str) -> TriggerUnavailable:
        """Leave Airflow alone for a while; returns the error to raise, now and until then."""
        self._rest = (self._monotonic() + REST_SECONDS, why)
        return TriggerUnavailable(why)

    def _tried(
        self, until: float, method: str, path: str, body: Mapping[str, Any] | None, token: str
    ) -> Answer:
        for number in range(1, TRIES + 1):
            try:
                answer = self._once(until, method, path, body, token)
            except requests.Timeout:
                # It has had its time: whoever asks has waited long enough.
                raise self.rest(f"Airflow does not answer in time at {self._base}") from None
            except requests.RequestException as error:
                if number == TRIES or isinstance(error, requests.exceptions.SSLError):
                    reason = _last_cause(error)
                    raise self.rest(f"Airflow is out of reach at {self._base}: {reason}") from None
            else:
                if number == TRIES or answer.status not in PASSING:
                    return answer
            self._pause(PAUSE_SECONDS)
        raise AssertionError("the last try has returned or raised")

    def _once(
        self, until: float, method: str, path: str, body: Mapping[str, Any] | None, token: str
    ) -> Answer:
        if (left := until - self._monotonic()) <= 0:
            raise requests.Timeout
        with (
            self._session() as session,
            session.request(
                method,
                self._base + path,
                json=body,
                headers={"Authorization": f"Bearer {token}"} if token else None,
                timeout=(min(CONNECT_SECONDS, left), min(READ_SECONDS, left)),
                allow_redirects=False,  # a token goes where the settings say, and nowhere else
                stream=True,
                verify=self._verify,
            ) as response,
        ):
            content = bytearray()
            for chunk in response.iter_content(1 << 16):
                content += chunk
                if self._monotonic() >= until:
                    raise requests.Timeout
                if len(content) > MOST_BYTES:
                    raise requests.RequestException(f"an answer of more than {MOST_BYTES} bytes")
            return Answer(response.status_code, bytes(content))

    @contextmanager
    def _session(self) -> Iterator[requests.Session]:
        try:
            session = self._sessions.pop()
        except IndexError:
            session = requests.Session()
            # No `.netrc`, which would take the token's place, and no proxy of the environment.
            session.trust_env = False
        try:
            yield session
        except BaseException:
            session.close()
            raise
        self._sessions.append(session)


def _last_cause(error: BaseException) -> str:
    """The innermost of a chain of errors says what happened; those around it say where."""
    while (inner := error.__cause__ or error.__context__) is not None:
        error = inner
    return _one_line(str(error)) or type(error).__name__


def _one_line(text: str) -> str:
    return " ".join(text.split())[:_MOST_SHOWN]
