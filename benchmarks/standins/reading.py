"""Reading HTTP/1.1 requests from a socket without copying what is large.

A body is received straight into memory that is there already: the connection's own small buffer or
one of a pool that all connections of a server share. It is valid until the request is answered.
"""

from __future__ import annotations

import re
import socket
import threading
from dataclasses import dataclass, field

_SMALL_BUFFER = 64 * 1024
_POOLED_AT_MOST = 128 * 1024**2
_CHUNK_LINE = re.compile(rb"([0-9A-Fa-f]+)[^\r\n]*\r\n")


class MalformedRequest(Exception):
    """What arrived is not an HTTP/1.1 request; the connection cannot go on."""


@dataclass(slots=True)
class Request:
    """A request as received. `body` is valid only until the handler returns: copy it to keep it."""

    method: str
    target: str
    """Path and query as sent, still percent-encoded."""
    headers: dict[str, str]
    """Names in lower case."""
    body: memoryview
    trailers: dict[str, str] = field(default_factory=dict)


class BufferPool:
    """Buffers for bodies: as many as there are uploads at once, kept to be used again."""

    def __init__(self) -> None:
        self._free: list[bytearray] = []
        self._lock = threading.Lock()

    def take(self, size: int) -> bytearray:
        """A buffer of at least that size."""
        with self._lock:
            for at, buffer in enumerate(self._free):
                if len(buffer) >= size:
                    return self._free.pop(at)
            if self._free:  # it is too small for what is uploaded here
                self._free.pop()
        return bytearray(size)

    def give(self, buffer: bytearray) -> None:
        """Take a buffer back."""
        if len(buffer) <= _POOLED_AT_MOST:
            with self._lock:
                self._free.append(buffer)


class RequestReader:
    """Requests from one connection, one after the other."""

    def __init__(self, connection: socket.socket, pool: BufferPool) -> None:
        self._socket = connection
        self._pool = pool
        self._buffer = bytearray(_SMALL_BUFFER)
        self._view = memoryview(self._buffer)
        self._start = self._end = 0
        self._borrowed: bytearray | None = None

    def next(self) -> Request | None:
        """The next request; None when the other side has closed.

        Raises:
            MalformedRequest: this is not HTTP/1.1, or the connection broke off within a request.
        """
        self.release()
        head = self._head()
        if head is None:
            return None
        request = _parse_head(head)
        if request.headers.get("expect", "").lower() == "100-continue":
            self._socket.sendall(b"HTTP/1.1 100 Continue\r\n\r\n")
        if "chunked" in request.headers.get("transfer-encoding", "").lower():
            request.body = self._chunked(_declared_size(request.headers))
        elif length := int(request.headers.get("content-length") or 0):
            request.body = self._sized(length)
        if "aws-chunked" in request.headers.get("content-encoding", "").lower():
            request.body, request.trailers = unwrap_aws_chunks(request.body)
        return request

    def release(self) -> None:
        """The last request is answered: its body may be overwritten."""
        if self._borrowed is not None:
            self._pool.give(self._borrowed)
            self._borrowed = None

    def _head(self) -> bytes | None:
        while (at := self._buffer.find(b"\r\n\r\n", self._start, self._end)) < 0:
            if not self._fill():
                if self._start == self._end:
                    return None
                raise MalformedRequest("the connection ended within the head of a request")
        head = bytes(self._view[self._start : at])
        self._start = at + 4
        return head

    def _fill(self) -> bool:
        """Receive something more; what is unread may move within the buffer."""
        if self._start == self._end:
            self._start = self._end = 0
        elif self._end == len(self._buffer):
            if self._start == 0:
                raise MalformedRequest(f"a line or head of more than {_SMALL_BUFFER} bytes")
            unread = self._end - self._start
            self._view[:unread] = self._view[self._start : self._end]
            self._start, self._end = 0, unread
        received = self._socket.recv_into(self._view[self._end :])
        self._end += received
        return received > 0

    def _sized(self, length: int) -> memoryview:
        if length <= self._end - self._start:  # it came with the head
            body = self._view[self._start : self._start + length]
            self._start += length
            return body
        self._borrowed = self._pool.take(length)
        body = memoryview(self._borrowed)[:length]
        self._receive(body)
        return body

    def _receive(self, target: memoryview) -> None:
        """Fill `target`: from the buffer first, then from the socket with few calls."""
        have = min(len(target), self._end - self._start)
        target[:have] = self._view[self._start : self._start + have]
        self._start += have
        while have < len(target):
            # MSG_WAITALL: one call for a whole part, and the interpreter is free meanwhile.
            received = self._socket.recv_into(target[have:], 0, socket.MSG_WAITALL)
            if received == 0:
                raise MalformedRequest("the connection ended within the body of a request")
            have += received

    def _line(self) -> bytes:
        while (at := self._buffer.find(b"\r\n", self._start, self._end)) < 0:
            if not self._fill():
                raise MalformedRequest("the connection ended within a chunked body")
        line = bytes(self._view[self._start : at])
        self._start = at + 2
        return line

    def _chunked(self, expected: int) -> memoryview:
        self._borrowed = self._pool.take(max(expected, _SMALL_BUFFER))
        length = 0
        while size := int(self._line().partition(b";")[0], 16):
            if length + size > len(self._borrowed):
                larger = self._pool.take(2 * (length + size))
                larger[:length] = memoryview(self._borrowed)[:length]
                self._pool.give(self._borrowed)
                self._borrowed = larger
            self._receive(memoryview(self._borrowed)[length : length + size])
            length += size
            self._line()
        while self._line():  # trailers of HTTP itself: AWS puts its own inside aws-chunked
            pass
        return memoryview(self._borrowed)[:length]


def _parse_head(head: bytes) -> Request:
    line, *fields = head.decode("latin-1").split("\r\n")
    method, _, rest = line.partition(" ")
    target, _, version = rest.partition(" ")
    if not version.startswith("HTTP/1."):
        raise MalformedRequest(f"not a request of HTTP/1.1: {line[:100]!r}")
    headers = {}
    for text in fields:
        name, _, value = text.partition(":")
        headers[name.lower()] = value.strip()
    if version == "HTTP/1.0":
        headers.setdefault("connection", "close")
    return Request(method, target, headers, memoryview(b""))


def _declared_size(headers: dict[str, str]) -> int:
    """Room for a chunked body whose decoded size is declared, with its chunk headers."""
    declared = int(headers.get("x-amz-decoded-content-length") or 0)
    return declared + declared // 64 + 4096


def unwrap_aws_chunks(body: memoryview) -> tuple[memoryview, dict[str, str]]:
    """The content of an `aws-chunked` body and its trailers; the content moves within the body.

    Source: https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming-trailers.html

    Raises:
        MalformedRequest: it is cut off or not in chunks.
    """
    length = at = 0
    while True:
        line = _CHUNK_LINE.match(body, at)
        if line is None:
            raise MalformedRequest("an aws-chunked body without a chunk's size")
        at, size = line.end(), int(line[1], 16)
        if size == 0:
            return body[:length], _trailers(bytes(body[at:]))
        if at + size + 2 > len(body):
            raise MalformedRequest("an aws-chunked body that is cut off")
        if length != at:
            body[length : length + size] = body[at : at + size]
        length += size
        at += size + 2


def _trailers(text: bytes) -> dict[str, str]:
    lines = [line.partition(":") for line in text.decode("latin-1").split("\r\n") if line]
    return {name.lower(): value.strip() for name, _, value in lines}
