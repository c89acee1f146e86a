"""The receiver, as a process of its own: `python -m benchmarks.webhooks.receiver`.

An HTTP/1.1 server on the loopback interface that costs as little as a server in Python can: it
looks for the end of a request and for three of its headers, and notes when the whole of it was
there. A path is an endpoint; its query says how it answers:

    /merchant-001                   200 at once
    /merchant-001?status=503        that status
    /merchant-001?delay=0.2         after so many seconds
    /merchant-001?hang=1            never
    /merchant-001?status=429&retry-after=3      that status, with the header
    /merchant-001?status=500&first=2&every=4    that status to the first two requests of every
                                                fourth webhook (`fails_first`), 200 to all others

    GET  /-/count      {"count": requests so far}
    GET  /-/arrivals   {"paths": […], "arrivals": [[webhook-id, number of the path, at, bytes], …]}
    GET  /-/samples    [{"path", "headers", "body"}, …]: the latest request of each path
    POST /-/reset      forget all of them

`at` is the machine's time of day in seconds: what a webhook's `dueAt` is compared with. Prints its
URL as one line of JSON when it is ready; stops on SIGTERM or SIGINT.
"""

from __future__ import annotations

import asyncio
import gc
import json
import signal
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any
from urllib.parse import parse_qs, urlsplit
from zlib import crc32

import msgspec

HOST = "127.0.0.1"
_BACKLOG = 4096
_ID, _LENGTH = b"\r\nwebhook-id:", b"\r\ncontent-length:"

_encode = msgspec.json.Encoder().encode


@dataclass(slots=True)
class Endpoint:
    """How one path answers; None in place of an answer: it hangs. `first` zero: to all alike."""

    number: int
    path: str
    answer: bytes | None
    delay: float
    first: int = 0
    every: int = 1
    sample: bytes = field(default=b"", repr=False)
    asked: Counter[bytes] = field(default_factory=Counter, repr=False)

    @classmethod
    def of(cls, number: int, target: str) -> Endpoint:
        """From a request's target."""
        parts = urlsplit(target)
        options = {name: values[0] for name, values in parse_qs(parts.query).items()}
        headers = f"Retry-After: {wait}\r\n" if (wait := options.get("retry-after")) else ""
        status = int(options.get("status", "200"))
        return cls(
            number,
            parts.path,
            None if "hang" in options else _answer(status, b"ok", headers),
            float(options.get("delay", "0")),
            int(options.get("first", "0")),
            int(options.get("every", "1")),
        )

    def answer_to(self, webhook: bytes) -> bytes | None:
        """What one request of a webhook is answered by an endpoint that fails at first."""
        if not fails_first(webhook.decode(), self.every):
            return OK
        self.asked[webhook] += 1
        return self.answer if self.asked[webhook] <= self.first else OK


def fails_first(webhook: str, every: int) -> bool:
    """Whether a webhook is one of those, one in `every`, whose first requests fail."""
    return crc32(webhook.encode()) % every == 0


