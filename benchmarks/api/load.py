"""The clients: so many connections, each of which sends the same request again and again.

A process of its own, with as little between it and the sockets as asyncio allows: what it costs,
the server does not get.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from dataclasses import asdict, dataclass, field
from urllib.parse import urlsplit

from benchmarks.processes import READY

_HEAD_END = b"\r\n\r\n"


@dataclass(frozen=True)
class Request:
    """What is sent, how, and the status that it has to have."""

    method: str
    url: str
    status: int
    headers: dict[str, str] = field(default_factory=dict)
    body: str = ""
    connections: int = 32
    warm_up_seconds: float = 1.0
    seconds: float = 5.0

    def data(self) -> bytes:
        """As it goes over the wire."""
        parts = urlsplit(self.url)
        target = parts.path + (f"?{parts.query}" if parts.query else "")
        body = self.body.encode()
        headers = {"Host": parts.netloc, **self.headers, "Content-Length": str(len(body))}
        lines = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        return f"{self.method} {target} HTTP/1.1\r\n{lines}\r\n".encode() + body


@dataclass
class Answers:
    """What came back: how long each took, in seconds, and the bodies of some that were wrong."""

    latencies: list[float] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)


async def send(request: Request, until: float, answers: Answers) -> None:
    """Use one connection until the time is up."""
    parts = urlsplit(request.url)
    data = request.data()
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    try:
        while (began := time.perf_counter()) < until:
            writer.write(data)
            status, body = await _answer(reader)
            answers.latencies.append(time.perf_counter() - began)
            if status != request.status and len(answers.wrong) < 5:
                answers.wrong.append(f"{status}: {body[:500].decode(errors='replace')}")
    finally:
        writer.close()


async def _answer(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    head = (await reader.readuntil(_HEAD_END)).lower()
    status = int(head[9:12])
    _, found, rest = head.partition(b"content-length:")
    if not found:
        raise ValueError(f"an answer has no Content-Length: {head!r}")
    return status, await reader.readexactly(int(rest.partition(b"\r\n")[0]))


async def run(request: Request, seconds: float) -> Answers:
    """All connections at once."""
    answers = Answers()
    until = time.perf_counter() + seconds
    await asyncio.gather(*(send(request, until, answers) for _ in range(request.connections)))
    return answers


def main() -> None:
    """Warm up, say so, wait for a line, and measure."""
    request = Request(**json.loads(sys.argv[1]))
    asyncio.run(run(request, request.warm_up_seconds))
    sys.stdout.buffer.write(READY)
    sys.stdout.flush()
    if not sys.stdin.readline():
        return  # whoever asked has gone
    began = time.perf_counter()
    answers = asyncio.run(run(request, request.seconds))
    print(json.dumps({**asdict(answers), "seconds": time.perf_counter() - began}), flush=True)


if __name__ == "__main__":
    main()
