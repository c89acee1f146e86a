"""What may come in: paths, query strings and bodies, checked before any route or parser sees them.

A body is read here, whole: up to the limit of its route, within a time, and only if it is said to
be JSON. So no route waits for a slow caller, and none holds more than its limit. The large ones are
for whoever has the permission of their routes, and there is room for so many at a time.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import MappingProxyType

from anyio import fail_after
from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from remit.api.call import CALLER, route_path
from remit.api.permissions import require
from remit.api.problems import problem
from remit.api.refusals import BodyTooSlow, Overloaded, PayloadTooLarge, UnsupportedMediaType
from remit.errors import FieldError, InvalidRequest, NotFound, RemitError
from remit.webhooks.event import PAYLOAD_LIMIT

DEFAULT_BODY_BYTES = 64 * 1024
BODY_BYTES: Mapping[str, int] = MappingProxyType(
    {
        # An event, with escapes that its stored text does not have, and what stands around it.
        "/events": 2 * PAYLOAD_LIMIT,
        "/events/batch": 4 * 1024 * 1024,
    }
)
"""Path of a route to the largest body that it takes; all others take the default."""

PERMISSION_OF_LARGE = "events"
"""What a token needs for those paths. Their routes ask for it as well, but with a body in hand."""

ROOM = 64 * 1024 * 1024
"""Bytes that the bodies of one process hold at a time beyond the default of each: sixteen of the
largest. Whoever needs no more than the default finds room however many of the others there are."""

BODY_SECONDS = 20.0
"""For the whole of a body to come: at 2 Mbit/s the largest one does."""

MAX_PATH = 1024
"""Characters. Ids have at most 128, or come from the platform, which has shorter ones yet."""

_NUL = b"%00"
_NEVER = frozenset("\\\N{REPLACEMENT CHARACTER}")
"""Characters that no path of ours has: another system's separator, and what servers make of bytes
that are not UTF-8."""


class Intake:
    """ASGI middleware, the innermost."""

    def __init__(self, app: ASGIApp, seconds: float = BODY_SECONDS, room: int = ROOM) -> None:
        self._app = app
        self._seconds = seconds
        self._room = _Room(room)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        with self._room.part() as part:  # the body is held until it is answered
            try:
                _check_target(scope)
                body = await self._body(scope, receive, part)
            except RemitError as error:
                await problem(error)(scope, receive, send)
                return
            if body is not None:
                await self._app(scope, _replay(body, receive), send)

    async def _body(self, scope: Scope, receive: Receive, part: _Part) -> bytes | None:
        """All of the body; None: the caller has gone away."""
        headers = Headers(scope=scope)
        limit = _limit(scope)
        length = headers.get("content-length", "0")
        if length.isdecimal() and int(length[:20]) > limit:
            raise PayloadTooLarge(limit)
        if length != "0" or "transfer-encoding" in headers:
            _check_media_type(headers)
        try:
            with fail_after(self._seconds):
                body = await _read(receive, limit, part)
        except TimeoutError:
            raise BodyTooSlow(self._seconds) from None
        if body:
            _check_media_type(headers)
        return body


class _Room:
    """What all bodies of a process may hold together. For one event loop."""

    def __init__(self, size: int) -> None:
        self.left = size

    @contextmanager
    def part(self) -> Iterator[_Part]:
        """What one body takes of it, until the block ends."""
        part = _Part(self)
        try:
            yield part
        finally:
            self.left += part.taken


@dataclass
class _Part:
    """A body's own."""

    room: _Room
    taken: int = 0

    def hold(self, size: int) -> None:
        """The body has come to so many bytes.

        Raises:
            Overloaded: there is no room for them.
        """
        more = size - DEFAULT_BODY_BYTES - self.taken
        if more <= 0:
            return
        if more > self.room.left:
            raise Overloaded("no room is left for large bodies")
        self.room.left -= more
        self.taken += more


def _limit(scope: Scope) -> int:
    """The largest body that the caller may send there.

    Raises:
        NotPermitted: nothing is taken there from a token like theirs.
    """
    if (large := BODY_BYTES.get(route_path(scope))) is None:
        return DEFAULT_BODY_BYTES
    require(scope[CALLER], PERMISSION_OF_LARGE)
    return large


async def _read(receive: Receive, limit: int, part: _Part) -> bytes | None:
    body = bytearray()
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            return None
        body += message.get("body", b"")
        if len(body) > limit:
            raise PayloadTooLarge(limit)
        part.hold(len(body))
        if not message.get("more_body", False):
            return bytes(body)


def _replay(body: bytes, receive: Receive) -> Receive:
    """A `receive` that gives the body at once, and then what else comes."""
    first: list[Message] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Message:
        return first.pop() if first else await receive()

    return replay


def _check_target(scope: Scope) -> None:
    """Let no path through that is none of the hook's, whatever the route would make of it.

    Raises:
        NotFound: it is too long, leads up, or has characters that no id has.
        InvalidRequest: the query string has a NUL character.
    """
    path = route_path(scope)
    if len(path) > MAX_PATH or not path.isprintable() or not _NEVER.isdisjoint(path):
        raise NotFound("there is nothing at this path")
    if not {".", ".."}.isdisjoint(path.split("/")):
        raise NotFound("there is nothing at this path")
    if _NUL in scope.get("query_string", b""):
        raise InvalidRequest(FieldError("query", "has a NUL character", "text"))


def _check_media_type(headers: Headers) -> None:
    """Raises:
    UnsupportedMediaType: the body is not said to be plain JSON.
    """
    given = headers.getlist("content-type")
    media_type = given[0].partition(";")[0].strip().lower() if len(given) == 1 else ""
    if media_type != "application/json":
        raise UnsupportedMediaType(f"the content type is {', '.join(given)!r}")
    coding = headers.get("content-encoding", "identity")
    if coding.strip().lower() != "identity":
        raise UnsupportedMediaType(f"the content encoding is {coding!r}")