class Received:
    """What has arrived so far."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        self._clock = clock
        self._endpoints: dict[bytes, Endpoint] = {}
        self.arrivals: list[tuple[str, int, float, int]] = []
        self._controls: dict[bytes, Callable[[], Any]] = {
            b"/-/count": lambda: {"count": len(self.arrivals)},
            b"/-/arrivals": self._all,
            b"/-/samples": self._samples,
            b"/-/reset": self._reset,
        }

    def endpoint(self, target: bytes) -> Endpoint:
        """The endpoint that a target means."""
        found = self._endpoints.get(target)
        if found is None:
            found = Endpoint.of(len(self._endpoints), target.decode())
            self._endpoints[target] = found
        return found

    def note(self, endpoint: Endpoint, webhook: bytes, request: bytes, body_bytes: int) -> None:
        """A whole request is there."""
        endpoint.sample = request
        self.arrivals.append((webhook.decode(), endpoint.number, self._clock(), body_bytes))

    def control(self, target: bytes) -> bytes:
        """The answer to a request under `/-/`."""
        look = self._controls.get(target)
        return _answer(404, b"") if look is None else _answer(200, _encode(look()))

    def _all(self) -> Any:
        paths = [endpoint.path for endpoint in self._endpoints.values()]
        return {"paths": paths, "arrivals": self.arrivals}

    def _samples(self) -> Any:
        return [_sample(one) for one in self._endpoints.values() if one.sample]

    def _reset(self) -> Any:
        self._endpoints.clear()
        self.arrivals = []
        return {}


class Connection(asyncio.Protocol):
    """One connection, kept alive."""

    __slots__ = ("_loop", "_needed", "_partial", "_received", "_transport")

    def __init__(self, received: Received, loop: asyncio.AbstractEventLoop) -> None:
        self._received = received
        self._loop = loop
        self._partial = bytearray()
        self._needed = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """asyncio has accepted it."""
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        """Answer each request that is whole; keep what is not."""
        if self._partial:
            self._partial += data
            if len(self._partial) < self._needed:
                return
            data = bytes(self._partial)
            self._partial.clear()
        start = 0
        while start < len(data):
            end = self._take(data, start)
            if end == start:
                self._partial += data[start:]
                return
            start = end

    def _take(self, data: bytes, start: int) -> int:
        """Take the request that begins there; returns its end, or `start`: it is not whole yet."""
        head_end = data.find(b"\r\n\r\n", start) + 2
        if head_end < 2:
            self._needed = 0
            return start
        # In lower case for the headers' names; the ids of webhooks and the paths are so anyway.
        head = data[start:head_end].lower()
        length = int(_field(head, _LENGTH) or 0)
        end = head_end + 2 + length
        if len(data) < end:
            self._needed = end - start
            return start
        target = head[head.find(b" ") + 1 : head.find(b" http/")]
        if target.startswith(b"/-/"):
            self._transport.write(self._received.control(target))
        else:
            endpoint, webhook = self._received.endpoint(target), _field(head, _ID)
            self._received.note(endpoint, webhook, data[start:end], length)
            self._answer(endpoint, webhook)
        return end

    def _answer(self, endpoint: Endpoint, webhook: bytes) -> None:
        answer = endpoint.answer_to(webhook) if endpoint.first else endpoint.answer
        if answer is None:
            return
        if endpoint.delay:
            self._loop.call_later(endpoint.delay, self._transport.write, answer)
        else:
            self._transport.write(answer)


async def serve(announce: Callable[[str], None]) -> None:
    """Serve until a signal; `announce` is told the URL."""
    loop, received = asyncio.get_running_loop(), Received()
    server = await loop.create_server(lambda: Connection(received, loop), HOST, 0, backlog=_BACKLOG)
    stopped = asyncio.Event()
    for signum in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signum, stopped.set)
    announce(f"http://{HOST}:{server.sockets[0].getsockname()[1]}")
    await stopped.wait()
    server.close()


def _field(head: bytes, name: bytes) -> bytes:
    """A header's value; empty if it is not there."""
    at = head.find(name)
    if at < 0:
        return b""
    at += len(name)
    return head[at : head.find(b"\r\n", at)].strip()


def _answer(status: int, body: bytes, headers: str = "") -> bytes:
    head = f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\nContent-Type: text/plain\r\n"
    return f"{head}{headers}Content-Length: {len(body)}\r\n\r\n".encode() + body


OK = _answer(200, b"ok")


def _sample(endpoint: Endpoint) -> dict[str, Any]:
    head, _, body = endpoint.sample.partition(b"\r\n\r\n")
    _, *lines = head.decode("latin-1").split("\r\n")
    pairs = (line.partition(":") for line in lines)
    headers = {name: value.strip() for name, _, value in pairs}
    return {"path": endpoint.path, "headers": headers, "body": body.decode()}


def main() -> None:
    """Serve until a signal."""
    gc.disable()  # nothing here goes round in circles, and a collection would be a pause
    asyncio.run(serve(lambda url: print(json.dumps({"url": url}), flush=True)))


if __name__ == "__main__":
    main()
