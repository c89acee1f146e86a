"""HTTP as bytes, for what clients do not do by themselves."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from benchmarks.standins.http import Server


@dataclass(frozen=True)
class Raw:
    """An answer as it came."""

    status: int
    headers: dict[str, str]
    body: bytes


class Wire:
    """A connection that says exactly what it is told to say."""

    def __init__(self, connection: socket.socket) -> None:
        self.socket = connection
        self._file = connection.makefile("rb")

    def send(self, *parts: bytes) -> None:
        """Send bytes."""
        for part in parts:
            self.socket.sendall(part)

    def answer(self, *, head: bool = False) -> Raw:
        """The next answer; `head`: to a HEAD request, which has no body."""
        status = int(self._file.readline().split(b" ")[1])
        headers = {}
        while line := self._file.readline().strip():
            name, _, value = line.decode().partition(": ")
            headers[name.lower()] = value
        length = 0 if head or status == 100 else int(headers.get("content-length", 0))
        return Raw(status, headers, self._file.read(length))

    def is_closed(self) -> bool:
        """Whether the other side has closed."""
        return self._file.read(1) == b""

    def close(self) -> None:
        """Close this side."""
        self._file.close()
        self.socket.close()


@contextmanager
def connected(server: Server) -> Iterator[Wire]:
    """A connection to a server."""
    wire = Wire(socket.create_connection(("127.0.0.1", server.port), timeout=10))
    try:
        yield wire
    finally:
        wire.close()
